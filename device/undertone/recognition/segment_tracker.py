"""The segment under way: from its frames to the log-probabilities of its windows."""

from collections.abc import Iterable, Sequence

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.audio.level import dbfs
from undertone.events import SILENCE_DBFS
from undertone.recognition.bandwidth import missing_band
from undertone.recognition.classifier import Classifier
from undertone.recognition.decision import LogProbabilities, log_softmax
from undertone.recognition.mfcc import Frames, RawFrames, with_pitch
from undertone.recognition.speech_gate import SpeechPart
from undertone.recognition.voice import Voice, bias_of
from undertone.recognition.windows import Window, WindowCutter


class SegmentTracker:
    """What is known of one segment of speech while it lasts.

    Every window is classified as soon as it is full; with ``overloaded`` only those that do not
    overlap, so that no frame is classified twice.  Until a window needs them, frames are kept
    without their pitch, which costs less for many at once.
    """

    def __init__(self, classifier: Classifier, start_s: float, voice: Voice | None = None) -> None:
        """Begin a segment; ``start_s`` as in Block, ``voice`` what is known of the speaker."""
        self.start_s = start_s
        self.is_speech = False
        """Whether there is enough evidence so far."""
        self.windows: list[LogProbabilities] = []
        """Of each window that was classified, by the network alone."""
        self._classifier = classifier
        self._voice = voice
        manifest = classifier.manifest
        self.bias = bias_of(voice, manifest.normalization, manifest.labels)
        """What is subtracted from the log-probabilities of each window."""
        self._mfcc = manifest.mfcc
        self._shape = manifest.window
        self._cutter = WindowCutter(self._shape, self._mfcc.width)
        self._raw: list[RawFrames] = []  # that the cutter has not got yet
        self._frames: Frames = np.empty((0, self._mfcc.width))  # that it has got
        self._loudest = np.full(self._mfcc.n_filters, -np.inf)
        self._unclassified = self._shape.frames  # frames since the last classified window began
        self._early: list[LogProbabilities] = []  # of what there was before a window was full
        self._early_at = self._shape.hop
        self._count = 0
        self._square_sum = 0.0

    @property
    def duration_s(self) -> float:
        """Length so far."""
        return self._count / SAMPLE_RATE_HZ

    @property
    def level_dbfs(self) -> float:
        """Root mean square of all its samples in dBFS, at least ``SILENCE_DBFS``."""
        return max(dbfs(self._square_sum / self._count), SILENCE_DBFS)

    @property
    def missing_band(self) -> str | None:
        """The part of the spectrum that it lacks and the model needs, in words; None for none."""
        return missing_band(self._loudest, self._mfcc, self._classifier.manifest.needed_share)

    def push(self, part: SpeechPart, overloaded: bool) -> None:
        """Take the next part and classify the windows that it fills."""
        self.is_speech = part.is_speech
        if not len(part.frames):
            return
        self._count += len(part.samples)
        self._square_sum += float(np.square(part.samples, dtype=np.float64).sum())
        np.maximum(self._loudest, part.loudest, out=self._loudest)
        self._raw.append(part.frames)
        if self._length >= self._cutter.next_full:
            self._classify(self._due(self._complete(), overloaded))

    def finish(self) -> Frames:
        """Classify what is left at the end of the segment; returns its frames, shape (n, width)."""
        self._classify([*self._complete(), *self._cutter.flush()])
        return self._frames

    def provisional(self, overloaded: bool) -> Sequence[LogProbabilities]:
        """Of the windows so far; before one is full, of the frames so far, padded.

        These are classified here, once a hop, and not at all if ``overloaded``.
        """
        if not (self.windows or overloaded) and self._length >= self._early_at:
            self._early_at = self._length + self._shape.hop
            self._complete()  # fills no window, or it would be classified
            partial = self._cutter.partial()
            if partial is not None:
                self._early = [self._log_probabilities(partial)]
        return self.windows or self._early

    @property
    def _length(self) -> int:
        """Frames so far."""
        return self._cutter.frames + sum(map(len, self._raw))

    def _complete(self) -> list[Window]:
        """Pass the raw frames on to the cutter, with their pitch; the windows that they fill."""
        if not self._raw:
            return []
        frames = with_pitch(np.concatenate(self._raw), self._mfcc)
        self._raw = []
        self._frames = np.concatenate([self._frames, frames])
        return self._cutter.push(frames)

    def compared(self, windows: Sequence[LogProbabilities]) -> Sequence[LogProbabilities]:
        """``windows``, of this segment, after its comparison with what is known of the voice."""
        return self._classifier.compared(windows, self._frames, self._voice)

    def _due(self, windows: Iterable[Window], overloaded: bool) -> Iterable[Window]:
        """Those of ``windows``, each a hop after the one before, that are to be classified."""
        for window in windows:
            if not overloaded or self._unclassified >= self._shape.frames:
                self._unclassified = 0
                yield window
            self._unclassified += self._shape.hop

    def _classify(self, windows: Iterable[Window]) -> None:
        self.windows += [self._log_probabilities(window) for window in windows]

    def _log_probabilities(self, window: Window) -> LogProbabilities:
        logits = self._classifier.logits(window, self._voice)
        temperature = self._classifier.manifest.temperature
        return log_softmax(logits - temperature * self.bias, temperature)
