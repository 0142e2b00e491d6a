"""Clips as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from undertone_training.corpora.clip import Clip

if TYPE_CHECKING:
    import pandas as pd


def table(clips: Sequence[Clip]) -> "pd.DataFrame":
    """One row per clip: the fields of Clip, with ``path`` and ``member`` for the source."""
    import pandas as pd

    columns = [name for name in Clip.__struct_fields__ if name != "source"]
    rows = [
        {name: getattr(clip, name) for name in columns}
        | {"path": str(clip.source.path), "member": clip.source.member}
        for clip in clips
    ]
    frame = pd.DataFrame(rows, columns=[*columns, "path", "member"])
    return frame.astype({"repetition": "Int64"})  # whole numbers beside missing values
