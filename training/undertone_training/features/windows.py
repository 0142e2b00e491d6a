"""From the features of a clip to the windows that a network is trained and tested on."""

from collections.abc import Iterable, Iterator, Sequence

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
    Shape (vocal tract factors * windows, frames, width).
    """
    windows = [
        split_windows(segment.astype(np.float64), recipe.windowing) for segment in features.segments
    ]
    if not windows:
        return np.empty((0, recipe.windowing.frames, recipe.frame_width), np.float32)
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


def variant_lengths(features: ClipFeatures) -> list[tuple[int, int]]:
    """Number and frames of each variant with speech: 0 is the clip, the others its copies."""
    lengths = [sum(map(len, features.segments)), *map(len, features.copies)]
    return [(number, length) for number, length in enumerate(lengths) if length]


def variant(features: ClipFeatures, number: int) -> Array:
    """Frames of the clip, its segments one after another, or of the copy of this number."""
    if number:
        return features.copies[number - 1]
    return (
        features.segments[0] if len(features.segments) == 1 else np.concatenate(features.segments)
    )


def variants_of(features: ClipFeatures) -> list[Array]:
    """Frames of each variant with speech."""
    return [variant(features, number) for number, _ in variant_lengths(features)]


def classes_of(features: Sequence[ClipFeatures], labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of each clip's emotion in ``labels``."""
    return np.array([labels.index(each.clip.emotion) for each in features], np.int64)


def fit_normalization(features: Sequence[ClipFeatures], recipe: Recipe) -> Normalization:
    """Mean and deviation of each coefficient over the windows of the clips, without copies."""
    n = recipe.frame_width
    unit = Normalization(
        recipe.level, (0.0,) * n, (1.0,) * n, recipe.steady_noise, recipe.voice_prior_frames
    )
    plain = recipe.without_vocal_tracts

    def frames() -> Iterator[NDArray[np.float64]]:
        for clip in features:
            yield windows_of(clip, plain, unit).reshape(-1, n).astype(np.float64)

    mean = _mean(frames())
    variance = _mean(np.square(part - mean) for part in frames())
    # that of a mel band may be tiny, and a calibration with less could not be read again
    deviation = np.maximum(np.sqrt(variance), 1e-6)
    return replace(unit, mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))


def _mean(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of all rows, to the bit that of one array with all of them."""
    total, count = np.zeros(()), 0
    for part in parts:
        # one row after another is how NumPy adds the rows of an array
        total = np.concatenate([np.broadcast_to(total, (1, part.shape[1])), part]).sum(axis=0)
        count += len(part)
    return total / count
