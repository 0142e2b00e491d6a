"""The page Classify: files, a recording or a packaged clip, and what they sound like."""

import csv
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
from undertone.audio.files import AUDIO_SUFFIXES
from undertone.emotions import EMOTIONS
from undertone.files.batch import FileResult
from undertone.files.results import csv_header, csv_row, to_line
from undertone.recognition.bundle import Manifest
from undertone.recognition.pipeline import ClassifiedSegment
from undertone.samples import clips
from undertone.support.printable import printable
from undertone.web import charts, model_selection
from undertone.web.app_state import AppState, app_state
from undertone.web.models import Model
from undertone.web.theme import headline, plain
from undertone.web.upload_classifier import Heard, judge

_RESULTS = "results"
_PLAYED = {
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}
"""What browsers play."""


@dataclass(frozen=True)
class Sound:
    """Something to judge; ``key`` tells it from every other."""

    key: str
    name: str
    data: bytes


def show() -> None:
    """Draw the page."""
    house = app_state()
    model = model_selection.chosen(house)
    st.title("What does it sound like?")
    sounds = _sounds()
    if not sounds:
        st.caption("Nothing that you upload or record is kept: it is gone when you leave.")
        return
    heard = _results(sounds, house, model)
    results = [each.result for each in heard]
    labels = model.bundle.manifest.labels
    place = 0
    if len(sounds) > 1:
        place = st.selectbox(
            "Recording", range(len(sounds)), format_func=lambda i: printable(sounds[i].name)
        )
        st.dataframe(_table(results), hide_index=True, width="stretch")
    _details(sounds[place], heard[place], model.bundle.manifest)
    with st.container(horizontal=True):
        st.download_button("CSV", _csv(results, labels), "emotions.csv", "text/csv")
        lines = "".join(to_line(result) + "\n" for result in results)
        st.download_button("JSON", lines, "emotions.jsonl", "application/json")


def _sounds() -> list[Sound]:
    uploads, voice = st.columns(2)
    files = uploads.file_uploader(
        "Audio files", [suffix[1:] for suffix in sorted(AUDIO_SUFFIXES)], accept_multiple_files=True
    )
    recording = voice.audio_input("Or say something", sample_rate=SAMPLE_RATE_HZ)
    sample = st.pills("Or hear an actor of RAVDESS", EMOTIONS)
    sounds = _uploaded([recording] if recording else []) + _uploaded(files)
    if sample:
        clip = clips()[EMOTIONS.index(sample)]
        sounds.insert(0, Sound(clip.name, clip.name, clip.read_bytes()))
    return sounds


def _uploaded(files: Sequence[UploadedFile]) -> list[Sound]:
    """The uploads themselves: ``files`` are copies that Streamlit makes for each run."""
    context = get_script_run_ctx()
    assert context
    wanted = [file.file_id for file in files]
    records = context.uploaded_file_mgr.get_files(context.session_id, wanted)
    return [Sound(record.file_id, record.name, record.data) for record in records]


def _results(sounds: Sequence[Sound], house: AppState, model: Model) -> list[Heard]:
    """What became of each; what was judged before is remembered while it is there."""
    before: dict[tuple[str, str], Heard] = st.session_state.get(_RESULTS, {})
    keys = [(sound.key, model.bundle.manifest.model_sha256) for sound in sounds]
    known = {key: before[key] for key in keys if key in before}
    st.session_state[_RESULTS] = known
    for sound, key in zip(sounds, keys, strict=True):
        if key not in known:
            known[key] = _judged(sound, house, model)
    return [known[key] for key in keys]


def _judged(sound: Sound, house: AppState, model: Model) -> Heard:
    line = st.empty()
    shown = -1

    def told(done: float, segments: Sequence[ClassifiedSegment]) -> None:
        nonlocal shown
        if int(100 * done) > shown:
            shown = int(100 * done)
            last = f", the last one {segments[-1].verdict.verdict}" if segments else ""
            text = f"{plain(sound.name)}: {len(segments)} segments of speech{plain(last)}"
            line.progress(done, text)

    with _turn(house.working, line):
        heard = judge(sound.name, sound.data, model, house.settings.threshold, told)
    line.empty()
    return heard


@contextmanager
def _turn(working: Lock, line: Any) -> Iterator[None]:
    """Wait until nobody else's sound is being judged; a visitor who leaves waits no longer."""
    while not working.acquire(timeout=0.5):
        line.caption("Others are being heard: waiting…")
    try:
        yield
    finally:
        working.release()


def _details(sound: Sound, heard: Heard, manifest: Manifest) -> None:
    st.subheader(plain(sound.name), anchor=False)
    verdict, sketch = heard.result.verdict, heard.sketch
    if verdict is None or sketch is None:
        st.error(plain(heard.result.error or ""))
        return
    suffix = f".{sound.name.rpartition('.')[2].lower()}"
    if suffix in _PLAYED:
        st.audio(sound.data, _PLAYED[suffix])
    else:
        st.caption("Browsers can't play this kind of file.")
    told = "nobody speaks in it"
    if verdict.overall:
        scores = verdict.overall.scores
        said = "" if verdict.verdict == scores.label else f"most probable: {scores.label}, "
        told = f"{said}{scores.confidence:.0%}"
    headline(verdict.verdict, told)
    whole, parts = st.columns([2, 3], gap="medium")
    if verdict.overall:
        whole.altair_chart(charts.probabilities(verdict.overall), width="stretch")
    parts.altair_chart(charts.waveform(sketch, verdict.segments), width="stretch")
    if sum(len(segment.windows) for segment in verdict.segments) > 1:
        chart = charts.windows(verdict.segments, manifest, sketch.duration_s)
        parts.altair_chart(chart, width="stretch")
    parts.image(
        charts.mfcc_picture(sketch.mfcc),
        "MFCC over time, as the network takes them: the first at the bottom, number "
        f"{manifest.mfcc.n_coefficients} at the top; dark below and bright above the mean.",
        width="stretch",
    )


def _table(results: Sequence[FileResult]) -> list[dict[str, str]]:
    rows = []
    for result in results:
        overall = result.verdict.overall if result.verdict else None
        rows.append(
            {
                "file": printable(str(result.path)),
                "verdict": result.verdict.verdict if result.verdict else "failed",
                "most probable": overall.scores.label if overall else "",
                "confidence": f"{overall.scores.confidence:.0%}" if overall else "",
            }
        )
    return rows


def _csv(results: Sequence[FileResult], labels: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(csv_header(labels))
    writer.writerows(csv_row(result, labels) for result in results)
    return text.getvalue()
