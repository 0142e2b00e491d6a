"""The device path from Blocks to judged segments; every program goes through it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from undertone.audio.block import PIECE_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.emotions import NO_SPEECH
from undertone.events import Verdict
from undertone.recognition.bandwidth import missing_band
from undertone.recognition.classifier import Classifier
from undertone.recognition.decision import LogProbabilities, judge, log_softmax
from undertone.recognition.mfcc import Mfcc
from undertone.recognition.speech_gate import (
    SpeechGate,
    SpeechPart,
    pymicro_vad_detector,
    reused_detector,
)
from undertone.recognition.windows import WindowCutter, Windows

OVERLOADED_S = 2.0
"""Sound that waits for the pipeline before it hurries: a fifth of what a microphone keeps."""


@dataclass(frozen=True, slots=True)
class ClassifiedSegment:
    """One segment of speech with its verdict; ``time_s`` as in Block.

    windows: log-probabilities of each window, for a verdict on several segments.
    """

    time_s: float
    duration_s: float
    level_dbfs: float
    verdict: Verdict
    windows: tuple[LogProbabilities, ...]


class Pipeline:
    """Gate, MFCC, windows, classifier and tracker in one line; hears one stream at a time.

    A segment with too little evidence that it is speech gets no verdict, and one that lacks a part
    of the spectrum that the model needs is ``uncertain``.

    Behind a live source it hurries: no provisional verdicts on short segments, and windows
    that do not overlap, so that no frame is judged twice.  All sound is still heard.
    """

    def __init__(
        self, classifier: Classifier, gate: SpeechGate | None = None, threshold: float | None = None
    ) -> None:
        """``threshold`` None takes the bundle's; ``gate`` None makes the device's own."""
        manifest = classifier.manifest
        self._classifier = classifier
        self._gate = gate or SpeechGate(detector=pymicro_vad_detector())
        self._threshold = manifest.confidence_threshold if threshold is None else threshold
        self._mfcc = Mfcc(manifest.mfcc)
        self.overloaded = False
        self._begin(0.0)

    def _begin(self, time_s: float) -> None:
        manifest = self._classifier.manifest
        self._mfcc.reset()
        self._held: list[Samples] = []  # of the segment, not yet frames
        self._held_length = 0
        self._cutter = WindowCutter(manifest.window, manifest.mfcc.n_coefficients)
        self._is_speech = False
        self._windows: list[LogProbabilities] = []
        self._unjudged = manifest.window.frames  # frames since the last judged window began
        self._early: LogProbabilities | None = None
        self._early_at = manifest.window.hop
        self._start_s = time_s
        self._count = 0
        self._square_sum = 0.0

    @property
    def speaking(self) -> bool:
        """Whether a segment is under way."""
        return self._gate.is_open

    @property
    def resting(self) -> bool:
        """Whether the next second brings no verdict, not even a provisional one, whatever is
        heard: a live source may take its time.
        """
        return self._gate.is_quiet

    @property
    def provisional(self) -> Verdict | None:
        """What the segment under way sounds like so far; None before its first hop, and while
        it may be no speech.
        """
        heard = self._windows or ([self._early] if self._early is not None else [])
        if not (heard and self.speaking and self._is_speech):
            return None
        return self._judge(heard, self._missing_band())

    def process(self, block: Block) -> list[ClassifiedSegment]:
        """Take one block; return the segments that ended in it."""
        self.overloaded = block.behind_s >= OVERLOADED_S
        return self._take(self._gate.process(block))

    def flush(self) -> list[ClassifiedSegment]:
        """End of the stream, or a hole in it: judge the segment under way."""
        return self._take(self._gate.flush())

    def _take(self, parts: Iterable[SpeechPart]) -> list[ClassifiedSegment]:
        judged = []
        for part in parts:
            if part.first:
                self._begin(part.time_s)
            self._count += len(part.samples)
            self._square_sum += float(np.square(part.samples, dtype=np.float64).sum())
            self._held.append(part.samples)
            self._held_length += len(part.samples)
            if part.last or self._held_length >= PIECE_LENGTH:
                self._classify(self._due(self._cutter.push(self._mfcc.push(self._release()))))
            if not self.overloaded:
                self._look_early()
            self._is_speech = part.evidence.suffices and not part.last
            if part.last and part.evidence.suffices:
                windows = [*self._cutter.push(self._mfcc.flush()), *self._cutter.flush()]
                self._classify(windows)
                judged.append(self._finish())
        return judged

    def _release(self) -> Samples:
        samples = np.concatenate(self._held)
        self._held, self._held_length = [], 0
        return samples

    def _due(self, windows: Iterable[Windows]) -> Iterable[Windows]:
        """Those of ``windows``, each a hop after the one before, that are to be judged."""
        shape = self._classifier.manifest.window
        for window in windows:
            if not self.overloaded or self._unjudged >= shape.frames:
                self._unjudged = 0
                yield window
            self._unjudged += shape.hop

    def _classify(self, windows: Iterable[Windows]) -> None:
        self._windows += [self._log_probabilities(window) for window in windows]

    def _look_early(self) -> None:
        """Judge a segment that has not filled a window yet, once a hop, for who watches."""
        partial = self._cutter.partial()
        if partial is not None and self._cutter.frames >= self._early_at:
            self._early_at = self._cutter.frames + self._classifier.manifest.window.hop
            self._early = self._log_probabilities(partial)

    def _log_probabilities(self, window: Windows) -> LogProbabilities:
        temperature = self._classifier.manifest.temperature
        return log_softmax(self._classifier.logits(window), temperature)

    def _finish(self) -> ClassifiedSegment:
        mean_square = max(self._square_sum / self._count / 32768.0**2, 1e-12)
        return ClassifiedSegment(
            self._start_s,
            self._count / SAMPLE_RATE_HZ,
            10.0 * float(np.log10(mean_square)),
            self._judge(self._windows, self._missing_band()),
            tuple(self._windows),
        )

    def _missing_band(self) -> str | None:
        return missing_band(self._mfcc.loudest, self._mfcc.config)

    def _judge(self, windows: Sequence[LogProbabilities], reason: str | None) -> Verdict:
        return judge(windows, self._classifier.manifest.labels, self._threshold, reason)

    def overall(self, segments: Sequence[ClassifiedSegment]) -> Verdict:
        """One verdict on segments, at least one: on those that can be judged, if any can."""
        counted = [one for one in segments if one.verdict.reason is None] or segments
        windows = [window for one in counted for window in one.windows]
        return self._judge(windows, counted[0].verdict.reason)


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What a whole recording sounds like: one verdict over all windows that can be judged, and its
    segments.

    ``verdict`` is the label, ``uncertain`` or ``no-speech``; ``overall`` is None without speech.
    """

    verdict: str
    overall: Verdict | None
    segments: tuple[ClassifiedSegment, ...]


def classify(
    blocks: Iterable[Block],
    classifier: Classifier,
    threshold: float | None = None,
    watch: Callable[[Block, Sequence[ClassifiedSegment]], None] | None = None,
) -> FileVerdict:
    """Judge a finite stream of blocks, as the listening device would; one stream at a time.

    watch: shown each block when it is heard, and the segments so far.
    """
    pipeline = Pipeline(classifier, SpeechGate(detector=reused_detector()), threshold)
    segments: list[ClassifiedSegment] = []
    for block in blocks:
        segments += pipeline.process(block)
        if watch:
            watch(block, segments)
    segments += pipeline.flush()
    if not segments:
        return FileVerdict(NO_SPEECH, None, ())
    overall = pipeline.overall(segments)
    return FileVerdict(overall.verdict, overall, tuple(segments))
