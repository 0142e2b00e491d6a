"""What is drawn of a recording, and how texts from outside are shown."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")

from undertone.emotions import COLOURS, NO_SPEECH
from undertone.events import SegmentEnded, Verdict
from undertone.files.batch import ClassifierConfig, classify_files
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.samples import clips
from undertone.support.printable import printable
from undertone.web.charts import mfcc_picture, waveform, windows
from undertone.web.models import Model
from undertone.web.preview import Decimator, PreviewBuilder
from undertone.web.theme import icon, plain, segment_row
from undertone.web.upload_classifier import classify_upload


@given(st.lists(st.integers(0, 100), min_size=1, max_size=200), st.integers(1, 8))
def test_thinned_rows_stay_few_and_lose_no_peak(values: list[int], most: int) -> None:
    thinned = Decimator(most, lambda groups: groups.max(axis=1))
    for value in values:
        thinned.push(np.array([[float(value)]]))
    rows = thinned.rows()[:, 0].tolist()
    assert len(rows) <= 2 * most
    assert max(rows) == max(values)
    if len(values) < 2 * most:
        assert rows == values


@pytest.mark.parametrize("seconds", [0.001, 0.05, 3.0, 700.0])
def test_a_preview_has_a_bounded_size(seconds: float) -> None:
    builder = PreviewBuilder(bundle.load().manifest)
    samples = np.random.default_rng(0).integers(-9000, 9000, int(seconds * 16_000), np.int16)
    for first in range(0, len(samples), 16_000):
        builder.push(samples[first : first + 16_000])
    preview = builder.finish()
    assert preview.duration_s == pytest.approx(seconds, abs=1e-4)
    assert 1 <= len(preview.peaks) <= 800
    assert 1 <= len(preview.mfcc) <= 800
    assert preview.peaks.max() == np.abs(samples / 32768).max()
    picture = mfcc_picture(preview.mfcc)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    rows = waveform(preview, []).data["values"]
    assert {row["verdict"] for row in rows} == {NO_SPEECH}


@pytest.fixture(scope="module")
def model() -> Model:
    loaded = bundle.load()
    return Model(loaded, Classifier(loaded))


def test_an_upload_is_classified_as_a_file_is(model: Model) -> None:
    for known in classify_files(clips(), ClassifierConfig(model.bundle.folder)):
        upload = classify_upload(
            str(known.path), known.path.read_bytes(), model, None, lambda *progress: None
        )
        assert known.verdict is not None
        assert upload.result.verdict is not None
        assert upload.result.verdict.overall == known.verdict.overall
        assert upload.preview is not None
        rows = windows(upload.result.verdict.segments, model.bundle.manifest, 4.0).data["values"]
        count = sum(len(segment.windows) for segment in known.verdict.segments)
        assert len(rows) == 8 * count


def test_progress_rises_to_the_end_and_segments_come_on_the_way(model: Model) -> None:
    file = io.BytesIO()
    sound = np.concatenate([soundfile.read(clip, dtype="int16")[0] for clip in clips()])
    soundfile.write(file, sound, 16_000, format="WAV")
    progress: list[tuple[float, int]] = []
    classify_upload(
        "a", file.getvalue(), model, None, lambda done, got: progress.append((done, len(got)))
    )
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert progress[-1][0] == pytest.approx(1.0, abs=0.05)
    assert 0 < progress[len(progress) // 2][1] < progress[-1][1]


def test_what_is_too_long_is_read_no_further(model: Model) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(60 * 16_000, np.int16), 16_000, format="FLAC")
    progress: list[float] = []
    upload = classify_upload(
        "a.flac",
        file.getvalue(),
        model,
        None,
        lambda done, got: progress.append(done),
        longest_s=7.2,
    )
    assert upload.result.error == (
        "a.flac is longer than 0.002 hours: shorten it, or run `undertone classify` on it."
    )
    assert len(progress) == 8


@given(st.text())
def test_plain_text_has_no_markup_left(text: str) -> None:
    shown = plain(text)
    assert re.sub(r"\\(.)", r"\1", shown) == printable(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`\[\]<>!$|~#]", shown)
    assert shown.isprintable()


def test_the_icon_has_a_bar_for_each_emotion() -> None:
    _, *bars = ElementTree.fromstring(icon())
    assert [bar.get("fill") for bar in bars] == list(COLOURS.values())
    edges = [float(bar.get(name, "")) for bar in bars for name in ("x", "y")]
    assert all(0 <= edge < 64 for edge in edges)


def test_a_table_says_why_a_segment_is_uncertain() -> None:
    scores = {"happy": 0.994, "sad": 0.006}
    verdict = Verdict.of(scores, reason="no sound above 3.4 kHz", activation=0.306)
    row = segment_row(SegmentEnded.of(0.0, 1.26, -20.4, verdict, "m", "0" * 64), "12:00:00")
    assert list(row.values()) == [
        "12:00:00",
        "uncertain, no sound above 3.4 kHz",
        "happy",
        "99%",
        "31%",
        "1.3",
        "-20",
    ]
