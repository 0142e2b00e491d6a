"""Sound from a microphone, for ever: what is lost is told, and what can come back does."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.portaudio import CHUNK_S, Deliver, PortAudioInput, Stream
from undertone.audio.resample import Resampler, to_mono
from undertone.audio.watchdog import Lost, Reopen, State, Watchdog, WatchdogConfig
from undertone.errors import AudioSourceError
from undertone.events import Gap, SourceBack, SourceLost

QUEUE_S = 10.0
"""Seconds of sound that wait for a slow reader (an SD card can stall for some) before a drop."""

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


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one callback delivered; ``dropped`` frames before it found the queue full."""

    data: bytes
    frames: int
    end_s: float
    dropped: int
    overflowed: bool


class _Inbox:
    """A bounded queue from the audio thread to the reader; one for each opened stream."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chunks: SimpleQueue[_Chunk] = SimpleQueue()
        self._dropped = 0

    def deliver(self, data: bytes, frames: int, overflowed: bool) -> None:
        """Called from the audio thread, the only one that puts, so that qsize() bounds it."""
        if self._chunks.qsize() >= QUEUE_S / CHUNK_S:
            self._dropped += frames
            return
        self._chunks.put(_Chunk(data, frames, self._clock(), self._dropped, overflowed))
        self._dropped = 0

    def take(self, timeout_s: float) -> _Chunk | None:
        """The oldest chunk, waited for, or None."""
        try:
            return self._chunks.get(timeout=timeout_s)
        except Empty:
            return None


class Microphone:
    """Iterate it for ``Block | Gap | SourceLost | SourceBack``; it never ends by itself.

    Block times are POSIX seconds of ``clock``, taken as the sound arrives.  ``Gap.lost_samples``
    counts at ``SAMPLE_RATE_HZ``; where the driver overflowed it is an estimate.  After a loss
    the same device is opened again, never another one.
    """

    def __init__(
        self,
        device: str | None = None,
        channel: int | None = None,
        *,
        clock: Clock = time.time,
        steady_clock: Clock = time.monotonic,
        source: Input | None = None,
        poll_s: float = 0.2,
        watchdog: WatchdogConfig | None = None,
    ) -> None:
        """Open the microphone.

        device: part of its name; None is the system's default input.
        channel: which of several, from 0; None mixes them.
        steady_clock: for the watchdog; ``clock`` may jump when a machine without a
            real-time clock learns the time.
        poll_s: how often the stream is looked after, and how soon ``close`` is seen.

        Raises NoMicrophoneError, RuntimeMissingError, AudioSourceError (see PortAudioInput).
        After this no loss is ever an exception.
        """
        self._input = source or PortAudioInput(device, channel)
        self._channel = channel
        self._clock = clock
        self._steady_clock = steady_clock
        self._poll_s = poll_s
        self._closing = False
        self._iterating = False
        self._stream: Stream | None = None
        self._open()
        self._watchdog = Watchdog(steady_clock(), watchdog)

    @property
    def name(self) -> str:
        """The device's full name."""
        return self._input.name

    def close(self) -> None:
        """End the iteration within ``poll_s``; from any thread, or from a signal handler."""
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

    def __iter__(self) -> Iterator[Block | Gap | SourceLost | SourceBack]:
        """What the microphone gives until ``close``; once only, since its end closes it."""
        self._iterating = True
        try:
            while not self._closing:
                chunk = self._inbox.take(self._poll_s)
                if chunk:
                    yield from self._take(chunk)
                if not chunk or self._watchdog.state is not State.LISTENING:
                    yield from self._look_after()
        finally:
            self._iterating = False
            self._release()

    def _take(self, chunk: _Chunk) -> Iterator[Block | Gap | SourceLost | SourceBack]:
        samples = to_mono(np.frombuffer(chunk.data, np.int16), self._channels, self._channel)
        start_s = chunk.end_s - len(samples) / self._rate_hz
        change = self._watchdog.samples(self._steady_clock(), bool((samples == samples[:1]).all()))
        if isinstance(change, Lost):
            yield from self._lose(change)
        elif change:
            yield SourceBack(start_s, self.name, change.missed_s)
        elif self._watchdog.state is State.LISTENING:
            yield from self._gaps(chunk, start_s)
        self._last_end_s = chunk.end_s
        if self._watchdog.state is State.LISTENING:
            yield from self._block(samples, start_s)

    def _gaps(self, chunk: _Chunk, start_s: float) -> Iterator[Block | Gap]:
        missing_s = max(0.0, start_s - self._last_end_s)
        if chunk.dropped:
            yield from self._break_off()
            missing_s = chunk.dropped / self._rate_hz
            reason = "the listening fell behind the microphone"
        elif chunk.overflowed:
            yield from self._break_off()
            reason = "the sound driver overflowed"
        else:
            return
        yield Gap(start_s - missing_s, round(missing_s * SAMPLE_RATE_HZ), reason)

    def _block(self, samples: Samples, start_s: float) -> Iterator[Block]:
        held_s = self._resampler.held_s
        resampled = self._resampler.process(samples)
        if len(resampled):
            yield Block(resampled, start_s - held_s)

    def _break_off(self) -> Iterator[Block]:
        """What the resampler still holds of the sound before a hole."""
        held_s = self._resampler.held_s
        rest = self._resampler.process(np.empty(0, np.int16), last=True)
        if len(rest):
            yield Block(rest, self._last_end_s - held_s)

    def _look_after(self) -> Iterator[Block | SourceLost]:
        change = self._watchdog.tick(
            self._steady_clock(), self._stream is not None and self._stream.active
        )
        if isinstance(change, Lost):
            yield from self._lose(change)
        elif isinstance(change, Reopen):
            self._release()
            self._input.refresh()
            try:
                self._open()
            except AudioSourceError:  # still away: the watchdog has set the next attempt
                return

    def _lose(self, loss: Lost) -> Iterator[Block | SourceLost]:
        yield from self._break_off()
        yield SourceLost(self._clock(), self.name, loss.reason)

    def _open(self) -> None:
        self._inbox = _Inbox(self._clock)
        self._stream = self._input.open(self._inbox.deliver)
        self._rate_hz = self._stream.sample_rate_hz
        self._channels = self._stream.channels
        self._resampler = Resampler(self._rate_hz)
        self._last_end_s = self._clock()

    def _release(self) -> None:
        stream, self._stream = self._stream, None
        if stream:
            stream.close()
