"""The speech gate: passes speech on as segments and drops everything else.

It works in two steps, the cheap one first.  The level of each hop of 32 ms is compared with the
noise floor, and while nothing stands out, nothing else is computed: the gate *sleeps*.  When a
sound stands out it *listens*: MFCC frames are computed, and the detector, a small network, says of
each frame whether somebody speaks.  Once enough frames in a row are speech the gate is *open*, and
a segment begins with the first of them.  Its start and end follow from the detector, so noise moves
them little; the level decides whether the detector is asked, and lets a pause end sooner in quiet.

The frames of a segment are passed on with it, so that each is computed once.

A segment may still be a mistake.  It therefore says whether the detector was sure of enough of its
frames and whether its level is that of a voice, so that the pipeline can drop it: a motor that
starts or changes its speed fools the detector for a second, but then it goes on as loud as it was,
and its level rises or falls smoothly, without syllables.  Training keeps all segments, because its
clips are known to be speech.
"""

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.level import dbfs
from undertone.events import SILENCE_DBFS
from undertone.recognition.mfcc import Frames, Mfcc, MfccConfig, RawFrames, with_pitch
from undertone.recognition.speech_detector import Detector
from undertone.support.strict import Strict

VERSION: Final = 3
"""Increased when the same settings cut other segments.  1 was the gate with pymicro-vad; up to 2,
``shortest_s`` included lead and tail."""

_Share = Annotated[float, Meta(ge=0, le=1)]
_Level = Annotated[float, Meta(ge=-200, le=0)]
_Decibels = Annotated[float, Meta(ge=0, le=100)]
_Seconds = Annotated[float, Meta(ge=0, le=60)]
_AtLeastATenth = Annotated[float, Meta(ge=0.1, le=60)]


class GateConfig(Strict, frozen=True):
    """Thresholds of the gate; times in seconds, levels in dB or dBFS.

    margin_db: how far above the noise floor a hop must stand to be heard.
    lowest_dbfs: hops below this are silence.  Calm clips of RAVDESS are at -50 dBFS.
    initial_floor_dbfs: the noise floor before the first sound; lowest_floor_dbfs: its lower bound.
    floor_rise_db_per_s: how fast the floor rises after silence.
    threshold: probability from which a frame is speech. sure: from which it is evidence.
    confirm_s: amount of speech within ``confirm_within_s`` that opens the gate.
    lead_s, tail_s: sound before and, at most, after the speech that belongs to the segment; a
        bundle has those that its network was trained with.
    lookback_s: how much sound is kept while speech is not confirmed yet.
    pause_s: time without speech that ends a segment.
    shortest_s: shorter speech, without lead and tail, is dropped.
    longest_s: longer segments are cut; the rest after a cut is treated like any other sound.
    least_speech_s, least_deviation_db: evidence that a segment needs for a verdict: frames of which
        the detector is sure, and the standard deviation of the level of its hops, without lead and
        tail.  Syllables give clean speech 3 to 17 dB, and speech at 5 dB SNR more than 2.
    prominent_db: speech is prominent if its loudest tenth is so far above the quietest quarter of
        the half second before it, and of the pause behind it.
    least_unevenness_db: evidence that any other speech needs as well: the standard deviation of
        the level of its hops from a parabola.
    """

    version: Literal[3] = VERSION
    margin_db: _Decibels = 6.0
    lowest_dbfs: _Level = -72.0
    initial_floor_dbfs: _Level = -75.0
    lowest_floor_dbfs: _Level = -82.0
    floor_rise_db_per_s: _Decibels = 5.0
    threshold: _Share = 0.35
    sure: _Share = 0.55
    confirm_s: _Seconds = 0.25
    confirm_within_s: _Seconds = 1.0
    lead_s: _Seconds = 0.06
    tail_s: _Seconds = 0.03
    lookback_s: _Seconds = 1.5
    pause_s: _AtLeastATenth = 0.32
    shortest_s: _Seconds = 0.42
    longest_s: _AtLeastATenth = 15.0
    least_speech_s: _Seconds = 0.4
    least_deviation_db: _Decibels = 1.5
    prominent_db: _Decibels = 5.0
    least_unevenness_db: _Decibels = 3.5

    def __post_init__(self) -> None:
        """Raise ValueError for a tail that the segment would have to wait for."""
        if self.tail_s > self.pause_s:
            raise ValueError(f"tail_s can't be longer than pause_s, which is {self.pause_s}")


