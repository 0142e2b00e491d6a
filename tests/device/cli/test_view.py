import io
import logging

import pytest
from rich.console import Console

from undertone.cli.view import (
    ClippingWarning,
    LiveView,
    PlainView,
    SegmentCounter,
    bar,
    describe,
    summary,
)
from undertone.events import (
    Gap,
    LiveStatus,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)

EXCITED = Verdict.of({"happy": 0.7, "sad": 0.3}, activation=0.64)
HAPPY = Verdict.of({"happy": 0.7, "sad": 0.3})
UNSURE = Verdict.of({"happy": 0.4, "sad": 0.6}, threshold=0.7)
NARROW = Verdict.of(HAPPY.scores, reason="no sound above 4.8 kHz")


def segment(verdict=HAPPY, duration_s=2.0, source="USB mic"):
    return SegmentEnded.of(0.0, duration_s, -23.4, verdict, "model", "0" * 64, source)


def started(source):
    return Started(moment(0.0), source, "ravdess8-compact", "0" * 64, "1")


def status(source, level_dbfs=-20.0, speaking=False, verdict=None, clips=False):
    return LiveStatus(1.0, 65.0, level_dbfs, clips, speaking, lambda: verdict, source)


def picture(view):
    shown = Console(file=io.StringIO(), width=80)
    shown.print(view.render())
    return shown.file.getvalue()


def console():
    return Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (segment(), ["happy", "70%", "2.0 s", "-23 dBFS"]),
        (segment(EXCITED), ["happy", "70%  activation 64%  2.0 s"]),
        (segment(UNSURE), ["uncertain", "sad", "60%"]),
        (segment(NARROW), ["uncertain", "happy", "70%", "no sound above 4.8 kHz"]),
        (SourceLost(moment(0.0), "USB mic", "no samples"), ["USB mic", "lost", "no samples"]),
        (SourceBack(moment(0.0), "USB mic", 12.0), ["USB mic", "back", "12 s"]),
        (Gap(moment(0.0), 1600, "too slow"), ["1600", "too slow"]),
    ],
)
def test_every_event_that_matters_is_one_line(event, words):
    line = describe(event)
    assert "\n" not in line
    for word in words:
        assert word in line
    shown = console()
    PlainView(shown).handle(event)
    assert line in shown.file.getvalue()


def test_a_source_may_have_any_name():
    shown = console()
    view = LiveView(shown, "[/red]\x1b[2J.wav")
    view.handle(SourceLost(moment(0.0), "[/red]\x1b[2J", "no samples"))
    view.close()
    shown.print(view.render())
    assert "[/red]" in shown.file.getvalue()
    assert "\x1b[2J" not in shown.file.getvalue()


def test_start_and_stop_need_no_line():
    assert describe(Started(moment(0.0), "mic", "model", "0" * 64, "1")) is None
    assert describe(Stopped(moment(0.0), "interrupted", 1.0, 0)) is None


def test_the_live_view_shows_the_current_emotion():
    shown = console()
    view = LiveView(shown, "USB mic")
    view.handle(started("USB mic"))
    view.observe(status("USB mic", speaking=True, verdict=HAPPY))
    view.handle(segment(UNSURE))
    text = picture(view)
    view.close()
    assert text.count("level") == 1
    assert text.count("USB mic") == 1
    for word in ("USB mic", "ravdess8-compact", "1:05", "UNCERTAIN", "sad", "60%", "-20 dBFS"):
        assert word in text


def test_the_live_view_says_why_it_is_uncertain():
    view = LiveView(console(), "USB mic")
    view.observe(status("USB mic", speaking=True, verdict=NARROW))
    view.close()
    assert "UNCERTAIN  speaking  no sound above 4.8 kHz" in picture(view)


@pytest.mark.parametrize(("verdict", "shown"), [(EXCITED, True), (HAPPY, False)])
def test_the_live_view_shows_the_activation_beside_the_emotion(verdict, shown):
    view = LiveView(console(), "USB mic")
    view.observe(status("USB mic", speaking=True, verdict=verdict))
    view.close()
    assert ("HAPPY  speaking  activation 64%" in picture(view)) == shown
    assert ("activation" in picture(view)) == shown


