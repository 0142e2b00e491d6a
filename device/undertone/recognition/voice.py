"""What is known of a voice: the mean MFCC frame of what was heard of it.

Pitch, timbre, level and microphone are in that mean, and what remains when it is subtracted says
more about the emotion.  Nothing else of the sound is kept.
"""

from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from undertone.recognition.bundle import Normalization
from undertone.recognition.cepstrum import Floats
from undertone.recognition.fields import Coefficient
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.spectral_subtraction import subtract_steady_noise
from undertone.support.strict import Strict

MOST_FRAMES = 1875
"""A minute of speech.  More is not counted, so that an earlier voice or microphone is forgotten."""


class Voice(Strict, frozen=True):
    """The mean frame of a voice, one number per coefficient, and the number of frames behind it."""

    mean: tuple[Coefficient, ...]
    frames: Annotated[int, Meta(ge=1, le=MOST_FRAMES)]


class Reference(NamedTuple):
    """What is subtracted from windows.

    offset: from every frame, shape (..., coefficients).
    share: how far a voice is known, from 0 to 1, shape (...).  The rest of the level, coefficient
        0, is the window's own mean.
    """

    offset: Floats
    share: Floats


def frames_for_voice(segment: Floats, normalization: Normalization, config: MfccConfig) -> Floats:
    """The frames of one segment, shape (n, coefficients), as a voice is learnt from them."""
    if normalization.steady_noise == "subtracted":
        return subtract_steady_noise(segment, config)
    return segment


def learn(voice: Voice | None, frames: Floats) -> Voice:
    """``voice`` after ``frames`` of ``frames_for_voice``, at least one, were heard."""
    mean, new = frames.mean(axis=0), len(frames)
    known = 0
    if voice is not None:
        known = voice.frames
        mean = np.array(voice.mean) + (mean - np.array(voice.mean)) * (new / (known + new))
    return Voice(tuple(mean.tolist()), min(known + new, MOST_FRAMES))


def reference(voice: Voice | None, normalization: Normalization) -> Reference | None:
    """What ``voice`` changes; None if nothing is known, or the bundle does not use it."""
    if voice is None or not normalization.voice_prior_frames:
        return None
    return blended(
        np.array(voice.mean), np.array(float(voice.frames)), np.array(normalization.mean),
        normalization.voice_prior_frames,
    )  # fmt: skip


def blended(mean: Floats, frames: Floats, population: Floats, prior_frames: float) -> Reference:
    """The reference of voices, ``mean`` of shape (..., coefficients) and ``frames`` (...).

    The voice's mean and that of all speakers in the training, ``population`` (coefficients,),
    weighted by ``frames`` and ``prior_frames``.
    """
    share = frames / (frames + prior_frames)
    offset = mean - population
    offset[..., 0] = mean[..., 0]
    return Reference(share[..., np.newaxis] * offset, share)
