"""Live sound from a pipe: raw PCM, or a WAV stream as ``arecord`` writes it."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from select import select

import numpy as np

from undertone.audio.block import REST_S, SAMPLE_RATE_HZ, SourceItem
from undertone.audio.capture import Capture
from undertone.audio.files import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS
from undertone.audio.pcm_checks import HEAD_LENGTH, RawSoundCheck, foreign_format
from undertone.audio.resample import to_mono
from undertone.audio.timeline import Chunk, steady_clock
from undertone.errors import AudioSourceError
from undertone.events import CaughtUp, Idle

BLOCK_S = 0.1
_ENDLESS_BYTES = 0x7FFF0000  # a program that writes WAV into a pipe does not know its length
_LONGEST_CHUNK_BYTES = 2**20  # for the chunks of a WAV stream other than the sound
_CONVERT = "| ffmpeg -i - -f s16le -ar 16000 -ac 1 - | undertone listen --source -"


class Pipe:
    """Iterating it yields ``Block | Gap | CaughtUp | Idle`` until the pipe ends.

    Raw sound is little-endian int16, mono, at ``SAMPLE_RATE_HZ``; a WAV header may state another
    rate or number of channels.  Block times are the POSIX seconds of ``clock`` at which the sound
    was captured: see Timeline; a recording that arrives faster than real time has no such times.
    An incomplete last sample is dropped.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = steady_clock,
        poll_s: float = 0.2,
    ) -> None:
        """Read the file ``descriptor``.

        steady_clock: for all durations, as in Microphone.
        poll_s: how often it yields ``Idle`` while nothing arrives.
        """
        self._descriptor = descriptor
        self._clock = clock
        self._steady_clock = steady_clock
        self._poll_s = poll_s
        self._data = bytearray()
        self._ended = False
        self._empty_s = steady_clock()  # when the pipe was last empty
        self._capture = Capture()
        self._format: tuple[int, int] | None = None  # rate and channels
        self._gave_sound = False

    def __iter__(self) -> Iterator[SourceItem]:
        """What the pipe delivers; only once.

        Raises AudioSourceError if it can't be read, delivers nothing, or delivers neither raw
        sound nor 16-bit WAV.
        """
        yield from self._fill(12)
        if self._data.startswith(b"\xff"):
            yield from self._fill(HEAD_LENGTH)
        if name := foreign_format(bytes(self._data)):
            raise AudioSourceError(
                f"The pipe carries {name}, not raw sound: convert it first, ... {_CONVERT}."
            )
        if self._data.startswith(b"RIFF"):
            yield from self._wav()
        else:
            yield from self._sound(SAMPLE_RATE_HZ, 1, None, RawSoundCheck())
        yield from self._capture.end()
        if not self._gave_sound:
            raise AudioSourceError(
                "No sound arrived on the pipe: check that the program that writes to it runs, "
                "for example arecord -f S16_LE -r 16000 -c 1."
            )

    def _fill(self, count: int, least: int | None = None) -> Iterator[SourceItem]:
        """Read until there are ``count`` bytes, or ``least`` and the pipe is empty or has ended."""
        least = count if least is None else least
        while len(self._data) < count and not self._ended:
            if not self._is_readable(0.0):
                if len(self._data) >= least:
                    return
                self._empty_s = self._steady_clock()
                yield CaughtUp()
                if not self._is_readable(0.0):
                    if not self._is_readable(self._poll_s):
                        yield from self._capture.settle(self._steady_clock())
                        yield Idle(self._clock())
                        continue
                    self._empty_s = self._steady_clock()
            try:
                more = os.read(self._descriptor, count - len(self._data))
            except OSError as error:
                raise AudioSourceError(
                    f"The pipe can't be read ({error.strerror}): restart the program that writes "
                    "to it."
                ) from error
            self._data += more
            self._ended = not more

    def _is_readable(self, timeout_s: float) -> bool:
        return bool(select([self._descriptor], [], [], timeout_s)[0])

    def _take(self, count: int) -> bytes:
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken

    def _sound(
        self, rate_hz: int, channels: int, length: int | None, check: RawSoundCheck | None = None
    ) -> Iterator[SourceItem]:
        """``length`` bytes of sound; None: all that arrives."""
        if self._format is None:
            self._format = rate_hz, channels
            self._capture.begin(rate_hz)
        width = 2 * channels
        shortest, longest = (round(rate_hz * block_s) * width for block_s in (BLOCK_S, REST_S))
        while length is None or length >= width:
            size = longest if length is None else min(longest, length // width * width)
            yield from self._fill(size, min(shortest, size))
            data = self._take(min(size, len(self._data)) // width * width)
            if not data:
                return
            if length is not None:
                length -= len(data)
            now_s = self._steady_clock()
            samples = np.frombuffer(data, "<i2")
            duration_s = len(data) / width / rate_hz
            if check:
                check.take(samples, now_s)
            self._gave_sound = True
            chunk = Chunk(
                to_mono(samples, channels),
                duration_s,
                now_s,
                self._clock(),
                unseen_s=now_s - self._empty_s,
            )
            yield from self._capture.push(chunk)
        yield from self._skip(length)

    def _skip(self, count: int) -> Iterator[SourceItem]:
        yield from self._fill(count)
        self._take(count)

    def _wav(self) -> Iterator[SourceItem]:
        """The sound of one or more WAV streams in succession."""
        known: tuple[int, int] | None = None
        while True:
            yield from self._fill(8)
            if len(self._data) < 8:
                return
            name, length = struct.unpack("<4sI", self._take(8))
            if name == b"RIFF":
                yield from self._skip(4)  # "WAVE"
            elif name == b"data":
                if known is None or self._format not in (None, known):
                    raise _not_16_bit()
                endless = not 0 < length < _ENDLESS_BYTES
                yield from self._sound(*known, None if endless else length)
                yield from self._skip(length % 2)
            elif length > _LONGEST_CHUNK_BYTES:
                raise _not_16_bit()
            else:
                yield from self._fill(length + length % 2)
                body = self._take(length + length % 2)
                if name == b"fmt ":
                    known = _pcm_format(body)


def _pcm_format(body: bytes) -> tuple[int, int]:
    """Rate and channels in the ``fmt`` chunk of a WAV stream; raises AudioSourceError if it is
    not 16-bit PCM.
    """
    if len(body) < 16:
        raise _not_16_bit()
    encoding, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if encoding == 0xFFFE:  # WAVE_FORMAT_EXTENSIBLE: the encoding comes later
        encoding = int.from_bytes(body[24:26], "little")
    fits = LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ and 1 <= channels <= MOST_CHANNELS
    if encoding != 1 or bits != 16 or not fits:
        raise _not_16_bit()
    return rate_hz, channels


def _not_16_bit() -> AudioSourceError:
    return AudioSourceError(
        f"The WAV stream on the pipe is not 16-bit PCM: convert it first, ... {_CONVERT}."
    )
