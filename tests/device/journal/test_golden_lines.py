"""The lines of every kind of event, byte for byte: what journals hold must stay readable."""

import math
from datetime import UTC, timedelta, timezone
from pathlib import Path

from undertone.events import (
    Gap,
    Scores,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
)
from undertone.journal import DaysRemoved, DiskRefused, EventsLost, parse_line, to_line

GOLDEN = Path(__file__).with_name("lines.jsonl").read_text().splitlines()
INDIA = timezone(timedelta(hours=5, minutes=30))

ROOM = Scores({"neutral": 0.00004, "happy": 0.33333, "sad": 0.33333, "angry": 0.3333})
T = 1_795_284_123.4567
EVENTS = [
    Started(T, 'USB \x1b[2J\u202e микрофон 🎤 \udc80 "\\', "m", "0" * 64, "0.1.0"),
    SegmentEnded(T, 2.0004999, -23.456, Verdict(ROOM, "happy"), "m", "0" * 64),
    SegmentEnded(T, 0.5, -math.inf, Verdict(ROOM, "uncertain", "no sound above 4.8 kHz"), "m", ""),
    SegmentEnded(-0.0004, 1e-9, math.nan, Verdict(Scores({"é\n": 1.0}), "é\n"), "m\t", "0"),
    Gap(T, 0, ""),
    Gap(T, 2**53, "the listening fell behind the microphone"),
    SourceLost(1e9, "mic", "no samples for 2 s"),
    SourceBack(1e9 - 0.0005, "mic", 123456.78949),
    SourceBack(0.0, "mic", math.inf),
    Stopped(T, "end of source", 1 / 3, 12),
    EventsLost(T, 3, "No space left on device"),
    DiskRefused(T, 1e5, "\u2028\x7f\x00"),
    DaysRemoved(T, "2026-11-20,2026-11-21", "older than 400 days"),
]


def test_every_event_is_the_line_that_it_always_was() -> None:
    lines = [
        to_line(event, zone, recording)
        for event in EVENTS
        for zone, recording in ((INDIA, False), (UTC, True))
    ]
    assert lines == GOLDEN


def test_every_line_is_read_and_written_again_as_it_is() -> None:
    for line in GOLDEN:
        record = parse_line(line)
        assert record
        assert record.line() == line
        assert record.recording == ('"recording": true' in line)
