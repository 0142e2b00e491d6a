"""Vocal tract length perturbation: the matrix that stretches a window, and the mean logits."""

import dataclasses

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from undertone import samples
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.vocal_tract import vocal_tract, with_vocal_tracts
from undertone.recognition.windows import WindowConfig, split_windows

CONFIG = MfccConfig()


def clip() -> np.ndarray:
    sound, _ = soundfile.read(samples.clips()[4], dtype="int16")
    return sound


@given(factor=st.floats(0.8, 1.25))
def test_a_vocal_tract_leaves_the_energy_alone(factor: float) -> None:
    matrix = vocal_tract(CONFIG, factor)
    assert matrix.shape == (40, 40)
    assert np.isfinite(matrix).all()
    assert matrix[0, 0] == 1
    assert not matrix[0, 1:].any()
    assert not matrix[1:, 0].any()


def test_the_same_vocal_tract_changes_nothing() -> None:
    np.testing.assert_allclose(vocal_tract(CONFIG, 1.0), np.eye(40), atol=1e-9)


def test_there_and_back_is_nearly_where_one_was() -> None:
    frames = Mfcc(CONFIG).compute(clip())[20:60]
    back = frames @ vocal_tract(CONFIG, 1.08) @ vocal_tract(CONFIG, 1 / 1.08)
    moved = frames @ vocal_tract(CONFIG, 1.08)
    low = slice(1, 13)
    assert np.abs(back - frames)[:, low].mean() < 0.35 * np.abs(moved - frames)[:, low].mean()


def test_a_shorter_vocal_tract_sounds_as_a_tone_of_a_higher_pitch() -> None:
    time = np.arange(16_000) / 16_000

    def tone(hertz: float) -> np.ndarray:
        sound = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2, 3))
        noise = np.random.default_rng(0).normal(0, 0.01, len(time))
        return (8_000 * (sound + noise)).astype(np.int16)

    low, high = (Mfcc(CONFIG).compute(tone(hertz))[5:15].mean(axis=0) for hertz in (700, 770))
    stretched, shrunk = (low @ vocal_tract(CONFIG, factor) for factor in (1.1, 1 / 1.1))
    part = slice(1, 20)
    error = np.abs(stretched - high)[part].mean()
    assert error < 0.5 * np.abs(low - high)[part].mean()
    assert error < 0.5 * np.abs(shrunk - high)[part].mean()


def test_a_factor_of_one_leaves_the_windows_as_they_are() -> None:
    windows = split_windows(Mfcc(CONFIG).compute(clip()), WindowConfig())
    heard = with_vocal_tracts(windows, [0.9, 1.0], CONFIG)
    assert heard.shape == (2, *windows.shape)
    np.testing.assert_array_equal(heard[1], windows)
    assert not np.allclose(heard[0], windows)


def bundle_with(*factors: float) -> Bundle:
    loaded = bundle.load()
    window = replace(loaded.manifest.window, vocal_tracts=factors)
    return dataclasses.replace(loaded, manifest=replace(loaded.manifest, window=window))


def test_the_logits_are_the_mean_over_the_vocal_tracts() -> None:
    window = split_windows(Mfcc(CONFIG).compute(clip()), WindowConfig())[0]
    together, *alone = (
        Classifier(bundle_with(*factors)).logits(window)
        for factors in ((0.9, 1.0, 1.1), (0.9,), (1.0,), (1.1,))
    )
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-9)
    assert len({said.tobytes() for said in alone}) == 3


def test_a_manifest_without_vocal_tracts_uses_each_window_once() -> None:
    stated = msgspec.to_builtins(WindowConfig())
    del stated["vocal_tracts"]
    assert msgspec.convert(stated, WindowConfig).vocal_tracts == (1.0,)


@pytest.mark.parametrize("factors", [[], [0.4], [1.0, 2.1], [0.0], ["1"], [1.0] * 17])
def test_vocal_tracts_that_nobody_has_are_refused(factors: list[object]) -> None:
    with pytest.raises(msgspec.ValidationError, match="vocal_tracts"):
        msgspec.convert({"vocal_tracts": factors}, WindowConfig)
