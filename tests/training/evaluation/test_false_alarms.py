"""Sounds without speech: the device reports no emotion in them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.cli import run
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.samples import clips
from undertone_training.cli import undertone_train
from undertone_training.corpora.synthetic_sounds import DURATION_S, NAMES, synthesise
from undertone_training.evaluation.false_alarms import NoiseReport, play, sounds


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(bundle.load())


@pytest.mark.parametrize("name", NAMES)
def test_a_synthetic_sound_is_always_the_same(name: str) -> None:
    sound = synthesise(name)
    np.testing.assert_array_equal(sound, synthesise(name))
    assert len(sound) == DURATION_S * SAMPLE_RATE_HZ


@pytest.mark.parametrize("name", ["silence", "white noise", "pink noise", "brown noise"])
def test_silence_and_steady_noise_are_no_speech(name: str, classifier: Classifier) -> None:
    found = play(name, "made sounds", False, synthesise(name), -35.0, classifier)
    assert (found.segments, found.named) == (0, 0)
    assert found.duration_s > DURATION_S


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
    assert recorded.trained_with
    assert recorded.segments == 2 * report.sounds[0].segments > 0
    assert artificial.per_10_min < recorded.per_10_min / 2
    said = capsys.readouterr().out
    assert "per 10 min" in said
    assert f"{tmp_path / 'to' / 'noise.json'}: written" in said
