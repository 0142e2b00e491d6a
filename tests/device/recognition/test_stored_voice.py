"""The voice in a file: it outlives the program, until somebody forgets it."""

import json
import logging
import multiprocessing
import os
import re
import stat
from dataclasses import replace

import msgspec
import pytest
from msgspec import structs

from undertone import samples
from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.stored_voice import (
    CHECK_INTERVAL_S,
    CHECKED_FRAMES,
    WRITE_INTERVAL_S,
    Origin,
    VoiceError,
    VoiceSink,
    forget,
    read,
    voice_path,
)
from undertone.recognition.voice import MOST_FRAMES, Voice
from undertone.recognition.voice_distance import VoiceDistance


@pytest.fixture(scope="module")
def classifier():
    """One that knows voices."""
    packaged = bundle.load("ravdess8-tiny")
    normalization = structs.replace(packaged.manifest.normalization, voice_prior_frames=200.0)
    distance = VoiceDistance(((1.0,) * 39,), far=3.0)
    manifest = structs.replace(
        packaged.manifest, normalization=normalization, voice_distance=distance
    )
    return Classifier(replace(packaged, manifest=manifest))


class Clock:
    """A steady clock that only a test moves."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "voice.json"


@pytest.fixture
def listen(classifier, path):
    """Begin to listen; returns the pipeline, its sink and the sink's clock."""

    def begin(source="USB", gain_db=0.0, channel=None, **manifest):
        pipeline = Pipeline(classifier, learns=True)
        clock = Clock()
        changed = structs.replace(classifier.manifest, **manifest)
        origin = Origin.of(changed, source, gain_db, channel)
        sink = VoiceSink(pipeline, path, origin, clock=lambda: 1.8e9, steady_clock=clock)
        return pipeline, sink, clock

    return begin


def voice(frames=100, level=15.0):
    return Voice((level, *[0.5] * 39), frames, (0.25, *[-0.25] * 7))


@pytest.fixture
def known(listen, path):
    """A voice that an earlier listener has stored."""
    pipeline, sink, _ = listen()
    pipeline.voice = voice()
    sink.close()
    assert read(path).voice == voice()
    return voice()


def test_what_was_learnt_of_speech_is_known_after_a_restart(listen, path):
    pipeline, sink, _ = listen()
    for block in read_blocks(samples.clips()[4]):
        pipeline.process(block)
        sink.observe(None)
    pipeline.flush()
    learnt = pipeline.voice
    assert learnt.frames > 30
    sink.close()
    again, _, _ = listen()
    assert again.voice == learnt
    assert read(path).known_s == pytest.approx(learnt.frames * 0.032)


def test_the_file_holds_forty_numbers_and_is_its_owners_alone(listen, path, known):
    stored = json.loads(path.read_bytes())
    assert stored["voice"] == {
        "mean": list(known.mean),
        "frames": 100,
        "bias": list(known.bias),
        "deviation": [],
    }
    assert stored["origin"].pop("mfcc")["n_coefficients"] == 40
    assert stored["origin"] == {
        "source": "USB",
        "gain_db": 0.0,
        "channel": None,
        "steady_noise": "subtracted",
        "model_sha256": bundle.load("ravdess8-tiny").manifest.model_sha256,
    }
    assert stored["updated"].startswith("2027-01-15T08:00")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*path.parent.iterdir()] == [path]


def test_it_is_written_at_once_and_then_every_half_minute_and_at_the_end(listen, path):
    pipeline, sink, clock = listen()
    written = []
    for second in range(70):
        pipeline.voice = voice(100 + second)
        clock.now_s = 1000.0 + second
        sink.observe(None)
        written.append(read(path).voice.frames)
    assert set(written) == {100, 100 + WRITE_INTERVAL_S, 100 + 2 * WRITE_INTERVAL_S}
    sink.close()
    assert read(path).voice.frames == 169


def test_nothing_is_written_where_nothing_is_learnt(listen, path, known):
    before = path.stat()
    _, sink, _ = listen()
    sink.observe(None)
    sink.close()
    assert path.stat() == before


