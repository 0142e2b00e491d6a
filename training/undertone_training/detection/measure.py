"""Measures the speech gate: what it misses, what it mistakes, and how noise moves its segments.

The accuracy of a model plays no part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.speech_gate import GateConfig, SpeechGate, segments
from undertone.support.strict import Strict
from undertone_training.corpora import noise, scan
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.random_sounds import MAKERS
from undertone_training.detection import clips as voices
from undertone_training.evaluation import false_alarms
from undertone_training.evaluation.backgrounds import DURATION_S, VOICES, babble, recorded_noise
from undertone_training.evaluation.levels import at_level, in_noise
from undertone_training.evaluation.streaming import Span, recording_of
from undertone_training.features.gate import detector_in, gate
from undertone_training.progress import Progress, silent

MakeGate = Callable[[], SpeechGate]

SNRS_DB = (20.0, 10.0, 5.0)
"""Ratios of the voices' level to that of recorded noise."""
BABBLE_SNR_DB = 10.0

GENERATED_S = 10.0
"""Length of a generated sound."""
GENERATED_DBFS = (-45.0, -15.0)
"""Range of the level of generated sounds."""


@dataclass(frozen=True)
class Condition:
    """Noise behind the clips: samples as floats, and the ratio of the voices' level to its own."""

    name: str
    noise: NDArray[np.float64] | None = None
    snr_db: float | None = None


class Shift(Strict, frozen=True):
    """How far noise moves one end of the segments, in milliseconds."""

    mean_ms: float
    percentile_90_ms: float


class Found(Strict, frozen=True):
    """What the gate finds of clips with pauses in one condition.

    missed: clips without a segment. merged: those that share one with another clip.
    pieces: segments in a clip on average. false_segments: those that overlap no clip.
    start, end: against the same recording without noise; None there.
    """

    condition: str
    clips: int
    missed: int
    merged: int
    pieces: float
    false_segments: int
    minutes: float
    start: Shift | None
    end: Shift | None


class Mistaken(Strict, frozen=True):
    """The segments that the gate finds in a sound in which nobody speaks.

    dbfs: its level; None for generated sounds, of which there are many at random levels.
    trained_with: whether the detector's training uses this very sound.
    """

    sound: str
    kind: false_alarms.Kind | Literal["generated sounds"]
    dbfs: float | None
    trained_with: bool
    minutes: float
    segments: int


class GateReport(Strict, frozen=True):
    """What the gate made of the clips of ``corpus``, and of sounds without speech.

    detector_sha256: of the detector's network. notes: what was left out, and why.
    """

    detector_sha256: str
    gate: GateConfig
    corpus: voices.Measured
    seed: int
    found: tuple[Found, ...]
    mistaken: tuple[Mistaken, ...]
    notes: tuple[str, ...]


def measure(
    detector: Path,
    data: Path,
    corpus: voices.Measured,
    n_clips: int,
    generated_minutes: float,
    seed: int,
    progress: Progress = silent,
) -> GateReport:
    """Measure the gate with the detector in a folder, on the corpora and sounds below ``data``.

    The recorded noise behind the speech that chooses is of the kinds that training uses, so that
    the kind that tests chooses nothing.
    Raises RunError for a detector, CorpusError for corpora, and AudioSourceError for a recording
    that is missing or can't be read.
    """
    config = detector_in(detector)[0]
    make_gate = partial(gate, detector)
    every = scan(data).clips
    clips = drawn(voices.for_measuring(every, corpus), n_clips, np.random.default_rng([seed, 1]))
    recordings = noise.for_training if corpus == "choosing" else noise.for_testing
    recorded, babblers = recordings(data).files, voices.for_babble(every)
    notes = []
    if not recorded:
        notes.append(f"no recordings to play in {data / noise.FOLDER}: not measured in noise")
    if not babblers:
        notes.append(f"no clips of {' or '.join(voices.CORPORA)}: not measured among voices")
    behind = conditions(recorded, babblers, np.random.default_rng([seed, 2]))
    found = tuple(find(make_gate, clips, behind, seed, progress))
    each = round(generated_minutes * 60 / len(MAKERS) / (GENERATED_S + false_alarms.LEAD_S))
    generated = mistake(make_gate, max(1, each), seed, progress) if generated_minutes else ()
    return GateReport(
        detector_sha256=config.model_sha256,
        gate=GateConfig(),
        corpus=corpus,
        seed=seed,
        found=found,
        mistaken=(*generated, *mistake_recorded(make_gate, data, progress)),
        notes=tuple(notes),
    )


