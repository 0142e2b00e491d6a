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
    SegmentHeard,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
)
from undertone.recognition.bundle import Manifest
from undertone.recognition.pipeline import ClassifiedSegment, Pipeline

_log = logging.getLogger(__name__)

OVERLOADED_S = 2.0
"""Sound that waits for this machine before less of it is classified."""

SourceItem = Block | Gap | CaughtUp | Idle | SourceLost | SourceBack


class Sink(Protocol):
    """Where events go; gets every one of them, and each moment of status."""

    def handle(self, event: Event) -> None:
        """Take one event."""

    def observe(self, status: LiveStatus) -> None:
        """Look at the present moment; called after every block, and while a live source is idle."""

    def close(self) -> None:
        """Finish; no event comes after."""


class Listener:
    """Feeds a source through the pipeline and hands what comes out to every sink.

    A sink that fails is reported once and left alone for that event; it never stops the
    others or the listening.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        manifest: Manifest,
        sinks: Sequence[Sink],
        clock: Callable[[], float],
        rest: Callable[[], None] | None = None,
    ) -> None:
        """``clock`` gives POSIX seconds; a block's own time is used for what it holds.

        ``rest`` returns after half a second or so, and is called while nobody speaks to a live
        source; None takes every block as soon as it is there.
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
        """Whether a sink could not finish, so that it lacks events."""

    def run(self, source: Iterable[SourceItem], name: str) -> None:
        """Listen until ``source`` ends or raises KeyboardInterrupt; ``name`` is for the journal.

        What the KeyboardInterrupt says, if it says anything, is the reason in the journal.
        """
        reason = "error"
        try:
            self._emit(
                Started(
                    self._clock(),
                    source=name,
                    model=self._manifest.name,
                    model_sha256=self._manifest.model_sha256,
                    version=__version__,
                )
            )
            reason = self._listen(source)
        finally:
            listened_s = round(self.listened_s, 3)
            self._emit(Stopped(self._clock(), reason, listened_s, self.segments))
            closed = [self._guard(sink, sink.close) for sink in self._sinks]
            self.incomplete = not all(closed)

    def _listen(self, source: Iterable[SourceItem]) -> str:
        """Take all of ``source``, and the segment that is under way at its end; why it ended."""
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
                self._hear(item.time_s + item.duration_s, measure(item.samples))
            case CaughtUp():
                if self._rest and self._pipeline.idle:
                    self._rest()
            case Idle():
                self._hear(item.time_s, SILENCE)
            case _:
                self._report(self._pipeline.flush())
                self._emit(item)

    def _hear(self, time_s: float, level: Level) -> None:
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
                SegmentHeard(
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
        """Whether ``call`` went well."""
        try:
            call()
        except Exception as error:
            if id(sink) not in self._failing:
                self._failing.add(id(sink))
                bug = not isinstance(error, UndertoneError)
                trouble = f"{type(sink).__name__} failed: {error}" if bug else error
                _log.error("%s", trouble, exc_info=bug)
            return False
        self._failing.discard(id(sink))
        return True
