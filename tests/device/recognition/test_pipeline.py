"""The device path with the shipped model, and its numbers pinned."""

import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.audio.files import read_blocks
from undertone.audio.level import measure
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.decision import combine, decide, log_softmax
from undertone.recognition.pipeline import Pipeline, classify
from undertone.recognition.speech_gate import SpeechGate, segments
from undertone.recognition.windows import split_windows
from undertone.samples import clips

from .detectors import FakeDetector, always, if_loud, script

GOLDEN = Path(__file__).with_name("golden.json")

TOLERANCE = {"litert": 1e-4, "tflite-runtime": 2e-3}
"""Of the golden outputs, which are LiteRT's.  tflite-runtime's kernels round otherwise now and
then, so that an output of the network differs by a step."""


@pytest.fixture(scope="module")
def reference():
    """The shipped model on the kernels that are the same bit for bit on every processor."""
    return Classifier(bundle.load(), reference_kernels=True)


@pytest.fixture(scope="module")
def classifier():
    return Classifier(bundle.load())


def test_every_shipped_bundle_has_golden_outputs():
    assert json.loads(GOLDEN.read_text()).keys() == bundle.installed_bundles().keys()


@pytest.mark.parametrize("name", bundle.installed_bundles())
def test_golden_outputs(name):
    """tools/update_golden.py writes them again after a bundle is promoted."""
    reference = Classifier(bundle.load(name), reference_kernels=True)
    found = {clip.name: classify(read_blocks(clip), reference).overall.scores for clip in clips()}
    golden, manifest = json.loads(GOLDEN.read_text())[name], reference.manifest
    tolerance = TOLERANCE[reference.runtime]
    models = [manifest.model_sha256, manifest.detector.model_sha256]
    assert [golden["model_sha256"], golden["detector_sha256"]] == models, "promoted without it"
    assert list(found) == list(golden["probabilities"])
    for clip, probabilities in found.items():
        assert probabilities == pytest.approx(golden["probabilities"][clip], abs=tolerance)


def test_fast_kernels_give_the_same_verdicts(classifier, reference):
    for clip in clips():
        fast = classify(read_blocks(clip), classifier).overall
        slow = classify(read_blocks(clip), reference).overall
        assert fast.label == slow.label
        assert fast.scores == pytest.approx(slow.scores, abs=0.05)


def test_block_lengths_make_no_difference(classifier):
    coarse = classify(read_blocks(clips()[3], block_s=1.0), classifier)
    fine = classify(read_blocks(clips()[3], block_s=0.013), classifier)
    assert fine.overall == coarse.overall
    assert len(fine.segments) == len(coarse.segments) == 1