def drawn(
    clips: Mapping[str, Sequence[Clip]], count: int, generator: np.random.Generator
) -> list[Clip]:
    """About ``count`` random clips with any sound in them, as many of each corpus."""
    chosen = []
    for each in clips.values():
        audible = (each[i] for i in generator.permutation(len(each)) if _is_audible(each[i]))
        chosen += [clip for _, clip in zip(range(-(-count // len(clips))), audible, strict=False)]
    return chosen


def _is_audible(clip: Clip) -> bool:
    """Whether the clip is more than digital silence, of which CREMA-D contains some."""
    return bool(clip.source.read().any())


def conditions(
    recordings: Sequence[Path], babblers: Sequence[Clip], generator: np.random.Generator
) -> list[Condition]:
    """A quiet room, recorded noise, and babble of ``babblers``; without what there is none of.

    Raises AudioSourceError for a recording that can't be read.
    """
    made = [Condition("quiet")]
    if recordings:
        recorded = recorded_noise(recordings)
        made += [Condition(f"noise at {snr_db:.0f} dB SNR", recorded, snr_db) for snr_db in SNRS_DB]
    if babblers:
        babbled = babble(babblers, DURATION_S, generator)
        name = f"{VOICES} voices at {BABBLE_SNR_DB:.0f} dB SNR"
        made.append(Condition(name, babbled, BABBLE_SNR_DB))
    return made


def find(
    make_gate: MakeGate,
    clips: Sequence[Clip],
    conditions: Sequence[Condition],
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[Found]:
    """Lay ``clips`` into one recording and play it with the noise of each condition.

    The first condition must be without noise.  Raises AudioSourceError for a clip that can't be
    read.
    """
    clean, spans = recording_of(clips, np.random.default_rng(seed))
    before: list[Span | None] = []
    with progress("conditions", len(conditions)) as step:
        for condition in conditions:
            recording = in_noise(clean, condition.noise, condition.snr_db, seed)
            found = heard(make_gate(), recording)
            ends = [_ends(span, found) for span in spans]
            pairs = [(now, then) for now, then in zip(ends, before, strict=False) if now and then]
            yield Found(
                condition=condition.name,
                clips=len(clips),
                missed=ends.count(None),
                merged=_merged(spans, found),
                pieces=round(float(np.mean([len(_within(span, found)) for span in spans])), 3),
                false_segments=sum(not any(_overlap(one, span) for span in spans) for one in found),
                minutes=round(len(recording) / SAMPLE_RATE_HZ / 60, 1),
                start=_shift([now[0] - then[0] for now, then in pairs]) if before else None,
                end=_shift([now[1] - then[1] for now, then in pairs]) if before else None,
            )
            before = before or ends
            step()


def mistake(
    make_gate: MakeGate, each: int, seed: int, progress: Progress = silent
) -> Iterator[Mistaken]:
    """Play ``each`` newly generated sounds of every kind; those that train have other seeds."""
    quiet = np.zeros(round(false_alarms.LEAD_S * SAMPLE_RATE_HZ))
    with progress("generated sounds", len(MAKERS)) as step:
        for number, (name, maker) in enumerate(MAKERS.items()):
            generator = np.random.default_rng([seed, number, 7])
            sounds = [maker(generator, GENERATED_S) for _ in range(each)]
            levelled = [at_level(one, generator.uniform(*GENERATED_DBFS)) for one in sounds]
            played = np.concatenate([part for one in levelled for part in (quiet, one)])
            found = heard(make_gate(), in_noise(played, None, None, seed))
            yield Mistaken(name, "generated sounds", None, False, _minutes(played), len(found))
            step()


def mistake_recorded(
    make_gate: MakeGate, data: Path, progress: Progress = silent
) -> Iterator[Mistaken]:
    """Play the sounds of the protocol ``noise`` as it does: recordings, and synthetic ones.

    Raises AudioSourceError for a recording that can't be read.
    """
    quiet = np.zeros(round(false_alarms.LEAD_S * SAMPLE_RATE_HZ))
    sounds = list(false_alarms.sounds(data))
    with progress("sounds without speech", len(sounds)) as step:
        for name, kind, trained_with, read in sounds:
            sound = read()
            for dbfs in false_alarms.LEVELS_DBFS:
                levelled = at_level(sound, dbfs) if sound.any() else sound
                played = np.concatenate([quiet, levelled])
                found = heard(make_gate(), in_noise(played, None, None, seed=0))
                yield Mistaken(name, kind, dbfs, trained_with, _minutes(played), len(found))
            step()


def _minutes(samples: NDArray[np.float64]) -> float:
    return round(len(samples) / SAMPLE_RATE_HZ / 60, 3)


def heard(speech_gate: SpeechGate, recording: Samples) -> list[Span]:
    """Start and end, in samples, of each segment with enough evidence."""
    blocks = (
        Block(recording[first : first + BLOCK_LENGTH], first / SAMPLE_RATE_HZ)
        for first in range(0, len(recording), BLOCK_LENGTH)
    )
    return [
        (start := round(one.time_s * SAMPLE_RATE_HZ), start + len(one.samples))
        for one in segments(blocks, speech_gate)
        if one.is_speech
    ]


def _overlap(one: Span, other: Span) -> bool:
    return min(one[1], other[1]) > max(one[0], other[0])


def _within(span: Span, found: Sequence[Span]) -> list[Span]:
    return [one for one in found if _overlap(one, span)]


def _merged(spans: Sequence[Span], found: Sequence[Span]) -> int:
    together: set[int] = set()
    for one in found:
        inside = [number for number, span in enumerate(spans) if _overlap(one, span)]
        if len(inside) > 1:
            together.update(inside)
    return len(together)


def _ends(span: Span, found: Sequence[Span]) -> Span | None:
    """Start of the first and end of the last segment of a clip."""
    inside = _within(span, found)
    return (inside[0][0], inside[-1][1]) if inside else None


def _shift(samples: Sequence[int]) -> Shift | None:
    if not samples:
        return None
    moved = np.abs(samples) / SAMPLE_RATE_HZ * 1000
    return Shift(round(float(moved.mean()), 1), round(float(np.percentile(moved, 90)), 1))
