"""`undertone voice`, and what `undertone listen` stores of a voice."""

import json
import re

import numpy as np
import pytest
import soundfile

from undertone import sources
from undertone.audio.files import read_blocks
from undertone.cli import run, undertone
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.stored_voice import Origin, VoiceSink, read, voice_path, voices_dir
from undertone.recognition.voice import Voice
from undertone.samples import clips


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("UNDERTONE_STATE", str(tmp_path / "state"))

    def call(*arguments):
        status = run(undertone, "undertone", [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


MICROPHONE = "USB\x1b[31m mic"


@pytest.fixture
def learn(call, voice_bundle):
    """Store a minute's voice that was learnt from a source; returns its file."""

    def learn(source):
        classifier = Classifier(bundle.load(voice_bundle))
        origin = Origin.of(classifier.manifest, source, 6.0, None)
        pipeline = Pipeline(classifier)
        path = voice_path(source)
        sink = VoiceSink(pipeline, path, origin, clock=lambda: 1.8e9)
        pipeline.voice = Voice((14.0, *[0.25] * 39), 1875)
        sink.close()
        return path

    return learn


@pytest.fixture
def known(learn):
    """The file of a voice that was learnt from a microphone."""
    return learn(MICROPHONE)


def test_what_is_known_is_shown_in_a_few_lines(call, known):
    status, out, err = call("voice", "show")
    assert (status, err) == (0, "")
    lines = dict(re.split(r" {2,}", line, maxsplit=1) for line in out.splitlines())
    assert lines["known"] == "60 s of speech"
    assert re.fullmatch(r"from 2027-01-1\d \d\d:\d\d to 2027-01-1\d \d\d:\d\d", lines["learnt"])
    assert lines["source"] == "USB�[31m mic"
    assert lines["input"] == "gain 6 dB, the mean of all channels"
    assert lines["level"].startswith("-57 dB")
    assert lines["file"] == str(known)


def test_as_json_every_number_is_shown(call, known):
    status, out, _ = call("voice", "show", "--format", "json")
    assert status == 0
    stored = json.loads(known.read_bytes())
    assert json.loads(out) == [{"path": str(known), "known_s": 60.0, "stored": stored}]


def test_where_nothing_is_known_that_is_said(call):
    status, out, err = call("voice", "show")
    assert (status, out) == (0, "")
    assert err == f"undertone: nothing is known of a voice: there is no file in {voices_dir()}\n"
    _, out, _ = call("voice", "show", "--format", "json")
    assert json.loads(out) == []


def test_a_damaged_file_is_one_sentence(call, known):
    known.write_bytes(b"{}")
    status, out, err = call("voice", "show")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert f"{known} holds no voice" in err
    assert "`undertone voice forget`" in err
    assert call("voice", "forget")[0] == 0


def test_the_voices_of_all_sources_are_shown_even_beside_a_damaged_file(call, known, learn):
    learn("rtsp://camera/live").write_bytes(b"{}")
    webcam = learn("Webcam")
    status, out, err = call("voice", "show")
    assert status == 1
    assert re.findall(r"^source +(.*)$", out, re.MULTILINE) == ["USB�[31m mic", "Webcam"]
    assert "rtsp-camera-live-" in err
    _, out, _ = call("voice", "show", "--format", "json")
    assert [each["path"] for each in json.loads(out)] == [str(known), str(webcam)]


def test_forgetting_deletes_every_file_and_says_so(call, known, learn):
    other = learn("Webcam")
    left = voices_dir() / ".camera-01234567.json.part"
    left.write_text("what a killed program left")
    assert call("voice", "forget") == (0, f"deleted {known}\ndeleted {other}\n", "")
    assert not [*voices_dir().iterdir()]
    again = f"nothing was known: there is no file in {voices_dir()}\n"
    assert call("voice", "forget") == (0, again, "")


def test_one_of_several_can_be_forgotten(call, known, learn):
    other = learn("Webcam")
    assert call("voice", "forget", "--source", "Webcam") == (0, f"deleted {other}\n", "")
    assert [*voices_dir().iterdir()] == [known]
    status, out, err = call("voice", "forget", "--source", "Webcam")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "Nothing is known of a voice from Webcam" in err
    assert "`undertone voice show`" in err
    assert [*voices_dir().iterdir()] == [known]


def test_what_cannot_be_deleted_does_not_keep_the_others(call, known, learn):
    stuck = voices_dir() / "a.json"
    stuck.mkdir()
    status, out, err = call("voice", "forget")
    assert (status, out) == (1, f"deleted {known}\n")
    assert f"Can't delete {stuck}" in err


def test_a_folder_that_cannot_be_read_is_not_taken_for_nothing_known(call, tmp_path):
    voices_dir().parent.mkdir()
    voices_dir().write_text("a file where the folder should be")
    for subcommand in ("show", "forget"):
        status, out, err = call("voice", subcommand)
        assert (status, out) == (1, "")
        assert "run this as the user who listens" in err


def test_a_recording_neither_reads_nor_writes_it(call, known, voice_bundle, tmp_path):
    before = known.read_bytes()
    journals = []
    for journal in ("with", "without"):
        status, _, err = call(
            "listen",
            "--source",
            clips()[4],
            "--model",
            voice_bundle,
            "--journal",
            tmp_path / journal,
        )
        assert (status, err) == (0, "")
        (file,) = (tmp_path / journal).glob("*.jsonl")
        journals.append([json.loads(line) for line in file.read_text().splitlines()])
        if journal == "with":
            assert known.read_bytes() == before
            call("voice", "forget")
    assert not [*voices_dir().iterdir()]
    heard, anew = (
        [event["scores"] for event in events if "scores" in event] for events in journals
    )
    assert heard == anew
    assert len(heard) == 1


def test_listening_to_a_recording_learns_within_it(call, voice_bundle, tmp_path):
    samples, rate = soundfile.read(clips()[4])
    soundfile.write(tmp_path / "twice.wav", np.concatenate([samples, samples]), rate)
    call("listen", "--source", tmp_path / "twice.wav", "--model", voice_bundle)
    _, out, _ = call("journal", "show", "--recordings", "--format", "json")
    first, second = (
        event["scores"] for event in map(json.loads, out.splitlines()) if "scores" in event
    )
    assert first != pytest.approx(second, abs=0.005)


def test_of_several_sources_each_has_a_voice_of_its_own(call, voice_bundle, tmp_path, monkeypatch):
    items = [
        (name, block)
        for name, clip in (("A", clips()[4]), ("B", clips()[0]), ("A", clips()[5]))
        for block in read_blocks(str(clip))
    ]
    opened = sources.Source(("A", "B", "C"), items)
    monkeypatch.setattr(sources, "open_several", lambda _: opened)
    microphones = ["--microphone", "A", "--microphone", "B", "--microphone", "C"]
    gains = ["--gain-db", 1, "--gain-db", 2, "--gain-db", 3]
    assert call("listen", "--model", voice_bundle, *microphones, *gains)[0] == 0
    stored = {path: read(path) for path in voices_dir().iterdir()}
    assert stored.keys() == {voice_path("A"), voice_path("B")}  # into C nobody spoke
    assert stored[voice_path("A")].origin.gain_db == 1
    assert stored[voice_path("B")].origin.gain_db == 2
    assert stored[voice_path("A")].voice != stored[voice_path("B")].voice
