"""From the features of a clip to its windows, where the voice is known and where it is not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from undertone import samples
from undertone.audio.block import Block
from undertone.recognition import bundle
from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import Classifier
from undertone.recognition.quantization import quantize
from undertone.recognition.speech_gate import segments
from undertone.recognition.windows import split_windows
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import (
    fit_normalization,
    variant,
    variant_lengths,
    variants_of,
    voice_in,
    windows_of,
)
from undertone_training.recipe import Recipe, Regularization


def features_of(number: int, classifier: Classifier) -> ClipFeatures:
    """A packaged clip, twice with a pause between, as the gate cuts it."""
    path = samples.clips()[number]
    sound, _ = soundfile.read(path, dtype="int16")
    twice = np.concatenate([sound, np.zeros(32_000, np.int16), sound, np.zeros(32_000, np.int16)])
    found = segments([Block(twice, 0.0)], classifier.gate())
    clip = Clip(
        corpus="own", clip_id=path.stem, speaker="anna", emotion="sad", source=AudioRef(path)
    )
    cut = tuple(each.frames.astype(np.float32) for each in found if each.is_speech)
    return ClipFeatures(clip, cut, ())


@pytest.fixture(scope="module")
def knowing() -> Classifier:
    """A shipped network, as if it had been trained with knowledge of voices."""
    packaged = bundle.load("ravdess8-tiny")
    manifest = packaged.manifest
    manifest = replace(
        manifest,
        normalization=replace(manifest.normalization, voice_prior_frames=200.0),
        window=replace(manifest.window, vocal_tracts=(0.9, 1.0, 1.1)),
    )
    return Classifier(dataclasses.replace(packaged, manifest=manifest))


@pytest.mark.parametrize("known", [0, 1, 3])
def test_training_and_device_give_the_network_the_same_input(
    knowing: Classifier, known: int
) -> None:
    manifest = knowing.manifest
    recipe = Recipe("mine", window=manifest.window, mfcc=manifest.mfcc, steady_noise="subtracted")
    tested, *others = (features_of(number, knowing) for number in range(1 + known))
    assert manifest.normalization.steady_noise == "subtracted"
    voice = voice_in(others, recipe, manifest.normalization)
    trained = windows_of(tested, recipe, manifest.normalization, voice)
    quantization = manifest.quantization
    given = quantize(trained, quantization.input_scale, quantization.input_zero_point)
    windows = np.concatenate([split_windows(one, manifest.window) for one in tested.segments])
    on_device = None
    for other in others:
        for segment in other.segments:
            on_device = knowing.learn(on_device, segment.astype(np.float64))
    assert on_device == voice
    assert (voice is None) == (known == 0)
    device = np.stack([knowing.prepare(window, on_device) for window in windows], axis=1)
    difference = np.abs(given.astype(int) - device.reshape(given.shape))
    assert difference.max() <= 1  # where float32 rounds a tie another way
    assert difference.mean() < 1e-3
    if known:
        unknown = windows_of(tested, recipe, manifest.normalization)
        assert np.abs(unknown - trained).mean() > 0.05


def features(*, segments: list[int], copies: list[int]) -> ClipFeatures:
    """Frames whose value names the variant, as many as is said."""
    clip = Clip(
        corpus="own", clip_id="x", speaker="x", emotion="sad", source=AudioRef(Path("x.wav"))
    )
    return ClipFeatures(
        clip,
        tuple(np.full((n, 2), 0.0, np.float32) for n in segments),
        tuple(np.full((n, 2), number, np.float32) for number, n in enumerate(copies, start=1)),
    )


def test_a_copy_that_lost_its_speech_leaves_the_others_their_numbers() -> None:
    """Copies of one number are alike in all clips of a speaker."""
    clip = features(segments=[3, 4], copies=[5, 0, 6, 0])
    assert variant_lengths(clip) == [(0, 7), (1, 5), (3, 6)]
    for (number, length), frames in zip(variant_lengths(clip), variants_of(clip), strict=True):
        assert frames.shape == (length, 2)
        assert (frames == number).all()
        np.testing.assert_array_equal(variant(clip, number), frames)


def test_a_clip_without_speech_has_no_variant() -> None:
    nothing = features(segments=[], copies=[])
    assert variant_lengths(nothing) == []
    assert variants_of(nothing) == []
    assert windows_of(nothing, Recipe("mine"), bundle.load().manifest.normalization).shape[0] == 0


def test_of_nothing_heard_nothing_is_known(knowing: Classifier) -> None:
    normalization = knowing.manifest.normalization
    recipe = Recipe("mine")
    assert voice_in([], recipe, normalization) is None
    assert voice_in([features(segments=[], copies=[])], recipe, normalization) is None


def test_the_normalization_says_how_much_a_voice_counts(knowing: Classifier) -> None:
    clips = [features_of(number, knowing) for number in range(2)]
    for prior in (0.0, 150.0):
        known = Regularization(known_clips=(0, 2) if prior else (0,))
        recipe = Recipe("mine", voice_prior_frames=prior, regularization=known)
        found = fit_normalization(clips, recipe)
        assert found.voice_prior_frames == prior
        assert found.mean[0] == pytest.approx(0, abs=1e-4)  # of the energy, without its mean


def test_the_normalization_is_to_the_bit_that_of_all_frames_at_once(knowing: Classifier) -> None:
    clips = [features_of(number, knowing) for number in range(4)]
    recipe = Recipe("mine")
    n = recipe.frame_width
    unit = Normalization("energy-mean", (0.0,) * n, (1.0,) * n)
    frames = np.concatenate([windows_of(clip, recipe, unit) for clip in clips])
    frames = frames.reshape(-1, n).astype(np.float64)
    found = fit_normalization(clips, recipe)
    assert found.mean == tuple(frames.mean(axis=0).tolist())
    assert found.deviation[1:] == tuple(frames.std(axis=0).tolist())[1:]
