"""The cache of features: what is computed, kept, computed again, and how long it will take."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from miniature import train, write_ravdess
from msgspec.structs import replace

from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features import cache
from undertone_training.features.cache import FeatureCache
from undertone_training.features.waveform_augmentation import augmented


def test_features_damaged_by_a_power_cut_are_computed_again(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "data", (1,))
    clips = scan(tmp_path / "data").clips[:1]
    recipe = recipes.load("smoke")
    kept = FeatureCache(tmp_path / "cache", jobs=1)
    (first,) = kept.compute(clips, recipe)
    (cached,) = kept.folder.iterdir()
    for content in (b"", cached.read_bytes()[:200]):
        cached.write_bytes(content)
        (again,) = kept.compute(clips, recipe)
        assert np.array_equal(again.segments[0], first.segments[0])


def test_an_estimate_is_close_to_what_is_computed(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "data", (1, 2))
    clips = scan(tmp_path / "data").clips
    recipe, noise = recipes.load("smoke"), NoiseRecordings(())
    kept = FeatureCache(tmp_path / "cache", jobs=1)
    found = kept.estimate(clips, recipe, noise)
    assert 1 <= len(list(kept.folder.iterdir())) < len(clips)
    kept.compute(clips, recipe, noise=noise)
    size = sum(path.stat().st_size for path in kept.folder.iterdir())
    assert found.n_clips == len(clips) == 16
    assert found.size_bytes == pytest.approx(size, rel=0.3)
    duration_s = sum(len(clip.source.read()) for clip in clips) / 16_000
    assert found.duration_s == pytest.approx(duration_s, rel=0.2)
    assert found.wait_s > 0


def test_prepare_says_how_much_work_it_is_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path / "data", (1,))
    args = ("--recipe", "smoke", "--data", tmp_path / "data", "--jobs", 1)
    assert train("prepare", *args, "--cache", tmp_path / "cache") == 0
    found, estimate, prepared = capsys.readouterr().out.splitlines()
    assert found == "ravdess speech: 8 clips of 1 speaker"
    assert estimate.startswith("8 clips, about 20 s of sound: about ")
    assert estimate.endswith(f" MB in {tmp_path / 'cache'}")
    assert prepared.startswith("8 clips prepared in ")
    assert train("prepare", *args, "--cache", tmp_path / "other", "--dry-run") == 0
    assert not (tmp_path / "other").exists()


def silent_when(seeds: set[int]) -> Callable[[np.ndarray, object, int], np.ndarray]:
    """``augmented`` whose copies with these seeds have nothing but silence."""

    def changed(sound: np.ndarray, transform: object, seed: int) -> np.ndarray:
        return np.zeros_like(sound) if seed in seeds else augmented(sound, transform, seed)

    return changed


def test_a_copy_without_speech_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the copies of one number are those that went through the same changes."""
    write_ravdess(tmp_path / "data", (1,))
    (clip, *_) = scan(tmp_path / "data").clips
    recipe = recipes.load("smoke")
    recipe = replace(recipe, augmentation=replace(recipe.augmentation, copies=3))
    noise = NoiseRecordings(())
    (whole,) = FeatureCache(tmp_path / "whole", jobs=1).compute([clip], recipe, noise=noise)
    second = zlib.crc32(f"{clip.clip_id}/1".encode())
    monkeypatch.setattr(cache, "augmented", silent_when({second}))
    for _ in ("computed", "read again"):
        (found,) = FeatureCache(tmp_path / "found", jobs=1).compute([clip], recipe, noise=noise)
        assert [len(copy) for copy in found.copies] == [
            len(whole.copies[0]), 0, len(whole.copies[2]),
        ]  # fmt: skip
        assert found.copies[1].shape == (0, recipe.coefficients)
        np.testing.assert_array_equal(found.copies[2], whole.copies[2])


@pytest.mark.parametrize("alike", ["clip", "speaker"])
def test_the_copies_of_one_speaker_are_changed_alike_if_the_recipe_says_so(
    alike: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ravdess(tmp_path / "data", (1, 2))
    clips = scan(tmp_path / "data").clips
    recipe = recipes.load("smoke")
    recipe = replace(recipe, augmentation=replace(recipe.augmentation, copies=2, alike=alike))
    seeds: list[int] = []

    def asked(sound: np.ndarray, transform: object, seed: int) -> np.ndarray:
        seeds.append(seed)
        return sound

    monkeypatch.setattr(cache, "augmented", asked)
    found = FeatureCache(tmp_path / "cache", jobs=1).compute(
        clips, recipe, noise=NoiseRecordings(())
    )
    by_copy: dict[tuple[str, int], set[int]] = {}
    left = iter(seeds)
    for each in found:
        for copy in range(2) if each.segments else ():
            by_copy.setdefault((each.clip.speaker, copy), set()).add(next(left))
    assert len(by_copy) == 2 * 2
    n_clips = sum(1 for each in found if each.segments and each.clip.speaker == "01")
    assert n_clips > 4
    if alike == "speaker":
        assert {len(each) for each in by_copy.values()} == {1}
        assert len(set(seeds)) == 2 * 2  # other speakers and other copies are not alike
    else:
        assert len(set(seeds)) == len(seeds)


def test_copies_made_alike_are_kept_apart_from_others(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "data", (1,))
    clips = scan(tmp_path / "data").clips[:1]
    recipe, noise = recipes.load("smoke"), NoiseRecordings(())
    found = FeatureCache(tmp_path / "cache", jobs=1)
    (own,) = found.compute(clips, recipe, noise=noise)
    alike = replace(recipe, augmentation=replace(recipe.augmentation, alike="speaker"))
    (other,) = found.compute(clips, alike, noise=noise)
    assert not np.array_equal(own.copies[0], other.copies[0])
    np.testing.assert_array_equal(own.segments[0], other.segments[0])
