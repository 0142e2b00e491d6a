"""Sound from a microphone, without end: losses are reported, and a lost device is reopened."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol, Self

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, SourceItem, amplify
from undertone.audio.capture import Capture
from undertone.audio.portaudio import CHUNK_S, Deliver, PortAudioInput, Stream
from undertone.audio.resample import to_mono
from undertone.audio.timeline import Chunk, steady_clock
from undertone.audio.watchdog import Back, Lost, Reopen, State, Watchdog, WatchdogConfig
from undertone.errors import AudioSourceError
from undertone.events import CaughtUp, Gap, Idle, SourceBack, SourceLost, moment
from undertone.support.printable import printable

QUEUE_S = 60.0
"""Seconds of sound that are queued for a slow reader (an SD card can stall for a while) before any
is dropped, and that arrive all at once after this process was stopped."""

PATIENCE_S = 1.0
"""How long a hanging sound server may delay the reader: SIGTERM has to end it within 2 s."""

Clock = Callable[[], float]


class Input(Protocol):
    """A device that can be opened and reopened; see PortAudioInput."""

    @property
    def name(self) -> str:
        """Its name for the user."""

    def open(self, deliver: Deliver) -> Stream:
        """Start it; raises AudioSourceError if that fails."""

    def refresh(self) -> None:
        """Scan the devices again before the next ``open``."""

    def moved_to(self) -> str | None:
        """The name of another microphone that is now delivered instead, or None."""

    def abandon(self) -> None:
        """Let the program exit although a call to the sound system hangs."""


@dataclass(frozen=True, slots=True)
class _Delivered:
    """What one callback delivered; ``dropped`` frames before it did not fit in the queue.

    ``arrived_s`` is its time of arrival by the steady clock, ``time_s`` by the wall clock.
    """

    data: bytes
    frames: int
    arrived_s: float
    time_s: float
    dropped: int
    overflowed: bool


class _Inbox:
    """A bounded queue from the audio thread to the reader; one for each opened stream."""

    def __init__(self, clock: Clock, steady_clock: Clock) -> None:
        self._clock = clock
        self._steady_clock = steady_clock
        self._queue: SimpleQueue[_Delivered] = SimpleQueue()
        self._dropped = 0

    def deliver(self, data: bytes, frames: int, overflowed: bool) -> None:
        """Called from the audio thread, the only one that puts, so checking qsize() is safe."""
        if self._queue.qsize() >= QUEUE_S / CHUNK_S:
            self._dropped += frames
            return
        now_s = self._steady_clock(), self._clock()
        self._queue.put(_Delivered(data, frames, *now_s, self.take_dropped(), overflowed))

    def take(self, timeout_s: float) -> _Delivered | None:
        """Wait for the oldest delivery; None after ``timeout_s``."""
        try:
            return self._queue.get(timeout=timeout_s)
        except Empty:
            return None

    def take_dropped(self) -> int:
        """Frames dropped since the last delivery; also read at the end of the stream."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    @property
    def waiting_s(self) -> float:
        """Length of the queued sound."""
        return self._queue.qsize() * CHUNK_S


class _Absent:
    """The stream of a microphone that could not be opened yet."""

    sample_rate_hz = SAMPLE_RATE_HZ
    channels = 1
    active = False

    def close(self) -> None:
        """Does nothing."""


class _Opened:
    """One opened stream and its state."""

    def __init__(
        self, open_stream: Callable[[Deliver], Stream], clock: Clock, steady_clock: Clock
    ) -> None:
        self.inbox = _Inbox(clock, steady_clock)
        self.last_data = b""
        self.given_up = False
        """Whether it delivers another microphone's sound, which must not be used."""
        self.begun = False
        self.stream = open_stream(self.inbox.deliver)
        self.rate_hz = self.stream.sample_rate_hz


