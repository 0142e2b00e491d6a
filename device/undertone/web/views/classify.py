"""The page Classify: the emotions in files, a recording or a packaged clip."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.audio.files import FILE_SUFFIXES
from undertone.emotions import EMOTIONS
from undertone.events import Verdict
from undertone.files.batch import FileResult
from undertone.files.results import to_line, write_csv
from undertone.recognition.bundle import Manifest
from undertone.recognition.pipeline import ClassifiedSegment
from undertone.samples import clips
from undertone.support.printable import printable
from undertone.web import charts
from undertone.web.app_state import AppState, app_state
from undertone.web.models import Model
from undertone.web.theme import detail_of, headline, plain, table
from undertone.web.upload_classifier import ClassifiedUpload, classify_upload
from undertone.web.views.model import chosen

_RESULTS = "results"
_PLAYED = {
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".webm": "audio/webm",
}
"""Formats that browsers play."""


@dataclass(frozen=True)
class Sound:
    """A recording to classify, identified by ``key``."""

    key: str
    name: str
    data: bytes


def show() -> None:
    """Draw the page."""
    state = app_state()
    model = chosen(state)
    st.title("Classify recordings")
    sounds = _sounds()
    if not sounds:
        st.caption("Uploads and recordings are not stored: they are deleted after you leave.")
        return
    uploads = _classified(sounds, state, model)
    results = [each.result for each in uploads]
    selected = 0
    if len(sounds) > 1:
        selected = st.selectbox(
            "Recording", range(len(sounds)), format_func=lambda i: printable(sounds[i].name)
        )
        table(_rows(results))
    _details(sounds[selected], uploads[selected], model.bundle.manifest)
    with st.container(horizontal=True):
        csv = io.StringIO()
        write_csv(results, model.bundle.manifest.labels, csv)
        st.download_button("CSV", csv.getvalue(), "emotions.csv", "text/csv")
        json = "".join(to_line(result) + "\n" for result in results)
        st.download_button("JSON", json, "emotions.jsonl", "application/json")


def _sounds() -> list[Sound]:
    left, right = st.columns(2)
    files = left.file_uploader(
        "Audio files", [suffix[1:] for suffix in sorted(FILE_SUFFIXES)], accept_multiple_files=True
    )
    recording = right.audio_input("Record your voice", sample_rate=SAMPLE_RATE_HZ)
    sample = st.pills("Packaged clips (RAVDESS actors)", EMOTIONS)
    sounds = _uploaded([recording] if recording else []) + _uploaded(files)
    if sample:
        clip = clips()[EMOTIONS.index(sample)]
        sounds.insert(0, Sound(clip.name, clip.name, clip.read_bytes()))
    return sounds


def _uploaded(files: Sequence[UploadedFile]) -> list[Sound]:
    """The stored uploads; ``files`` are copies that Streamlit makes for each run."""
    context = get_script_run_ctx()
    assert context
    identifiers = [file.file_id for file in files]
    records = context.uploaded_file_mgr.get_files(context.session_id, identifiers)
    return [Sound(record.file_id, record.name, record.data) for record in records]


def _classified(sounds: Sequence[Sound], state: AppState, model: Model) -> list[ClassifiedUpload]:
    """The result of each; results are kept in the session as long as their sound is there."""
    before: dict[tuple[str, str], ClassifiedUpload] = st.session_state.get(_RESULTS, {})
    keys = [(sound.key, model.bundle.manifest.model_sha256) for sound in sounds]
    known = {key: before[key] for key in keys if key in before}
    st.session_state[_RESULTS] = known
    for sound, key in zip(sounds, keys, strict=True):
        if key not in known:
            known[key] = _classify(sound, state, model)
    return [known[key] for key in keys]


def _classify(sound: Sound, state: AppState, model: Model) -> ClassifiedUpload:
    line = st.empty()
    shown = -1

    def on_progress(done: float, segments: Sequence[ClassifiedSegment]) -> None:
        nonlocal shown
        if int(100 * done) > shown:
            shown = int(100 * done)
            last = f", the last: {segments[-1].verdict.verdict}" if segments else ""
            text = f"{plain(sound.name)}: {len(segments)} segments of speech{plain(last)}"
            line.progress(done, text)

    threshold = state.settings.threshold
    with _turn(state.working, line):
        upload = classify_upload(sound.name, sound.data, model, threshold, on_progress)
    line.empty()
    return upload


@contextmanager
def _turn(working: Lock, line: Any) -> Iterator[None]:
    """Wait until no other recording is being classified, or until the visitor leaves."""
    while not working.acquire(timeout=0.5):
        line.caption("Waiting: another recording is being classified…")
    try:
        yield
    finally:
        working.release()


def _details(sound: Sound, upload: ClassifiedUpload, manifest: Manifest) -> None:
    st.subheader(plain(sound.name), anchor=False)
    verdict, preview = upload.result.verdict, upload.preview
    if verdict is None or preview is None:
        st.error(plain(upload.result.error or ""))
        return
    suffix = f".{sound.name.rpartition('.')[2].lower()}"
    if suffix in _PLAYED:
        st.audio(sound.data, _PLAYED[suffix])
    else:
        st.caption("Browsers can't play this format.")
    detail = "no speech found"
    if verdict.overall:
        detail = detail_of(verdict.overall)
    headline(verdict.verdict, detail)
    whole, parts = st.columns([2, 3], gap="medium")
    if verdict.overall:
        whole.altair_chart(charts.probabilities(verdict.overall.scores), width="stretch")
    parts.altair_chart(charts.waveform(preview, verdict.segments), width="stretch")
    if sum(len(segment.windows) for segment in verdict.segments) > 1:
        chart = charts.windows(verdict.segments, manifest, preview.duration_s)
        parts.altair_chart(chart, width="stretch")
    parts.altair_chart(charts.mfcc(preview), width="stretch")
    parts.caption(
        "MFCC over time, standardised as for the network: coefficient 1 at the bottom, "
        f"{manifest.mfcc.n_coefficients} at the top; dark is below the mean, bright above it."
    )


def _rows(results: Sequence[FileResult]) -> list[dict[str, str]]:
    rows = []
    for result in results:
        overall = result.verdict.overall if result.verdict else None
        rows.append(
            {
                "file": printable(str(result.path)),
                "verdict": result.verdict.verdict if result.verdict else "failed",
                "most probable": overall.label if overall else "",
                "confidence": f"{overall.confidence:.0%}" if overall else "",
                "activation": _share(overall),
            }
        )
    return rows


def _share(overall: Verdict | None) -> str:
    activation = overall.activation if overall else None
    return "" if activation is None else f"{activation:.0%}"