def test_learning_goes_on_since_it_began(listen, path, known):
    began = structs.replace(read(path), since=read(path).since.replace(year=2020))
    path.write_bytes(msgspec.json.encode(began))
    pipeline, sink, _ = listen()
    pipeline.voice = voice(200)
    sink.close()
    assert (read(path).since.year, read(path).updated.year) == (2020, 2027)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"source": "Web\x1bcam"}, "learnt from USB, and this is Web�cam"),
        ({"gain_db": 6.0}, "learnt at a gain of 0 dB, and this is 6"),
        ({"channel": 1}, "learnt from the mean of all channels, and this is channel 1"),
    ],
)
def test_another_microphone_gain_or_channel_forgets(listen, path, known, caplog, other, reason):
    pipeline, sink, _ = listen(**other)
    assert pipeline.voice is None
    (message,) = caplog.messages
    assert reason in message
    pipeline.voice = voice(7)
    sink.close()
    assert read(path).voice.frames == 7
    assert read(path).since == read(path).updated


@pytest.mark.parametrize(
    ("difference", "frames", "forgets"),
    [
        (0.1, CHECKED_FRAMES, True),
        (-0.1, MOST_FRAMES, True),
        (0.1, CHECKED_FRAMES - 1, False),
        (0.05, CHECKED_FRAMES, False),
    ],
)
def test_what_sounds_unlike_the_stored_voice_forgets_it(
    listen, path, known, caplog, difference, frames, forgets
):
    pipeline, sink, clock = listen()
    heard = Voice((known.mean[0] + 9, *[each + difference for each in known.mean[1:]]), frames)
    pipeline.heard, pipeline.voice = heard, voice(500)
    sink.observe(None)
    assert pipeline.voice == (heard if forgets else voice(500))
    assert [text for text in caplog.messages if "another speaker or microphone" in text] == (
        caplog.messages if forgets else []
    )
    assert len(caplog.messages) == forgets
    # later, somebody else who is heard as well is no reason to forget
    pipeline.heard = Voice((0.0, *[9.0] * 39), MOST_FRAMES)
    pipeline.voice = voice(700)
    for _ in range(3):
        clock.now_s += WRITE_INTERVAL_S
        sink.observe(None)
    if forgets or frames >= CHECKED_FRAMES:
        assert pipeline.voice == voice(700)
        assert read(path).since.year == 2027
        assert len(caplog.messages) == forgets


def test_what_is_heard_since_the_start_is_what_would_be_known_of_it_alone(listen, path, known):
    again, _, _ = listen()
    new, _, _ = listen(source="another one")
    for pipeline in (again, new):
        for block in read_blocks(samples.clips()[4]):
            pipeline.process(block)
        pipeline.flush()
    assert again.heard.mean == new.voice.mean
    assert again.heard.frames == new.voice.frames < again.voice.frames
    assert new.heard is None  # nothing was known: there is nothing to compare it with


def test_other_features_forget(listen, classifier, known, caplog):
    manifest = classifier.manifest
    kept = structs.replace(manifest.normalization, steady_noise="kept")
    for changed in (
        {"normalization": kept},
        {"mfcc": structs.replace(manifest.mfcc, preemphasis=0.9),
         "detector": structs.replace(
             manifest.detector, mfcc=structs.replace(manifest.mfcc, preemphasis=0.9))},
    ):  # fmt: skip
        pipeline, _, _ = listen(**changed)
        assert pipeline.voice is None
    assert ["another model" in message for message in caplog.messages] == [True, True]


def damaged(path):
    stored = json.loads(path.read_bytes())
    yield b""
    yield path.read_bytes()[:200]
    yield b"\xff" * 100
    yield b"[" * 100_000
    yield json.dumps(stored | {"schema_version": 2}).encode()
    yield json.dumps(stored | {"more": 1}).encode()
    yield json.dumps(stored | {"voice": {"mean": [1.0] * 39, "frames": 100}}).encode()
    yield json.dumps(stored | {"voice": {"mean": [1e300] * 40, "frames": 100}}).encode()
    yield json.dumps(stored | {"voice": {"mean": [1.0] * 40, "frames": 0}}).encode()
    for wrong in ([], [0.1] * 7):
        changed = stored["voice"] | {"bias": [*stored["voice"]["bias"], *wrong][-15:-1]}
        yield json.dumps(stored | {"voice": changed}).encode()
    yield json.dumps(stored | {"updated": "2026-11-20T00:00:00"}).encode()


def test_a_damaged_file_is_one_warning_and_then_replaced(listen, path, known, caplog):
    for content in damaged(path):
        path.write_bytes(content)
        caplog.clear()
        pipeline, sink, _ = listen()
        assert pipeline.voice is None
        (message,) = caplog.messages
        assert str(path) in message
        assert "`undertone voice forget`" in message
        if "bias" not in message:  # of which only the bundle knows how long it is
            with pytest.raises(VoiceError):
                read(path)
        pipeline.voice = voice(3)
        sink.close()
        assert read(path).voice.frames == 3


