"""Sound from a microphone, for ever: what is lost is told, and what can come back does."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from undertone.audio.block import REST_S, SAMPLE_RATE_HZ, Block, Resting, amplify, never
from undertone.audio.gap_detector import GapDetector
from undertone.audio.portaudio import CHUNK_S, Deliver, PortAudioInput, Stream
from undertone.audio.resample import Resampler, to_mono
from undertone.audio.watchdog import Lost, Reopen, State, Watchdog, WatchdogConfig
from undertone.errors import AudioSourceError
from undertone.events import Gap, Idle, SourceBack, SourceLost
from undertone.support.printable import printable

QUEUE_S = 10.0
"""Seconds of sound that wait for a slow reader (an SD card can stall for some) before a drop."""

LOOK_S = 5.0
"""How often a sound server is asked whether it still gives the same microphone."""

PATIENCE_S = 1.0
"""How long a hanging sound server may hold up the reader: SIGTERM has to end it within 2 s."""

Clock = Callable[[], float]


class Input(Protocol):
    """A device that can be opened, and opened again; see PortAudioInput."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    def open(self, deliver: Deliver) -> Stream:
        """Start it, or raise AudioSourceError."""

    def refresh(self) -> None:
        """Look for it anew before the next ``open``."""

    def moved_to(self) -> str | None:
        """Another microphone that is given instead by now, or None."""

    def abandon(self) -> None:
        """Let the program end although a call to the sound system hangs."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one callback delivered; ``dropped`` frames before it found the queue full.

    ``end_s`` is when it came by the wall clock, ``arrived_s`` by the steady one.
    """

    data: bytes
    frames: int
    end_s: float
    arrived_s: float
    dropped: int
    overflowed: bool


class _Inbox:
    """A bounded queue from the audio thread to the reader; one for each opened stream."""

    def __init__(self, clock: Clock, steady_clock: Clock) -> None:
        self._clock = clock
        self._steady_clock = steady_clock
        self._chunks: SimpleQueue[_Chunk] = SimpleQueue()
        self._dropped = 0

    def deliver(self, data: bytes, frames: int, overflowed: bool) -> None:
        """Called from the audio thread, the only one that puts, so that qsize() bounds it."""
        if self._chunks.qsize() >= QUEUE_S / CHUNK_S:
            self._dropped += frames
            return
        now_s = self._clock(), self._steady_clock()
        self._chunks.put(_Chunk(data, frames, *now_s, self._dropped, overflowed))
        self._dropped = 0

    def take(self, timeout_s: float) -> _Chunk | None:
        """The oldest chunk, waited for, or None."""
        try:
            return self._chunks.get(timeout=timeout_s)
        except Empty:
            return None

    @property
    def waiting_s(self) -> float:
        """Sound that waits to be taken."""
        return self._chunks.qsize() * CHUNK_S


class _Opened:
    """One opened stream with all that belongs to it."""

    def __init__(self, source: Input, clock: Clock, steady_clock: Clock) -> None:
        self.inbox = _Inbox(clock, steady_clock)
        self.continuity = GapDetector()
        self.last_data = b""
        self.given_up = False
        """Whether it gives another microphone's sound, which nobody may hear."""
        self.last_end_s = clock()
        self.stream = source.open(self.inbox.deliver)
        self.rate_hz = self.stream.sample_rate_hz
        self.resampler = Resampler(self.rate_hz)


