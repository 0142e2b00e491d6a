"""The data that is plotted of a recording, of bounded size however long it is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.recognition.bundle import Manifest
from undertone.recognition.classifier import normalize
from undertone.recognition.mfcc import Mfcc

Rows = NDArray[np.float64]

_COLUMNS = 400
_PIECE = SAMPLE_RATE_HZ // 200
"""Samples of one column of a short recording: 5 ms."""


class Decimator:
    """Rows in order, merged in pairs whenever there are too many."""

    def __init__(self, most: int, merge: Callable[[Rows], Rows]) -> None:
        """Keep less than twice ``most``; ``merge``: shape (n, rows, columns) to (n, columns)."""
        self._most = most
        self._merge = merge
        self._step = 1
        self._kept: list[Rows] = []
        self._rest: list[Rows] = []

    def push(self, rows: Rows) -> None:
        """Add rows, shape (n, columns)."""
        for row in rows:
            self._rest.append(row)
            if len(self._rest) == self._step:
                self._kept.append(self._merge(np.stack(self._rest)[np.newaxis])[0])
                self._rest = []
                if len(self._kept) == 2 * self._most:
                    pairs = np.stack(self._kept).reshape(self._most, 2, -1)
                    self._kept = list(self._merge(pairs))
                    self._step *= 2

    def rows(self) -> Rows:
        """What is kept, shape (rows, columns); raises ValueError if nothing was pushed."""
        rest = [self._merge(np.stack(self._rest)[np.newaxis])[0]] if self._rest else []
        return np.stack([*self._kept, *rest])


@dataclass(frozen=True)
class Preview:
    """The data for the plots of a recording.

    peaks: largest magnitude in each of equal intervals, 0 to 1.
    mfcc: standardised as for the network, shape (intervals, coefficients).
    """

    duration_s: float
    peaks: Rows
    mfcc: Rows


class PreviewBuilder:
    """Builds the preview while a recording is classified."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._mfcc = Mfcc(manifest.mfcc.without_pitch)
        self._frames = Decimator(_COLUMNS, lambda groups: groups.mean(axis=1))
        self._peaks = Decimator(_COLUMNS, lambda groups: groups.max(axis=1))
        self._samples = 0

    def push(self, samples: Samples) -> None:
        """Add the samples of the next block."""
        self._samples += len(samples)
        self._frames.push(self._mfcc.push(samples))
        magnitudes = np.abs(samples / 32768.0)
        peaks = np.maximum.reduceat(magnitudes, np.arange(0, len(samples), _PIECE))
        self._peaks.push(peaks[:, np.newaxis])

    def finish(self) -> Preview:
        """The preview of all samples, of which there must be at least one."""
        self._frames.push(self._mfcc.flush())
        mfcc, normalization = self._mfcc.config, self._manifest.normalization
        shown = replace(
            normalization,
            mean=normalization.mean[: mfcc.width],
            deviation=normalization.deviation[: mfcc.width],
        )
        normal = normalize(self._frames.rows(), shown, mfcc)
        return Preview(self._samples / SAMPLE_RATE_HZ, self._peaks.rows()[:, 0], normal)
