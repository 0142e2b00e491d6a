"""What ``undertone listen`` shows: a live view on a terminal, plain lines anywhere else."""

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from undertone.cli.output import count
from undertone.emotions import colour
from undertone.events import (
    Event,
    Gap,
    LiveStatus,
    SegmentEnded,
    Sink,
    SourceBack,
    SourceLost,
    Started,
    Verdict,
)
from undertone.support.printable import printable

_BAR_WIDTH = 30
_LAST_SEGMENTS = 5
_REFRESHES_PER_S = 8
_WARNING_INTERVAL_S = 3600.0

_log = logging.getLogger(__name__)


def bar(share: float, width: int = _BAR_WIDTH) -> str:
    """A horizontal bar for a share from 0 to 1, in eighths of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")


def describe(event: Event, *, names_source: bool = False) -> str | None:
    """One line of text for an event; None for a start and a stop.

    names_source: whether the lines of segments and gaps do so, as the others do.
    """
    clock = event.time.astimezone().strftime("%H:%M:%S")
    if names_source and isinstance(event, SegmentEnded | Gap):
        clock += f"  {printable(event.source or '')}"
    match event:
        case SegmentEnded():
            reason = f"  {printable(event.reason)}" if event.reason else ""
            activation = _activation(event.activation)
            return (
                f"{clock}  {event.verdict:<10} {event.label:<10}"
                f"{event.confidence:4.0%}{activation}  {event.duration_s:.1f} s  "
                f"{event.level_dbfs:.0f} dBFS{reason}"
            )
        case SourceLost():
            return f"{clock}  {printable(event.source)} was lost ({event.reason}); waiting for it"
        case SourceBack():
            return f"{clock}  {printable(event.source)} is back after {event.missed_s:.0f} s"
        case Gap():
            return f"{clock}  {event.lost_samples} samples were lost ({event.reason})"
    return None


class PlainView(Sink):
    """One line per event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sources = 0

    def handle(self, event: Event) -> None:
        """Print the event's line."""
        if isinstance(event, Started):
            self._sources += 1
        if line := describe(event, names_source=self._sources > 1):
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class LiveView(Sink):
    """The current emotion, all probabilities, the level and the last segments, redrawn in place.

    Of several sources, each has a level; the emotion is of the one that speaks, and while it
    speaks, no other takes its place.
    """

    def __init__(self, console: Console, source: str) -> None:
        """Draw on ``console`` until closed; ``source`` is the title."""
        self._source = source
        self._model = ""
        self._statuses: dict[str, LiveStatus | None] = {}
        self._verdict: Verdict | SegmentEnded | None = None
        self._shown = ""  # the source that the verdict is of
        self._last: deque[str] = deque(maxlen=_LAST_SEGMENTS)
        self._live = Live(
            self.render(),
            console=console,
            refresh_per_second=_REFRESHES_PER_S,
            get_renderable=self.render,
            transient=True,
        )
        self._live.start()

    def handle(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Started):
            self._model = event.model
            self._statuses[event.source] = None
        if isinstance(event, SegmentEnded) and self._may_show(event.source or ""):
            self._show(event, event.source or "")
        if line := describe(event, names_source=self._several):
            self._last.append(line)

    def observe(self, status: LiveStatus) -> None:
        """Show the current state."""
        if self._may_show(status.source):
            began = status.speaking and not self._speaks(status.source)
            provisional = status.provisional()
            if began or provisional:
                self._show(provisional, status.source)
        self._statuses[status.source] = status

    def close(self) -> None:
        """Restore the terminal."""
        self._live.stop()

    @property
    def _several(self) -> bool:
        return len(self._statuses) > 1

    def _speaks(self, source: str) -> bool:
        status = self._statuses.get(source)
        return status is not None and status.speaking

    def _may_show(self, source: str) -> bool:
        return source == self._shown or not self._speaks(self._shown)

    def _show(self, verdict: Verdict | SegmentEnded | None, source: str) -> None:
        self._verdict, self._shown = verdict, source

    def render(self) -> Panel:
        """The view as it is now."""
        statuses = self._statuses or {self._source: None}
        listened_s = max(status.listened_s if status else 0.0 for status in statuses.values())
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", min_width=10)
        table.add_column(min_width=_BAR_WIDTH)
        table.add_column(justify="right")
        if self._verdict:
            for label, share in self._verdict.scores.items():
                style = colour(label)
                table.add_row(Text(label, style), Text(bar(share), style), f"{share:4.0%}")
        return Panel(
            Group(
                self._headline(),
                Text(),
                table,
                Text(),
                *(
                    _level(status, source if self._several else "")
                    for source, status in statuses.items()
                ),
                Text(),
                *(Text(line, style="dim") for line in self._last),
            ),
            title=Text(f"undertone · {printable(self._source)}"),
            subtitle=Text(f"{self._model} · {_length(listened_s)} listened"),
            width=78,
        )

    def _headline(self) -> Text:
        if self._verdict is None:
            return Text("listening…", style="dim", justify="center")
        name = self._verdict.verdict
        text = Text(name.upper(), style=f"bold {colour(name)}", justify="center")
        if self._several:
            text.append(f"  {printable(self._shown)}", style="dim")
        text.append("  speaking" if self._speaks(self._shown) else "  last segment", style="dim")
        text.append(_activation(self._verdict.activation), style="dim")
        if self._verdict.reason:
            text.append(f"  {printable(self._verdict.reason)}", style="dim")
        return text