class Microphone:
    """Iterate it for ``Block | Gap | Idle | SourceLost | SourceBack``; it never ends by itself.

    Block times are POSIX seconds of ``clock``, taken as the sound arrives.  ``Gap.lost_samples``
    counts at ``SAMPLE_RATE_HZ``; where the driver overflowed it is an estimate.  After a loss
    the same device is opened again, never another one.
    """

    def __init__(
        self,
        device: str | None = None,
        channel: int | None = None,
        gain_db: float = 0.0,
        resting: Resting = never,
        *,
        clock: Clock = time.time,
        steady_clock: Clock = time.monotonic,
        source: Input | None = None,
        sleep: Callable[[float], None] = time.sleep,
        poll_s: float = 0.2,
        watchdog: WatchdogConfig | None = None,
    ) -> None:
        """Open the microphone.

        device: part of its name; None is the system's default input.
        channel: which of several, from 0; None mixes them.
        gain_db: how much louder the sound is made.
        resting: while it says so, sound is taken every ``REST_S`` and not as it comes.
        steady_clock: for the watchdog; ``clock`` may jump when a machine without a
            real-time clock learns the time.
        sleep: how it rests.
        poll_s: how often the stream is looked after, and how soon ``close`` is seen; a rest
            comes on top.

        Raises NoMicrophoneError, RuntimeMissingError, AudioSourceError (see PortAudioInput).
        After this no loss is ever an exception.
        """
        self._input = source or PortAudioInput(device, channel)
        self._channel = channel
        self._gain_db = gain_db
        self._resting = resting
        self._sleep = sleep
        self._clock = clock
        self._steady_clock = steady_clock
        self._poll_s = poll_s
        self._closing = False
        self._iterating = False
        self._helper: Thread | None = None
        self._opened = _Opened(self._input, clock, steady_clock)
        self._watchdog = Watchdog(steady_clock(), watchdog)
        self._look_s = 0.0

    @property
    def name(self) -> str:
        """The device's full name."""
        return self._input.name

    def close(self) -> None:
        """End the iteration within ``poll_s`` and a rest; from any thread or signal handler."""
        self._closing = True
        if not self._iterating:
            self._release()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __iter__(self) -> Iterator[Block | Gap | Idle | SourceLost | SourceBack]:
        """What the microphone gives until ``close``; once only, since its end closes it."""
        self._iterating = True
        try:
            while not self._closing:
                opened = self._opened
                chunk = opened.inbox.take(self._poll_s)
                heard = chunk and not opened.given_up
                if chunk and heard:
                    yield from self._take(opened, chunk)
                if not heard or self._watchdog.state is not State.LISTENING:
                    yield from self._look_after(opened)
                    yield Idle(self._clock())
                elif self._resting() and not opened.inbox.waiting_s:
                    self._sleep(REST_S)
        finally:
            self._iterating = False
            self._release()

    def _take(
        self, opened: _Opened, chunk: _Chunk
    ) -> Iterator[Block | Gap | SourceLost | SourceBack]:
        samples = np.frombuffer(chunk.data, np.int16)
        samples = to_mono(samples, opened.stream.channels, self._channel)
        start_s = chunk.end_s - len(samples) / opened.rate_hz
        frozen = chunk.data == opened.last_data or bool((samples == samples[:1]).all())
        opened.last_data = chunk.data
        change = self._watchdog.samples(self._steady_clock(), frozen)
        if isinstance(change, Lost):
            yield from self._lose(opened, change)
        elif change:
            opened.continuity = GapDetector()  # the loss has told what is missing
            yield SourceBack(start_s, self.name, change.missed_s)
        elif self._watchdog.state is State.LISTENING:
            yield from _gaps(opened, chunk, start_s)
        opened.last_end_s = chunk.end_s
        if chunk.arrived_s >= self._look_s:
            self._look_s = chunk.arrived_s + LOOK_S
            if other := self._input.moved_to():
                opened.given_up = True
                yield from self._lose(
                    opened, self._watchdog.replaced(self._steady_clock(), printable(other))
                )
                self._with_patience(opened.stream.close)
        if self._watchdog.state is State.LISTENING:
            held_s = opened.resampler.held_s
            resampled = opened.resampler.process(amplify(samples, self._gain_db))
            if len(resampled):
                yield Block(resampled, start_s - held_s, opened.inbox.waiting_s)

    def _look_after(self, opened: _Opened) -> Iterator[Block | SourceLost]:
        now_s = self._steady_clock()
        if self._helper and self._helper.is_alive():  # its stream must not be touched
            return
        change = self._watchdog.tick(now_s, opened.stream.active)
        if isinstance(change, Lost):
            yield from self._lose(opened, change)
        elif isinstance(change, Reopen):
            self._with_patience(self._reopen)

    def _lose(self, opened: _Opened, loss: Lost) -> Iterator[Block | SourceLost]:
        yield from _break_off(opened)
        yield SourceLost(self._clock(), self.name, loss.reason)

    def _reopen(self) -> None:
        self._opened.stream.close()
        self._input.refresh()
        try:
            self._opened = _Opened(self._input, self._clock, self._steady_clock)
        except AudioSourceError:  # still away: the watchdog has set the next attempt
            return
        if self._closing:
            self._opened.stream.close()

    def _release(self) -> None:
        if not self._with_patience(self._opened.stream.close):
            self._input.abandon()

    def _with_patience(self, call: Callable[[], None]) -> bool:
        """Whether ``call``, made in a helper thread, ended in time; one call at a time.

        Closing a stream of a sound server that hangs hangs as well, and Ctrl-C with it.
        """
        if not self._helper or not self._helper.is_alive():
            self._helper = Thread(target=call, name="microphone", daemon=True)
            self._helper.start()
        self._helper.join(PATIENCE_S)
        return not self._helper.is_alive()


def _gaps(opened: _Opened, chunk: _Chunk, start_s: float) -> Iterator[Block | Gap]:
    stood_still_s = opened.continuity.missing_s(chunk.arrived_s, chunk.frames / opened.rate_hz)
    if chunk.dropped:
        missing_s = chunk.dropped / opened.rate_hz
        reason = "the listening fell behind the microphone"
    elif chunk.overflowed:
        missing_s = max(0.0, start_s - opened.last_end_s)
        reason = "the sound driver overflowed"
    elif stood_still_s:
        missing_s = stood_still_s
        reason = "the sound stood still"
    else:
        return
    opened.continuity = GapDetector()
    yield from _break_off(opened)
    yield Gap(start_s - missing_s, round(missing_s * SAMPLE_RATE_HZ), reason)


def _break_off(opened: _Opened) -> Iterator[Block]:
    """What the resampler still holds of the sound before a hole."""
    held_s = opened.resampler.held_s
    rest = opened.resampler.process(np.empty(0, np.int16), last=True)
    if len(rest):
        yield Block(rest, opened.last_end_s - held_s)
