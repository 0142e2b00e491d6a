"""The lock on a journal, as another program sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from undertone.errors import JournalError
from undertone.journal import lock
from undertone.journal.lock import is_locked, locked
from undertone.support.folder_lock import lock_folder

HOLDER = """
import sys
from pathlib import Path
from undertone.journal.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_seen_by_its_own_process_and_takes_nothing_from_it(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "no journal yet")


def test_a_listener_waits_for_a_program_that_only_asks_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = lock_folder(tmp_path, shared=True)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: os.close(asking))
    with locked(tmp_path):
        assert is_locked(tmp_path)


def test_a_process_that_was_killed_holds_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        assert is_locked(tmp_path)
        holder.kill()
        holder.wait()
        assert not is_locked(tmp_path)


def test_a_file_in_place_of_a_journal_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()
    with pytest.raises(JournalError, match="Can't read the journal"):
        is_locked(tmp_path / "journal")