def test_gain_makes_no_difference(classifier):
    """Turned down by 20 dB, a clip that was not quiet already sounds the same to the network."""
    for clip in (clips()[2], clips()[4], clips()[5]):
        samples = np.concatenate([block.samples for block in read_blocks(clip)])
        loud = classify([Block(samples, 0.0)], classifier).overall
        quiet = classify([Block(samples // 10, 0.0)], classifier).overall
        assert quiet.scores == pytest.approx(loud.scores, abs=0.2)


def sound(seconds):
    """Noise that swells and fades four times a second."""
    time_s = np.arange(round(16000 * seconds)) / 16000
    noise = np.random.default_rng(0).normal(0, 3000, len(time_s))
    return (noise * (0.05 + np.sin(4 * np.pi * time_s) ** 2)).astype(np.int16)


def gate(classifier, rule, **changes):
    """The bundle's gate with another detector, and perhaps other settings."""
    manifest = classifier.manifest
    return SpeechGate(manifest.mfcc, FakeDetector(rule), replace(manifest.gate, **changes))


def test_provisional_verdicts_come_while_someone_speaks(classifier):
    """A gate that is always open: a verdict stands after the first full window, before the end."""
    pipeline = Pipeline(classifier, gate(classifier, always))
    pipeline.process(Block(np.zeros(16000, np.int16), 0.0))
    assert pipeline.provisional() is None
    assert pipeline.process(Block(sound(5), 1.0)) == []
    assert pipeline.speaking
    assert pipeline.provisional() is not None
    assert len(pipeline.flush()) == 1
    assert pipeline.provisional() is None


def test_the_provisional_verdict_ends_with_its_segment(classifier):
    """Speech goes on behind a cut: until it is long enough to be a segment, it has no verdict."""
    pipeline = Pipeline(classifier, gate(classifier, always, longest_s=4.0))
    pipeline.process(Block(np.zeros(16000, np.int16), 0.0))
    speech = sound(5)
    for start in range(0, len(speech), 1600):
        if pipeline.process(Block(speech[start : start + 1600], 1 + start / 16000)):
            break
    assert pipeline.speaking
    assert pipeline.provisional() is None


def test_speech_that_the_detector_is_not_sure_of_has_no_verdict(classifier):
    doubtful = gate(classifier, lambda frame: 0.5, threshold=0.4, sure=0.6)
    pipeline = Pipeline(classifier, doubtful)
    pipeline.process(Block(np.zeros(16000, np.int16), 0.0))
    pipeline.process(Block(sound(5), 1.0))
    assert pipeline.speaking
    assert pipeline.provisional() is None
    assert pipeline.flush() == []


@pytest.mark.parametrize("more", [-1, 0])
def test_what_deceives_the_detector_for_a_moment_has_no_verdict(classifier, more):
    """It takes ``least_speech_s`` of evidence."""
    manifest = classifier.manifest
    hop_s = manifest.mfcc.hop_length / SAMPLE_RATE_HZ
    sure = round(manifest.gate.least_speech_s / hop_s) + more
    deceived = script([0.7] * sure + [0.5] * 60)
    pipeline = Pipeline(classifier, gate(classifier, deceived, threshold=0.4, sure=0.6))
    pipeline.process(Block(sound(2), 0.0))
    assert pipeline.speaking
    assert (pipeline.provisional() is None) == (more < 0)
    assert len(pipeline.flush()) == (more >= 0)


def test_the_segment_is_the_one_of_the_gate(classifier):
    """Its time, length and level are those of the samples that the gate let through."""
    samples = np.concatenate([np.zeros(32_000, np.int16), sound(3), np.zeros(16_000, np.int16)])
    (segment,) = segments([Block(samples, 1.75e9)], gate(classifier, if_loud))
    pipeline = Pipeline(classifier, gate(classifier, if_loud))
    (classified,) = [
        one
        for block in tenths(samples)
        for one in pipeline.process(Block(block.samples, 1.75e9 + block.time_s))
    ]
    assert classified.time_s == pytest.approx(segment.time_s, abs=1e-5)
    assert classified.duration_s == segment.duration_s
    assert classified.level_dbfs == pytest.approx(measure(segment.samples).rms_dbfs)
    windows = split_windows(segment.frames, classifier.manifest.window)
    assert len(classified.windows) == len(windows)
    for found, window in zip(classified.windows, windows, strict=True):
        expected = log_softmax(classifier.logits(window), classifier.manifest.temperature)
        np.testing.assert_allclose(found, expected)


def test_silence_has_no_verdict(classifier):
    result = classify([Block(np.zeros(48000, np.int16), 0.0)], classifier)
    assert (result.verdict, result.overall, result.segments) == ("no-speech", None, ())


def test_below_the_threshold_the_verdict_is_uncertain(classifier):
    certain = classify(read_blocks(clips()[4]), classifier, threshold=0.0)
    never = classify(read_blocks(clips()[4]), classifier, threshold=1.0)
    assert certain.verdict == certain.overall.label
    assert never.verdict == "uncertain"
    assert never.overall.scores == certain.overall.scores


def test_a_label_without_verdict_is_uncertain_whatever_the_confidence():
    windows = [log_softmax(np.log([0.9, 0.1]))]
    given = decide(windows, ("happy", "sad"), 0.5, without_verdict=("sad",))
    refused = decide(windows, ("happy", "sad"), 0.5, without_verdict=("happy",))
    assert (given.verdict, refused.verdict) == ("happy", "uncertain")
    assert (refused.label, refused.reason, refused.scores) == ("happy", None, given.scores)


def test_what_the_bundle_leaves_without_verdict_is_uncertain(classifier, monkeypatch):
    def found():
        return classify(read_blocks(clips()[4]), classifier, threshold=0.0).overall

    label = found().label
    changed = replace(classifier.manifest, without_verdict=(label,))
    monkeypatch.setattr(classifier, "manifest", changed)
    assert (found().label, found().verdict) == (label, "uncertain")


def test_the_verdict_is_on_the_normalised_geometric_mean():
    windows = [log_softmax(np.log([0.5, 0.5])), log_softmax(np.log([0.8, 0.2]))]
    probabilities = np.exp(combine(windows))
    expected = np.sqrt([0.5 * 0.8, 0.5 * 0.2])
    np.testing.assert_allclose(probabilities, expected / expected.sum())
    assert decide(windows, ("a", "b"), 0.5).verdict == "a"
    assert decide(windows, ("a", "b"), 0.9).verdict == "uncertain"


def test_temperature_softens():
    logits = np.array([2.0, 0.0])
    np.testing.assert_allclose(np.exp(log_softmax(logits)).sum(), 1)
    assert log_softmax(logits, 2.0)[0] < log_softmax(logits)[0]


def test_a_short_sentence_has_a_provisional_verdict_before_its_end(classifier):
    seen = []
    pipeline = Pipeline(classifier)
    for block in read_blocks(clips()[4]):
        ended = pipeline.process(block)
        if not ended and (verdict := pipeline.provisional()):
            seen.append(verdict)
    assert seen
    assert len({verdict.confidence for verdict in seen}) <= 4  # once a hop, not a block


def tenths(samples):
    """A recording in blocks of a tenth of a second."""
    return [
        Block(samples[start : start + 1600], start / 16_000)
        for start in range(0, len(samples), 1600)
    ]


class Counting:
    """The shipped model, with a count of its inferences."""

    def __init__(self, classifier):
        self.manifest = classifier.manifest
        self.gate = classifier.gate
        self.knows_voices = classifier.knows_voices
        self.compared = classifier.compared
        self.count = 0
        self._classifier = classifier

    def logits(self, window, voice=None):
        self.count += 1
        return self._classifier.logits(window, voice)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_when_overloaded_it_classifies_fewer_windows_of_the_same_segments(classifier, times):
    clip = np.concatenate([block.samples for block in read_blocks(clips()[6])])
    speech = np.tile(clip[16_000:53_000], times)
    pause = np.random.default_rng(0).normal(0, 5, 24_000).astype(np.int16)
    sound = np.concatenate([pause, speech, pause, speech, pause])

    def classified(overloaded):
        counting = Counting(classifier)
        pipeline = Pipeline(counting)
        segments = []
        for block in tenths(sound):
            segments += pipeline.process(block, overloaded)
            pipeline.provisional()
        return counting.count, segments

    often, segments = classified(overloaded=False)
    seldom, while_overloaded = classified(overloaded=True)
    assert seldom < often
    assert [(one.time_s, one.duration_s) for one in while_overloaded] == [
        (one.time_s, one.duration_s) for one in segments
    ]
    assert len(segments) == 2


@pytest.mark.parametrize("clip", clips(), ids=lambda clip: clip.stem)
def test_a_verdict_comes_soon_after_the_end_of_speech(classifier, clip):
    """It waits for the pause, the frames that the detector looks ahead, and the block."""
    manifest = classifier.manifest
    frames = manifest.detector.ahead + 2 * manifest.detector.piece
    most_s = manifest.gate.pause_s + frames * manifest.mfcc.hop_length / SAMPLE_RATE_HZ + 0.1
    pipeline = Pipeline(classifier)
    spoken = np.concatenate([block.samples for block in read_blocks(clip)])
    waits_s = [
        block.time_s + block.duration_s - (segment.time_s + segment.duration_s)
        for block in tenths(np.append(spoken, np.zeros(16_000, np.int16)))
        for segment in pipeline.process(block)
    ]
    assert waits_s
    assert max(waits_s) <= most_s
