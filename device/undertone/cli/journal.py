"""``undertone journal``: what was heard, shown, summed up or taken elsewhere."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from undertone.cli import options
from undertone.emotions import colour
from undertone.errors import JournalError
from undertone.events import SegmentHeard
from undertone.journal import JournalReader, Record, Summary
from undertone.journal.export import write_csv, write_json, write_parquet
from undertone.journal.plot import in_order, svg
from undertone.journal.remove import remove_day
from undertone.support.printable import printable

_SHOWN_UNASKED = 20
_BAR_WIDTH = 30
_FORMATS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".parquet": "parquet",
}
"""What an export is by the ending of its file."""

_Command = Callable[..., Any]
_SPAN_HELP = "Times are those of the place where they were recorded."


def _chosen(command: _Command) -> _Command:
    """Give a command the options that choose records, and the reader of these as ``reader``."""

    @options.journal
    @click.option(
        "--since",
        type=options.Moment(),
        metavar="WHEN",
        help="From here on: 2h (ago), 7d, 2026-11-20.",
    )
    @click.option(
        "--until",
        type=options.Moment(includes_date=True),
        metavar="WHEN",
        help="Up to here; a date is included.",
    )
    @click.option(
        "--recordings",
        is_flag=True,
        help="Files that were listened to, at their own times, in place of what was heard.",
    )
    @functools.wraps(command)
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

    made: _Command = with_reader
    return made


class _Day(click.ParamType[date]):
    """A date: a day at the place of recording."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Raise BadParameter where ``value`` is no date."""
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write it as 2026-11-20.", param, ctx)


@click.group(epilog="Example: undertone journal show --since 2h")
def command() -> None:
    """Show, sum up or export what was heard."""


@command.command(epilog=_SPAN_HELP)
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N events.")
@options.output_format("table", "json", told="json: one object a line, as in the files.")
@_chosen
def show(reader: JournalReader, last: int | None, form: str) -> None:
    """Print events, oldest first: the newest 20, or those asked for."""
    if last is None and reader.is_unbounded:
        last = _SHOWN_UNASKED
    records: Iterable[Record] = reader.last(last) if last else reader
    empty = True
    for record in records:
        empty = False
        click.echo(record.line() if form == "json" else _for_people(record))
    if empty:
        _say_nothing_heard(reader)
    _tell_damage(reader.damaged, reader.folder)


@command.command(epilog=_SPAN_HELP)
@options.output_format("table", "json", told="json: one object.")
@_chosen
def summary(reader: JournalReader, form: str) -> None:
    """Count emotions, by hour and by day."""
    totals = reader.summary()
    if form == "json":
        click.echo(_as_json(totals))
    elif totals.first is None:
        _say_nothing_heard(reader)
    else:
        _print_summary(totals)
    _tell_damage(totals.damaged, reader.folder)


_output = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write here.  [default: standard output]",
)


@command.command(epilog="Example: undertone journal plot --since 7d --output week.svg")
@_output
@_chosen
def plot(reader: JournalReader, output: Path | None) -> None:
    """Draw emotions over time, as a picture (SVG) that every browser shows."""
    totals = reader.summary()
    if totals.first is None:
        _say_nothing_heard(reader)
    else:
        with _written(output) as stream:
            stream.write(svg(totals))
    _tell_damage(totals.damaged, reader.folder)


@command.command(epilog="Example: undertone journal export --since 7d --output week.csv")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json", "parquet"]),
    help="[default: what the ending of --output says, else csv]",
)
@_output
@_chosen
def export(reader: JournalReader, form: str | None, output: Path | None) -> None:
    """Write events as CSV or Parquet (one row each) or JSON (one object a line).

    Parquet needs the extra undertone[parquet], and --output.
    """
    form = _export_format(form, output)
    if form == "parquet":
        if output is None:
            raise click.UsageError("Parquet is no text: name a file with --output.")
        with _refusals(output):
            write_parquet(reader, output)
    else:
        with _written(output) as stream:
            if form == "json":
                write_json(reader, stream)
            else:
                write_csv(reader, stream)
    _tell_damage(reader.damaged, reader.folder)


def _export_format(asked: str | None, output: Path | None) -> str:
    """The format that is asked for, which the ending of ``output`` must not contradict."""
    suffix = output.suffix.lower() if output else ""
    told = _FORMATS.get(suffix)
    if asked and told and asked != told:
        raise click.UsageError(
            f"{output} would not be {asked}: leave --format out, or give the file another ending."
        )
    return asked or told or "csv"


