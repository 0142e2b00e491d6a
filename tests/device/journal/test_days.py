"""The days of a journal as a page follows them."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from undertone.errors import JournalError
from undertone.events import Event, SegmentEnded, Started, Verdict, moment
from undertone.journal import days as days_module
from undertone.journal import summary_cache
from undertone.journal.days import Days, together
from undertone.journal.format import to_line
from undertone.journal.reader import JournalReader

DAY_S = 86_400
NOON_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
FIRST = date(2026, 11, 20)


def segment(day: int, after_s: float = 0.0, verdict: str = "happy") -> SegmentEnded:
    given = Verdict.of({verdict: 1.0}, activation=0.5)
    return SegmentEnded.of(NOON_S + day * DAY_S + after_s, 1.0, -20.0, given, "m", "0" * 64)


def started(source: str, day: int) -> Started:
    return Started(moment(NOON_S + day * DAY_S - 60), source, "m", "0" * 64, "1")


def append(folder: Path, day: int, *events: Event) -> None:
    with (folder / f"2026-11-{20 + day}.jsonl").open("a") as file:
        file.writelines(to_line(event) + "\n" for event in events)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Four days, of which the first alone has a start."""
    append(tmp_path, 0, started("USB", 0), segment(0))
    for day in range(1, 4):
        append(tmp_path, day, segment(day), segment(day, 60))
    return tmp_path


def test_the_totals_are_those_of_the_reader(journal: Path) -> None:
    days = Days(journal, 10).read(FIRST)
    assert list(days) == [date(2026, 11, 20 + number) for number in range(4)]
    reader = JournalReader(journal)
    total = together(days.values())
    assert total.heard == reader.summary()
    assert total.by_source == reader.by_source()
    assert [day.of("USB").segments for day in days.values()] == [1, 2, 2, 2]
    assert [day.of(None).segments for day in days.values()] == [1, 2, 2, 2]


def test_only_days_since_then_are_read_and_the_source_is_known(journal: Path) -> None:
    days = Days(journal, 10).read(date(2026, 11, 22))
    assert {day: each.of("USB").segments for day, each in days.items()} == {
        date(2026, 11, 22): 2,
        date(2026, 11, 23): 2,
    }


def test_of_what_was_read_before_only_new_lines_are_read_again(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = Days(journal, 10)
    days.read(FIRST)
    parsed: list[bytes] = []
    parse = days_module.parse_line
    monkeypatch.setattr(days_module, "parse_line", lambda line: parsed.append(line) or parse(line))
    days.read(FIRST)
    assert parsed == []
    append(journal, 3, segment(3, 120))
    append(journal, 4, segment(4))
    found = days.read(FIRST)
    assert len(parsed) == 2
    assert [day.heard.segments for day in found.values()] == [1, 2, 2, 3, 1]


def test_of_a_closed_day_the_stored_totals_are_used(journal: Path) -> None:
    closed = journal / "2026-11-21.jsonl"
    summary_cache.store(closed)
    stored = summary_cache.path_of(closed)
    stored.write_bytes(stored.read_bytes().replace(b'"gaps":0', b'"gaps":7'))
    assert Days(journal, 10).read(FIRST)[date(2026, 11, 21)].heard.gaps == 7


def test_the_newest_segments_are_kept_in_order_with_their_sources(journal: Path) -> None:
    days = Days(journal, 3)
    days.read(FIRST)
    assert days.newest() == [segment(2, 60), segment(3), segment(3, 60)]
    append(journal, 3, started("kitchen", 3), segment(3, 90))
    days.read(FIRST)
    assert days.newest("kitchen") == [segment(3, 90)]
    assert days.newest("USB") == [segment(3), segment(3, 60)]


def test_a_half_written_line_is_read_when_it_is_whole(journal: Path) -> None:
    days = Days(journal, 10)
    line = to_line(segment(3, 120))
    with (journal / "2026-11-23.jsonl").open("a") as file:
        file.write(line[:50])
        file.flush()
        assert days.read(FIRST)[date(2026, 11, 23)].heard.segments == 2
        file.write(line[50:] + "\n")
        file.flush()
        assert days.read(FIRST)[date(2026, 11, 23)].heard.segments == 3


def test_a_day_that_is_deleted_or_replaced_is_no_longer_counted(journal: Path) -> None:
    days = Days(journal, 10)
    days.read(FIRST)
    (journal / "2026-11-22.jsonl").unlink()
    assert date(2026, 11, 22) not in days.read(FIRST)
    assert segment(2) not in days.newest()
    path = journal / "2026-11-23.jsonl"
    path.write_text(to_line(segment(3, verdict="sad")) + "\n")
    assert list(days.read(FIRST)[date(2026, 11, 23)].heard.verdicts) == ["sad"]
    assert [each.verdict for each in days.newest()][-2:] == ["happy", "sad"]


def test_there_need_be_no_journal_and_what_is_none_is_one_sentence(tmp_path: Path) -> None:
    days = Days(tmp_path / "none", 10)
    assert days.read(FIRST) == {}
    assert days.newest() == []
    (tmp_path / "none").write_text("not a folder")
    with pytest.raises(JournalError, match="Can't read the journal"):
        days.read(FIRST)
