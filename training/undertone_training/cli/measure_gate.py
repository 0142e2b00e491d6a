"""``undertone-train measure-gate``: what the speech gate misses and mistakes."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.detection.clips import Measured
    from undertone_training.detection.measure import Found, GateReport, Mistaken, Shift


@click.command(
    epilog="""\b
Examples:
  undertone-train measure-gate --data ~/corpora
  undertone-train measure-gate --detector runs/speech-detector/detector --output gate.json
  undertone-train measure-gate --corpus ravdess --clips 1000 --minutes 0

choosing: speakers of CREMA-D and nEMO that the detector was not trained on, but with whom the
settings of the gate were chosen; ravdess: a corpus that it was not trained on at all.
"""
)
@common.data
@click.option(
    "--detector",
    type=common.FOLDER,
    help="Folder that `fit-detector` wrote.  [default: the packaged detector]",
)
@click.option(
    "--corpus",
    type=click.Choice(["choosing", "ravdess"]),
    default="choosing",
    show_default=True,
    help="Whose speech.",
)
@click.option(
    "--clips",
    "count",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Number of clips, drawn at random.",
)
@click.option(
    "--minutes",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="About so many minutes of generated sounds.",
)
@click.option("--seed", type=common.SEED, default=0, show_default=True)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write JSON to a file instead.",
)
def command(
    data: Path,
    detector: Path | None,
    corpus: "Measured",
    count: int,
    minutes: int,
    seed: int,
    form: str,
    output: Path | None,
) -> None:
    """Play clips with pauses to the speech gate, in quiet, noise and babble, and count its errors.

    Then play sounds without speech: newly generated ones, the recordings in the folder noise of
    --data, and the synthetic sounds of `evaluate --protocol noise`. No model takes part.
    """
    from undertone_training.detection.measure import measure
    from undertone_training.evaluation.results import report_json
    from undertone_training.features.gate import packaged

    report = measure(detector or packaged(), data, corpus, count, minutes, seed, common.progress)
    if output:
        common.write_output(output, report_json(report))
        click.echo(f"{output}: written")
    elif form == "json":
        click.echo(report_json(report).decode(), nl=False)
    else:
        _print(report)
    for note in report.notes:
        click.echo(note, err=True)


def _print(report: "GateReport") -> None:
    common.column_table(report.found, _FOUND)
    click.echo()
    kinds = dict.fromkeys(each.kind for each in report.mistaken)
    rows = [_mistaken([each for each in report.mistaken if each.kind == kind]) for kind in kinds]
    common.table(_MISTAKEN, rows, "lrrl")


_FOUND: "dict[str, Callable[[Found], str]]" = {
    "condition": lambda each: each.condition,
    "clips": lambda each: str(each.clips),
    "missed": lambda each: str(each.missed),
    "merged": lambda each: str(each.merged),
    "pieces": lambda each: f"{each.pieces:.2f}",
    "false": lambda each: str(each.false_segments),
    "minutes": lambda each: f"{each.minutes:.1f}",
    "start": lambda each: _shift(each.start),
    "end": lambda each: _shift(each.end),
}
_MISTAKEN = ("nobody speaks", "minutes", "segments", "of which in")


def _shift(shift: "Shift | None") -> str:
    """Mean, and nine tenths."""
    return f"{shift.mean_ms:.0f} ({shift.percentile_90_ms:.0f}) ms" if shift else "–"


def _mistaken(sounds: "Sequence[Mistaken]") -> tuple[str, ...]:
    """All sounds of one kind."""
    segments: Counter[str] = Counter()
    for each in sounds:
        segments[each.sound] += each.segments
    return (
        sounds[0].kind,
        f"{sum(each.minutes for each in sounds):.0f}",
        str(segments.total()),
        ", ".join(f"{sound} {count}" for sound, count in segments.most_common() if count),
    )
