"""Finds the holes in a stream that nobody reports: sound that should have come by now."""

WINDOW_S = 2.0
"""So much sound is looked at together: what came late as a whole is lost, one late chunk is not."""

TOLERANCE_S = 0.25
"""Less than this is the unrest of a busy machine."""


class GapDetector:
    """Compares the sound that came with the time that went by.

    A sound server that stood still for a second gives the next samples as if nothing had been;
    only a clock tells.  A chunk that is delivered late proves nothing, since what follows may
    catch up: the most punctual chunk of each window counts.
    """

    def __init__(self) -> None:
        """The first chunk says when the sound began."""
        self._due_s: float | None = None  # when the sound so far should have been here
        self._reset_window()

    def _reset_window(self) -> None:
        self._least_late_s = float("inf")
        self._left_s = WINDOW_S

    def missing_s(self, arrived_s: float, duration_s: float) -> float:
        """Take a chunk of ``duration_s``; return the seconds missing before it, mostly 0.

        arrived_s: when it came, by a clock that never jumps.
        """
        self._due_s = arrived_s if self._due_s is None else self._due_s + duration_s
        self._least_late_s = min(self._least_late_s, arrived_s - self._due_s)
        self._left_s -= duration_s
        if self._left_s > 0:
            return 0.0
        late_s = self._least_late_s
        self._due_s += late_s  # also what is no hole: a sound card's clock is not ours
        self._reset_window()
        return late_s if late_s > TOLERANCE_S else 0.0
