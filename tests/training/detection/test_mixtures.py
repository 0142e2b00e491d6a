"""Mixtures of speech and noise, whose labels say where the speech is."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone_training.corpora import scan
from undertone_training.corpora.noise import for_training
from undertone_training.detection import clips as voices
from undertone_training.detection import mixtures
from undertone_training.detection.mixtures import Examples, Material, examples, mixture, speaking

CONFIG = MfccConfig()


@pytest.fixture(scope="module")
def material(corpora: Path) -> Material:
    clips = voices.for_training(scan(corpora, voices.CORPORA).clips)
    return Material(clips, for_training(corpora).files)


def test_a_mixture_follows_from_its_seed_and_each_frame_has_a_label(material: Material) -> None:
    first, again, other = (mixture(material, CONFIG, seed) for seed in ([0, 1], [0, 1], [0, 2]))
    np.testing.assert_array_equal(first.samples, again.samples)
    np.testing.assert_array_equal(first.speech, again.speech)
    assert not np.array_equal(first.samples, other.samples)
    assert first.samples.dtype == np.int16
    assert len(first.samples) == mixtures.DURATION_S * 16_000
    assert first.speech.shape == (len(Mfcc(CONFIG).push(first.samples)),)


def test_frames_are_speech_only_in_mixtures_with_speech(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    for share, speech in ((0.0, False), (1.0, True)):
        monkeypatch.setattr(mixtures, "WITH_SPEECH", share)
        for index in range(4):
            found = mixture(material, CONFIG, [3, index])
            assert found.samples.any()
            assert found.speech.any() == speech
            assert not found.speech.all()  # there are pauses


def test_noise_changes_the_sound_but_not_where_the_speech_is(material: Material) -> None:
    without = Material(material.clips)
    pairs = [
        (mixture(material, CONFIG, [5, index]), mixture(without, CONFIG, [5, index]))
        for index in range(8)
    ]
    assert any(not np.array_equal(noisy.samples, clean.samples) for noisy, clean in pairs)
    assert any(clean.speech.any() for _, clean in pairs)
    for noisy, clean in pairs:
        np.testing.assert_array_equal(noisy.speech, clean.speech)


@pytest.mark.parametrize("level", [3.0, 300.0, 20_000.0])
def test_a_clip_speaks_where_it_is_loud_however_loud_that_is(level: float) -> None:
    generator = np.random.default_rng(0)
    sound = generator.normal(0, level / 1000, 40_000)
    sound[8_000:24_000] += generator.normal(0, level, 16_000)
    (where,) = np.nonzero(speaking(sound))
    assert where[0] == pytest.approx(8_000, abs=320)
    assert where[-1] == pytest.approx(24_000, abs=320)


def test_a_clip_speaks_on_through_a_short_closure_but_not_in_a_click() -> None:
    sound = np.random.default_rng(0).normal(0, 1000, 48_000)
    sound[:16_000] *= 1e-3
    sound[4_000:4_160] *= 1e3  # 10 ms
    sound[24_000:25_600] *= 1e-3  # 0.1 s
    sound[40_000:] *= 1e-3
    speaks = speaking(sound)
    assert not speaks[:15_000].any()
    assert speaks[17_000:39_000].all()
    assert not speaks[41_000:].any()


class Recorder:
    """A ``Progress`` that keeps how much was done before, and counts the steps."""

    def __init__(self) -> None:
        self.before = self.total = self.steps = 0

    @contextmanager
    def __call__(self, description: str, total: int, done: int = 0) -> Iterator[Any]:
        self.before, self.total = done, total

        def step(note: str = "") -> None:
            self.steps += 1

        yield step


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of two mixtures each, made in threads: other processes would not know about it."""
    monkeypatch.setattr(mixtures, "PIECE", 2)
    monkeypatch.setattr(
        mixtures, "ProcessPoolExecutor", lambda jobs, **others: ThreadPoolExecutor(1)
    )


@pytest.mark.usefixtures("small_pieces")
def test_an_interrupted_set_is_continued_where_it_stopped(
    material: Material, tmp_path: Path
) -> None:
    whole = examples(material, CONFIG, 5, 0, tmp_path)
    assert whole.frames.shape == (6, len(whole.speech[0]), CONFIG.n_coefficients)
    files = mixtures.piece_files(material, CONFIG, 5, 0, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(files)
    # killed while it wrote the second file
    files[1].rename(files[1].with_suffix(".part"))
    os.truncate(files[1].with_suffix(".part"), 100)
    kept = [files[0].stat().st_mtime_ns, files[2].stat().st_mtime_ns]
    recorder = Recorder()
    again = examples(material, CONFIG, 5, 0, tmp_path, progress=recorder)
    assert (recorder.before, recorder.steps, recorder.total) == (2, 1, 3)
    assert [files[0].stat().st_mtime_ns, files[2].stat().st_mtime_ns] == kept
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert_equal(again, whole)


@pytest.mark.usefixtures("small_pieces")
def test_a_file_damaged_by_a_power_cut_is_made_again(material: Material, tmp_path: Path) -> None:
    whole = examples(material, CONFIG, 2, 0, tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2]):
        file.write_bytes(damaged)
        assert_equal(examples(material, CONFIG, 2, 0, tmp_path), whole)


@pytest.mark.usefixtures("small_pieces")
def test_another_seed_or_other_material_makes_another_set(
    material: Material, tmp_path: Path
) -> None:
    first = examples(material, CONFIG, 2, 0, tmp_path)
    other = examples(material, CONFIG, 2, 1, tmp_path)
    assert not np.array_equal(first.frames, other.frames)
    examples(Material({"nemo": material.clips["nemo"]}), CONFIG, 2, 0, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    assert_equal(examples(material, CONFIG, 2, 0, tmp_path), first)


@pytest.mark.usefixtures("small_pieces")
def test_a_set_takes_about_the_space_that_is_stated(material: Material, tmp_path: Path) -> None:
    examples(material, CONFIG, 2, 0, tmp_path)
    (file,) = tmp_path.iterdir()
    assert 2 * mixtures.size_bytes(CONFIG) == pytest.approx(file.stat().st_size, rel=0.05)


def assert_equal(one: Examples, other: Examples) -> None:
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.speech, other.speech)
