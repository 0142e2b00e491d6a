"""Figures of parts of the clips: each speaker, women and men, normal and strong intensity."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, recall_score

from undertone_training.corpora.clip import Clip
from undertone_training.metrics import Predictions

KINDS = ("sex", "intensity", "channel")
"""Fields of a clip that part the clips, beside its speaker."""


@dataclass(frozen=True)
class Part:
    """Clips of one speaker, or that have the same value of one of ``KINDS``.

    uar: over the emotions that the part has; RAVDESS has no strong neutral, for one.
    """

    kind: str
    value: str
    clips: int
    uar: float
    accuracy: float

    @property
    def name(self) -> str:
        """As people read it: a speaker's name says little alone, ``female`` enough."""
        return f"speaker {self.value}" if self.kind == "speaker" else self.value


def breakdown(predictions: Predictions, clips: Mapping[str, Clip]) -> list[Part]:
    """Each speaker, then each value of ``KINDS`` of which the clips have more than one.

    clips: by clip_id; one that is not among them belongs to its speaker alone.
    """
    found = list(_parts(predictions, "speaker", predictions.speakers))
    known = [clips.get(clip_id) for clip_id in predictions.clip_ids]
    for kind in KINDS:
        values = [getattr(clip, kind, None) or "" for clip in known]
        parts = [part for part in _parts(predictions, kind, values) if part.value]
        found += parts if len(parts) > 1 else []
    return found


def read_breakdown(folder: Path) -> list[dict[str, Any]]:
    """The rows of a report's breakdown.csv, of the form that ships; raises OSError."""
    rows: list[dict[str, Any]] = pd.read_csv(
        folder / "breakdown.csv", dtype={"value": str}
    ).to_dict("records")
    return rows


def _parts(predictions: Predictions, kind: str, values: Sequence[str]) -> Iterator[Part]:
    for value in sorted(set(values)):
        chosen = np.array(values) == value
        truth, predicted = predictions.truth[chosen], predictions.predicted[chosen]
        uar = recall_score(
            truth, predicted, labels=np.unique(truth), average="macro", zero_division=0
        )
        accuracy = accuracy_score(truth, predicted)
        yield Part(kind, value, int(chosen.sum()), float(uar), float(accuracy))
