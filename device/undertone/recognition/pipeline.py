"""From Blocks to classified segments: the one path that every program uses."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from undertone.audio.block import Block
from undertone.emotions import NO_SPEECH
from undertone.events import Verdict
from undertone.recognition.bundle import Manifest
from undertone.recognition.classifier import Classifier
from undertone.recognition.decision import LogProbabilities, combine, decide
from undertone.recognition.segment_tracker import SegmentTracker
from undertone.recognition.speech_gate import SpeechGate, SpeechPart
from undertone.recognition.voice import Voice


@dataclass(frozen=True, slots=True)
class ClassifiedSegment:
    """One segment of speech with its verdict; ``time_s`` as in Block.

    windows: the log-probabilities of each window, from which several segments get one verdict.
    """

    time_s: float
    duration_s: float
    level_dbfs: float
    verdict: Verdict
    windows: tuple[LogProbabilities, ...]


class Pipeline:
    """Speech gate, MFCC, windows, classifier and decision in one line, for one stream at a time.

    A segment with too little evidence that it is speech gets no verdict, and one that lacks a part
    of the spectrum that the model needs is ``uncertain``.

    While the machine is overloaded, windows do not overlap, and short segments get no provisional
    verdict.  Every segment still gets its verdict.
    """

    def __init__(
        self,
        classifier: Classifier,
        gate: SpeechGate | None = None,
        threshold: float | None = None,
        voice: Voice | None = None,
        learns: bool = False,
    ) -> None:
        """``threshold`` None takes the bundle's; ``gate`` None makes the bundle's own.

        voice: what is known of the speaker; None for nothing.
        learns: whether each segment, after its verdict, adds to that.
        """
        manifest = classifier.manifest
        self._classifier = classifier
        self._gate = gate or classifier.gate()
        self._threshold = manifest.confidence_threshold if threshold is None else threshold
        self._learns = learns and classifier.knows_voices
        self.voice = voice
        """What is known of the speaker now."""
        self.learns_apart = False
        """Whether what is heard from now on is also learnt apart from what is known already."""
        self.heard: Voice | None = None
        """What was learnt apart."""
        self._segment: SegmentTracker | None = None
        self._overloaded = False

    @property
    def manifest(self) -> Manifest:
        """Of the bundle that it runs."""
        return self._classifier.manifest

    @property
    def speaking(self) -> bool:
        """Whether a segment is under way."""
        return self._gate.is_open

    @property
    def idle(self) -> bool:
        """Whether the next second brings no verdict, not even a provisional one, whatever comes."""
        return self._gate.is_quiet

    def provisional(self) -> Verdict | None:
        """The verdict on the segment under way so far; None before its first hop, and while it may
        be no speech.

        Asking may run the classifier, once a hop.
        """
        segment = self._segment
        if segment is None or not segment.is_speech:
            return None
        windows = segment.provisional(self._overloaded)
        return self._decide(segment.compared(windows), segment.missing_band) if windows else None

    def process(self, block: Block, overloaded: bool = False) -> list[ClassifiedSegment]:
        """Take one block; return the segments that ended in it."""
        self._overloaded = overloaded
        return self._take(self._gate.process(block))

    def flush(self) -> list[ClassifiedSegment]:
        """End of the stream, or a hole in it: classify the segment under way."""
        return self._take(self._gate.flush())

    def _take(self, parts: Iterable[SpeechPart]) -> list[ClassifiedSegment]:
        ended = []
        for part in parts:
            if part.first or self._segment is None:
                self._segment = SegmentTracker(self._classifier, part.time_s, self.voice)
            segment = self._segment
            segment.push(part, self._overloaded)
            if part.last:
                self._segment = None
                if segment.is_speech:
                    frames = segment.finish()
                    ended.append(self._classified(segment))
                    if self._learns and segment.missing_band is None:
                        logs = combine(segment.windows) + segment.bias
                        self.voice = self._classifier.learn(self.voice, frames, logs)
                        if self.learns_apart:
                            self.heard = self._classifier.learn(self.heard, frames, logs)
        return ended

    def _classified(self, segment: SegmentTracker) -> ClassifiedSegment:
        windows = segment.compared(segment.windows)
        return ClassifiedSegment(
            segment.start_s,
            segment.duration_s,
            segment.level_dbfs,
            self._decide(windows, segment.missing_band),
            tuple(windows),
        )

    def _decide(self, windows: Sequence[LogProbabilities], reason: str | None) -> Verdict:
        manifest = self._classifier.manifest
        return decide(
            windows,
            manifest.labels,
            self._threshold,
            reason,
            manifest.activation,
            manifest.without_verdict,
        )

    def overall(self, segments: Sequence[ClassifiedSegment]) -> Verdict:
        """One verdict on one or more segments, without those that have a reason unless all do."""
        counted = [one for one in segments if one.verdict.reason is None] or segments
        windows = [window for one in counted for window in one.windows]
        return self._decide(windows, counted[0].verdict.reason)


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """One verdict on a whole recording, and its segments.

    ``verdict`` is the label, ``uncertain`` or ``no-speech``; ``overall`` is None without speech.
    """

    verdict: str
    overall: Verdict | None
    segments: tuple[ClassifiedSegment, ...]


def classify(
    blocks: Iterable[Block],
    classifier: Classifier,
    threshold: float | None = None,
    voice: Voice | None = None,
    watch: Callable[[Block, Sequence[ClassifiedSegment]], None] | None = None,
) -> FileVerdict:
    """Classify a finite stream of blocks as live listening would; one stream at a time.

    voice: what is known of the speaker; nothing is learnt from the stream itself.
    watch: called with each block after it was processed, and with the segments so far.
    """
    pipeline = Pipeline(classifier, threshold=threshold, voice=voice)
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


def voice_in(
    blocks: Iterable[Block], classifier: Classifier, voice: Voice | None = None
) -> Voice | None:
    """``voice`` after a finite stream of blocks was heard as live listening would; one at a time.

    None if nothing is known yet.  The classifier's bundle must know voices.
    """
    pipeline = Pipeline(classifier, voice=voice, learns=True)
    for block in blocks:
        pipeline.process(block)
    pipeline.flush()
    return pipeline.voice
