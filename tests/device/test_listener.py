import io
import logging
import signal
from dataclasses import replace
from typing import ClassVar

import msgspec
import numpy as np
import pytest
from rich.console import Console

from undertone.audio.block import Block
from undertone.cli.view import PlainView
from undertone.events import (
    CaughtUp,
    Gap,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    moment,
)
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.sink import JournalSink
from undertone.journal.writer import JournalWriter
from undertone.listener import OVERLOADED_S, Listener
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline, classify
from undertone.samples import demonstration
from undertone.service.signals import ShutdownSignals


class Recorder:
    """A sink that keeps everything."""

    def __init__(self):
        self.events = []
        self.moments = []
        self.closed = 0

    def handle(self, event):
        self.events.append(event)

    def observe(self, status):
        self.moments.append(status)

    def close(self):
        self.closed += 1


class Broken:
    """A sink of which nothing works."""

    def handle(self, event):
        raise RuntimeError("broken sink")

    def observe(self, status):
        raise OSError("broken sink")

    def close(self):
        raise ValueError("broken sink")


@pytest.fixture(scope="module")
def classifier():
    return Classifier(bundle.load())


def named(items):
    return (("a test", item) for item in items)


def listen(classifier, items, *sinks):
    recorder = Recorder()
    pipelines = {"a test": Pipeline(classifier)}
    listener = Listener(pipelines, classifier.manifest, [*sinks, recorder], lambda: 1000.0)
    try:
        listener.run(named(items))
    finally:
        assert recorder.closed == 1
    return recorder


def test_the_demonstration_becomes_events(classifier):
    recorder = listen(classifier, demonstration())
    started, *segments, stopped = recorder.events
    assert isinstance(started, Started)
    assert started.source == "a test"
    assert started.model_sha256 == classifier.manifest.model_sha256
    assert [type(event) for event in segments] == [SegmentEnded] * 8
    assert isinstance(stopped, Stopped)
    assert stopped.reason == "end of source"
    assert stopped.segments == 8
    assert 35 < stopped.listened_s < 60
    assert any(moment.speaking for moment in recorder.moments)
    assert recorder.moments[-1].listened_s == pytest.approx(stopped.listened_s, abs=0.01)


def test_a_failing_sink_stops_nothing_and_is_reported_once(classifier, caplog):
    with caplog.at_level(logging.ERROR):
        recorder = listen(classifier, demonstration(), Broken())
    assert sum(isinstance(event, SegmentEnded) for event in recorder.events) == 8
    assert len([record for record in caplog.records if "Broken failed" in record.message]) == 1


def test_a_loss_ends_the_segment_and_is_passed_on(classifier):
    lost = SourceLost(moment(5.0), "a test", "stream inactive")
    back = SourceBack(moment(9.0), "a test", 4.0)
    gap = Gap(moment(9.5), 160, "queue full", "a test")
    speaking = list(demonstration())[:23]  # up to the middle of the first clip's speech
    for interruption in (lost, back, gap):
        recorder = listen(classifier, [*speaking, interruption, *speaking])
        _, segment, passed_on, *rest = recorder.events
        assert isinstance(segment, SegmentEnded)
        assert passed_on == interruption
        assert [type(event) for event in rest] == [SegmentEnded, Stopped]
        assert rest[0].duration_s == pytest.approx(segment.duration_s, abs=0.05)


def test_ctrl_c_ends_with_everything_reported(classifier):
    def interrupted():
        yield from list(demonstration())[:23]  # in the middle of the first clip's speech
        raise KeyboardInterrupt

    recorder = listen(classifier, interrupted())
    assert isinstance(recorder.events[-2], SegmentEnded)
    assert recorder.events[-1].reason == "interrupted"


def test_an_error_of_the_source_is_reported_and_raised(classifier):
    def failing():
        yield from list(demonstration())[:5]
        raise OSError("gone")

    recorder = Recorder()
    pipelines = {"a test": Pipeline(classifier)}
    listener = Listener(pipelines, classifier.manifest, [recorder], lambda: 0.0)
    with pytest.raises(OSError, match="gone"):
        listener.run(named(failing()))
    assert recorder.events[-1].reason == "error"
    assert recorder.closed == 1


