"""The cache of features: what is computed, kept, computed again, and how long it will take."""

from pathlib import Path

import numpy as np
import pytest
from miniature import train, write_ravdess

from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features.cache import FeatureCache


def test_features_damaged_by_a_power_cut_are_computed_again(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "data", (1,))
    clips = scan(tmp_path / "data").clips[:1]
    recipe = recipes.load("smoke")
    cache = FeatureCache(tmp_path / "cache", jobs=1)
    (first,) = cache.compute(clips, recipe)
    (cached,) = cache.folder.iterdir()
    for content in (b"", cached.read_bytes()[:200]):
        cached.write_bytes(content)
        (again,) = cache.compute(clips, recipe)
        assert np.array_equal(again.segments[0], first.segments[0])


def test_an_estimate_is_close_to_what_is_computed(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "data", (1, 2))
    clips = scan(tmp_path / "data").clips
    recipe, noise = recipes.load("smoke"), NoiseRecordings(())
    cache = FeatureCache(tmp_path / "cache", jobs=1)
    found = cache.estimate(clips, recipe, noise)
    assert 1 <= len(list(cache.folder.iterdir())) < len(clips)
    cache.compute(clips, recipe, noise=noise)
    size = sum(path.stat().st_size for path in cache.folder.iterdir())
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
