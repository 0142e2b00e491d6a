"""The ``noise`` protocol: sounds without speech, through the whole device path."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.audio.files import read_blocks
from undertone.events import UNCERTAIN
from undertone.recognition.classifier import Classifier
from undertone.support.strict import Strict
from undertone_training import object_storage
from undertone_training.corpora import noise
from undertone_training.corpora.synthetic_sounds import NAMES, Sound, synthesise
from undertone_training.evaluation.levels import at_level, in_noise
from undertone_training.evaluation.results import NOISE_FILE, read_report, save_report
from undertone_training.evaluation.streaming import segments_in
from undertone_training.progress import Progress, silent

LEVELS_DBFS = (-20.0, -35.0, -50.0)
"""The levels at which each sound is played."""

LEAD_S = 1.0
"""A quiet room before each sound, which then starts abruptly; the room's noise continues."""

Kind = Literal["recorded noise", "made sounds"]


class FalseAlarms(Strict, frozen=True):
    """What the device detected in one sound at one level, or in several together.

    trained_with: whether training adds this noise to its copies.
    segments: the detected segments, all false. named: those not ``uncertain``.
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


class NoiseReport(Strict, frozen=True):
    """False alarms of one model, by sound, over all levels."""

    model_sha256: str
    levels_dbfs: tuple[float, ...]
    sounds: tuple[FalseAlarms, ...]

    def totals(self) -> tuple[FalseAlarms, ...]:
        """All sounds of each kind together."""
        kinds = dict.fromkeys(each.kind for each in self.sounds)
        return tuple(
            _together(kind, [each for each in self.sounds if each.kind == kind]) for kind in kinds
        )

    def save(self, folder: Path) -> Path:
        """Write it to a report's folder as indented JSON."""
        save_report(folder / NOISE_FILE, self)
        return folder / NOISE_FILE

    @classmethod
    def load(cls, folder: Path) -> "NoiseReport":
        """Read what ``save`` wrote; raises FileNotFoundError without one, otherwise RunError."""
        return read_report(folder / NOISE_FILE, cls)


def count_false_alarms(
    classifier: Classifier, data: Path, title: str = "noise", progress: Progress = silent
) -> NoiseReport:
    """Play every recording of noise below ``data`` and every synthetic sound, at each level.

    Raises AudioSourceError for a recording that cannot be read.
    """
    found = []
    played = list(sounds(data))
    with progress(title, len(played)) as step:
        for name, kind, trained_with, read in played:
            sound = read()
            parts = [
                play(name, kind, trained_with, sound, dbfs, classifier) for dbfs in LEVELS_DBFS
            ]
            found.append(_together(name, parts))
            step()
    return NoiseReport(classifier.manifest.model_sha256, LEVELS_DBFS, tuple(found))


def sounds(data: Path) -> Iterator[tuple[str, Kind, bool, Callable[[], Sound]]]:
    """Of every sound: its name, its kind, whether training uses it, and a function to load it."""
    trained_with = noise.for_training(data).files
    for path in noise.every(data):
        yield path.stem, "recorded noise", path in trained_with, partial(_read, path)
    for name in NAMES:
        yield name, "made sounds", False, partial(synthesise, name)


def play(
    name: str, kind: Kind, trained_with: bool, sound: Sound, dbfs: float, classifier: Classifier
) -> FalseAlarms:
    """Play one sound at one level, after some silence of a quiet room."""
    lead = np.zeros(round(LEAD_S * SAMPLE_RATE_HZ))
    recording = np.concatenate([lead, at_level(sound, dbfs) if sound.any() else sound])
    segments = segments_in(in_noise(recording, None, None, seed=0), classifier)
    return FalseAlarms(
        sound=name,
        kind=kind,
        trained_with=trained_with,
        duration_s=len(recording) / SAMPLE_RATE_HZ,
        segments=len(segments),
        named=sum(segment.verdict.verdict != UNCERTAIN for segment in segments),
    )


def _together(name: str, parts: list[FalseAlarms]) -> FalseAlarms:
    return FalseAlarms(
        sound=name,
        kind=parts[0].kind,
        trained_with=any(each.trained_with for each in parts),
        duration_s=round(sum(each.duration_s for each in parts), 1),
        segments=sum(each.segments for each in parts),
        named=sum(each.named for each in parts),
    )


def _read(path: Path) -> Sound:
    object_storage.fetch([path])
    return np.concatenate([block.samples for block in read_blocks(path)]).astype(np.float64)