class Signalling(Recorder):
    """A sink in which eight signals come with every event, and at its end."""

    def handle(self, event):
        super().handle(event)
        self.signal()

    def close(self):
        super().close()
        self.signal()

    def signal(self):
        for _ in range(8):
            signal.raise_signal(signal.SIGINT)


def test_signals_at_every_event_take_none_from_any_sink(classifier):
    source = ShutdownSignals(service=False).until_signal(demonstration())
    first = Signalling()
    second = listen(classifier, source, first)
    assert [event.kind for event in second.events] == ["start", "stop"]
    assert first.events == second.events
    assert (first.closed, second.events[-1].reason) == (1, "interrupted")


def test_the_end_of_a_source_is_not_disturbed(classifier):
    source = ShutdownSignals(service=False).until_signal(list(demonstration())[:23])
    first = Signalling()
    first.handle = first.events.append
    second = listen(classifier, source, first)
    assert [event.kind for event in second.events] == ["start", "segment", "stop"]
    assert first.events == second.events
    assert second.events[-1].reason == "end of source"


class Failing:
    """A pipeline whose classifier fails with the last segment."""

    def __init__(self, pipeline):
        self._pipeline = pipeline

    def __getattr__(self, name):
        return getattr(self._pipeline, name)

    def flush(self):
        raise RuntimeError("no such kernel")


@pytest.mark.parametrize("ending", [[], [KeyboardInterrupt], [OSError]])
def test_an_error_in_the_last_segment_leaves_the_journal_whole(classifier, tmp_path, ending):
    def source():
        yield from list(demonstration())[:60]
        for error in ending:
            raise error

    writer = JournalWriter(tmp_path, JournalLimits(flush_s=60))
    sinks = [JournalSink(writer)]
    pipelines = {"a test": Failing(Pipeline(classifier))}
    listener = Listener(pipelines, classifier.manifest, sinks, lambda: 1000.0)
    with pytest.raises(RuntimeError, match="no such kernel"):
        listener.run(named(source()))
    records = list(JournalReader(tmp_path))
    assert [event.kind for event in records] == ["start", "segment", "stop"]
    assert records[-1].reason == "error"
    JournalWriter(tmp_path).close()  # it is free again


def test_a_sink_that_can_not_finish_makes_the_listening_incomplete(classifier):
    pipelines = {"a test": Pipeline(classifier)}
    listener = Listener(pipelines, classifier.manifest, [Broken()], lambda: 0.0)
    assert not listener.incomplete
    listener.run([])
    assert listener.incomplete


class Counting:
    """A classifier with a count of its inferences."""

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


class Watching(Recorder):
    """A sink that shows the provisional verdict."""

    def observe(self, status):
        self.moments.append(status.provisional())


def test_windows_are_classified_for_a_verdict_or_for_who_watches(classifier, tmp_path):
    """Provisional verdicts cost nothing where nobody sees them: in a file, or a service."""
    counts = {}
    for name, watching in (("headless", Recorder()), ("live view", Watching())):
        counting = Counting(classifier)
        sinks = [JournalSink(JournalWriter(tmp_path)), PlainView(Console(file=io.StringIO()))]
        listen(counting, demonstration(), *sinks, watching)
        counts[name] = counting.count
    of_file = Counting(classifier)
    verdicts = classify(demonstration(), of_file)
    needed = sum(len(segment.windows) for segment in verdicts.segments)
    assert counts["headless"] == of_file.count == needed
    assert any(watching.moments)
    assert counts["live view"] > needed


def test_it_rests_only_while_nobody_speaks_and_nothing_waits(classifier):
    """Rests that are longer than blocks are caught up with before the next one."""
    rests = []
    recorder = Recorder()
    pipelines = {"a test": Pipeline(classifier)}

    def rest():
        rests.append(len(recorder.moments))

    listener = Listener(pipelines, classifier.manifest, [recorder], lambda: 0.0, rest)
    speech = list(demonstration())[:30]
    quiet = [replace(block, samples=np.zeros_like(block.samples)) for block in speech[:10]]

    def source():
        for block in [*quiet, *speech]:
            yield block
            yield CaughtUp()
        yield from quiet

    listener.run(named(source()))
    speaking = [number for number, moment in enumerate(recorder.moments, 1) if moment.speaking]
    assert speaking
    assert rests[:10] == list(range(1, 11))
    assert not {*rests} & {*speaking}
    assert rests[-1] <= len(quiet) + len(speech)


