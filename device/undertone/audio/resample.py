"""Converts sound of any sample rate and number of channels to the device's, as it arrives."""

import numpy as np
import soxr

from undertone.audio.block import SAMPLE_RATE_HZ, Samples, to_int16


class Resampler:
    """Resamples mono int16 from ``sample_rate_hz`` to ``SAMPLE_RATE_HZ``, piece by piece.

    If the rates are equal the samples pass unchanged.  Otherwise the output is delayed by what
    the filter still holds (``held_s``); ``last=True`` flushes it, and the next piece begins a new
    signal.  How the signal is divided into pieces makes no difference.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        """Raises ValueError if ``sample_rate_hz`` is not positive."""
        if sample_rate_hz <= 0:
            raise ValueError("sample_rate_hz must be positive")
        # float32 inside: soxr dithers its int16 output, which would make it depend on the pieces.
        self._stream = (
            None
            if sample_rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
        )

    @property
    def held_s(self) -> float:
        """Seconds of input that have not been output yet."""
        return self._stream.delay() / SAMPLE_RATE_HZ if self._stream else 0.0

    def process(self, samples: Samples, last: bool = False) -> Samples:
        """Resample ``samples`` (int16, shape (n,)) to int16, shape (m,)."""
        if self._stream is None:
            return samples
        scaled = samples.astype(np.float32) / np.float32(32768)
        resampled = to_int16(self._stream.resample_chunk(scaled, last=last))
        if last:
            self._stream.clear()
        return resampled


def to_mono(samples: Samples, channels: int, channel: int | None = None) -> Samples:
    """One channel, or the mean of all, of interleaved int16 ``samples``, shape (n * channels,)."""
    if channels == 1:
        return samples
    frames = samples.reshape(-1, channels)
    if channel is not None:
        return frames[:, channel]
    mixed: Samples = np.rint(frames.mean(axis=1)).astype(np.int16)
    return mixed
