"""Deletes a day from a journal."""

from datetime import date
from pathlib import Path

from undertone.errors import JournalError
from undertone.journal import summary_cache
from undertone.journal.files import journal_files
from undertone.journal.lock import locked


def remove_day(folder: Path, day: date) -> int:
    """Delete the files of ``day``, a day at the place of recording; return how many there were.

    Raises JournalError if there is no such day, if the journal is being written, or if the disk
    refuses.
    """
    try:
        files = [file for file in journal_files(folder) if file.day == day]
        if not files:
            raise JournalError(f"The journal in {folder} holds nothing of {day}.")
        with locked(folder):
            for file in files:
                summary_cache.path_of(file.path).unlink(missing_ok=True)
                file.path.unlink(missing_ok=True)
    except OSError as error:
        raise JournalError(
            f"Can't delete {day} from the journal in {folder}: {error.strerror}."
        ) from error
    return len(files)
