"""Figures for each speaker, for women and men, and for normal and strong intensity."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from undertone_training.corpora.clip import Clip
from undertone_training.metrics import Predictions

KINDS = ("sex", "intensity", "channel")
"""Fields of a clip that the figures are broken down by, in addition to its speaker."""

_FILE = "breakdown.csv"


def breakdown(predictions: Predictions, clips: Mapping[str, Clip]) -> pd.DataFrame:
    """Figures for each speaker, then for each of ``KINDS`` with more than one value.

    clips: by clip_id; a prediction without one counts for its speaker only.
    Returns the columns kind, value, clips, uar and accuracy.  ``uar`` is the mean over the
    emotions that occur: RAVDESS has no strong neutral, for one.
    """
    known = [clips.get(clip_id) for clip_id in predictions.clip_ids]
    frame = pd.DataFrame({kind: [getattr(clip, kind, None) for clip in known] for kind in KINDS})
    several = [kind for kind in KINDS if frame[kind].nunique() > 1]
    frame = frame.assign(
        speaker=predictions.speakers, emotion=predictions.truth, right=predictions.correct
    )
    return pd.concat([_figures(frame, kind) for kind in ("speaker", *several)], ignore_index=True)


def write_breakdown(folder: Path, form: str, parts: pd.DataFrame) -> None:
    """Write breakdown.csv for the model ``form``."""
    parts.assign(form=form)[["form", *parts]].to_csv(folder / _FILE, index=False)


def read_breakdown(folder: Path) -> pd.DataFrame:
    """What ``write_breakdown`` wrote; raises OSError."""
    return pd.read_csv(folder / _FILE, dtype={"value": str})


def _figures(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    groups = frame.groupby(kind)
    recalls = frame.groupby([kind, "emotion"])["right"].mean()
    return pd.DataFrame(
        {
            "kind": kind,
            "value": list(groups.groups),
            "clips": groups.size(),
            # NumPy's sum, as everywhere: pandas' differs in the last digit
            "uar": recalls.groupby(kind).agg(lambda each: each.to_numpy().mean()),
            "accuracy": groups["right"].mean(),
        }
    )
