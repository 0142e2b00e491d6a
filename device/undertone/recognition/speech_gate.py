"""The speech gate: passes speech on as segments and drops everything else.

It works in two steps, the cheap one first.  A level gate follows the noise floor and marks 10 ms
frames that stand out from it; only for these does the voice activity detector (pymicro-vad) run.
The detector responds about 0.4 s late at both ends, so it decides *whether* there is speech, and
the level decides *where*: a segment starts just before the level rises, and the pause that ends
it is not part of it.

Noise and music can mislead the detector briefly, and then a segment without speech passes.  Each
segment therefore carries its *evidence*, so that the pipeline can drop it.  Training keeps all
segments, because its clips are known to be speech.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.level import dbfs
from undertone.events import SILENCE_DBFS

FRAME_LENGTH = 160
"""Samples in one frame of the gate: the 10 ms that pymicro-vad takes."""

_FRAME_S = FRAME_LENGTH / SAMPLE_RATE_HZ

Detector = Callable[[bytes], float]
"""Speech probability of one 10 ms frame (int16 bytes); negative while it has no answer."""


@dataclass(frozen=True)
class GateConfig:
    """Thresholds of the gate; times in seconds, levels in dB or dBFS.

    margin_db: how far above the noise floor a frame must stand.  10 dB is about three
        standard deviations of the 10 ms level of steady noise.
    range_db: how far below the loudest recent frame still counts: cuts a hall's tail off at
        the same place whatever the gain.
    lowest_dbfs: frames below this are silence.  Calm clips of RAVDESS are at -50 dBFS and end far
        below: a limit of -65 dBFS cut so much off that it cost two points of UAR.
    initial_floor_dbfs: the noise floor before the first sound; lowest_floor_dbfs: its lower bound.
    floor_rise_db_per_s, peak_fall_db_per_s: how fast the floor rises after silence, and the peak
        falls after a loud sound.
    detector_threshold: speech probability from which a frame counts as speech.
    confirm_s: amount of detected speech that opens the gate; shorter bursts occur in noise.
    confirm_within_s: the time in which it must be detected, so that isolated false detections do
        not add up.  Real speech has its 15 frames within 4.4 s, even in noise at 5 dB.
    detector_hold_s: how long after the last frame of detected speech a loud frame still counts.
    lead_s: sound before the level rises that belongs to the segment, such as a soft consonant.
    lookback_s: how much sound is kept while speech is not confirmed yet.
    pause_s: silence that ends a segment.
    shortest_s, longest_s: shorter sounds are dropped, longer speech is cut; the rest after a cut
        is treated like any other sound.
    """

    margin_db: float = 10.0
    range_db: float = 35.0
    lowest_dbfs: float = -72.0
    initial_floor_dbfs: float = -75.0
    lowest_floor_dbfs: float = -82.0
    floor_rise_db_per_s: float = 5.0
    peak_fall_db_per_s: float = 5.0
    detector_threshold: float = 0.5
    confirm_s: float = 0.15
    confirm_within_s: float = 5.0
    detector_hold_s: float = 0.5
    lead_s: float = 0.1
    lookback_s: float = 1.0
    pause_s: float = 0.45
    shortest_s: float = 0.5
    longest_s: float = 15.0


LEAST_DETECTED_S = 0.25
"""Detected speech that a segment must contain; every clip of RAVDESS has more."""

LEAST_LEVEL_DEVIATION_DB = 3.0
"""Standard deviation that the level of 10 ms must have in a segment.  Syllables give clean speech
5 to 17 dB, and speech 10 dB above a room's noise 4 to 9; machines, organs and broken chords have
less than 3."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence that a segment is speech: the duration of detected speech, and the standard
    deviation of the level of its frames, from where the level rises.
    """

    detected_s: float
    level_deviation_db: float

    @property
    def suffices(self) -> bool:
        """Whether it is enough for a verdict."""
        return (
            self.detected_s >= LEAST_DETECTED_S
            and self.level_deviation_db >= LEAST_LEVEL_DEVIATION_DB
        )


@dataclass(frozen=True, slots=True)
class SpeechPart:
    """The next piece of a segment; ``samples`` int16, ``time_s`` as in Block.

    evidence: of the segment up to the end of this piece.
    ``last`` closes the segment and may come with no samples.
    """

    samples: Samples
    time_s: float
    first: bool
    last: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Segment:
    """One whole stretch of speech; ``samples`` int16, ``time_s`` as in Block."""

    samples: Samples
    time_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def pymicro_vad_detector() -> Detector | None:
    """A fresh pymicro-vad, or None where it is not installed (the level then decides alone)."""
    vad = _new_vad()
    return vad.process_10ms if vad else None


def reused_detector() -> Detector | None:
    """As a fresh one, but the same for every call of a thread: for one signal after another.

    Each pymicro-vad (2.1) that is made keeps 10 KB for good, 100 MB after 10,000 files.
    """
    if not hasattr(_of_thread, "vad"):
        _of_thread.vad = _new_vad()
    vad = _of_thread.vad
    if vad is None:
        return None
    vad.reset()
    process: Detector = vad.process_10ms
    return process


_of_thread = threading.local()


def _new_vad() -> Any:
    try:
        from pymicro_vad import MicroVad
    except ImportError:
        return None
    return MicroVad()


@dataclass(slots=True)
class _Frame:
    samples: Samples
    time_s: float
    level_dbfs: float
    detected: bool = False


@dataclass(slots=True)
class _PartMaker:
    """A part under construction: frames of one segment that one call lets through."""

    time_s: float
    first: bool
    last: bool = False
    evidence: Evidence = Evidence(0.0, 0.0)
    frames: list[Samples] = field(default_factory=list)

    def make(self) -> SpeechPart:
        samples = np.concatenate(self.frames) if self.frames else _NO_SAMPLES
        return SpeechPart(samples, self.time_s, self.first, self.last, self.evidence)


class SpeechGate:
    """Blocks in, parts of speech segments out; block lengths make no difference.

    Closed, it only follows the noise floor.  When a sound stands out it *listens*: the
    detector is asked and frames wait.  Once speech is confirmed it is *open*: speech goes
    through, anything else waits until speech goes on or the pause ends the segment.
    """

    def __init__(self, config: GateConfig | None = None, detector: Detector | None = None) -> None:
        """``detector`` None leaves the decision to the level alone."""
        self.config = config or GateConfig()
        self._detector = detector
        self._floor_dbfs = self.config.initial_floor_dbfs
        self._lead: deque[_Frame] = deque(maxlen=_frames(self.config.lead_s))
        self._detections: deque[int] = deque(maxlen=_frames(self.config.confirm_s))
        self._rest = _NO_SAMPLES
        self._close()

    def _close(self) -> None:
        self.is_open = False
        self._waiting: list[_Frame] = []
        self._quiet = 0  # waiting frames since the last that may be speech
        self._asked = 0  # frames since a sound stood out
        self._detections.clear()  # those with speech, the latest of them
        self._hold = 0  # frames for which the detector's last yes still counts
        self._peak_dbfs = -np.inf
        self._end_s = 0.0  # end of the last frame let through
        self._begin()

    def _begin(self) -> None:
        self._sent = 0  # frames of the open segment let through
        self._detected = 0  # how many of them are detected speech
        self._sum_db = self._square_sum_db = 0.0  # of their levels, once the sound has risen

    @property
    def is_quiet(self) -> bool:
        """Whether no sound stands out: a segment that begins now lasts ``shortest_s`` at least,
        and the pause that ends it ``pause_s``.
        """
        return not (self.is_open or self._waiting)

    def process(self, block: Block) -> list[SpeechPart]:
        """Take one block; return the parts of speech that it completes, oldest first."""
        samples = block.samples
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        start_s = block.time_s - len(self._rest) / SAMPLE_RATE_HZ
        count = len(samples) // FRAME_LENGTH
        frames = samples[: count * FRAME_LENGTH].reshape(count, FRAME_LENGTH)
        parts: list[_PartMaker] = []
        for index, level in enumerate(_levels_dbfs(frames)):
            self._take(_Frame(frames[index], start_s + index * _FRAME_S, level), parts)
        self._rest = samples[count * FRAME_LENGTH :].copy()
        return [part.make() for part in parts]

    def flush(self) -> list[SpeechPart]:
        """End of the signal, or a hole in it: close an open segment and forget the rest."""
        parts: list[_PartMaker] = []
        self._end(parts)
        self._lead.clear()
        self._rest = _NO_SAMPLES
        return [part.make() for part in parts]

    def _take(self, frame: _Frame, parts: list[_PartMaker]) -> None:
        config, level_dbfs = self.config, frame.level_dbfs
        loud = level_dbfs > max(
            self._floor_dbfs + config.margin_db,
            self._peak_dbfs - config.range_db,
            config.lowest_dbfs,
        )
        if not loud and not self._waiting and not self.is_open:
            self._follow_floor(level_dbfs)
            self._lead.append(frame)
            return
        if not self._waiting and not self.is_open:
            self._waiting.extend(self._lead)
            self._lead.clear()
        speech = self._ask(frame, loud)
        if not self._hold or level_dbfs < self._floor_dbfs:
            self._follow_floor(level_dbfs)
        self._peak_dbfs = max(level_dbfs, self._peak_dbfs - config.peak_fall_db_per_s * _FRAME_S)
        self._waiting.append(frame)
        self._quiet = 0 if speech or (loud and not self.is_open) else self._quiet + 1
        self.is_open = self.is_open or (
            self._is_confirmed and len(self._waiting) - self._quiet >= _frames(config.shortest_s)
        )
        if self._quiet >= _frames(config.pause_s):
            pause = self._waiting[-self._quiet :]
            self._end(parts)
            self._lead.extend(pause)
        elif self.is_open and speech:
            self._let_through(len(self._waiting), parts)
        elif not self.is_open:
            del self._waiting[: -_frames(config.lookback_s)]

    def _ask(self, frame: _Frame, loud: bool) -> bool:
        """Whether ``frame`` counts as speech; notes the detector's yes for opening."""
        self._asked += 1
        if self._detector is None:
            frame.detected = loud
        elif self._detector(frame.samples.tobytes()) >= self.config.detector_threshold:
            frame.detected = True
            self._hold = _frames(self.config.detector_hold_s)
        elif self._hold:
            self._hold -= 1
        if frame.detected:
            self._detections.append(self._asked)
        return loud and (self._detector is None or self._hold > 0)

    @property
    def _is_confirmed(self) -> bool:
        """Whether enough speech was detected in a short enough time."""
        if len(self._detections) < _frames(self.config.confirm_s):
            return False
        return self._asked - self._detections[0] < _frames(self.config.confirm_within_s)

    def _follow_floor(self, level_dbfs: float) -> None:
        """Down at once, up slowly: the floor is the quietest of the recent past."""
        risen = self._floor_dbfs + self.config.floor_rise_db_per_s * _FRAME_S
        self._floor_dbfs = max(min(level_dbfs, risen), self.config.lowest_floor_dbfs)

    def _let_through(self, count: int, parts: list[_PartMaker]) -> None:
        """The first ``count`` of the waiting frames; a segment begins when it is long enough."""
        config = self.config
        while count and self._sent + count >= _frames(config.shortest_s):
            frames = self._waiting[: min(count, _frames(config.longest_s) - self._sent)]
            del self._waiting[: len(frames)]
            count -= len(frames)
            if not parts or parts[-1].last:
                parts.append(_PartMaker(frames[0].time_s, first=not self._sent))
            for frame in frames:
                parts[-1].frames.append(frame.samples)
                self._sent += 1
                self._detected += frame.detected
                if self._sent > _frames(config.lead_s):
                    self._sum_db += frame.level_dbfs
                    self._square_sum_db += frame.level_dbfs**2
            self._end_s = frames[-1].time_s + _FRAME_S
            parts[-1].evidence = self._evidence()
            if self._sent >= _frames(config.longest_s):
                self._finish(parts[-1])

    def _end(self, parts: list[_PartMaker]) -> None:
        """Close the gate; an open segment ends without the pause that ended it."""
        if self.is_open:
            self._let_through(len(self._waiting) - self._quiet, parts)
            if self._sent:
                if not parts or parts[-1].last:
                    parts.append(_PartMaker(self._end_s, first=False))
                # the detector is late: speech detected in the pause is the segment's end
                self._detected += sum(frame.detected for frame in self._waiting)
                self._finish(parts[-1])
        self._close()

    def _finish(self, part: _PartMaker) -> None:
        part.last = True
        part.evidence = self._evidence()
        self._begin()

    def _evidence(self) -> Evidence:
        risen = max(1, self._sent - _frames(self.config.lead_s))
        variance = self._square_sum_db / risen - (self._sum_db / risen) ** 2
        return Evidence(self._detected * _FRAME_S, math.sqrt(max(variance, 0.0)))


def segments(blocks: Iterable[Block], gate: SpeechGate) -> Iterator[Segment]:
    """The speech segments of a finite signal, whole; ``gate`` starts and ends closed."""
    parts: list[SpeechPart] = []
    for new in _parts(blocks, gate):
        parts.append(new)
        if new.last:
            yield Segment(np.concatenate([part.samples for part in parts]), parts[0].time_s)
            parts = []


def _parts(blocks: Iterable[Block], gate: SpeechGate) -> Iterator[SpeechPart]:
    for block in blocks:
        yield from gate.process(block)
    yield from gate.flush()


_NO_SAMPLES = np.empty(0, np.int16)


def _frames(seconds: float) -> int:
    return round(seconds / _FRAME_S)


def _levels_dbfs(frames: Samples) -> list[float]:
    """Level of each frame (rows of int16) in dBFS, at least ``SILENCE_DBFS``."""
    floats = frames.astype(np.float32)
    energies: list[float] = np.einsum("ij,ij->i", floats, floats).tolist()
    return [max(dbfs(energy / FRAME_LENGTH), SILENCE_DBFS) for energy in energies]
