"""The stages of the device whose instructions ``make arm`` counts, each many times.

Runs in the emulated root, with the plugin built from arm_instruction_count.c.  All calls of a stage
are made twice, the second time between two marks, at which the plugin prints its count to stderr.
The work between the marks is printed to stdout as JSON, in the same order.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.bench.result import PIECE_LENGTH
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.mfcc import Mfcc, with_pitch
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.speech_detector import SpeechDetector
from undertone.recognition.speech_gate import SpeechGate, segments
from undertone.samples import demonstration

QUIET_S = 10
QUIET_AMPLITUDE = 6.0
"""Noise of a quiet room, -75 dBFS, at which the speech gate stays closed."""

WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Work:
    """Some calls of one stage, which do ``count`` seconds or windows."""

    bundle: str
    stage: str
    count: float
    calls: Sequence[Callable[[], object]]


def speech(gate: SpeechGate) -> Samples:
    """The first packaged clips without the pauses that ``gate`` finds: uninterrupted speech."""
    first = islice(demonstration(), 200)
    return np.concatenate([segment.samples for segment in segments(first, gate)])


def silence() -> Samples:
    """The noise of a quiet room."""
    noise = np.random.default_rng(1).normal(0, QUIET_AMPLITUDE, QUIET_S * SAMPLE_RATE_HZ)
    return np.rint(noise).astype(np.int16)


def blocks(sound: Samples) -> list[Block]:
    """``sound`` in the blocks that a microphone delivers."""
    starts = range(0, len(sound), BLOCK_LENGTH)
    return [Block(sound[at : at + BLOCK_LENGTH], at / SAMPLE_RATE_HZ) for at in starts]


def pieces(sound: Samples) -> list[Samples]:
    """``sound`` in the pieces whose frames the speech gate computes at once."""
    return [sound[at : at + PIECE_LENGTH] for at in range(0, len(sound), PIECE_LENGTH)]


def work(loaded: Bundle, quiet: Samples, spoken: Samples) -> Iterator[Work]:
    """Everything that is counted for one bundle."""
    manifest, classifier = loaded.manifest, Classifier(loaded)

    def seconds(stage: str, sound: Samples, process: Callable[[Block], object]) -> Work:
        calls = [partial(process, block) for block in blocks(sound)]
        return Work(manifest.name, stage, len(sound) / SAMPLE_RATE_HZ, calls)

    def windows(stage: str, once: Callable[[], object]) -> Work:
        return Work(manifest.name, stage, WINDOWS, [once] * WINDOWS)

    pipeline = Pipeline(classifier, learns=True)
    yield seconds("silence", quiet, pipeline.process)
    yield seconds("speech", spoken, pipeline.process)
    yield seconds("gate", spoken, classifier.gate().process)

    mfcc = Mfcc(manifest.mfcc)
    _, network = loaded.open()
    detector = SpeechDetector(manifest.detector, network)
    answers = [partial(detector.push, mfcc.push(piece)) for piece in pieces(spoken)]
    yield Work(manifest.name, "detector", len(spoken) / SAMPLE_RATE_HZ, answers)

    of_window = spoken[: manifest.mfcc.span(manifest.window.frames)]

    def arrive() -> None:
        mfcc.reset()
        for piece in pieces(of_window):
            mfcc.push(piece)

    mfcc.reset()
    raw = mfcc.push(of_window)

    def prepare() -> NDArray[np.int8]:
        return classifier.prepare(with_pitch(raw, manifest.mfcc))

    prepared = prepare()
    yield windows("mfcc", arrive)
    yield windows("prepare", prepare)
    yield windows("invoke", lambda: classifier.invoke(prepared))


def main() -> None:
    """Do all work with each bundle."""
    quiet, spoken = silence(), speech(Classifier(bundle.load()).gate())
    done = []
    for name in bundle.installed_bundles():
        for one in work(bundle.load(name), quiet, spoken):
            for call in one.calls:  # warms up, and fills the first window of the speech
                call()
            os.getsid(0)
            for call in one.calls:
                call()
            os.getsid(0)
            done.append([one.bundle, one.stage, one.count])
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