def test_the_live_view_before_any_speech():
    view = LiveView(console(), "USB mic")
    view.close()
    assert "listening" in picture(view)
    assert "0:00 listened" in picture(view)
    assert picture(view).count("level") == 1


@pytest.fixture
def two():
    """The view of two sources."""
    view = LiveView(console(), "door, hall\x1b[2J")
    for source in ("door", "hall\x1b[2J"):
        view.handle(started(source))
    yield view
    view.close()


def test_of_several_sources_each_line_of_a_segment_or_gap_names_one():
    shown = console()
    view = PlainView(shown)
    for source in ("door", "hall\x1b[2J"):
        view.handle(started(source))
    view.handle(segment(source="hall\x1b[2J"))
    view.handle(Gap(moment(0.0), 1600, "too slow", "door"))
    first, second = shown.file.getvalue().splitlines()
    assert "  hall�[2J  happy" in first
    assert "  door  1600 samples" in second


def test_of_several_sources_each_has_a_level(two):
    two.observe(status("door", -20.0))
    two.observe(status("hall\x1b[2J", -40.0, clips=True))
    first, second = (line for line in picture(two).splitlines() if "level" in line)
    assert "-20 dBFS  door" in first
    assert "-40 dBFS  clipping  hall�[2J" in second


def test_while_one_source_speaks_no_other_takes_its_place(two):
    two.observe(status("door", speaking=True, verdict=HAPPY))
    two.observe(status("hall", speaking=True, verdict=UNSURE))
    two.handle(segment(UNSURE, source="hall"))
    two.observe(status("hall"))
    assert "HAPPY  door  speaking" in picture(two)
    two.observe(status("door"))
    assert "HAPPY  door  last segment" in picture(two)
    two.observe(status("hall", speaking=True, verdict=UNSURE))
    two.observe(status("door"))
    assert "UNCERTAIN  hall  speaking" in picture(two)


def test_the_summary_counts_verdicts():
    counter = SegmentCounter()
    for event in (segment(), segment(), segment(UNSURE, 4.0)):
        counter.handle(event)
    shown = console()
    shown.print(summary(counter.segments, counter.speech_s, 3725.0))
    text = shown.file.getvalue()
    for word in ("listened for 1:02:05", "0:08 of speech", "3 segments", "happy", "uncertain"):
        assert word in text


def test_a_summary_of_nothing():
    shown = console()
    shown.print(summary(SegmentCounter().segments, 0.0, 10.0))
    assert "0 segments" in shown.file.getvalue()


def test_bars_are_as_long_as_their_share():
    assert bar(0.0, 10) == ""
    assert bar(1.0, 10) == "█" * 10
    assert bar(0.55, 10) == "█" * 5 + "▌"
    assert bar(-1, 10) == ""
    assert bar(2, 10) == "█" * 10


def test_clipping_is_warned_about_once_an_hour_whatever_the_clock_is_set_to(caplog):
    passed_s = iter([0.0, 1800.0, 3700.0, 7200.0])
    warning = ClippingWarning(lambda: next(passed_s))
    with caplog.at_level(logging.WARNING):
        for days in (9, 8, 0, 99):
            warning.observe(LiveStatus(86_400.0 * days, 0.0, 0.0, True, False, None, "USB"))
    assert len(caplog.messages) == 2


def test_clipping_is_warned_about_for_each_source_by_name(caplog):
    warning = ClippingWarning(lambda: 0.0)
    with caplog.at_level(logging.WARNING):
        for source, clips in (("A", False), ("B", True), ("A", True), ("B", True)):
            warning.observe(LiveStatus(0.0, 0.0, 0.0, clips, False, None, source))
    assert [message[:26] for message in caplog.messages] == [
        "the sound of B is clipped,",
        "the sound of A is clipped,",
    ]