@command.command(epilog="Example: undertone journal delete 2026-11-20")
@options.journal
@click.argument("day", type=_Day())
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(journal: Path, day: date, yes: bool) -> None:
    """Delete all that was heard on DAY, for good; not while the journal is being written."""
    if not yes:
        click.confirm(f"Delete all of {day} from {journal}?", abort=True, err=True)
    files = remove_day(journal, day)
    click.echo(f"deleted {_count(files, 'file')}")


@contextmanager
def _written(output: Path | None) -> Iterator[TextIO]:
    with (
        _refusals(output),
        output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as stream,
    ):
        yield stream
        stream.flush()


@contextmanager
def _refusals(output: Path | None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        target = output or "to standard output"
        raise JournalError(
            f"Can't write {target}: {error.strerror}; make room, or name another file with "
            "--output."
        ) from error


def _say_nothing_heard(reader: JournalReader) -> None:
    hint = "" if reader.recordings else "; recordings are shown with --recordings"
    click.echo(f"undertone: the journal in {reader.folder} holds no such events{hint}", err=True)


def _tell_damage(damaged: int, folder: Path) -> None:
    if damaged:
        click.echo(f"undertone: skipped {_count(damaged, 'damaged line')} in {folder}", err=True)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _for_people(record: Record) -> str:
    event = record.event
    time = record.time.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(event, SegmentHeard):
        scores = event.verdict.scores
        verdict = _coloured(f"{printable(event.verdict.verdict):<10}", event.verdict.verdict)
        return (
            f"{time}  {verdict}  {printable(scores.label):<10} {scores.confidence:4.0%}  "
            f"{event.duration_s:5.1f} s  {event.level_dbfs:6.1f} dBFS"
        )
    details = (
        f"{field.name}={getattr(event, field.name)}"
        for field in dataclasses.fields(event)
        if field.name not in ("time_s", "model_sha256")
    )
    return f"{time}  {event.kind:<11} {printable(' '.join(details))}"


def _coloured(text: str, label: str) -> str:
    red, green, blue = bytes.fromhex(colour(label)[1:])
    return click.style(text, fg=(red, green, blue))


def _as_json(summary: Summary) -> str:
    """Every count as its own key, and the totals of the segments and of the time listened."""
    import msgspec

    values = msgspec.to_builtins(summary)
    del values["runs"]
    totals = {"segments": summary.segments, "listened_s": round(summary.listened_s, 3)}
    return json.dumps(totals | values)


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

    def over_time(name: str, rows: dict[str, dict[str, int]]) -> Table:
        table = Table(name, box=None, pad_edge=False)
        table.add_column("segments", justify="right")
        table.add_column("")
        most = max(sum(counts.values()) for counts in rows.values())
        for row, counts in rows.items():
            line = Text()
            seen = 0
            for verdict in in_order(counts):
                seen += counts[verdict]
                line.append("█" * (round(_BAR_WIDTH * seen / most) - len(line)), colour(verdict))
            table.add_row(row, str(sum(counts.values())), line)
        return table

    console = Console(highlight=False)
    for line in _totals(summary):
        console.print(line, markup=False, soft_wrap=True)
    if verdicts:
        console.print()
        console.print(emotions)
        console.print()
        hours = {f"{hour:02}:00": counts for hour, counts in summary.by_hour.items()}
        console.print(over_time("hour", hours))
    days = {day.isoformat(): counts for day, counts in summary.by_day.items()}
    if len(days) > 1:
        console.print()
        console.print(over_time("day", days))


def _totals(summary: Summary) -> Iterator[str]:
    span = " to ".join(f"{time:%Y-%m-%d %H:%M}" for time in (summary.first, summary.last) if time)
    hours, minutes = divmod(round(summary.listened_s / 60), 60)
    yield (
        f"{span}: listened for {hours} h {minutes} min, "
        f"heard {_count(summary.segments, 'segment')} of speech"
    )
    if summary.gaps:
        lost = _count(summary.lost_samples, "sample")
        yield f"lost {lost} of sound in {_count(summary.gaps, 'gap')}"
    if summary.sources_lost:
        times = _count(summary.sources_lost, "time")
        yield f"lost the source {times}, {summary.missed_s:.0f} s in all"
    if summary.disk_refusals:
        yield f"the disk refused to be written {_count(summary.disk_refusals, 'time')}"
    if summary.lost_events:
        yield f"lost {_count(summary.lost_events, 'event')} that the disk refused"
