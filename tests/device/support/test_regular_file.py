"""Only regular files are read: a FIFO in their place hangs no program and gets one sentence."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from undertone.journal import summary_cache
from undertone.journal.reader import JournalReader
from undertone.recognition import bundle
from undertone.samples import clips
from undertone.support.regular_file import open_regular, regular_descriptor


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(bundle.load().folder, tmp_path / "model")


def program(*arguments, state, **environment):
    return subprocess.run(
        [sys.executable, "-m", "undertone", *map(str, arguments)],
        env={**os.environ, "UNDERTONE_STATE": str(state), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def replaced(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("file", [bundle.MANIFEST_FILE, bundle.MODEL_FILE])
def test_a_bundle_of_pipes_is_refused(model, tmp_path, file):
    replaced(model / file)
    done = program("classify", clips()[0], "--model", model, state=tmp_path)
    assert done.returncode == 1
    assert file in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("how", ["settings", "limits", "baseline"])
def test_settings_and_limits_in_a_pipe_are_refused(fifo, tmp_path, how):
    if how == "settings":
        done = program("classify", clips()[0], state=tmp_path, UNDERTONE_CONFIG=str(fifo))
    elif how == "limits":
        done = program("bench", "--check", fifo, state=tmp_path)
    else:
        limits = tmp_path / "limits.toml"
        limits.write_text('baseline = "fifo"\n[ratio_at_most]\n"cold_start.p50_ms" = 1.2\n')
        done = program("bench", "--check", limits, state=tmp_path)
    assert done.returncode == (1 if how == "baseline" else 2)
    assert f"Can't read {fifo}: it is not a regular file" in done.stderr
    assert done.stderr.count("\n") == 1


def listen(state):
    return program("listen", "--source", clips()[4], "--fast", state=state)


def test_pipes_among_the_files_of_a_journal_are_passed_over(tmp_path):
    assert listen(tmp_path).returncode == 0
    (day,) = (tmp_path / "journal").glob("*.jsonl")
    os.mkfifo(tmp_path / "journal/2020-02-02.jsonl")
    os.mkfifo(summary_cache.path_of(day))
    (tmp_path / "journal/.lock").unlink()
    os.mkfifo(tmp_path / "journal/.lock")
    for command in ("show", "summary", "export"):
        done = program("journal", command, state=tmp_path)
        assert done.returncode == 0, done.stderr
    assert listen(tmp_path).returncode == 0
    assert len(list(JournalReader(tmp_path / "journal", recordings=True))) == 6


def test_a_day_of_the_journal_that_is_a_pipe_keeps_nobody_waiting(tmp_path):
    """Nobody reads it, or somebody does: neither is a place for events."""
    (tmp_path / "journal").mkdir()
    today = datetime.now(UTC).astimezone().date()
    fifo = tmp_path / f"journal/{today}.jsonl"
    os.mkfifo(fifo)
    assert "can't write the journal" in listen(tmp_path).stderr
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert "can't write the journal" in listen(tmp_path).stderr
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_file_and_nothing_else_is_opened(fifo, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with open_regular(path) as file:
        assert file.read() == b"content"
    link = tmp_path / "link"
    link.symlink_to(path)
    open_regular(link).close()
    for other in (fifo, Path("/dev/zero"), Path("/dev/tty")):
        with pytest.raises(OSError, match=r"not a regular file|No such device"):
            open_regular(other)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone")
    descriptor = regular_descriptor(tmp_path / "new", os.O_WRONLY | os.O_CREAT, 0o640)
    os.close(descriptor)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
