"""The ``noise`` protocol: sounds in which nobody speaks, through the whole device path."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.audio.files import read_blocks
from undertone.events import UNCERTAIN
from undertone.recognition.classifier import Classifier
from undertone_training.corpora import noise
from undertone_training.corpora.synthetic_sounds import NAMES, Sound, made
from undertone_training.evaluation.results import read_report, save_report
from undertone_training.evaluation.streaming import in_noise, levelled, played

FILE = "noise.json"
"""The report's name, in the folder of a run's or a bundle's report."""

LEVELS_DBFS = (-20.0, -35.0, -50.0)
"""Levels that each sound is played at."""

LEAD_S = 1.0
"""A quiet room before each sound, which then sets in at once; its noise goes on beneath."""

Kind = Literal["recorded noise", "made sounds"]


class Unspoken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the device made of one sound at one level, or of several together.

    trained_with: whether the noise was among that which training mixes into its copies.
    segments: every one is false.  named: those whose verdict was not ``uncertain``.
    """

    sound: str
    kind: Kind
    trained_with: bool
    duration_s: float
    segments: int
    named: int

    @property
    def per_10_min(self) -> float:
        """False segments in ten minutes."""
        return 600 * self.segments / self.duration_s


class NoiseReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """False segments of one model, by sound, over all levels."""

    model_sha256: str
    levels_dbfs: tuple[float, ...]
    sounds: tuple[Unspoken, ...]

    def totals(self) -> tuple[Unspoken, ...]:
        """The sounds of each kind as one."""
        kinds = dict.fromkeys(each.kind for each in self.sounds)
        return tuple(
            _together(kind, [each for each in self.sounds if each.kind == kind]) for kind in kinds
        )

    def save(self, path: Path) -> None:
        """Write it as indented JSON."""
        save_report(path, self)

    @classmethod
    def load(cls, path: Path) -> "NoiseReport":
        """Read what ``save`` wrote; raises RunError, but FileNotFoundError where there is none."""
        return read_report(path, cls)


def listen(
    classifier: Classifier, data: Path, progress: Callable[[], None] = lambda: None
) -> NoiseReport:
    """Play every recording of noise below ``data`` and every made sound, at each level.

    ``progress`` is called after each of ``sounds``.  Raises AudioSourceError for a recording
    that can't be read.
    """
    found = []
    for name, kind, trained_with, read in sounds(data):
        sound = read()
        found.append(
            _together(
                name,
                [heard(name, kind, trained_with, sound, dbfs, classifier) for dbfs in LEVELS_DBFS],
            )
        )
        progress()
    return NoiseReport(classifier.manifest.model_sha256, LEVELS_DBFS, tuple(found))


def sounds(data: Path) -> Iterator[tuple[str, Kind, bool, Callable[[], Sound]]]:
    """Name, kind, whether training mixes it in, and how to get it, of every sound."""
    trained_with = noise.for_training(data).files
    for path in noise.every(data):
        yield path.stem, "recorded noise", path in trained_with, partial(_read, path)
    for name in NAMES:
        yield name, "made sounds", False, partial(made, name)


def heard(
    name: str, kind: Kind, trained_with: bool, sound: Sound, dbfs: float, classifier: Classifier
) -> Unspoken:
    """Play one sound at one level, after a moment of a quiet room."""
    lead = np.zeros(round(LEAD_S * SAMPLE_RATE_HZ))
    recording = np.concatenate([lead, levelled(sound, dbfs) if sound.any() else sound])
    segments = played(in_noise(recording, None, None, seed=0), classifier)
    return Unspoken(
        sound=name,
        kind=kind,
        trained_with=trained_with,
        duration_s=len(recording) / SAMPLE_RATE_HZ,
        segments=len(segments),
        named=sum(segment.verdict.verdict != UNCERTAIN for segment in segments),
    )


def _together(name: str, parts: list[Unspoken]) -> Unspoken:
    return Unspoken(
        sound=name,
        kind=parts[0].kind,
        trained_with=any(each.trained_with for each in parts),
        duration_s=round(sum(each.duration_s for each in parts), 1),
        segments=sum(each.segments for each in parts),
        named=sum(each.named for each in parts),
    )


def _read(path: Path) -> Sound:
    return np.concatenate([block.samples for block in read_blocks(path)]).astype(np.float64)
