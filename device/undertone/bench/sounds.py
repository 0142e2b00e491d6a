"""The sounds that are processed during a measurement: silence, and uninterrupted speech."""

from collections.abc import Iterator

import numpy as np

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.speech_gate import SpeechGate, segments
from undertone.samples import demonstration

_QUIET_DBFS = -75.0
"""The level of a quiet room: no microphone gives digital silence."""


def silence(seconds: float) -> Samples:
    """The noise of a quiet room."""
    amplitude = 32768 * 10 ** (_QUIET_DBFS / 20)
    noise = np.random.default_rng(0).normal(0, amplitude, round(seconds * SAMPLE_RATE_HZ))
    quiet: Samples = np.rint(noise).astype(np.int16)
    return quiet


def speech(seconds: float, gate: SpeechGate) -> Samples:
    """The speech of the packaged clips, cut by ``gate``, one after the other and repeated."""
    once = np.concatenate([one.samples for one in segments(demonstration(), gate)])
    repeated: Samples = np.resize(once, round(seconds * SAMPLE_RATE_HZ))
    return repeated


def blocks(samples: Samples) -> Iterator[Block]:
    """``samples`` in the blocks that a microphone delivers."""
    for first in range(0, len(samples), BLOCK_LENGTH):
        yield Block(samples[first : first + BLOCK_LENGTH], first / SAMPLE_RATE_HZ)
