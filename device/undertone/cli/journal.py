"""``undertone journal``: show, summarise, plot, export or delete events of the journal."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from undertone.cli import options
from undertone.cli.output import count, notice, opened, to_file, writing
from undertone.emotions import colour
from undertone.events import Event, SegmentEnded
from undertone.journal.export import FORMATS, write_csv, write_json, write_parquet
from undertone.journal.format import to_line, values_of
from undertone.journal.plot import in_order, svg
from undertone.journal.reader import JournalReader
from undertone.journal.remove import remove_day
from undertone.journal.summary import Summary
from undertone.support.duration import time_in
from undertone.support.printable import printable

_DEFAULT_LAST = 20
_BAR_WIDTH = 30
_TIMES_HELP = "Times are in the time zone in which they were recorded."

_Command = Callable[..., Any]


def _selected(command: _Command) -> _Command:
    """Give a command the options that select events, as a JournalReader ``reader``."""

    @options.journal
    @click.option(
        "--since",
        type=options.Parsed("when", time_in),
        metavar="WHEN",
        help="From 2h (ago), 7d, or 2026-11-20.",
    )
    @click.option(
        "--until",
        type=options.Parsed("when", partial(time_in, includes_date=True)),
        metavar="WHEN",
        help="Until then; a date is included.",
    )
    @click.option(
        "--recordings",
        is_flag=True,
        help="Select the recordings that were listened to, at their own times, instead of live "
        "sound.",
    )
    @wraps(command)
    def with_reader(
        *args: Any,
        journal: Path,
        since: datetime | None,
        until: datetime | None,
        recordings: bool,
        **others: Any,
    ) -> Any:
        reader = JournalReader(
            journal,
            since_s=since.timestamp() if since else None,
            until_s=until.timestamp() if until else None,
            recordings=recordings,
        )
        return command(*args, reader=reader, **others)

    return with_reader


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a day; write it as 2026-11-20.") from None


@click.group(epilog="Example: undertone journal show --since 2h")
def command() -> None:
    """Show, summarise, plot, export or delete events of the journal."""


@command.command(epilog=_TIMES_HELP)
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N events.")
@options.output_format("table", "json", note="json: one object per line, as in the files.")
@_selected
def show(reader: JournalReader, last: int | None, form: str) -> None:
    """Print events, oldest first: the last 20, or those selected."""
    if last is None and reader.is_unbounded:
        last = _DEFAULT_LAST
    events: Iterable[Event] = reader.last(last) if last else reader
    empty = True
    for event in events:
        empty = False
        click.echo(to_line(event) if form == "json" else _line(event))
    if empty:
        _notice_no_events(reader)
    _notice_damage(reader.damaged, reader.folder)


@command.command(epilog=_TIMES_HELP)
@options.output_format("table", "json", note="json: one object.")
@_selected
def summary(reader: JournalReader, form: str) -> None:
    """Count emotions by hour and by day."""
    totals = reader.summary()
    if form == "json":
        click.echo(totals.to_json())
    elif totals.first is None:
        _notice_no_events(reader)
    else:
        _print_summary(totals)
    _notice_damage(totals.damaged, reader.folder)


@command.command(epilog="Example: undertone journal plot --since 7d --output week.svg")
@to_file
@_selected
def plot(reader: JournalReader, output: Path | None) -> None:
    """Plot emotions over time as an SVG picture, which every browser shows."""
    totals = reader.summary()
    if totals.first is None:
        _notice_no_events(reader)
    else:
        with opened(output) as stream:
            stream.write(svg(totals))
    _notice_damage(totals.damaged, reader.folder)


@command.command(epilog="Example: undertone journal export --since 7d --output week.csv")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json", "parquet"]),
    help="[default: by the suffix of --output, else csv]",
)
@to_file
@_selected
def export(reader: JournalReader, form: str | None, output: Path | None) -> None:
    """Export events as CSV or Parquet (one row each) or JSON (one object per line).

    Parquet needs --output, and the extra parquet.
    """
    form = _export_format(form, output)
    if form == "parquet":
        if output is None:
            raise click.UsageError("Parquet is a binary format: name a file with --output.")
        with writing(output):
            write_parquet(reader, output)
    else:
        with opened(output) as stream:
            (write_json if form == "json" else write_csv)(reader, stream)
    _notice_damage(reader.damaged, reader.folder)


def _export_format(requested: str | None, output: Path | None) -> str:
    """The requested format, which the suffix of ``output`` must not contradict."""
    by_suffix = FORMATS.get(output.suffix.lower()) if output else None
    if requested and by_suffix and requested != by_suffix:
        raise click.UsageError(
            f"{output} would not be {requested}: omit --format, or use another suffix."
        )
    return requested or by_suffix or "csv"


@command.command(epilog="Example: undertone journal delete 2026-11-20")
@options.journal
@click.argument("day", type=options.Parsed("day", _day))
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(journal: Path, day: date, yes: bool) -> None:
    """Delete all events of DAY permanently, while no program writes to the journal."""
    if not yes:
        click.confirm(f"Delete all of {day} from {journal}?", abort=True, err=True)
    files = remove_day(journal, day)
    click.echo(f"deleted {count(files, 'file')}")


def _notice_no_events(reader: JournalReader) -> None:
    hint = "" if reader.recordings else "; --recordings shows recordings"
    notice(f"the journal in {reader.folder} has no such events{hint}")


def _notice_damage(damaged: int, folder: Path) -> None:
    if damaged:
        notice(f"skipped {count(damaged, 'damaged line')} in {folder}")


def _line(event: Event) -> str:
    time = event.time.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(event, SegmentEnded):
        verdict = _coloured(f"{printable(event.verdict):<10}", event.verdict)
        reason = f"  {printable(event.reason)}" if event.reason else ""
        activation = "" if event.activation is None else f"activation {event.activation:4.0%}  "
        return (
            f"{time}  {verdict}  {printable(event.label):<10} {event.confidence:4.0%}  "
            f"{activation}{event.duration_s:5.1f} s  {event.level_dbfs:6.1f} dBFS{reason}"
        )
    details = (
        f"{key}={value}"
        for key, value in values_of(event).items()
        if key not in ("event", "time", "recording", "model_sha256")
    )
    return f"{time}  {event.kind:<11} {printable(' '.join(details))}"


def _coloured(text: str, label: str) -> str:
    red, green, blue = bytes.fromhex(colour(label)[1:])
    return click.style(text, fg=(red, green, blue))


def _print_summary(summary: Summary) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from undertone.cli.view import bar

    verdicts = in_order(summary.verdicts)
    emotions = Table("emotion", box=None, pad_edge=False)
    for heading in ("segments", "share", "seconds"):
        emotions.add_column(heading, justify="right")
    emotions.add_column("")
    for verdict in verdicts:
        tally = summary.verdicts[verdict]
        share = summary.share(verdict)
        emotions.add_row(
            Text(printable(verdict)),
            str(tally.segments),
            f"{share:.0%}",
            f"{tally.speech_s:.0f}",
            Text(bar(share, _BAR_WIDTH), style=colour(verdict)),
        )

    def over_time(
        name: str, rows: dict[str, dict[str, int]], activations: dict[str, float]
    ) -> Table:
        table = Table(name, box=None, pad_edge=False)
        table.add_column("segments", justify="right")
        if activations:
            table.add_column("activation", justify="right")
        table.add_column("")
        most = max(sum(counts.values()) for counts in rows.values())
        for row, counts in rows.items():
            line = Text()
            total = 0
            for verdict in in_order(counts):
                total += counts[verdict]
                line.append("█" * (round(_BAR_WIDTH * total / most) - len(line)), colour(verdict))
            mean = [f"{activations[row]:.0%}" if row in activations else ""]
            table.add_row(row, str(total), *(mean if activations else []), line)
        return table

    console = Console(highlight=False)
    for line in _totals(summary):
        console.print(line, markup=False, soft_wrap=True)
    if verdicts:
        console.print()
        console.print(emotions)
        console.print()
        hours = {f"{hour:02}:00": counts for hour, counts in summary.by_hour.items()}
        means = {f"{hour:02}:00": mean for hour, mean in summary.activation_by_hour.items()}
        console.print(over_time("hour", hours, means))
    days = {day.isoformat(): counts for day, counts in summary.by_day.items()}
    if len(days) > 1:
        means = {day.isoformat(): mean for day, mean in summary.activation_by_day.items()}
        console.print()
        console.print(over_time("day", days, means))


def _totals(summary: Summary) -> Iterator[str]:
    span = " to ".join(f"{time:%Y-%m-%d %H:%M}" for time in (summary.first, summary.last) if time)
    hours, minutes = divmod(round(summary.listened_s / 60), 60)
    yield (
        f"{span}: listened for {hours} h {minutes} min, "
        f"{count(summary.segments, 'segment')} of speech"
    )
    if summary.activation is not None:
        yield f"mean activation {summary.activation:.0%}"
    if summary.gaps:
        lost = count(summary.lost_samples, "sample")
        yield f"lost {lost} of sound in {count(summary.gaps, 'gap')}"
    if summary.sources_lost:
        times = count(summary.sources_lost, "time")
        yield f"lost the source {times}, for {summary.missed_s:.0f} s in all"
    if summary.disk_refusals:
        yield f"writing to the disk failed {count(summary.disk_refusals, 'time')}"
    if summary.lost_events:
        yield f"lost {count(summary.lost_events, 'event')} that could not be written"