def test_it_is_overloaded_as_long_as_sound_waits(classifier, caplog):
    class Noting:
        speaking = idle = False
        overloaded: ClassVar = []

        def provisional(self):
            return None

        def flush(self):
            return []

        def process(self, block, overloaded):
            self.overloaded.append(overloaded)
            return []

    behind = [0.0, OVERLOADED_S - 0.1, OVERLOADED_S, OVERLOADED_S + 1, 0.1, OVERLOADED_S]
    source = [Block(np.zeros(1600, np.int16), 0.1 * n, late) for n, late in enumerate(behind)]
    Listener({"a test": Noting()}, classifier.manifest, [], lambda: 0.0).run(named(source))
    assert Noting.overloaded == [False, False, True, True, False, True]
    assert len([one for one in caplog.records if "too busy" in one.message]) == 2


# several sources


def both(one, other):
    """The items of two sources in turn, as they arrive."""
    for first, second in zip(one, other, strict=True):
        yield "one", first
        yield "other", second


def listen_to_both(classifier, items, rest=None):
    recorder = Recorder()
    pipelines = {"one": Pipeline(classifier), "other": Pipeline(classifier)}
    listener = Listener(pipelines, classifier.manifest, [recorder], lambda: 1000.0, rest)
    listener.run(items)
    assert recorder.closed == 1
    return recorder


def test_each_source_has_a_pipeline_and_events_of_its_own(classifier):
    blocks = list(demonstration())
    later = [*blocks[60:], *blocks[:60]]
    alone = {
        "one": [e for e in listen(classifier, blocks).events if isinstance(e, SegmentEnded)],
        "other": [e for e in listen(classifier, later).events if isinstance(e, SegmentEnded)],
    }
    events = listen_to_both(classifier, both(blocks, later)).events
    assert [(e.kind, e.source) for e in events[:2]] == [("start", "one"), ("start", "other")]
    assert [(e.kind, e.source) for e in events[-2:]] == [("stop", "one"), ("stop", "other")]
    for stopped in events[-2:]:
        found = [e for e in events[2:-2] if e.source == stopped.source]
        expected = alone[stopped.source]
        assert list(map(without_source, found)) == list(map(without_source, expected))
        assert stopped.segments == len(found) > 5
        assert stopped.listened_s == pytest.approx(sum(block.duration_s for block in blocks))


def without_source(event):
    return msgspec.structs.replace(event, source=None)


def test_a_loss_ends_no_segment_of_another_source(classifier):
    speaking = list(demonstration())[:23]  # up to the middle of the first clip's speech
    lost = SourceLost(moment(5.0), "one", "stream inactive")

    def items():
        yield from both(speaking, speaking)
        yield "one", lost
        yield "one", Gap(moment(6.0), 160, "queue full")

    events = listen_to_both(classifier, items()).events
    assert [(event.kind, event.source) for event in events] == [
        ("start", "one"),
        ("start", "other"),
        ("segment", "one"),
        ("source-lost", "one"),
        ("gap", "one"),
        ("segment", "other"),
        ("stop", "one"),
        ("stop", "other"),
    ]


def test_it_does_not_rest_while_anybody_speaks_anywhere(classifier):
    rests = []
    blocks = list(demonstration())[:30]
    quiet = [replace(block, samples=np.zeros_like(block.samples)) for block in blocks]

    def items(one, other):
        for item in both(one, other):
            yield item
            yield "one", CaughtUp()

    listen_to_both(classifier, items(quiet, quiet), lambda: rests.append(1))
    in_silence = len(rests)
    for one, other in ((quiet, blocks), (blocks, quiet)):
        rests.clear()
        recorder = listen_to_both(classifier, items(one, other), lambda: rests.append(1))
        assert any(status.speaking for status in recorder.moments)
        assert {status.source for status in recorder.moments} == {"one", "other"}
        assert 0 < len(rests) < in_silence


def test_too_busy_a_machine_is_reported_once_for_all_sources(classifier, caplog):
    late = [Block(np.zeros(1600, np.int16), 0.1 * n, OVERLOADED_S) for n in range(3)]
    listen_to_both(classifier, both(late, late))
    assert len([one for one in caplog.records if "too busy" in one.message]) == 1
