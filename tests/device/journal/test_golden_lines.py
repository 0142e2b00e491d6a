"""The lines of every kind of event, byte for byte: what journals hold must stay readable."""

import math
from datetime import UTC, timedelta, timezone
from pathlib import Path

from undertone.events import (
    DaysRemoved,
    DiskRefused,
    EventsLost,
    Gap,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)
from undertone.journal.format import parse_line, placed, to_line

GOLDEN = Path(__file__).with_name("lines.jsonl").read_text().splitlines()
INDIA = timezone(timedelta(hours=5, minutes=30))

ROOM = {"neutral": 0.00004, "happy": 0.33333, "sad": 0.33333, "angry": 0.3333}
T = 1_795_284_123.4567
EVENTS = [
    Started(moment(T), 'USB \x1b[2J\u202e микрофон 🎤 \udc80 "\\', "m", "0" * 64, "0.1.0"),
    SegmentEnded.of(T, 2.0004999, -23.456, Verdict.of(ROOM), "m", "0" * 64),
    SegmentEnded.of(T, 0.5, -math.inf, Verdict.of(ROOM, reason="no sound above 4.8 kHz"), "m", ""),
    SegmentEnded.of(-0.0004, 1e-9, math.nan, Verdict.of({"é\n": 1.0}), "m\t", "0"),
    Gap(moment(T), 0, ""),
    Gap(moment(T), 2**53, "the listening fell behind the microphone"),
    SourceLost(moment(1e9), "mic", "no samples for 2 s"),
    SourceBack(moment(1e9 - 0.0005), "mic", 123456.78949),
    SourceBack(moment(0.0), "mic", math.inf),
    Stopped(moment(T), "end of source", 1 / 3, 12),
    EventsLost(moment(T), 3, "No space left on device"),
    DiskRefused(moment(T), 1e5, "\u2028\x7f\x00"),
    DaysRemoved(moment(T), "2026-11-20,2026-11-21", "older than 400 days"),
]


def test_every_event_is_the_line_that_it_always_was() -> None:
    lines = [
        to_line(placed(event, zone, recording))
        for event in EVENTS
        for zone, recording in ((INDIA, False), (UTC, True))
    ]
    assert lines == GOLDEN


def test_every_line_is_read_and_written_again_as_it_is() -> None:
    for line in GOLDEN:
        event = parse_line(line)
        assert event
        assert to_line(event) == line
        assert event.recording == ('"recording": true' in line)
