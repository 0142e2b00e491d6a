"""`undertone voice`, and what `undertone listen` stores of a voice."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from msgspec import structs

from undertone.cli import run, undertone
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.stored_voice import Origin, VoiceSink, voice_path
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


@pytest.fixture
def known(call, knowing):
    """A minute's voice that was learnt from a microphone."""
    classifier = Classifier(bundle.load(knowing))
    origin = Origin.of(classifier.manifest, "USB\x1b[31m mic", 6.0, None)
    pipeline = Pipeline(classifier)
    sink = VoiceSink(pipeline, voice_path(), origin, clock=lambda: 1.8e9)
    pipeline.voice = Voice((14.0, *[0.25] * 39), 1875)
    sink.close()
    return pipeline.voice


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """The folder of a bundle that knows voices."""
    packaged = bundle.load("ravdess8-tiny")
    folder = tmp_path_factory.mktemp("bundles") / "knowing"
    shutil.copytree(packaged.folder, folder)
    normalization = structs.replace(packaged.manifest.normalization, voice_prior_frames=200.0)
    manifest = structs.replace(packaged.manifest, name="knowing", normalization=normalization)
    (folder / bundle.MANIFEST_FILE).write_bytes(bundle.manifest_json(manifest))
    return folder


def test_what_is_known_is_shown_in_a_few_lines(call, known):
    status, out, err = call("voice", "show")
    assert (status, err) == (0, "")
    lines = dict(re.split(r" {2,}", line, maxsplit=1) for line in out.splitlines())
    assert lines["known"] == "60 s of speech"
    assert re.fullmatch(r"from 2027-01-1\d \d\d:\d\d to 2027-01-1\d \d\d:\d\d", lines["learnt"])
    assert lines["source"] == "USB�[31m mic, gain 6 dB, the mean of all channels"
    assert lines["level"].startswith("-57 dB")
    assert lines["file"] == str(voice_path())


def test_as_json_every_number_is_shown(call, known):
    status, out, _ = call("voice", "show", "--format", "json")
    shown = json.loads(out)
    assert status == 0
    assert shown["path"] == str(voice_path())
    assert shown["known_s"] == 60.0
    assert shown["stored"] == json.loads(voice_path().read_bytes())


def test_where_nothing_is_known_that_is_said(call):
    status, out, err = call("voice", "show")
    assert (status, out) == (0, "")
    assert err == f"undertone: nothing is known of a voice: there is no {voice_path()}\n"
    _, out, _ = call("voice", "show", "--format", "json")
    assert json.loads(out) == {"path": str(voice_path()), "known_s": 0.0, "stored": None}


def test_a_damaged_file_is_one_sentence(call, known):
    voice_path().write_bytes(b"{}")
    status, out, err = call("voice", "show")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "delete it with `undertone voice forget`" in err
    assert call("voice", "forget")[0] == 0


def test_forgetting_deletes_the_file_and_says_so(call, known):
    assert call("voice", "forget") == (0, f"deleted {voice_path()}\n", "")
    assert not voice_path().exists()
    again = f"nothing was known: there is no {voice_path()}\n"
    assert call("voice", "forget") == (0, again, "")


def test_a_recording_neither_reads_nor_writes_it(call, known, knowing, tmp_path):
    before = voice_path().read_bytes()
    journals = []
    for journal in ("with", "without"):
        status, _, err = call(
            "listen", "--source", clips()[4], "--model", knowing, "--journal", tmp_path / journal
        )
        assert (status, err) == (0, "")
        (file,) = (tmp_path / journal).glob("*.jsonl")
        journals.append([json.loads(line) for line in file.read_text().splitlines()])
        if journal == "with":
            assert voice_path().read_bytes() == before
            call("voice", "forget")
    assert not voice_path().exists()
    heard, anew = (
        [event["scores"] for event in events if "scores" in event] for events in journals
    )
    assert heard == anew
    assert len(heard) == 1


def test_listening_to_a_recording_learns_within_it(call, knowing, tmp_path):
    samples, rate = soundfile.read(clips()[4])
    soundfile.write(tmp_path / "twice.wav", np.concatenate([samples, samples]), rate)
    call("listen", "--source", tmp_path / "twice.wav", "--model", knowing)
    _, out, _ = call("journal", "show", "--recordings", "--format", "json")
    first, second = (
        event["scores"] for event in map(json.loads, out.splitlines()) if "scores" in event
    )
    assert first != pytest.approx(second, abs=0.01)
