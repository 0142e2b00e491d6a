"""The loop that joins one or several sources, their pipelines and the sinks."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from undertone import __version__
from undertone.audio.block import Block, SourceItem
from undertone.audio.level import SILENCE, Level, measure
from undertone.errors import UndertoneError
from undertone.events import (
    CaughtUp,
    Event,
    Gap,
    Idle,
    LiveStatus,
    SegmentEnded,
    Sink,
    Started,
    Stopped,
    moment,
)
from undertone.recognition.bundle import Manifest
from undertone.recognition.pipeline import ClassifiedSegment, Pipeline

_log = logging.getLogger(__name__)

OVERLOADED_S = 2.0
"""Sound that waits for this machine before less of it is classified."""


@dataclass(slots=True)
class _Source:
    """What belongs to one source: its pipeline and its totals."""

    name: str
    pipeline: Pipeline
    overloaded: bool = False
    listened_s: float = 0.0
    segments: int = 0


class Listener:
    """Takes what sources yield, runs each one's pipeline on it and hands the events to every sink.

    A sink that fails is logged once and misses that event; it never stops the other sinks or
    the listening.
    """

    def __init__(
        self,
        pipelines: Mapping[str, Pipeline],
        manifest: Manifest,
        sinks: Sequence[Sink],
        clock: Callable[[], float],
        rest: Callable[[], None] | None = None,
    ) -> None:
        """``pipelines``: one for each source, by the source's name in the journal.

        ``clock`` gives POSIX seconds for events that come from no block.

        ``rest`` is called while nobody speaks and a live source has delivered all its sound; it
        returns after ``REST_S`` or so.  None takes every block as soon as it is there.
        """
        self._manifest = manifest
        self._sinks = sinks
        self._clock = clock
        self._rest = rest
        self._sources = [_Source(name, pipeline) for name, pipeline in pipelines.items()]
        self._failing: set[int] = set()
        self.incomplete = False
        """Whether a sink failed to finish, so that it lacks events."""

    @property
    def listened_s(self) -> float:
        """The length of the sound that was listened to; of several sources, of the longest."""
        return max(source.listened_s for source in self._sources)

    def run(self, items: Iterable[tuple[str, SourceItem]]) -> None:
        """Listen until ``items``, each with its source's name, end or raise KeyboardInterrupt.

        The message of the KeyboardInterrupt, if it has one, is the reason in the journal.
        """
        reason = "error"
        try:
            for source in self._sources:
                self._emit(
                    Started(
                        moment(self._clock()),
                        source=source.name,
                        model=self._manifest.name,
                        model_sha256=self._manifest.model_sha256,
                        version=__version__,
                    )
                )
            reason = self._listen(items)
        finally:
            now = moment(self._clock())
            for source in self._sources:
                totals = source.listened_s, source.segments
                self._emit(Stopped(now, reason, *totals, source.name))
            closed = [self._guard(sink, sink.close) for sink in self._sinks]
            self.incomplete = not all(closed)

    def _listen(self, items: Iterable[tuple[str, SourceItem]]) -> str:
        """Process all of ``items``, to the end of the last segments; return why they ended."""
        by_name = {source.name: source for source in self._sources}
        try:
            for name, item in items:
                self._take(by_name[name], item)
            return "end of source"
        except KeyboardInterrupt as interrupt:
            return str(interrupt) or "interrupted"
        finally:
            for source in self._sources:
                self._report(source, source.pipeline.flush())

    def _take(self, source: _Source, item: SourceItem) -> None:
        pipeline = source.pipeline
        match item:
            case Block():
                overloaded = self._is_overloaded(source, item)
                self._report(source, pipeline.process(item, overloaded))
                source.listened_s += item.duration_s
                self._observe(source, item.time_s + item.duration_s, measure(item.samples))
            case CaughtUp():
                if self._rest and all(other.pipeline.idle for other in self._sources):
                    self._rest()
            case Idle():
                self._observe(source, item.time_s, SILENCE)
            case Gap():
                self._report(source, pipeline.flush())
                self._emit(msgspec.structs.replace(item, source=source.name))
            case _:
                self._report(source, pipeline.flush())
                self._emit(item)

    def _is_overloaded(self, source: _Source, block: Block) -> bool:
        """Whether less of the sound of ``source`` is to be classified; logs it when it begins."""
        overloaded = block.behind_s >= OVERLOADED_S
        if overloaded and not any(other.overloaded for other in self._sources):
            _log.warning(
                "this machine is too busy: the listening is %.0f s late, and fewer windows are "
                "classified until it has caught up",
                block.behind_s,
            )
        source.overloaded = overloaded
        return overloaded

    def _observe(self, source: _Source, time_s: float, level: Level) -> None:
        pipeline = source.pipeline
        status = LiveStatus(
            time_s,
            source.listened_s,
            level.rms_dbfs,
            level.clips,
            pipeline.speaking,
            pipeline.provisional,
            source.name,
        )
        for sink in self._sinks:
            self._guard(sink, partial(sink.observe, status))

    def _report(self, source: _Source, segments: Iterable[ClassifiedSegment]) -> None:
        for segment in segments:
            source.segments += 1
            self._emit(
                SegmentEnded.of(
                    segment.time_s,
                    segment.duration_s,
                    segment.level_dbfs,
                    segment.verdict,
                    self._manifest.name,
                    self._manifest.model_sha256,
                    source.name,
                )
            )

    def _emit(self, event: Event) -> None:
        for sink in self._sinks:
            self._guard(sink, partial(sink.handle, event))

    def _guard(self, sink: Sink, call: Callable[[], None]) -> bool:
        """Whether ``call`` succeeded."""
        try:
            call()
        except Exception as error:
            if id(sink) not in self._failing:
                self._failing.add(id(sink))
                bug = not isinstance(error, UndertoneError)
                message = f"{type(sink).__name__} failed: {error}" if bug else error
                _log.error("%s", message, exc_info=bug)
            return False
        self._failing.discard(id(sink))
        return True
