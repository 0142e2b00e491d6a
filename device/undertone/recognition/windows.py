"""From the frames of one segment to the windows of fixed length that the network takes."""

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from undertone.recognition.mfcc import Frames

Window = NDArray[np.float64]
"""One window, shape (frames, width)."""

Windows = NDArray[np.float64]
"""Several of them, shape (windows, frames, width)."""

_MOST_FRAMES = 2048

_VocalTract = Annotated[float, Meta(ge=0.5, le=2)]


class WindowConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Length and hop of a window in frames, how a short segment fills one, and its vocal tracts.

    padding: ``repeat`` repeats the segment until the window is full, so that no artificial
        silence reaches the network or its int8 input scale.
    vocal_tracts: the network gets each window with its spectrum scaled by each of these factors
        (see ``vocal_tract``), and the mean of the logits counts.
    """

    frames: int = 96
    hop: int = 32
    padding: Literal["repeat"] = "repeat"
    vocal_tracts: Annotated[tuple[_VocalTract, ...], Meta(min_length=1, max_length=16)] = (1.0,)

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, if no window is possible."""
        if not 1 <= self.frames <= _MOST_FRAMES:
            raise ValueError(f"frames must be from 1 to {_MOST_FRAMES}")
        if not 1 <= self.hop <= self.frames:
            raise ValueError("hop must be from 1 to frames")


class WindowCutter:
    """Takes the frames of one segment and returns windows as soon as they are full.

    Windows start every ``hop`` frames.  The last one ends with the segment's last frame, so
    that every frame is in a window; a segment shorter than a window becomes one, padded.
    """

    def __init__(self, config: WindowConfig, n_coefficients: int) -> None:
        """Begin a segment."""
        self.config = config
        self.frames = 0
        """Frames of the segment so far."""
        self.next_full = config.frames
        """The number of them that fills the next window."""
        self._latest: Frames = np.empty((0, n_coefficients))  # at most a window of them

    def push(self, frames: Frames) -> list[Window]:
        """Take frames, shape (n, width); return the windows that they fill."""
        kept = np.concatenate([self._latest, frames])
        first = self.frames - len(self._latest)
        self.frames += len(frames)
        full = []
        while self.next_full <= self.frames:
            end = self.next_full - first
            full.append(kept[end - self.config.frames : end])
            self.next_full += self.config.hop
        self._latest = kept[-self.config.frames :]
        return full

    def partial(self) -> Window | None:
        """The frames so far as one padded window, while none is full yet; None without any."""
        short = 0 < self.frames < self.config.frames
        return pad(self._latest, self.config) if short else None

    def flush(self) -> list[Window]:
        """End of the segment: the last window, unless one ended with the last frame."""
        a_window_ended_here = self.next_full - self.config.hop == self.frames
        if not self.frames or (a_window_ended_here and self.next_full > self.config.frames):
            return []
        return [pad(self._latest, self.config)]


def pad(frames: Frames, config: WindowConfig) -> Window:
    """One window from the frames of a segment that is no longer than a window."""
    window: Window = frames[np.arange(config.frames) % len(frames)]
    return window


def split_windows(frames: Frames, config: WindowConfig) -> Windows:
    """All windows of a whole segment; shape (windows, frames, width)."""
    cutter = WindowCutter(config, frames.shape[1])
    return np.stack([*cutter.push(frames), *cutter.flush()])