@dataclass(frozen=True, slots=True)
class SpeechPart:
    """The next piece of a segment; ``time_s`` as in Block.

    samples: int16, the hops of ``frames``.
    frames: MFCC, shape (k, raw_width), one for each hop; each also covers the hop after it.
    loudest: of each MFCC filter, the largest log energy in these frames.
    is_speech: whether there is enough evidence in the segment up to the end of this piece.
    ``last`` closes the segment and may come with no frames.
    """

    samples: Samples
    frames: RawFrames
    loudest: NDArray[np.float64]
    time_s: float
    first: bool
    last: bool
    is_speech: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """One whole stretch of speech; ``samples`` and ``time_s`` as in SpeechPart.

    frames: MFCC with pitch, shape (n, width).
    """

    samples: Samples
    frames: Frames
    time_s: float
    is_speech: bool

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


_PIECE = 4
"""Frames that are computed at once."""

_RANGE_DB = 35.0
"""How far below the loudest speech of a segment a hop is no speech of it, whatever the detector
will say: the end of a segment need not wait for the tail of a room."""

_BEFORE_S = 0.5
_QUIET, _LOUD = 0.25, 0.9
"""How much sound before a segment is compared with it, and the quantiles of the levels."""

_SILENCE_POWER = 32768.0**2 * 10 ** (SILENCE_DBFS / 10)

_NO_SAMPLES: Samples = np.empty(0, np.int16)
_NO_ENERGIES = np.empty(0)


@dataclass(slots=True)
class _Hop:
    """``frame`` and ``energies`` are set once the hops after it are there that the frame covers."""

    samples: Samples
    time_s: float
    level_dbfs: float
    frame: NDArray[np.float64] = field(init=False)
    energies: NDArray[np.float64] = field(init=False)
    probability: float = 0.0


@dataclass(slots=True)
class _PartMaker:
    """A part under construction: hops of one segment that one call lets through."""

    time_s: float
    first: bool
    last: bool = False
    is_speech: bool = False
    hops: list[_Hop] = field(default_factory=list)

    def make(self, no_frames: RawFrames) -> SpeechPart:
        hops = self.hops
        return SpeechPart(
            np.concatenate([hop.samples for hop in hops]) if hops else _NO_SAMPLES,
            np.stack([hop.frame for hop in hops]) if hops else no_frames,
            np.max([hop.energies for hop in hops], axis=0) if hops else _NO_ENERGIES,
            self.time_s,
            self.first,
            self.last,
            self.is_speech,
        )