def summary(segments: Counter[str], speech_s: float, listened_s: float) -> Table:
    """The number of segments with each verdict, as bars."""
    total = segments.total()
    table = Table.grid(padding=(0, 1))
    counted = count(total, "segment")
    table.add_row(f"listened for {_length(listened_s)}: {_length(speech_s)} of speech in {counted}")
    bars = Table.grid(padding=(0, 1))
    for verdict, number in segments.most_common():
        style = colour(verdict)
        bars.add_row(Text(verdict, style), Text(bar(number / total), style), str(number))
    if segments:
        table.add_row(bars)
    return table


class SegmentCounter(Sink):
    """Counts the segments with each verdict for the final summary."""

    def __init__(self) -> None:
        self.segments: Counter[str] = Counter()
        self.speech_s = 0.0

    def handle(self, event: Event) -> None:
        """Count a segment."""
        if isinstance(event, SegmentEnded):
            self.segments[event.verdict] += 1
            self.speech_s += event.duration_s


class ClippingWarning(Sink):
    """Logs a warning when the sound of a source is clipped."""

    def __init__(self, steady_clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing clipped; ``steady_clock`` gives seconds that nobody sets."""
        self._clock = steady_clock
        self._warned_s: dict[str, float] = {}

    def observe(self, status: LiveStatus) -> None:
        """Warn, at most once an hour about each source."""
        if not status.clips:
            return
        now_s = self._clock()
        if now_s - self._warned_s.get(status.source, -math.inf) >= _WARNING_INTERVAL_S:
            self._warned_s[status.source] = now_s
            _log.warning(
                "the sound of %s is clipped, which makes the verdicts unreliable: turn the input "
                "down with alsamixer, or lower gain_db",
                printable(status.source),
            )


def _activation(activation: float | None) -> str:
    """Text that follows the name of an emotion; empty without an activation."""
    return "" if activation is None else f"  activation {activation:.0%}"


def _level(status: LiveStatus | None, name: str) -> Text:
    level = -math.inf if status is None else status.level_dbfs
    clips = status is not None and status.clips
    shown = max(level, -60.0)
    text = Text("level ", style="dim", no_wrap=True, overflow="ellipsis")
    text.append(f"{bar(1 + shown / 60):<{_BAR_WIDTH}}", style="red" if clips else "green")
    text.append(f" {shown:4.0f} dBFS" if level > -60 else "   silence", style="dim")
    if clips:
        text.append("  clipping", style="bold red")
    text.append(f"  {printable(name)}", style="dim")
    return text


def _length(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
