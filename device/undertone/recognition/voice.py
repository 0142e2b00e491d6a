"""What is known of a voice: its mean frame, how much its frames vary, and the network's bias.

Pitch, timbre, level and microphone are in the mean frame, and what remains when it is subtracted
says more about the emotion.  How much a segment varies is compared with what is usual for the voice
(see ``comparison``).  A network that finds one emotion in most of what somebody says is more
likely mistaken about the voice than right, so a part of that bias is subtracted, too, and a greater
part of what makes everything in the voice seem excited, or quiet.  Nothing else of the sound is
kept.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from undertone.emotions import HIGH_ACTIVATION, LOW_ACTIVATION
from undertone.recognition.bundle import Normalization
from undertone.recognition.cepstrum import Floats
from undertone.recognition.decision import log_odds
from undertone.recognition.fields import Coefficient
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.spectral_subtraction import subtract_steady_noise
from undertone.support.strict import Strict

MOST_FRAMES = 1875
"""A minute of speech.  More is not counted, so that an earlier voice or microphone is forgotten."""

BIAS_SHARE = 0.3
"""Of the bias of a well-known voice, what is subtracted.  More would help where a voice has spoken
with every emotion equally often, and harm where it was mostly neutral (training/EXPERIMENTS.md)."""

ACTIVATION_SHARE = 0.5
"""What is subtracted of the part of the bias that concerns activation, the log-odds of the labels
of excited voices against those of quiet ones.  More of it helps in either case."""


class Voice(Strict, frozen=True):
    """The mean frame of a voice, one number per coefficient, and the number of frames behind it.

    bias: the mean log-probability of each label in what was heard, less the mean of all labels, in
        the order of the model's outputs; empty if nothing of it was classified.
    deviation: the mean over its segments of each value's standard deviation within one; empty if an
        earlier version of the program learnt it.
    """

    mean: tuple[Coefficient, ...]
    frames: Annotated[int, Meta(ge=1, le=MOST_FRAMES)]
    bias: tuple[Coefficient, ...] = ()
    deviation: tuple[Coefficient, ...] = ()


class Reference(NamedTuple):
    """What is subtracted from windows.

    offset: from every frame, shape (..., width).
    share: how far a voice is known, from 0 to 1, shape (...).  The rest of the level, coefficient
        0, is the window's own mean.
    """

    offset: Floats
    share: Floats


def frames_for_voice(segment: Floats, normalization: Normalization, config: MfccConfig) -> Floats:
    """The frames of one segment, shape (n, width), as a voice is learnt from them."""
    if normalization.steady_noise == "subtracted":
        return subtract_steady_noise(segment, config)
    return segment


def learn(voice: Voice | None, frames: Floats, logs: Floats | None = None) -> Voice:
    """``voice`` after ``frames`` of ``frames_for_voice``, at least one, were heard.

    logs: the log-probabilities of the labels in them, shape (labels,); None if unknown.
    """
    mean, deviation, new = frames.mean(axis=0), frames.std(axis=0), len(frames)
    bias = np.empty(0) if logs is None else logs - logs.mean()
    known = 0
    if voice is not None:
        known = voice.frames
        share = new / (known + new)
        mean = np.array(voice.mean) + (mean - np.array(voice.mean)) * share
        if voice.deviation:
            before = np.array(voice.deviation)
            deviation = before + (deviation - before) * share
        if logs is not None:
            before = np.array(voice.bias or (0.0,) * len(bias))
            bias = before + (bias - before) * share
    kept = [tuple(each.tolist()) for each in (mean, bias, deviation)]
    return Voice(kept[0], min(known + new, MOST_FRAMES), *kept[1:])


def together(voices: Sequence[Voice]) -> Voice | None:
    """What several recordings of one voice tell, each by its length; None for no recording."""
    if not voices:
        return None
    lengths = [voice.frames for voice in voices]
    mean, bias, deviation = (
        tuple(
            np.average([getattr(each, name) for each in voices], axis=0, weights=lengths).tolist()
        )
        for name in ("mean", "bias", "deviation")
    )
    return Voice(mean, min(sum(lengths), MOST_FRAMES), bias, deviation)


def reference(voice: Voice | None, normalization: Normalization) -> Reference | None:
    """What ``voice`` changes; None if nothing is known, or the bundle does not use it."""
    if voice is None or not normalization.voice_prior_frames:
        return None
    return blended(
        np.array(voice.mean), np.array(float(voice.frames)), np.array(normalization.mean),
        normalization.voice_prior_frames,
    )  # fmt: skip


def bias_of(voice: Voice | None, normalization: Normalization, labels: Sequence[str]) -> Floats:
    """What is subtracted from the log-probabilities of a voice, shape (labels,), or () for nothing.

    The better the voice is known, the more of its bias.  labels: in the order of the bias.
    """
    known = reference(voice, normalization)
    if voice is None or known is None or not voice.bias:
        return np.zeros(())
    bias = np.array(voice.bias)
    excited = (ACTIVATION_SHARE - BIAS_SHARE) * (log_odds(bias, labels) or 0.0)
    sides = [(label in HIGH_ACTIVATION) - (label in LOW_ACTIVATION) for label in labels]
    subtracted: Floats = known.share * (BIAS_SHARE * bias + excited / 2 * np.array(sides))
    return subtracted


def blended(mean: Floats, frames: Floats, population: Floats, prior_frames: float) -> Reference:
    """The reference of voices, ``mean`` of shape (..., width) and ``frames`` (...).

    The voice's mean and that of all speakers in the training, ``population`` (coefficients,),
    weighted by ``frames`` and ``prior_frames``.
    """
    share = frames / (frames + prior_frames)
    offset = mean - population
    offset[..., 0] = mean[..., 0]
    return Reference(share[..., np.newaxis] * offset, share)