@pytest.mark.parametrize("kind", [os.mkfifo, os.mkdir])
def test_anything_but_a_file_is_one_warning_and_no_wait(listen, path, caplog, kind):
    path.parent.mkdir()
    kind(path)
    pipeline, _, _ = listen()
    assert pipeline.voice is None
    assert len(caplog.messages) == 1


def test_a_folder_that_cannot_be_written_is_one_warning(listen, path, caplog):
    path.parent.write_text("a file where the folder should be")
    pipeline, sink, clock = listen()
    caplog.clear()
    for frames in range(1, 300):
        pipeline.voice = voice(frames)
        clock.now_s += CHECK_INTERVAL_S
        sink.observe(None)
    sink.close()
    (message,) = caplog.messages
    assert message.startswith(f"can't write {path} (")
    assert pipeline.voice.frames == 299  # it has learnt all the same


def test_what_was_stored_stays_where_nothing_can_be_written(
    listen, path, known, monkeypatch, caplog
):
    pipeline, sink, _ = listen()
    pipeline.voice = voice(200)
    (path.parent / ".voice.json.part").mkdir()  # nothing can be written beside it
    sink.close()
    assert read(path).voice == known
    assert len(caplog.messages) == 1


def test_a_running_listener_forgets_what_somebody_deletes(listen, path, known, caplog):
    pipeline, sink, clock = listen()
    pipeline.voice = voice(200)
    assert forget(path)
    clock.now_s += CHECK_INTERVAL_S
    sink.observe(None)
    assert pipeline.voice is None
    sink.close()
    assert not path.exists()
    assert [str(path) in message for message in caplog.messages] == [True]


def test_it_learns_anew_after_that(listen, path, known):
    pipeline, sink, clock = listen()
    sink.observe(None)
    forget(path)
    clock.now_s += CHECK_INTERVAL_S
    sink.observe(None)
    pipeline.voice = voice(5)
    clock.now_s += WRITE_INTERVAL_S
    sink.observe(None)
    assert read(path).voice.frames == 5
    assert read(path).since == read(path).updated


@pytest.mark.parametrize("more", [True, False], ids=["learnt more", "learnt nothing since"])
def test_what_is_deleted_just_before_the_end_stays_deleted(listen, path, known, caplog, more):
    pipeline, sink, _ = listen()
    if more:
        pipeline.voice = voice(200)
    forget(path)
    sink.close()
    assert not [*path.parent.iterdir()]
    assert [f"{path} was deleted" in message for message in caplog.messages] == [True]


def test_nobody_who_writes_at_the_same_moment_brings_it_back(listen, path):
    """Listeners that write without a pause, and one who deletes: what is deleted stays deleted."""
    context = multiprocessing.get_context("fork")
    for _ in range(20):
        pipeline, sink, _ = listen()
        pipeline.voice = voice(1)
        sink.close()
        started = context.Event()
        writer = context.Process(target=_write_on, args=(pipeline, sink, started))
        writer.start()
        started.wait()
        assert forget(path)
        writer.join()
        assert not [*path.parent.iterdir()]


def _write_on(pipeline, sink, started):
    logging.disable()
    for frames in range(2, 1000):
        pipeline.voice = voice(frames)
        sink.close()
        started.set()
        if pipeline.voice is None:
            return


def test_forgetting_twice_is_no_error_and_leaves_nothing(path, known):
    (path.parent / ".voice.json.part").write_text("what a killed program left")
    assert forget(path)
    assert not forget(path)
    assert not [*path.parent.iterdir()]


def test_what_cannot_be_deleted_is_told(path):
    path.mkdir(parents=True)
    with pytest.raises(VoiceError, match="Can't delete"):
        forget(path)


def test_every_source_has_a_file_of_its_own_whatever_its_name():
    names = ["USB", "usb", "USB mic", "USB/mic", "..", "", "Küche", "x" * 300, "x" * 301, "\udcff"]
    paths = {voice_path(name) for name in names}
    assert len(paths) == len(names)
    assert len({path.parent for path in paths}) == 1
    assert all(re.fullmatch(r"[a-z0-9-]{8,49}\.json", path.name) for path in paths)
    assert voice_path("USB mic").name.startswith("usb-mic-")
