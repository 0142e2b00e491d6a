"""What is listened to while it is measured: a quiet room, and speech without pauses."""

from collections.abc import Iterator

import numpy as np

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.speech_gate import SpeechGate, pymicro_vad_detector, segments
from undertone.samples import demonstration

_QUIET_DBFS = -75.0
"""A quiet room: digital silence is what no microphone gives."""


def silence(seconds: float) -> Samples:
    """A quiet room in which nobody speaks."""
    amplitude = 32768 * 10 ** (_QUIET_DBFS / 20)
    noise = np.random.default_rng(0).normal(0, amplitude, round(seconds * SAMPLE_RATE_HZ))
    quiet: Samples = np.rint(noise).astype(np.int16)
    return quiet


def speech(seconds: float) -> Samples:
    """The speech of the packaged clips, one after the other and over again."""
    gate = SpeechGate(detector=pymicro_vad_detector())
    spoken = np.concatenate([one.samples for one in segments(demonstration(), gate)])
    repeated: Samples = np.resize(spoken, round(seconds * SAMPLE_RATE_HZ))
    return repeated


def blocks(samples: Samples) -> Iterator[Block]:
    """``samples`` as a microphone gives them."""
    for first in range(0, len(samples), BLOCK_LENGTH):
        yield Block(samples[first : first + BLOCK_LENGTH], first / SAMPLE_RATE_HZ)
