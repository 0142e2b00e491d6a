"""Downloads the official RAVDESS archives from their public record, with retries."""

import errno
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests

from undertone_training.errors import FetchError

RECORD_URL = "https://zenodo.org/records/1188976/files"
"""Zenodo record 1188976 (Livingstone & Russo 2018, CC BY-NC-SA 4.0)."""

ATTEMPTS = 6
"""Consecutive failures without a new byte after which a download is given up."""

_TIMEOUT_S = (15, 60)  # to connect, and between two chunks
_CHUNK_BYTES = 1 << 14  # small, because a broken connection loses the chunk in progress
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of the record and its published MD5."""

    name: str
    md5: str


SPEECH = Archive("Audio_Speech_Actors_01-24.zip", "bc696df654c87fed845eb13823edef8a")
SONG = Archive("Audio_Song_Actors_01-24.zip", "5411230427d67a21e18aa4d466e6d1b9")


class _Interrupted(Exception):  # noqa: N818  not an error yet: it is retried
    """The server or the connection failed in a way that may be temporary."""


def fetch(
    archive: Archive,
    folder: Path,
    base_url: str = RECORD_URL,
    progress: Progress = lambda done, total: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download ``archive`` into ``folder`` and return its path, with the MD5 checked.

    What arrived before a failure stays in ``NAME.part`` and is continued, in this call or a later
    one. A file with the wrong MD5 is renamed to ``NAME.wrong``. An archive that exists already is
    only checked.

    progress: called with the bytes so far and the bytes in total (None while unknown).
    sleep: waits for this many seconds before another attempt.

    Raises FetchError.
    """
    target = folder / archive.name
    part = folder / f"{archive.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            _download(f"{base_url}/{archive.name}?download=1", part, progress, sleep)
            _check(part, archive)
            part.replace(target)
        else:
            _check(target, archive)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FetchError(
                f"The disk of {folder} is full: make room and run the same command again, it "
                f"continues where it stopped."
            ) from error
        raise FetchError(
            f"{archive.name} can't be written in {folder} ({error.strerror}): name another folder "
            f"with --to."
        ) from error
    return target


def _download(url: str, part: Path, progress: Progress, sleep: Callable[[float], None]) -> None:
    """Download until ``part`` is complete."""
    failures = 0
    most = 0
    with requests.Session() as session:
        while True:
            try:
                _receive(session, url, part, progress)
                return
            except _Interrupted as interruption:
                size = part.stat().st_size if part.exists() else 0
                # Only more bytes than ever before count as progress: a server that ignores Range
                # and always breaks off would otherwise be asked forever.
                failures = 1 if size > most else failures + 1
                most = max(most, size)
                if failures >= ATTEMPTS:
                    raise FetchError(
                        f"{url} could not be downloaded ({interruption}): run the same command "
                        f"again later, it continues where it stopped."
                    ) from interruption
                sleep(min(_FIRST_WAIT_S * 2 ** (failures - 1), _LONGEST_WAIT_S))


def _receive(session: requests.Session, url: str, part: Path, progress: Progress) -> None:
    """Append what is missing from ``part``; raises _Interrupted if another attempt may succeed."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                part.unlink()
                raise _Interrupted("the partial file is longer than the archive")
            _refuse_failure(response, url)
            resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT
            if resumed and not response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            ):
                part.unlink(missing_ok=True)
                raise _Interrupted("the server sent another part than the requested one")
            done = have if resumed else 0
            length = response.headers.get("Content-Length", "")
            total = done + int(length) if length.isdecimal() else None
            with part.open("ab" if resumed else "wb") as file:
                progress(done, total)
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done, total)
    except requests.RequestException as error:
        raise _Interrupted(_reason(error)) from error
    if total is not None and done < total:
        raise _Interrupted("the server broke off")


def _refuse_failure(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _Interrupted(f"the server answered {status} {response.reason}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise FetchError(
            f"{url} is not available (the server answered {status} {response.reason}): download it "
            f"with a browser from the record's page and put it into the data folder."
        )


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return "the server broke off"


def _check(path: Path, archive: Archive) -> None:
    """Rename the file if its MD5 is wrong."""
    with path.open("rb") as file:
        # detects a damaged file, not a forged one: the record publishes MD5 only
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != archive.md5:
        wrong = path.with_name(f"{archive.name}.wrong")
        path.replace(wrong)
        raise FetchError(
            f"{archive.name} has the MD5 {digest} instead of {archive.md5}: it was renamed to "
            f"{wrong}, run the same command again to download it once more."
        )
