import json
import math
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone import events
from undertone.emotions import EMOTIONS
from undertone.journal.format import parse_line, placed, to_line

CET = timezone(timedelta(hours=1))

# Values as the journal keeps them: milliseconds, four digits of a probability.
posix_s = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
times = posix_s.map(events.moment)
durations = st.integers(0, 10**9).map(lambda ms: ms / 1000)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
counts = st.integers(0, 2**53)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
scores = st.dictionaries(
    texts, st.integers(0, 10_000).map(lambda n: n / 10_000), min_size=1, max_size=8
)
journal_events = st.one_of(
    st.builds(
        events.SegmentEnded.of,
        start_s=posix_s,
        duration_s=durations,
        level_dbfs=st.integers(-1200, 0).map(lambda n: n / 10),
        verdict=st.builds(events.Verdict.of, scores, st.floats(0, 1), st.none() | texts),
        model=texts,
        model_sha256=texts,
    ),
    st.builds(events.Started, times, texts, texts, texts, texts),
    st.builds(events.Gap, times, counts, texts),
    st.builds(events.SourceLost, times, texts, texts),
    st.builds(events.SourceBack, times, texts, durations),
    st.builds(events.Stopped, times, texts, durations, counts),
    st.builds(events.EventsLost, times, counts, texts),
    st.builds(events.DiskRefused, times, durations, texts),
    st.builds(events.DaysRemoved, times, texts, texts),
)


def segment(**changes):
    values = {
        "start_s": 1795245328.0,
        "duration_s": 2.123,
        "level_dbfs": -23.4,
        "verdict": events.Verdict.of({"calm": 0.21, "happy": 0.7}),
        "model": "ravdess8-compact",
        "model_sha256": "ab" * 32,
    }
    return events.SegmentEnded.of(**(values | changes))


@given(journal_events, zones)
def test_what_is_written_is_read_back(event, zone):
    line = to_line(placed(event, zone))
    record = parse_line(line)
    assert record == event
    assert record.time.utcoffset() == zone.utcoffset(None)
    assert to_line(placed(record, zone)) == line
    assert "\n" not in line


def test_a_segment_as_its_reader_sees_it():
    assert json.loads(to_line(placed(segment(), CET))) == {
        "event": "segment",
        "time": "2026-11-21T08:15:30.123+01:00",
        "label": "happy",
        "verdict": "happy",
        "confidence": 0.7,
        "scores": {"happy": 0.7, "calm": 0.21},
        "start": "2026-11-21T08:15:28.000+01:00",
        "duration_s": 2.123,
        "level_dbfs": -23.4,
        "model": "ravdess8-compact",
        "model_sha256": "ab" * 32,
    }


def test_a_segment_that_cannot_be_classified_has_a_reason():
    verdict = events.Verdict.of({"happy": 1.0}, reason="no sound above 4.8 kHz")
    assert json.loads(to_line(segment(verdict=verdict)))["reason"] == "no sound above 4.8 kHz"


def test_other_events_carry_their_fields():
    assert json.loads(to_line(events.Gap(events.moment(1.5), 160, "overflow"))) == {
        "event": "gap",
        "time": "1970-01-01T00:00:01.500+00:00",
        "lost_samples": 160,
        "reason": "overflow",
    }


@given(st.floats(), st.floats(), st.floats(), st.floats(0, 1))
def test_numbers_are_always_finite_json(level, duration, missed, share):
    def refuse(constant):
        raise AssertionError(constant)

    heard = segment(
        level_dbfs=level,
        verdict=events.Verdict.of({"sad": share, "calm": math.nan}),
    )
    for event in (
        heard,
        events.SourceBack(events.moment(0.0), "mic", missed),
        events.Stopped(events.moment(0.0), "end", duration, 0),
    ):
        json.loads(to_line(event), parse_constant=refuse)


def test_silence_has_a_level():
    assert parse_line(to_line(segment(level_dbfs=-math.inf))).level_dbfs == -120.0


def test_rounding_keeps_the_label():
    verdict = events.Verdict.of({"calm": 0.33334, "sad": 0.33336})
    record = parse_line(to_line(segment(verdict=verdict)))
    assert record.label == "sad"


def test_a_line_that_was_read_is_written_again_as_it_was():
    line = to_line(segment(start_s=0.0004, duration_s=0.0004))  # which together are a millisecond
    assert to_line(parse_line(line)) == line


def test_a_device_name_that_is_not_utf8_is_written():
    line = to_line(events.SourceLost(events.moment(0.0), "mic \udc80", "gone"))
    assert parse_line(line).source == "mic ?"


@given(journal_events, st.data())
def test_no_part_of_a_line_is_an_event(event, data):
    line = to_line(event)
    cut = data.draw(st.integers(0, len(line) - 1))
    assert parse_line(line[:cut]) is None


GOOD = json.loads(to_line(placed(segment(), CET)))
GAP = json.loads(to_line(events.Gap(events.moment(1.5), 160, "overflow")))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        '"segment"',
        "7",
        "{}",
        "[" * 100_000,
        '{"event":' * 100_000,
        "9" * 5000,
        "\x00" * 4096,
        '{"event": "gap"}',
        *(json.dumps(GOOD | change) for change in [
            {"event": "unknown"},
            {"event": ["segment"]},
            {"event": {}},
            {"time": "2026-11-21T08:15:30.123"},  # no zone
            {"time": "0001-01-01T00:00:00+14:00"},
            {"time": 1795245330},
            {"time": "yesterday"},
            {"start": None},
            {"start": "0001-01-01T00:00:00+14:00"},
            {"scores": {}},
            {"scores": [0.7]},
            {"scores": {"happy": "0.7"}},
            {"scores": {"happy": True}},
            {"scores": {"happy": 1.7}},
            {"scores": {"happy": math.nan}},
            {"scores": {"happy": math.inf}},
            {"label": "calm"},  # another has the higher score
            {"label": "happy\ud800", "scores": {"happy\ud800": 0.7}},
            {"duration_s": 1e11},
            {"duration_s": 10**400},
            {"level_dbfs": None},
            {"verdict": 1},
        ]),
        json.dumps(GOOD).replace("-23.4", "1e999"),
        *(json.dumps(GAP | change) for change in [
            {"lost_samples": -1},
            {"lost_samples": 1.5},
            {"lost_samples": True},
            {"lost_samples": 2**60},
            {"reason": {"a": 1}},
        ]),
    ],
)  # fmt: skip
def test_hostile_lines_are_no_events(line):
    assert parse_line(line) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([GOOD, GAP]), st.data())
def test_any_value_in_any_place_is_an_event_or_none(values, data):
    key = data.draw(st.sampled_from(sorted(values)))
    record = parse_line(json.dumps(values | {key: data.draw(json_values)}))
    if record is not None:
        to_line(record)


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    parse_line(text)


def test_the_emotions_are_the_labels_with_a_colour():
    from undertone.emotions import COLOURS

    assert tuple(COLOURS) == EMOTIONS
    assert len(set(COLOURS.values())) == 8
