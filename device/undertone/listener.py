"""The loop that joins a source, the pipeline and the sinks."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from undertone import __version__
from undertone.audio.block import Block
from undertone.audio.level import SILENCE, Level, measure
from undertone.errors import UndertoneError
from undertone.events import (
    CaughtUp,
    Event,
    Gap,
    Idle,
    LiveStatus,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    moment,
)
from undertone.recognition.bundle import Manifest
from undertone.recognition.pipeline import ClassifiedSegment, Pipeline

_log = logging.getLogger(__name__)

OVERLOADED_S = 2.0
"""Sound that waits for this machine before less of it is classified."""

SourceItem = Block | Gap | CaughtUp | Idle | SourceLost | SourceBack


class Sink(Protocol):
    """Receives every event, and the status of every moment; a subclass may ignore some of them."""

    def handle(self, event: Event) -> None:
        """Receive one event."""
        return

    def observe(self, status: LiveStatus) -> None:
        """Receive the present status, after every block and while a live source is idle."""
        return

    def close(self) -> None:
        """Finish: no event follows."""
        return


class Listener:
    """Takes what a source yields, runs the pipeline on it and hands the events to every sink.

    A sink that fails is logged once and misses that event; it never stops the other sinks or
    the listening.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        manifest: Manifest,
        sinks: Sequence[Sink],
        clock: Callable[[], float],
        rest: Callable[[], None] | None = None,
    ) -> None:
        """``clock`` gives POSIX seconds for events that come from no block.

        ``rest`` is called while nobody speaks and a live source has delivered all its sound; it
        returns after ``REST_S`` or so.  None takes every block as soon as it is there.
        """
        self._pipeline = pipeline
        self._manifest = manifest
        self._sinks = sinks
        self._clock = clock
        self._rest = rest
        self._overloaded = False
        self._failing: set[int] = set()
        self.listened_s = 0.0
        self.segments = 0
        self.incomplete = False
        """Whether a sink failed to finish, so that it lacks events."""

    def run(self, source: Iterable[SourceItem], name: str) -> None:
        """Listen until ``source`` ends or raises KeyboardInterrupt; ``name`` is for the journal.

        The message of the KeyboardInterrupt, if it has one, is the reason in the journal.
        """
        reason = "error"
        try:
            self._emit(
                Started(
                    moment(self._clock()),
                    source=name,
                    model=self._manifest.name,
                    model_sha256=self._manifest.model_sha256,
                    version=__version__,
                )
            )
            reason = self._listen(source)
        finally:
            self._emit(Stopped(moment(self._clock()), reason, self.listened_s, self.segments))
            closed = [self._guard(sink, sink.close) for sink in self._sinks]
            self.incomplete = not all(closed)

    def _listen(self, source: Iterable[SourceItem]) -> str:
        """Process all of ``source``, to the end of its last segment; return why it ended."""
        try:
            for item in source:
                self._take(item)
            return "end of source"
        except KeyboardInterrupt as interrupt:
            return str(interrupt) or "interrupted"
        finally:
            self._report(self._pipeline.flush())

    def _take(self, item: SourceItem) -> None:
        match item:
            case Block():
                overloaded = item.behind_s >= OVERLOADED_S
                if overloaded and not self._overloaded:
                    _log.warning(
                        "this machine is too busy: the listening is %.0f s late, and fewer "
                        "windows are classified until it has caught up",
                        item.behind_s,
                    )
                self._overloaded = overloaded
                self._report(self._pipeline.process(item, overloaded))
                self.listened_s += item.duration_s
                self._observe(item.time_s + item.duration_s, measure(item.samples))
            case CaughtUp():
                if self._rest and self._pipeline.idle:
                    self._rest()
            case Idle():
                self._observe(item.time_s, SILENCE)
            case _:
                self._report(self._pipeline.flush())
                self._emit(item)

    def _observe(self, time_s: float, level: Level) -> None:
        pipeline = self._pipeline
        status = LiveStatus(
            time_s,
            self.listened_s,
            level.rms_dbfs,
            level.clips,
            pipeline.speaking,
            pipeline.provisional,
        )
        for sink in self._sinks:
            self._guard(sink, partial(sink.observe, status))

    def _report(self, segments: Iterable[ClassifiedSegment]) -> None:
        for segment in segments:
            self.segments += 1
            self._emit(
                SegmentEnded.of(
                    segment.time_s,
                    segment.duration_s,
                    segment.level_dbfs,
                    segment.verdict,
                    self._manifest.name,
                    self._manifest.model_sha256,
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