class SpeechGate:
    """Blocks in, parts of speech segments out; block lengths make no difference."""

    def __init__(
        self, mfcc: MfccConfig, detector: Detector, config: GateConfig | None = None
    ) -> None:
        """``mfcc``: of the frames; ``detector`` must have been trained with their coefficients."""
        self.config = config or GateConfig()
        self.mfcc = mfcc
        self._mfcc = Mfcc(mfcc)
        self._no_frames = np.empty((0, mfcc.raw_width))
        self._detector = detector
        self._length = mfcc.hop_length
        self._hop_s = mfcc.hop_length / SAMPLE_RATE_HZ
        self._padding = max(1, math.ceil(mfcc.frame_length / mfcc.hop_length) - 1)  # hops
        self._lead = round(self.config.lead_s / self._hop_s)
        self._floor_dbfs = self.config.initial_floor_dbfs
        self._rest = _NO_SAMPLES
        self._before: deque[_Hop] = deque(maxlen=self._count(self.config.lookback_s))
        self._dropped_db: deque[float] = deque(maxlen=self._count(_BEFORE_S))
        self._sleep()

    def _sleep(self) -> None:
        self._awake = False
        self._hops: list[_Hop] = []  # not passed on yet
        self._pushed = 0  # how many of them the MFCC has
        self._framed = 0  # how many have their frame
        self._answered = 0  # and an answer of the detector
        self._dropped_db.clear()
        self._close()

    def _close(self) -> None:
        self.is_open = False
        self._recent: deque[bool] = deque(maxlen=self._count(self.config.confirm_within_s))
        self._pause = 0  # answered hops since the last that is speech
        self._silent = 0  # hops at the end that can't be speech
        self._peak_dbfs = -np.inf  # of the hops let through
        self._end_s = 0.0  # end of the last hop let through
        self._begin()

    def _begin(self) -> None:
        self._led = 0  # hops of the open segment that are its lead
        self._sent = 0  # hops let through
        self._sure = 0  # how many of them the detector is sure of
        self._levels_db: list[float] = []  # of those behind the lead
        self._sum_db = self._square_sum_db = 0.0  # of these levels
        self._quiet_before_db = _quantile(self._dropped_db, _QUIET)  # of the sound before them

    def _count(self, seconds: float) -> int:
        """So many seconds in hops, at least one."""
        return max(1, round(seconds / self._hop_s))

    @property
    def is_quiet(self) -> bool:
        """Whether no sound stands out: a segment that begins now lasts ``shortest_s`` at least,
        and the pause that ends it ``pause_s``.
        """
        return not self._awake

    def process(self, block: Block) -> list[SpeechPart]:
        """Take one block; return the parts of speech that it completes, oldest first."""
        samples = block.samples
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        start_s = block.time_s - len(self._rest) / SAMPLE_RATE_HZ
        count = len(samples) // self._length
        hops = samples[: count * self._length].reshape(count, self._length)
        self._rest = samples[count * self._length :].copy()
        parts: list[_PartMaker] = []
        for index, level in enumerate(_levels_dbfs(hops)):
            self._take(hops[index], start_s + index * self._hop_s, level, parts)
        if parts and not parts[-1].last:
            parts[-1].is_speech = self._is_speech()
        return [part.make(self._no_frames) for part in parts]

    def flush(self) -> list[SpeechPart]:
        """End of the signal, or a hole in it: close an open segment and forget the rest."""
        parts: list[_PartMaker] = []
        if self._awake:  # the last frames are padded with zeros, the last repeated for the detector
            silence = np.zeros(self._length, np.int16)
            self._hops += [_Hop(silence, 0.0, SILENCE_DBFS) for _ in range(self._padding)]
            self._listen(parts, repeated=self._detector.ahead)
        if self.is_open:
            self._end(parts)
        self._sleep()
        self._before.clear()
        self._rest = _NO_SAMPLES
        return [part.make(self._no_frames) for part in parts]

    def _take(
        self, samples: Samples, time_s: float, level_dbfs: float, parts: list[_PartMaker]
    ) -> None:
        config = self.config
        is_loud = level_dbfs > max(self._floor_dbfs + config.margin_db, config.lowest_dbfs)
        if not self.is_open or level_dbfs < self._floor_dbfs:
            self._follow_floor(level_dbfs)
        hop = _Hop(samples, time_s, level_dbfs)
        if self._awake:
            self._hops.append(hop)
        elif is_loud:
            self._awake = True
            self._mfcc.reset()
            self._detector.reset()
            self._hops = [*self._before, hop]
            self._before.clear()
        else:
            self._before.append(hop)
            return
        audible = is_loud and level_dbfs > self._peak_dbfs - _RANGE_DB
        self._silent = 0 if audible else self._silent + 1
        if len(self._hops) - self._framed > _PIECE:
            self._listen(parts)
        self._settle(parts)

    def _follow_floor(self, level_dbfs: float) -> None:
        """Down at once, up slowly: the floor is the quietest of the recent past."""
        risen = self._floor_dbfs + self.config.floor_rise_db_per_s * self._hop_s
        self._floor_dbfs = max(min(level_dbfs, risen), self.config.lowest_floor_dbfs)

    def _listen(self, parts: list[_PartMaker], repeated: int = 0) -> None:
        """Compute the frames that are complete, ask the detector, and act on its answers.

        repeated: how often the detector gets the last frame again, at the end of a signal.
        """
        new = self._hops[self._pushed :]
        frames = self._mfcc.push(np.concatenate([hop.samples for hop in new]))
        for frame, energies in zip(frames, self._mfcc.log_energies, strict=True):
            self._hops[self._framed].frame = frame
            self._hops[self._framed].energies = energies
            self._framed += 1
        self._pushed = len(self._hops)
        if repeated:
            frames = np.concatenate([frames, np.repeat(frames[-1:], repeated, axis=0)])
            for hop in self._hops[max(0, self._framed - self._padding) : self._framed]:
                hop.energies = np.full_like(hop.energies, -np.inf)  # the step to zero is no sound
        for probability in self._detector.push(frames).tolist()[: self._framed - self._answered]:
            self._answer(probability, parts)
        if not self.is_open:
            self._drop(self._answered - self._count(self.config.lookback_s))

    def _settle(self, parts: list[_PartMaker]) -> None:
        """After a pause, end the segment; sleep if the hops without an answer can't be speech."""
        unanswered = len(self._hops) - self._answered
        if self._silent < unanswered or self._pause + unanswered < self._count(self.config.pause_s):
            return
        if self.is_open:
            self._end(parts)
        self._before.extend(self._hops)
        self._sleep()

    def _answer(self, probability: float, parts: list[_PartMaker]) -> None:
        """Act on the answer for the next hop."""
        config = self.config
        self._hops[self._answered].probability = probability
        self._answered += 1
        speech = probability >= config.threshold
        self._recent.append(speech)
        self._pause = 0 if speech else self._pause + 1
        if not self.is_open and sum(self._recent) >= self._count(config.confirm_s):
            self.is_open = True
            self._open()
        if self.is_open and speech:
            self._let_through(self._answered, parts)
        elif self.is_open and self._pause >= self._count(config.pause_s):
            self._end(parts)

    def _open(self) -> None:
        """Forget what precedes the lead of the speech that opens the gate."""
        longest_pause = self._count(self.config.pause_s)
        first = latest = self._answered - 1 - self._pause
        while latest >= 0 and first - latest < longest_pause:
            if self._hops[latest].probability >= self.config.threshold:
                first = latest
            latest -= 1
        self._led = min(first, self._lead)
        self._drop(first - self._led)
        before = [*self._dropped_db, *(hop.level_dbfs for hop in self._hops[: self._led])]
        self._quiet_before_db = _quantile(before[-self._count(_BEFORE_S) :], _QUIET)

    def _drop(self, count: int) -> None:
        """Forget the first hops."""
        if count > 0:
            self._dropped_db.extend(hop.level_dbfs for hop in self._hops[:count])
            del self._hops[:count]
            self._pushed -= count
            self._framed -= count
            self._answered -= count

    def _let_through(self, count: int, parts: list[_PartMaker]) -> None:
        """The first ``count`` of the hops; a segment begins when its speech is long enough."""
        config = self.config
        while count > 0 and self._sent + count >= self._led + self._count(config.shortest_s):
            hops = self._hops[: min(count, self._count(config.longest_s) - self._sent)]
            self._drop(len(hops))
            count -= len(hops)
            if not parts or parts[-1].last:
                parts.append(_PartMaker(hops[0].time_s, first=not self._sent))
            parts[-1].hops += hops
            for hop in hops:
                self._peak_dbfs = max(self._peak_dbfs, hop.level_dbfs)
                self._sent += 1
                self._sure += hop.probability >= config.sure
                if self._sent > self._led:
                    self._levels_db.append(hop.level_dbfs)
                    self._sum_db += hop.level_dbfs
                    self._square_sum_db += hop.level_dbfs**2
            self._end_s = hops[-1].time_s + self._hop_s
            if self._sent >= self._count(config.longest_s):
                parts[-1].last = True
                parts[-1].is_speech = self._is_speech()
                self._begin()

    def _is_speech(self, behind: Sequence[_Hop] = ()) -> bool:
        """Whether there is enough evidence in the hops let through; ``behind`` are the next ones,
        if they are known.
        """
        config = self.config
        count = max(1, len(self._levels_db))
        variance_db = self._square_sum_db / count - (self._sum_db / count) ** 2
        if (
            self._sure < self._count(config.least_speech_s)
            or variance_db < config.least_deviation_db**2
        ):
            return False
        quiet_behind_db = _quantile([hop.level_dbfs for hop in behind], _QUIET)
        around_db = max(self._quiet_before_db, quiet_behind_db)
        if _quantile(self._levels_db, _LOUD) >= around_db + config.prominent_db:
            return True
        hops = np.arange(len(self._levels_db))
        smooth_db = np.polyval(np.polyfit(hops, self._levels_db, 2), hops)
        return bool(np.std(self._levels_db - smooth_db) >= config.least_unevenness_db)

    def _end(self, parts: list[_PartMaker]) -> None:
        """Close the gate; an open segment ends without the pause that ended it, but for a tail."""
        self._let_through(self._answered - self._pause, parts)
        if self._sent:
            is_speech = self._is_speech(self._hops[: self._count(self.config.pause_s)])
            tail = round(self.config.tail_s / self._hop_s)
            longest = self._count(self.config.longest_s) - self._sent
            self._let_through(min(tail, longest, self._framed), parts)
            if not parts or (parts[-1].last and self._sent):  # the longest tail closes it
                parts.append(_PartMaker(self._end_s, first=False))
            parts[-1].last, parts[-1].is_speech = True, is_speech
        self._close()


