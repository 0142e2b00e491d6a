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


def segment(verdict=HAPPY, duration_s=2.0):
    return SegmentEnded.of(0.0, duration_s, -23.4, verdict, "model", "0" * 64)


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
    view.handle(Started(moment(0.0), "USB mic", "ravdess8-compact", "0" * 64, "1"))
    view.observe(LiveStatus(1.0, 65.0, -20.0, False, True, lambda: HAPPY))
    view.handle(segment(UNSURE))
    picture = Console(file=io.StringIO(), width=80)
    picture.print(view.render())
    text = picture.file.getvalue()
    view.close()
    for word in ("USB mic", "ravdess8-compact", "1:05", "UNCERTAIN", "sad", "60%", "-20 dBFS"):
        assert word in text


def test_the_live_view_says_why_it_is_uncertain():
    view = LiveView(console(), "USB mic")
    view.observe(LiveStatus(1.0, 65.0, -20.0, False, True, lambda: NARROW))
    picture = Console(file=io.StringIO(), width=80)
    picture.print(view.render())
    view.close()
    assert "UNCERTAIN  speaking  no sound above 4.8 kHz" in picture.file.getvalue()


@pytest.mark.parametrize(("verdict", "shown"), [(EXCITED, True), (HAPPY, False)])
def test_the_live_view_shows_the_activation_beside_the_emotion(verdict, shown):
    view = LiveView(console(), "USB mic")
    view.observe(LiveStatus(1.0, 65.0, -20.0, False, True, lambda: verdict))
    picture = Console(file=io.StringIO(), width=80)
    picture.print(view.render())
    view.close()
    assert ("HAPPY  speaking  activation 64%" in picture.file.getvalue()) == shown
    assert ("activation" in picture.file.getvalue()) == shown


def test_the_live_view_before_any_speech():
    view = LiveView(console(), "USB mic")
    picture = Console(file=io.StringIO(), width=80)
    picture.print(view.render())
    view.close()
    assert "listening" in picture.file.getvalue()


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
    passed_s = iter([0.0, 0.0, 1800.0, 3700.0, 3700.0, 7200.0])
    warning = ClippingWarning(lambda: next(passed_s))
    with caplog.at_level(logging.WARNING):
        for days in (9, 8, 0, 99):
            warning.observe(LiveStatus(86_400.0 * days, 0.0, 0.0, True, False, None))
    assert len(caplog.messages) == 2
