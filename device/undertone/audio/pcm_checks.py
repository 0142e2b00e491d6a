"""Detects that a pipe carries something other than 16-bit mono PCM at 16 kHz."""

import logging

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.audio.level import level_dbfs

HEAD_LENGTH = 4096
"""The most bytes of a stream that :func:`foreign_format` reads."""

# fmt: off
_MAGIC = {
    b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"FORM": "AIFF", b".snd": "AU",
    b"caff": "CAF", b"RIFX": "RIFX", b"RF64": "RF64", b"BW64": "BW64", b"riff": "W64",
    b"\x1aE\xdf\xa3": "Matroska or WebM", b"0&\xb2u": "WMA", b"#!AMR": "AMR", b"ADIF": "AAC",
    b"wvpk": "WavPack", b"MAC ": "Monkey's Audio", b"FLV\x01": "Flash video",
}
_MP3_KBPS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and MPEG-2.5
)
# fmt: on
_MP3_RATES_HZ = (44_100, 48_000, 32_000)

_LOUDEST_DBFS = -2.5  # a full-scale sine has -3
_LOUD_DBFS = -9.0
_WHITE = 0.3  # correlation of neighbouring samples

_STRETCH_S = 5.0
_STEADY = 0.05
_OFF_PACE = 0.25  # a live source may lose this much for other reasons
_HIGHEST_LIVE_PACE = 24.0  # that of 96 kHz, stereo, 32 bits; a recording may come faster

_WANTED = (
    "it should be 16 kHz, mono, 16-bit little-endian integers; convert other sound with "
    "`... | ffmpeg -i - -f s16le -ar 16000 -ac 1 - |`"
)

_log = logging.getLogger(__name__)


def foreign_format(head: bytes) -> str | None:
    """The format of a stream that begins with ``head``; None if that is WAV or raw sound."""
    if head.startswith(b"RIFF") and len(head) >= 12:
        return None if head[8:12] == b"WAVE" else "RIFF without WAVE"
    if head[4:8] == b"ftyp":
        return "MP4"
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    # raw sound may begin with any two bytes, but not with two headers exactly one frame apart
    length = _frame_length(head)
    return "MP3 or AAC" if length and _frame_length(head[length:]) else None


def _frame_length(head: bytes) -> int:
    """The length in bytes of the MP3 or AAC (ADTS) frame with this header; 0 if it is not one."""
    if len(head) < 7 or head[0] != 0xFF or head[1] < 0xE0:
        return 0
    if head[1] & 0xF6 == 0xF0:
        return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    kbps, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer != 1 or kbps in (0, 15) or rate == 3:
        return 0
    first = version == 3
    rate_hz = _MP3_RATES_HZ[rate] >> (0, 1, 2)[(3, 2, 0).index(version)]
    return (144_000 if first else 72_000) * _MP3_KBPS[not first][kbps] // rate_hz + padding


def looks_like_sound(samples: Samples) -> bool:
    """Whether a second of ``samples`` (int16, shape (n,)) can be sound.

    Compressed data, and samples of another width, byte order, encoding or alignment, make noise
    that is louder than any microphone's: white, or clipped throughout.  With 32-bit integers
    every other sample may be zero.
    """
    level = level_dbfs(samples)
    if level > _LOUDEST_DBFS:
        return False
    floats = samples.astype(np.float32)
    if level > _LOUD_DBFS:
        correlation = np.dot(floats[1:], floats[:-1]) / np.dot(floats, floats)
        return bool(abs(correlation) >= _WHITE)
    even, odd = np.count_nonzero(samples[::2]), np.count_nonzero(samples[1::2])
    return bool(min(even, odd) > 0 or max(even, odd) < len(samples) / 8)


class RawSoundCheck:
    """Warns if the bytes or the pace of raw sound show another format; each warning once."""

    def __init__(self) -> None:
        self._second: list[Samples] | None = []  # None: it has warned
        self._begin_s: float | None = None
        self._came = 0
        self._last_pace: float | None = None
        self._pace_is_known = False

    def take(self, samples: Samples, now_s: float) -> None:
        """Check the next int16 ``samples``, which arrived at ``now_s`` by a steady clock."""
        if self._second is not None:
            self._look_at_bytes(self._second, samples)
        if not self._pace_is_known:
            self._look_at_pace(len(samples), now_s)

    def _look_at_bytes(self, second: list[Samples], samples: Samples) -> None:
        second.append(samples)
        if sum(map(len, second)) < SAMPLE_RATE_HZ:
            return
        if looks_like_sound(np.concatenate(second)):
            second.clear()
            return
        self._second = None
        _log.warning("the data on the pipe does not look like sound: %s", _WANTED)

    def _look_at_pace(self, count: int, now_s: float) -> None:
        """The pace is known once two measurements agree: the first includes buffered sound."""
        if self._begin_s is None:
            self._begin_s = now_s
            return
        self._came += count
        passed_s = now_s - self._begin_s
        if passed_s < _STRETCH_S:
            return
        last, pace = self._last_pace, self._came / SAMPLE_RATE_HZ / passed_s
        self._begin_s, self._came, self._last_pace = now_s, 0, pace
        if last is None or abs(pace - last) > _STEADY * last:
            return
        self._pace_is_known = True
        if abs(pace - 1) > _OFF_PACE and pace <= _HIGHEST_LIVE_PACE:
            _log.warning(
                "%.2g s of sound arrive on the pipe each second; unless it is a recording, it has "
                "another sample rate or width, or more channels: %s",
                pace,
                _WANTED,
            )
