"""Sounds without speech: the device reports no emotion in them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.cli import run
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.speech_gate import SpeechGate, pymicro_vad_detector, segments
from undertone.samples import clips
from undertone_training.cli import undertone_train
from undertone_training.corpora.synthetic_sounds import DURATION_S, NAMES, synthesise
from undertone_training.evaluation.false_alarms import NoiseReport, play, sounds
from undertone_training.evaluation.streaming import at_level, in_noise


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(bundle.load())


@pytest.mark.parametrize("name", NAMES)
def test_a_synthetic_sound_is_always_the_same_and_no_emotion(
    name: str, classifier: Classifier
) -> None:
    sound = synthesise(name)
    np.testing.assert_array_equal(sound, synthesise(name))
    assert len(sound) == DURATION_S * SAMPLE_RATE_HZ
    found = play(name, "made sounds", False, sound, -35.0, classifier)
    assert (found.segments, found.named) == (0, 0)
    assert found.duration_s > DURATION_S


@pytest.mark.parametrize("name", ["sweeps", "arpeggios"])
def test_the_detector_alone_takes_some_music_for_speech(name: str) -> None:
    """Otherwise the sounds above would prove nothing about the evidence that the gate requires."""
    recording = in_noise(at_level(synthesise(name), -35.0), None, None, seed=0)
    assert list(segments([Block(recording, 0.0)], SpeechGate(detector=pymicro_vad_detector())))


def test_speech_in_the_place_of_noise_is_counted(classifier: Classifier) -> None:
    speech, _ = soundfile.read(clips()[4])
    found = play("speech", "recorded noise", False, speech, -35.0, classifier)
    assert found.segments == 1
    assert found.named == 1
    assert found.per_10_min == pytest.approx(600 / found.duration_s)


def test_the_command_plays_recordings_and_synthetic_sounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech, _ = soundfile.read(clips()[4])
    (tmp_path / "noise").mkdir()
    for name in ("brook", "voice"):
        soundfile.write(tmp_path / "noise" / f"{name}.flac", speech, SAMPLE_RATE_HZ)
    trained_with = {name: trained for name, _, trained, _ in sounds(tmp_path)}
    assert [name for name, trained in trained_with.items() if trained] == ["brook"]
    folder = next(iter(bundle.installed_bundles().values()))
    args = ["evaluate", str(folder), "--protocol", "noise", "--data", str(tmp_path)]
    assert run(undertone_train, "undertone-train", [*args, "--to", str(tmp_path / "to")]) == 0
    report = NoiseReport.load(tmp_path / "to")
    assert [each.sound for each in report.sounds] == ["brook", "voice", *NAMES]
    recorded, artificial = report.totals()
    assert (recorded.segments, recorded.trained_with) == (6, True)
    assert artificial.per_10_min < 1
    said = capsys.readouterr().out
    assert "per 10 min" in said
    assert f"{tmp_path / 'to' / 'noise.json'}: written" in said
