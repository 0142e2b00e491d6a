"""What sounds behind the clips of a long recording."""

from pathlib import Path

import numpy as np
import pytest
from miniature import write

from undertone import samples
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.errors import CorpusError
from undertone_training.evaluation.backgrounds import (
    babble,
    backgrounds,
    music,
    recorded_noise,
)
from undertone_training.evaluation.levels import SPEECH_DBFS


def clip(path: Path) -> Clip:
    return Clip(corpus="x", clip_id=path.stem, speaker="1", emotion="sad", source=AudioRef(path))


@pytest.fixture
def clips() -> list[Clip]:
    return [clip(path) for path in samples.clips()[:4]]


def level_dbfs(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound / 32_768).mean()))


def test_babble_is_four_equally_loud_voices_and_skips_silent_clips(
    clips: list[Clip], tmp_path: Path
) -> None:
    write(tmp_path / "silent.wav", np.zeros(16_000))
    silent = clip(tmp_path / "silent.wav")
    made = [
        babble(each, 20.0, np.random.default_rng(seed))
        for each, seed in ((clips, 1), (clips, 1), (clips, 2), ([silent, *clips], 1))
    ]
    for sound in made:
        assert sound.shape == (20 * 16_000,)
        assert SPEECH_DBFS < level_dbfs(sound) < SPEECH_DBFS + 6  # of one voice, and of four
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    with pytest.raises(CorpusError, match="no sound in any clip"):
        babble([silent], 20.0, np.random.default_rng(0))


def test_recordings_are_equally_loud(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, level in (("loud.wav", 5000), ("quiet.wav", 50)):
        write(tmp_path / name, generator.normal(0, level, 16_000))
    loud, quiet = np.split(recorded_noise([tmp_path / "loud.wav", tmp_path / "quiet.wav"]), 2)
    assert level_dbfs(loud) == pytest.approx(level_dbfs(quiet), abs=0.1)


def test_music_goes_on_and_is_another_with_each_seed() -> None:
    first, again, other = (music(30.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (30 * 16_000,)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all(
        level_dbfs(part) > SPEECH_DBFS - 15 for part in first.reshape(-1, 5 * 16_000)
    )  # in 5 s


def test_there_is_only_what_can_be_made(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undertone_training.evaluation.backgrounds.DURATION_S", 30.0)
    write(tmp_path / "fan.wav", np.random.default_rng(0).normal(0, 500, 16_000))
    assert set(backgrounds([], [], 0)) == {"music"}
    found = backgrounds([tmp_path / "fan.wav"], clips, 0)
    assert set(found) == {"music", "voices", "recorded noise"}
    assert len(found["voices"]) == len(found["music"]) == 30 * 16_000
