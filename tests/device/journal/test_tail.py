"""What of a journal is new, whatever happens to its files."""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.errors import JournalError
from undertone.events import Event, Gap, Started, moment
from undertone.journal.format import parse_line, to_line, values_of
from undertone.journal.limits import JournalLimits
from undertone.journal.tail import JournalTail, Position
from undertone.journal.writer import JournalWriter


def line(number: int, day: int = 21, recording: bool = False) -> str:
    time_s = datetime(2026, 11, day, 12, tzinfo=UTC).timestamp() + number
    return to_line(Gap(moment(time_s), number, "test", recording=recording)) + "\n"


def start(source: str, day: int = 21) -> str:
    time_s = datetime(2026, 11, day, 8, tzinfo=UTC).timestamp()
    return to_line(Started(moment(time_s), source, "m", "0" * 64, "1")) + "\n"


def append(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def numbers(tail: JournalTail, most: int = 1000) -> list[int]:
    """What is new, all of it handled."""
    entries = tail.read(most)
    for entry in entries:
        tail.done(entry)
    return [entry.event.lost_samples for entry in entries if isinstance(entry.event, Gap)]


@pytest.fixture
def tail(tmp_path: Path) -> JournalTail:
    return JournalTail(tmp_path / "journal", {})


@pytest.fixture
def day(tail: JournalTail) -> Callable[[int], Path]:
    return lambda day: tail.folder / f"2026-11-{day}.jsonl"


def again(tail: JournalTail) -> JournalTail:
    """The tail of a program that was started anew with the stored cursor."""
    stored = msgspec.json.encode(tail.positions)
    return JournalTail(tail.folder, msgspec.json.decode(stored, type=dict[str, Position]))


def test_there_need_be_no_journal_yet(tail: JournalTail, day: Callable[[int], Path]) -> None:
    assert numbers(tail) == []
    tail.folder.mkdir()
    assert numbers(tail) == []
    append(day(21), line(1))
    assert numbers(tail) == [1]


def test_a_line_comes_again_until_it_is_handled(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(21), line(1) + line(2))
    first, second = tail.read(10)
    assert tail.read(10) == [first, second] == again(tail).read(10)
    tail.done(first)
    assert tail.read(10) == [second] == again(tail).read(10)
    tail.done(second)
    assert tail.read(10) == [] == again(tail).read(10)
    assert first.id != second.id


def test_it_goes_on_over_files_and_days_and_restarts(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(20), line(0, 20))
    append(day(21), line(1) + line(2))
    assert numbers(tail, 2) == [0, 1]
    append(tail.folder / "2026-11-21.1.jsonl", line(3))
    append(day(22), line(4, 22) + "no event\n" + line(5, 22, recording=True) + line(6, 22))
    tail = again(tail)
    assert numbers(tail) == [2, 3, 4, 6]
    assert numbers(again(tail)) == []


@given(st.lists(st.integers(1, 200), max_size=20))
def test_each_line_comes_once_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "2026-11-21.jsonl"
    whole = "".join(line(number) for number in range(20))
    tail, found, written = JournalTail(path.parent, {}), [], 0
    for length in [*pieces, len(whole)]:
        append(path, whole[written : written + length])
        written += length
        found += numbers(tail)
        assert found == list(range(whole[:written].count("\n")))


def test_a_clock_that_jumps_loses_nothing_and_doubles_nothing(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(21), line(1))
    assert numbers(tail) == [1]
    append(tail.folder / "2036-01-01.jsonl", line(2))  # ten years ahead, and back
    append(day(21), line(3))
    append(day(20), line(4, 20))
    assert sorted(numbers(tail)) == [2, 3, 4]
    append(day(20), line(5, 20))
    assert numbers(again(tail)) == [5]


def test_a_line_at_the_end_of_a_day_that_was_finished_is_seen_within_a_minute(
    tmp_path: Path,
) -> None:
    now_s = 0.0
    tail = JournalTail(tmp_path, {}, lambda: now_s)
    append(tmp_path / "2026-11-20.jsonl", line(0, 20))
    append(tmp_path / "2026-11-21.jsonl", line(1))
    assert (numbers(tail), numbers(tail), numbers(tail)) == ([0, 1], [], [])
    append(tmp_path / "2026-11-20.jsonl", line(2, 20))
    now_s = 60.0
    assert numbers(tail) == [2]


@pytest.mark.parametrize("more", [0, 1, 5])
def test_a_journal_that_is_deleted_and_begun_again_is_read_from_its_beginning(
    tail: JournalTail, day: Callable[[int], Path], more: int
) -> None:
    append(day(21), line(10) + line(11))
    before = {entry.id for entry in tail.read(10)}
    assert numbers(tail) == [10, 11]
    day(21).unlink()
    tail.folder.rmdir()
    assert numbers(tail) == []
    # of the same length as before, too
    append(day(21), "".join(line(number) for number in range(20, 22 + more)))
    assert not before & {entry.id for entry in tail.read(10)}
    for other in (again(tail), tail):
        assert numbers(other) == list(range(20, 22 + more))


def test_a_journal_that_is_deleted_and_begun_again_on_another_day_is_read(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(21), line(1))
    assert numbers(tail) == [1]
    day(21).unlink()
    append(day(22), line(2, 22))
    assert numbers(tail) == [2]


def test_a_folder_that_comes_back_is_not_read_again(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(20), line(1, 20))
    append(day(21), line(2))
    assert numbers(tail) == [1, 2]
    away = tail.folder.rename(tail.folder.with_name("away"))
    assert numbers(tail) == []
    away.rename(tail.folder)
    append(day(21), line(3))
    assert numbers(again(tail)) == [3]


def test_days_that_retention_removed_are_forgotten(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    for number in (19, 20, 21):
        append(day(number), line(number, number))
    assert numbers(tail) == [19, 20, 21]
    day(19).unlink()
    append(day(21), line(22))
    assert numbers(tail) == [22]
    assert sorted(tail.positions) == ["2026-11-20.jsonl", "2026-11-21.jsonl"]


def test_lines_that_a_power_cut_took_after_they_were_read(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(21), line(1) + line(2) + line(3))
    assert numbers(tail) == [1, 2, 3]
    day(21).write_text(line(1) + line(2)[:30])
    assert numbers(tail) == []
    day(21).write_text(line(1) + line(4) + line(5) + line(6))
    assert numbers(tail) == [4, 5, 6]


def test_a_line_without_an_end_is_waited_for_and_one_that_is_too_long_is_passed(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(21), "x" * 70_000)
    assert tail.read(10) == []
    append(day(21), "x" * 70_000 + "\n" + line(1))
    assert numbers(tail) == [1]


def test_times_are_written_as_the_standard_library_reads_them(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(21), line(1).replace("12:00:01.000+00:00", "12:00:01z"))
    (entry,) = tail.read(10)
    assert entry.event
    assert values_of(entry.event)["time"] == "2026-11-21T12:00:01.000+00:00"


def test_of_the_history_only_what_tells_the_present_state_is_read(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    append(day(19), start("old", 19) + line(1, 19))
    append(day(20), line(2, 20) + start("USB", 20) + line(3, 20))
    append(day(21), line(4) + start("file", 21).replace('"start",', '"start", "recording": true,'))
    tail.skip_history()
    assert [entry.event and entry.event.kind for entry in tail.read(10)] == [
        *("gap", "start", "gap", "gap"),
        None,
    ]
    assert set(tail.positions) == {"2026-11-19.jsonl"}


def test_of_a_history_without_a_start_the_last_file_is_read(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    tail.skip_history()
    append(day(20), line(1, 20))
    append(day(21), line(2))
    tail.skip_history()
    assert numbers(tail) == [2]


def test_what_was_written_so_far_can_be_left_out(
    tail: JournalTail, day: Callable[[int], Path]
) -> None:
    tail.skip_all()
    append(day(20), start("USB", 20) + line(1, 20))
    append(day(21), line(2) + line(3)[:-1])
    tail.skip_all()
    append(day(21), "\n")
    append(day(22), line(4, 22))
    assert numbers(tail) == [3, 4]


def test_a_journal_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("not a folder")
    with pytest.raises(JournalError, match="Can't read the journal"):
        JournalTail(tmp_path / "journal", {}).read(1)
    with pytest.raises(JournalError, match="Can't read the journal"):
        JournalTail(tmp_path / "journal", {}).skip_history()


def test_what_the_disk_refused_is_not_read_before_it_is_written_for_good(
    tail: JournalTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    limits = JournalLimits(flush_s=0)
    writer = JournalWriter(tail.folder, limits, clock=lambda: now_s, zone=UTC, report=str)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", Mock(side_effect=OSError(errno.EIO, "it fails")))
        writer.write(parse(line(1)))
        writer.write(parse(line(2)))
        writer.flush()
    assert tail.read(10) == []
    now_s = 10.0
    writer.close()
    entries = tail.read(10)
    assert [entry.event and entry.event.kind for entry in entries] == [
        *("disk-refused", "gap", "gap")
    ]


def parse(line: str) -> Event:
    event = parse_line(line)
    assert event
    return event