class Microphone:
    """Iterating it yields ``Block | Gap | CaughtUp | Idle | SourceLost | SourceBack`` without end.

    Block times are the POSIX seconds of ``clock`` at which the sound was captured: see Timeline.
    ``Gap.lost_samples`` counts at ``SAMPLE_RATE_HZ``; it is an estimate unless the queue was full.
    After a loss the same device is reopened, never another one.
    """

    def __init__(
        self,
        device: str | None = None,
        channel: int | None = None,
        gain_db: float = 0.0,
        *,
        clock: Clock = time.time,
        steady_clock: Clock = steady_clock,
        source: Input | None = None,
        poll_s: float = 0.2,
        patience_s: float | None = None,
        watchdog: WatchdogConfig | None = None,
        may_be_absent: bool = False,
    ) -> None:
        """Open the microphone.

        device: part of its name; None is the system's default input.
        channel: which channel, from 0; None mixes all of them.
        gain_db: amplification of the sound.
        steady_clock: for all durations; ``clock`` may jump when a machine without a
            real-time clock learns the time.
        poll_s: how often the stream is checked, and how soon ``close`` takes effect.  With 0 it
            never waits for sound.
        patience_s: how long reopening may delay the reader before it goes on in the background;
            None for ``PATIENCE_S``.
        may_be_absent: whether a microphone that can't be opened begins as lost, with the error as
            ``problem``.

        Raises NoMicrophoneError, RuntimeMissingError, AudioSourceError (see PortAudioInput).
        Once it is open, a loss is an event and never an exception.
        """
        self._input = source or PortAudioInput(device, channel)
        self._channel = channel
        self._gain_db = gain_db
        self._clock = clock
        self._steady_clock = steady_clock
        self._poll_s = poll_s
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._closing = False
        self._iterating = False
        self._helper: Thread | None = None
        self.problem: AudioSourceError | None = None
        """Why it could not be opened at first."""
        try:
            self._opened = _Opened(self._input.open, clock, steady_clock)
        except AudioSourceError as error:
            if not may_be_absent:
                raise
            self.problem = error
            self._opened = _Opened(lambda deliver: _Absent(), clock, steady_clock)
        self._watchdog = Watchdog(steady_clock(), watchdog)
        self._absent_since_s = steady_clock() if self.problem else None
        self._capture = Capture()
        self._back_s: float | None = None  # time of a return that has not been reported yet
        self._absent_s = 0.0  # how long it was missing before it was first opened

    @property
    def name(self) -> str:
        """The device's full name."""
        return self._input.name

    @property
    def is_lost(self) -> bool:
        """Whether it delivers no sound at the moment."""
        return self._watchdog.state is not State.LISTENING

    @property
    def waiting_s(self) -> float:
        """Length of the sound that has arrived and has not been taken."""
        return self._opened.inbox.waiting_s

    def close(self) -> None:
        """End the iteration within ``poll_s``; from any thread or signal handler."""
        self._closing = True
        if not self._iterating:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Generator[SourceItem]:
        """What the microphone delivers until ``close``; only once, since the end closes it."""
        self._iterating = True
        try:
            while not self._closing:
                opened = self._opened
                delivered = opened.inbox.take(self._poll_s)
                usable = delivered and not opened.given_up
                idle = True
                if delivered and usable:
                    for item in self._take(opened, delivered):
                        idle = False
                        yield item
                if not usable or self._watchdog.state is not State.LISTENING:
                    yield from self._look_after(opened)
                elif not opened.inbox.waiting_s:
                    yield CaughtUp()
                if idle:
                    yield Idle(self._clock())
            yield from self._end(self._opened)
        finally:
            self._iterating = False
            self._release()

    def _take(self, opened: _Opened, delivered: _Delivered) -> Iterator[SourceItem]:
        samples = np.frombuffer(delivered.data, np.int16)
        samples = to_mono(samples, opened.stream.channels, self._channel)
        duration_s = delivered.frames / opened.rate_hz
        frozen = delivered.data == opened.last_data or bool((samples == samples[:1]).all())
        opened.last_data = delivered.data
        change = self._watchdog.samples(self._steady_clock(), duration_s, frozen)
        if isinstance(change, Lost):
            yield from self._lose(opened, change)
        elif isinstance(change, Back):
            self._back_s = delivered.time_s - duration_s
            if self._absent_since_s is not None:
                self._absent_s = max(0.0, delivered.arrived_s - duration_s - self._absent_since_s)
                self._absent_since_s = None
        if self._watchdog.state is State.LISTENING and (other := self._input.moved_to()):
            opened.given_up = True
            lost = self._watchdog.replaced(self._steady_clock(), printable(other))
            yield from self._lose(opened, lost)
            self._with_patience(opened.stream.close, self._patience_s)
        if self._watchdog.state is not State.LISTENING:
            return
        if not opened.begun:
            opened.begun = True
            self._capture.begin(opened.rate_hz)
        chunk = Chunk(
            amplify(samples, self._gain_db),
            duration_s,
            delivered.arrived_s,
            delivered.time_s,
            dropped_s=delivered.dropped / opened.rate_hz,
            overflowed=delivered.overflowed,
        )
        yield from self._give(self._capture.push(chunk, opened.inbox.waiting_s))

    def _look_after(self, opened: _Opened) -> Iterator[SourceItem]:
        now_s = self._steady_clock()
        if self._helper and self._helper.is_alive():  # its stream must not be touched
            return
        yield from self._give(self._capture.settle(now_s))
        change = self._watchdog.tick(now_s, opened.stream.active)
        if isinstance(change, Lost):
            yield from self._lose(opened, change)
        elif isinstance(change, Reopen):
            self._with_patience(self._reopen, self._patience_s)

    def _lose(self, opened: _Opened, loss: Lost) -> Iterator[SourceItem]:
        yield from self._end(opened)
        self._back_s = None
        reason = loss.reason if self._absent_since_s is None else "it was missing at the start"
        yield SourceLost(moment(self._clock()), self.name, reason)

    def _end(self, opened: _Opened) -> Iterator[SourceItem]:
        """Everything still held of a stream, and what the full queue dropped last."""
        yield from self._give(self._capture.end(opened.inbox.take_dropped() / opened.rate_hz))

    def _give(self, items: Iterable[Block | Gap]) -> Iterator[SourceItem]:
        """``items``; a gap caused by a loss becomes part of the SourceBack event."""
        for item in items:
            if self._back_s is None:
                yield item
                continue
            missed_s = item.lost_samples / SAMPLE_RATE_HZ if isinstance(item, Gap) else 0.0
            yield SourceBack(moment(self._back_s), self.name, missed_s + self._absent_s)
            self._back_s = None
            self._absent_s = 0.0
            if isinstance(item, Block):
                yield item

    def _reopen(self) -> None:
        self._opened.stream.close()
        self._input.refresh()
        try:
            self._opened = _Opened(self._input.open, self._clock, self._steady_clock)
        except AudioSourceError:  # still missing: the watchdog has scheduled the next attempt
            return
        if self._closing:
            self._opened.stream.close()

    def _release(self) -> None:
        if not self._with_patience(self._opened.stream.close, PATIENCE_S):
            self._input.abandon()

    def _with_patience(self, call: Callable[[], None], patience_s: float) -> bool:
        """Whether ``call``, made in a helper thread, ended in time; one call at a time.

        Closing a stream of a sound server that hangs would hang too, and block Ctrl-C.
        """
        if not self._helper or not self._helper.is_alive():
            self._helper = Thread(target=call, name="microphone", daemon=True)
            self._helper.start()
        self._helper.join(patience_s)
        return not self._helper.is_alive()
