"""A voice from recordings of it: `undertone classify --voice`."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from msgspec import structs

from undertone.audio.files import read_blocks
from undertone.cli import run, undertone
from undertone.files.voices import KnownVoice
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify, voice_in
from undertone.recognition.voice import MOST_FRAMES, Voice, together
from undertone.recognition.voice_distance import VoiceDistance
from undertone.samples import clips


@pytest.fixture(scope="module")
def knowing(voice_bundle):
    """A bundle that knows voices."""
    return bundle.load(voice_bundle)


@pytest.fixture
def recordings(tmp_path):
    """Three clips in a folder."""
    folder = tmp_path / "anna"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.flac").write_bytes(clips()[number].read_bytes())
    return folder


@pytest.fixture
def call(knowing, capsys):
    """``undertone classify`` with the bundle that knows voices."""

    def call(*arguments, model=knowing.folder):
        options = ["--model", str(model), "--format", "json"]
        status = run(undertone, "undertone", ["classify", *map(str, arguments), *options])
        captured = capsys.readouterr()
        return status, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return call


def scores(path, knowing, *known):
    classifier = Classifier(knowing)
    voice = together([voice_in(read_blocks(recording), classifier) for recording in known])
    return classify(read_blocks(path), classifier, voice=voice).overall.scores


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_is_classified_as_of_the_voice_in_the_others(call, knowing, recordings, jobs):
    status, found, _ = call(
        *clips()[4:6], "--voice", recordings, "--voice", clips()[3], "--jobs", jobs
    )
    assert status == 0
    known = [*sorted(recordings.iterdir()), clips()[3]]
    for result, path in zip(found, clips()[4:6], strict=True):
        assert result["scores"] == pytest.approx(scores(path, knowing, *known), abs=1e-4)
        assert result["scores"] != pytest.approx(scores(path, knowing), abs=1e-2)


def test_a_tested_file_is_not_used_for_itself(call, knowing, recordings):
    first, second, third = sorted(recordings.iterdir())
    (recordings.parent / "link.flac").symlink_to(second)
    status, found, _ = call(first, recordings.parent / "link.flac", "--voice", recordings)
    assert status == 0
    assert found[0]["scores"] == pytest.approx(scores(first, knowing, second, third), abs=1e-4)
    assert found[1]["scores"] == pytest.approx(scores(second, knowing, first, third), abs=1e-4)


def test_where_it_is_the_only_one_nothing_is_known(call, knowing):
    path = clips()[0]
    status, (found,), err = call(path, "--voice", path)
    assert status == 0
    assert found["scores"] == pytest.approx(scores(path, knowing), abs=1e-4)
    assert err.count("\n") == 1
    assert f"{path} is the only recording of the voice" in err


def telling_apart(knowing, folder, far):
    """The bundle with a distance that counts all coefficients alike."""
    shutil.copytree(knowing.folder, folder)
    directions = np.diag(1 / np.array(knowing.manifest.normalization.deviation[1:]))
    distance = VoiceDistance(tuple(map(tuple, directions.tolist())), far)
    manifest = structs.replace(knowing.manifest, name=folder.name, voice_distance=distance)
    (folder / bundle.MANIFEST_FILE).write_bytes(bundle.manifest_json(manifest))
    return folder


def test_a_file_of_another_voice_is_named(call, knowing, tmp_path):
    model = telling_apart(knowing, tmp_path / "strict", 0.6)  # between the two files here
    same, other = clips()[0], tmp_path / "other.flac"
    shutil.copy(clips()[2], other)
    voice = tmp_path / "voice.flac"
    shutil.copy(clips()[3], voice)
    status, found, err = call(same, other, "--voice", voice, model=model)
    assert status == 0
    assert len(found) == 2
    assert err.count("\n") == 1
    assert err.startswith(f"undertone: {other} sounds unlike the known voice")
    # a bundle that can't tell voices apart, or finds them near, says nothing
    lenient = telling_apart(knowing, tmp_path / "lenient", 6.0)
    for quiet in (knowing.folder, lenient):
        assert call(other, "--voice", voice, model=quiet)[2] == ""


def test_a_model_that_knows_no_voices_is_refused(call):
    status, found, err = call(clips()[0], "--voice", clips()[1], model="ravdess8-tiny")
    assert (status, found) == (2, [])
    assert "The model ravdess8-tiny can't use a known voice" in err
    assert "leave out --voice" in err


def test_a_model_that_does_is_named(call, knowing, monkeypatch):
    installed = {"knowing": knowing.folder}
    monkeypatch.setattr(bundle, "installed_bundles", lambda: installed)
    plain = knowing.folder.parent / "plain"
    shutil.copytree(knowing.folder, plain)
    normalization = structs.replace(knowing.manifest.normalization, voice_prior_frames=0.0)
    manifest = structs.replace(knowing.manifest, name="plain", normalization=normalization)
    (plain / bundle.MANIFEST_FILE).write_bytes(bundle.manifest_json(manifest))
    status, _, err = call(clips()[0], "--voice", clips()[1], model=plain)
    assert status == 2
    assert "choose knowing with --model" in " ".join(err.split())


def test_no_speech_in_the_recordings_is_refused(call, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    status, found, err = call(
        clips()[0], "--voice", clips()[1], "--voice", tmp_path / "silence.wav"
    )
    assert (status, found) == (2, [])
    assert f"No speech was found in {tmp_path / 'silence.wav'}" in err


@pytest.mark.parametrize("kind", ["missing", "damaged", "empty folder"])
def test_recordings_that_cannot_be_read_are_refused(call, tmp_path, kind):
    path = tmp_path / "voice.wav"
    if kind == "damaged":
        path.write_bytes(b"RIFF")
    if kind == "empty folder":
        path.mkdir()
    status, found, err = call(clips()[0], "--voice", path)
    assert (status, found) == (1, [])
    assert err.count("\n") == 1
    assert str(path) in err


def test_a_damaged_one_in_a_folder_is_reported_and_left_out(call, knowing, recordings):
    known = sorted(recordings.iterdir())
    (recordings / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(recordings / "silence.wav", np.zeros(32000), 16000)
    status, (found,), err = call(clips()[4], "--voice", recordings)
    assert status == 0
    assert found["scores"] == pytest.approx(scores(clips()[4], knowing, *known), abs=1e-4)
    assert "broken.wav" in err


def test_a_file_without_speech_is_far_from_no_voice(call, recordings):
    soundfile.write(recordings.parent / "silence.wav", np.zeros(32000), 16000)
    status, (found,), err = call(recordings.parent / "silence.wav", "--voice", recordings)
    assert (status, found["verdict"], err) == (0, "no-speech", "")


def voice(level, rest, frames=100):
    return Voice((level, *[rest] * 39), frames, (rest, -rest))


def test_recordings_count_by_their_length_and_a_minute_is_the_most(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    voices = voice(1, 2, 100), voice(4, 8, 300), voice(7, 7, 1800)
    known = KnownVoice(zip(paths, voices, strict=True))
    assert known.without(paths[2]) == voice(3.25, 6.5, 400)
    assert known.without(tmp_path / "d").frames == MOST_FRAMES
    assert known.alone(paths[0]) == voice(1, 2, 100)
    assert known.alone(tmp_path / "d") is None
    assert KnownVoice([(paths[0], voice(1, 2))]).without(paths[0]) is None
