"""Deleting a day from a journal."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from undertone import cli
from undertone.errors import JournalError
from undertone.events import Gap, moment
from undertone.journal import summary_cache
from undertone.journal.format import to_line
from undertone.journal.remove import remove_day
from undertone.journal.writer import JournalWriter


def line(number: int, day: int = 21) -> str:
    time_s = datetime(2026, 11, day, 12, tzinfo=UTC).timestamp() + number
    return to_line(Gap(moment(time_s), number, "test")) + "\n"


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
