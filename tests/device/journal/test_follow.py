"""Following a journal that is being written, and taking a day out of it."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from undertone import cli
from undertone.errors import JournalError
from undertone.events import Gap, moment
from undertone.journal import JournalWriter, summary_cache, to_line
from undertone.journal.follow import Follower
from undertone.journal.remove import remove_day


def line(number: int, day: int = 21) -> str:
    time_s = datetime(2026, 11, day, 12, tzinfo=UTC).timestamp() + number
    return to_line(Gap(moment(time_s), number, "test")) + "\n"


def numbers(follower: Follower) -> list[int]:
    return [record.lost_samples for record in follower.poll() if type(record) is Gap]


def test_there_need_be_no_journal_yet(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "none", 3)
    assert follower.poll() == []
    (tmp_path / "none").mkdir()
    assert follower.poll() == []
    (tmp_path / "none/2026-11-21.jsonl").write_text(line(1))
    assert numbers(follower) == [1]


def test_a_file_in_place_of_the_journal_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()
    with pytest.raises(JournalError, match="Can't read the journal"):
        Follower(tmp_path / "journal", 3).poll()


def test_the_newest_are_kept_over_files_and_days(tmp_path: Path) -> None:
    follower = Follower(tmp_path, 3)
    (tmp_path / "2026-11-20.jsonl").write_text(line(0, 20))
    (tmp_path / "2026-11-21.jsonl").write_text(line(1) + line(2))
    assert numbers(follower) == [0, 1, 2]
    with (tmp_path / "2026-11-21.jsonl").open("a") as file:
        file.write(line(3))
    (tmp_path / "2026-11-21.1.jsonl").write_text(line(4))
    (tmp_path / "2026-11-22.jsonl").write_text(line(5, 22) + "no event\n")
    assert numbers(follower) == [3, 4, 5]
    (tmp_path / "2026-11-22.jsonl").unlink()
    assert numbers(follower) == [2, 3, 4]  # what was deleted is not shown


def test_a_file_that_was_replaced_by_a_shorter_one_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-21.jsonl"
    path.write_text(line(1) + line(2))
    follower = Follower(tmp_path, 3)
    assert numbers(follower) == [1, 2]
    path.unlink()
    path.write_text(line(3))
    assert numbers(follower) == [3]


@given(st.lists(st.integers(1, 200), max_size=20))
def test_each_line_comes_once_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "2026-11-21.jsonl"
    whole = "".join(line(number) for number in range(20))
    follower = Follower(path.parent, 1000)
    written = 0
    for length in [*pieces, len(whole)]:
        with path.open("a") as file:
            file.write(whole[written : written + length])
        written += length
        done = whole[:written].count("\n")
        assert numbers(follower) == list(range(done))


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-21.jsonl"
    path.write_text("".join(line(number) for number in range(10_000)))
    follower = Follower(tmp_path, 100_000)
    found = numbers(follower)
    assert found[-1] == 9_999
    assert 100 < len(found) < 5_000
    assert found == list(range(found[0], 10_000))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Path]:
    for day in (20, 21, 22):
        path = tmp_path / f"2026-11-{day}.jsonl"
        path.write_text(line(day, day))
        summary_cache.store(path)
    (tmp_path / "2026-11-21.1.jsonl").write_text(line(1))
    yield tmp_path


def test_a_day_goes_whole_and_alone(journal: Path) -> None:
    assert remove_day(journal, date(2026, 11, 21)) == 2
    left = sorted(path.name for path in journal.iterdir() if path.name != ".lock")
    assert left == [
        ".2026-11-20.jsonl.summary",
        ".2026-11-22.jsonl.summary",
        "2026-11-20.jsonl",
        "2026-11-22.jsonl",
    ]
    with pytest.raises(JournalError, match="holds nothing of 2026-11-21"):
        remove_day(journal, date(2026, 11, 21))


def test_no_day_goes_while_the_journal_is_written(journal: Path) -> None:
    writer = JournalWriter(journal)
    with pytest.raises(JournalError, match=f"process {os.getpid()}"):
        remove_day(journal, date(2026, 11, 21))
    writer.close()
    assert remove_day(journal, date(2026, 11, 21)) == 2


def test_the_command_says_how_a_day_is_written(journal: Path) -> None:
    command = ["journal", "delete", "--journal", str(journal)]
    assert "delete [OPTIONS] DAY" in CliRunner().invoke(cli.undertone, [*command, "--help"]).stdout
    told = CliRunner().invoke(cli.undertone, [*command, "yesterday"]).stderr
    assert "'yesterday' is not a day; write it as 2026-11-20." in told
    assert "%" not in told


def test_the_command_asks_first(journal: Path) -> None:
    def delete(*arguments: str, answer: str = "") -> tuple[int, bool]:
        command = ["journal", "delete", "--journal", str(journal), *arguments]
        done = CliRunner().invoke(cli.undertone, command, input=answer)
        return done.exit_code, (journal / "2026-11-21.jsonl").exists()

    assert delete("2026-11-21", answer="n\n") == (1, True)
    for word in ("yesterday", "2026-02-31", "2026-11-21T08:00"):
        assert delete(word) == (2, True)
    assert delete("2026-11-21", answer="y\n") == (0, False)
    assert delete("2026-11-20", "--yes") == (0, False)
