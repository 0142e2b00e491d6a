"""From the features of a clip to the windows that a network is trained and tested on."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import network_input
from undertone.recognition.voice import Voice, frames_for_voice, learn, reference
from undertone.recognition.windows import split_windows
from undertone_training.features.cache import ClipFeatures
from undertone_training.recipe import Recipe

Array = NDArray[np.float32]


def windows_of(
    features: ClipFeatures,
    recipe: Recipe,
    normalization: Normalization,
    voice: Voice | None = None,
) -> Array:
    """Every window of a clip that the device would classify, with every vocal tract factor.

    voice: what is known of the speaker.
    Shape (vocal tract factors * windows, frames, coefficients).
    """
    windows = [
        split_windows(segment.astype(np.float64), recipe.windowing) for segment in features.segments
    ]
    if not windows:
        return np.empty((0, recipe.windowing.frames, recipe.coefficients), np.float32)
    given = network_input(
        np.concatenate(windows),
        recipe.windowing,
        normalization,
        recipe.mfcc,
        reference(voice, normalization),
    )
    return given.astype(np.float32)


def voice_in(
    clips: Iterable[ClipFeatures], recipe: Recipe, normalization: Normalization
) -> Voice | None:
    """What is known of a voice after ``clips`` of it, without their copies; None for nothing."""
    voice = None
    for clip in clips:
        for segment in clip.segments:
            frames = frames_for_voice(segment.astype(np.float64), normalization, recipe.mfcc)
            voice = learn(voice, frames)
    return voice


def variants_of(features: ClipFeatures) -> list[Array]:
    """Frames of the clip, its segments one after another, and of each copy with speech."""
    return [frames for _, frames in numbered_variants(features)]


def numbered_variants(features: ClipFeatures) -> list[tuple[int, Array]]:
    """``variants_of`` with numbers: 0 is the clip, the others are the numbers of the copies."""
    own = np.concatenate(features.segments) if features.segments else None
    numbered = enumerate([own, *features.copies])
    return [(number, one) for number, one in numbered if one is not None and len(one)]


def classes_of(features: Sequence[ClipFeatures], labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of each clip's emotion in ``labels``."""
    return np.array([labels.index(each.clip.emotion) for each in features], np.int64)


def fit_normalization(features: Sequence[ClipFeatures], recipe: Recipe) -> Normalization:
    """Mean and deviation of each coefficient over the windows of the clips, without copies."""
    n = recipe.coefficients
    unit = Normalization(
        recipe.level, (0.0,) * n, (1.0,) * n, recipe.steady_noise, recipe.voice_prior_frames
    )
    plain = recipe.without_vocal_tracts
    windows = np.concatenate([windows_of(clip, plain, unit) for clip in features])
    frames = windows.reshape(-1, windows.shape[-1]).astype(np.float64)
    # that of a mel band may be tiny, and a calibration with less could not be read again
    deviation = np.maximum(frames.std(axis=0), 1e-6)
    return replace(
        unit, mean=tuple(frames.mean(axis=0).tolist()), deviation=tuple(deviation.tolist())
    )
