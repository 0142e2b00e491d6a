import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from undertone.errors import JournalError
from undertone.events import (
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
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.summary import Summary
from undertone.journal.writer import JournalWriter

DAY_S = 86_400
START_S = datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()


def note(number, time_s=START_S):
    return Gap(moment(time_s), number, "test")


def heard(verdict, time_s, duration_s=2.0):
    scores = {"happy": 0.6, "calm": 0.4} if verdict == "happy" else {"calm": 0.5}
    return SegmentEnded.of(time_s, duration_s, -20.0, Verdict.of(scores, threshold=0.55), "m", "0")


def numbers(records):
    return [record.lost_samples for record in records]


@pytest.fixture
def journal(tmp_path):
    """Three days of four events, two of them in a second file."""
    with_two_a_file = JournalLimits(max_mb=200 / 2**20)
    writer = JournalWriter(tmp_path, with_two_a_file, zone=UTC)
    for number in range(12):
        writer.write(note(number, START_S + (number // 4) * DAY_S + number % 4))
    writer.close()
    return tmp_path


def test_records_come_in_order(journal):
    assert numbers(JournalReader(journal)) == list(range(12))


def test_from_and_until(journal):
    reader = JournalReader(journal, since_s=START_S + 2, until_s=START_S + DAY_S + 1)
    assert numbers(reader) == [2, 3, 4]


@pytest.mark.parametrize("hours", [-12, 14])
def test_a_file_named_by_another_zones_day_is_found(tmp_path, hours):
    writer = JournalWriter(tmp_path, zone=timezone(timedelta(hours=hours)))
    for hour in range(24):
        writer.write(note(hour, START_S + hour * 3600))
    writer.close()
    for hour in range(24):
        time_s = START_S + hour * 3600
        assert numbers(JournalReader(tmp_path, since_s=time_s, until_s=time_s + 1)) == [hour]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 100])
def test_the_last_ones(journal, count):
    assert numbers(JournalReader(journal).last(count)) == list(range(12))[-count:]


def test_the_last_ones_of_a_span(journal):
    assert numbers(JournalReader(journal, until_s=START_S + DAY_S + 2).last(3)) == [3, 4, 5]


def test_every_prefix_of_a_file_is_read_to_its_last_whole_line(tmp_path):
    lines = [to_line(event) for event in (note(0), heard("happy", START_S), note(2))]
    whole = "".join(line + "\n" for line in lines).encode()
    path = tmp_path / "2026-11-21.jsonl"
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        reader = JournalReader(tmp_path)
        expected = [parse_line(line) for line in lines[: whole[:end].count(b"\n")]]
        assert list(reader) == expected
        assert reader.damaged == 0


def test_damaged_lines_are_skipped_and_counted(tmp_path):
    good = to_line(note(1)).encode() + b"\n"
    damaged = [
        b"\n",
        b"\0" * 100 + b"\n",
        b"\xff\xfe\n",
        good[:20] + b"\n",
        good[:-1] + good,
        good.replace(b"test", b"\xfftest"),
        b"x" * 300_000 + b"\n",
        b"[" * 50_000 + b"\n",
    ]
    content = good + b"".join(line + good for line in damaged)
    (tmp_path / "2026-11-21.jsonl").write_bytes(content)
    reader = JournalReader(tmp_path)
    assert numbers(reader) == [1] * (len(damaged) + 1)
    assert reader.damaged == len(damaged)


def test_a_line_without_end_takes_no_memory_and_is_no_event(tmp_path):
    path = tmp_path / "2026-11-21.jsonl"
    with path.open("wb") as file:
        file.truncate(20_000_000)
    assert list(JournalReader(tmp_path)) == []


def test_no_journal_is_a_clear_error(tmp_path):
    with pytest.raises(JournalError, match="undertone listen"):
        list(JournalReader(tmp_path / "none"))
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="Can't read"):
        list(JournalReader(tmp_path / "file"))


def records(*events, zone=UTC):
    return [placed(event, zone) for event in events]


def summed(lines):
    """Added up line by line, and in two halves wherever one cuts: the same."""
    whole = Summary()
    for line in lines:
        whole.add(line)
    for cut in range(len(lines) + 1):
        halves = Summary(), Summary()
        for line in lines[:cut]:
            halves[0].add(line)
        for line in lines[cut:]:
            halves[1].add(line)
        halves[0].follow(halves[1])
        assert halves[0] == whole
        assert halves[0].listened_s == whole.listened_s
    return whole


def started(time_s):
    return Started(moment(time_s), "mic", "m", "0", "1")


def test_a_summary_counts_live_segments():
    cet = timezone(timedelta(hours=1))
    summary = summed(
        records(
            started(START_S),
            heard("happy", START_S + 10, 2),
            heard("happy", START_S + 3600, 3),
            heard("uncertain", START_S + DAY_S, 1),
            note(320),
            note(160),
            SourceLost(moment(START_S + DAY_S), "mic", "gone"),
            SourceBack(moment(START_S + DAY_S), "mic", 12.5),
            EventsLost(moment(START_S + DAY_S), 7, "full"),
            Stopped(moment(START_S + DAY_S), "end", 5000, 3),
            zone=cet,
        )
    )
    assert summary.segments == 3
    assert summary.verdicts["happy"].segments == 2
    assert summary.verdicts["happy"].speech_s == 5
    assert summary.share("uncertain") == pytest.approx(1 / 3)
    assert summary.share("sad") == 0
    assert summary.by_hour == {9: {"happy": 1, "uncertain": 1}, 10: {"happy": 1}}
    assert [day.isoformat() for day in summary.by_day] == ["2026-11-21", "2026-11-22"]
    assert (summary.gaps, summary.lost_samples) == (2, 480)
    assert (summary.sources_lost, summary.missed_s, summary.lost_events) == (1, 12.5, 7)
    assert summary.listened_s == 5000


@pytest.mark.parametrize(
    ("events", "listened_s"),
    [
        ([], 0),
        # a file, faster or slower than life
        ([started(0), Stopped(moment(100), "end", 60, 0)], 60),
        ([started(0), note(1, 50), started(200), note(1, 230)], 80),  # a power cut; still on
        ([note(1, 1000), Stopped(moment(1100), "end", 5000, 0)], 100),  # cut off by --since
        ([note(1, 1000), note(1, 1040)], 40),
        ([Stopped(moment(1100), "end", 5000, 0), EventsLost(moment(2000), 1, "full")], 0),
        # clock back
        ([started(1000), note(1, 10), started(20), Stopped(moment(30), "end", 10, 0)], 10),
    ],
)
def test_time_listened(events, listened_s):
    assert summed(records(*events)).listened_s == listened_s


def test_summary_of_nothing():
    summary = summed([])
    assert summary.segments == 0
    assert summary.share("happy") == 0
    assert summary.first is None


def test_keys_of_a_newer_program_do_no_harm():
    line = json.dumps(json.loads(to_line(note(1))) | {"new": [1, 2]})
    assert parse_line(line) == note(1)