def segments(blocks: Iterable[Block], gate: SpeechGate) -> Iterator[Segment]:
    """The speech segments of a finite signal, whole; ``gate`` starts and ends closed."""
    parts: list[SpeechPart] = []
    for new in _parts(blocks, gate):
        parts.append(new)
        if new.last:
            yield Segment(
                np.concatenate([part.samples for part in parts]),
                with_pitch(np.concatenate([part.frames for part in parts]), gate.mfcc),
                parts[0].time_s,
                new.is_speech,
            )
            parts = []


def _parts(blocks: Iterable[Block], gate: SpeechGate) -> Iterator[SpeechPart]:
    for block in blocks:
        yield from gate.process(block)
    yield from gate.flush()


def _quantile(levels_db: Collection[float], share: float) -> float:
    """The level that ``share`` of them are below; minus infinity if there are none."""
    return sorted(levels_db)[int(share * len(levels_db))] if levels_db else -np.inf


def _levels_dbfs(hops: Samples) -> list[float]:
    """Level of each hop (rows of int16) in dBFS, at least ``SILENCE_DBFS``.

    Without the hop's mean: a microphone's offset is no sound.
    """
    floats = hops.astype(np.float64)
    sums = floats.sum(axis=1).tolist()
    square_sums = np.square(floats).sum(axis=1).tolist()
    levels = []
    for total, square_sum in zip(sums, square_sums, strict=True):
        mean = total / hops.shape[1]
        power = square_sum / hops.shape[1] - mean * mean
        levels.append(dbfs(power) if power > _SILENCE_POWER else SILENCE_DBFS)
    return levels
