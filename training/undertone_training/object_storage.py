"""Object storage: local copies of what is in a bucket, by any file system that fsspec knows.

A folder that is given as a URL becomes the folder of a local copy, below which everything works
with paths and files as in any other folder.  Files are exchanged with the bucket where they are
needed: an object appears there at once and whole, which is what renaming a file is elsewhere.

Of recordings and features, a machine keeps a copy in the user's cache folder (see ``copy_of``):
recordings are told apart by their size and time, and shards by their names alone, which follow
from their content.  Of everything else, each process has a copy of its own while it runs, so that
none meets what another has half written; what has changed there is put into the bucket by ``push``.

A path that is sent to a job names the copy on the machine that it arrives on, and the version of
its file.  All functions leave paths alone that are not below a copy, and raise StorageError.
"""

import atexit
import copyreg
import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import platformdirs

from undertone.errors import RuntimeMissingError, UndertoneError
from undertone.support.installation import add_extra
from undertone_training.errors import StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT)

_PARTS, _ABANDONED_S = "parts-", 86_400
"""How folders of unfinished downloads are called, and the age at which nobody works there."""

_MODIFIED = ("LastModified", "last_modified", "mtime", "created")
"""What file systems call the time of an object."""


class _Version(NamedTuple):
    """Size in bytes and time of a file; of an object the time is in whole seconds, as S3 has it."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "_Version":
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns)


_roots: dict[bool, Path] = {}
"""Where the copies are, as far as this process has any; by ``kept``, as in ``copy_of``."""

_objects: dict[Path, _Version | None] = {}
"""The objects that this process's own copies were got from; None for one that it has put."""

_files: dict[Path, _Version] = {}
"""Those copies, as they were then."""


def copy_of(url: str, kept: bool) -> Path:
    """The folder for a local copy of ``url``, which need not exist yet.

    kept: for recordings and features, of which a copy stays in the user's cache folder.
    Raises StorageError for a URL that can't be used, as far as it shows.
    """
    parts = urlsplit(url)
    if parts.password or not (parts.netloc or parts.path.strip("/")):
        raise StorageError(
            f"{url.replace(parts.password or '//', '…')} can't be used: give the name of a bucket, "
            "as in s3://bucket/folder, and no password."
        )
    with _sentences(url):
        return _root(kept) / f"{parts.scheme}:" / url.partition("://")[2].strip("/")


def url_of(path: Path) -> str:
    """The URL of what ``path`` is a copy of; of another path, itself made absolute, as text."""
    place = _place(path)
    if place is None:
        return os.path.abspath(path)  # noqa: PTH100  it may have parts that are links
    scheme, _, rest = place[1].partition("/")
    return f"{scheme}//{'/' * (scheme == 'file:')}{rest}"


def readable(text: str) -> str:
    """``text`` with URLs for the paths of copies, on whichever machine they are."""
    text = re.sub(r"\S*/undertone[-/]storage[^/\s]*/([a-z][a-z0-9+.-]*:)/", r"\1//", text)
    return re.sub("file:/+", "file:///", text)


def expect(folder: Path) -> None:
    """Have a file for each object in and below ``folder``: its size and time, without the content.

    Files of objects that are gone are removed.  What is in a file is there after ``fetch``.
    """
    if not _place(folder):
        return
    found = _listed(folder)
    with _sentences(url_of(folder)):
        for parent, _, names in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if path not in found:
                    path.unlink(missing_ok=True)
        for path, version in found.items():
            _expect(path, version)


def fetch(paths: Iterable[Path], missing_ok: bool = False) -> bool:
    """Get the content of these files, as far as it is not there; whether they exist.

    missing_ok: that they don't is no error.
    """
    lacking: dict[Path, _Version | None] = {}
    for path in paths:
        if _place(path) and path not in lacking:
            try:
                if not path.stat().st_mode & stat.S_IRUSR:
                    lacking[path] = _Version.of(path)
            except FileNotFoundError:
                lacking[path] = None
    return _get(lacking, missing_ok)


def bring(folder: Path) -> None:
    """Get what is in and below ``folder``, or the file that this is, as far as it has changed."""
    place = _place(folder)
    if not place:
        return
    found = _listed(folder)
    if place[0]:
        complete = fetch(found, missing_ok=True)
    else:
        for path in _copies_in(folder) - found.keys():
            path.unlink(missing_ok=True)
            del _files[path], _objects[path]
        lacking = {path: each for path, each in found.items() if _objects.get(path) != each}
        if complete := _get(lacking, missing_ok=True):
            for path in lacking:
                _objects[path], _files[path] = found[path], _Version.of(path)
    if not complete:  # something was removed meanwhile
        bring(folder)


def push(folder: Path | None = None) -> None:
    """Put what this process has changed in and below ``folder``, or anywhere, into the bucket.

    In the order in which it was written, and what was removed is removed last: if the process is
    killed meanwhile, the bucket has what a folder would have.
    """
    folder = folder or _roots.get(False)
    if folder is None or not _place(folder):
        return
    found = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    now = {path: _Version.of(path) for path in found}
    for path in sorted(now, key=lambda path: now[path].mtime_ns):
        if _files.get(path) != now[path]:
            put(path, path)
            _objects[path], _files[path] = None, now[path]
    for path in _copies_in(folder) - now.keys():
        remove(path)
        del _files[path], _objects[path]


def put(file: Path, path: Path) -> None:
    """Put the content of ``file`` into the bucket, as what ``path`` is a copy of."""
    if _place(path):
        with _using(url_of(path)) as store:
            store.put_file(os.fspath(file), url_of(path))


def remove(path: Path) -> None:
    """Remove the file, and the object that it is a copy of."""
    path.unlink(missing_ok=True)
    if _place(path):
        with _using(url_of(path)) as store, suppress(FileNotFoundError):
            store.rm_file(url_of(path))


def renewed_ns(path: Path) -> int:
    """When the file, or the object that it is a copy of, was last written; -1 if there is none."""
    with suppress(FileNotFoundError):
        if not _place(path):
            with path.open("rb") as file:  # network file systems look anew when they open
                return os.fstat(file.fileno()).st_mtime_ns
        with _using(url_of(path)) as store, suppress(FileNotFoundError):
            store.invalidate_cache()
            return _version(store.info(url_of(path))).mtime_ns
    return -1


def _root(kept: bool) -> Path:
    """Where the copies are, which is there afterwards."""
    if kept not in _roots:
        copyreg.pickle(type(Path()), _reduced)
        if kept:
            _roots[kept] = platformdirs.user_cache_path("undertone") / "storage"
            _roots[kept].mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in _roots[kept].glob(f"{_PARTS}*"):  # by a process that was killed
                if left.stat().st_mtime < time.time() - _ABANDONED_S:
                    shutil.rmtree(left, ignore_errors=True)
        else:
            _roots[kept] = Path(tempfile.mkdtemp(prefix="undertone-storage-"))
            atexit.register(shutil.rmtree, _roots[kept], ignore_errors=True)
    return _roots[kept]


def _place(path: Path) -> tuple[bool, str] | None:
    """Below which root a path is, and where; None for another."""
    for kept, root in _roots.items():
        if f"{path}/".startswith(f"{root}/"):
            return kept, str(path)[len(str(root)) + 1 :]
    return None


def _copies_in(folder: Path) -> set[Path]:
    return {path for path in _files if path.is_relative_to(folder)}


def _reduced(path: Path) -> Any:
    """What is sent to a job in the place of a path."""
    place = _place(path)
    if place is None:
        return path.__reduce__()
    version = _Version.of(path) if place[0] and path.is_file() else None
    return _received, (*place, version)


def _received(kept: bool, rest: str, version: _Version | None) -> Path:
    path = _root(kept) / rest
    if version:
        with _sentences(url_of(path)):
            _expect(path, version)
    return path


def _expect(path: Path, version: _Version) -> None:
    """Have a file of this version, without content if it is another one or not there."""
    with suppress(FileNotFoundError):
        if _Version.of(path) == version:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=_root(kept=True), delete=False) as file:
        file.truncate(version.size)
        os.fchmod(file.fileno(), 0)  # not readable, until it is fetched
        os.utime(file.fileno(), ns=(version.mtime_ns, version.mtime_ns))
        Path(file.name).replace(path)


def _get(wanted: Mapping[Path, _Version | None], missing_ok: bool = False) -> bool:
    """Get objects of one bucket, many at once; whether they exist."""
    if not wanted:
        return True
    urls = [url_of(path) for path in wanted]
    together = Path(os.path.commonpath(wanted))
    kept, _ = _place(together) or (False, "")
    with (
        _using(url_of(together)) as store,
        tempfile.TemporaryDirectory(dir=_root(kept), prefix=_PARTS) as folder,
    ):
        parts = [Path(folder, str(number)) for number in range(len(urls))]
        try:
            store.get(urls, [str(part) for part in parts])
        except FileNotFoundError:
            if missing_ok:
                return False
            raise
        for (path, version), part in zip(wanted.items(), parts, strict=True):
            if version:
                os.utime(part, ns=(version.mtime_ns, version.mtime_ns))
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
    return True


def _listed(folder: Path) -> dict[Path, _Version]:
    """The objects in and below ``folder``, and if it is none, the object of this name."""
    with _using(url_of(folder)) as store:
        store.invalidate_cache()
        own = store._strip_protocol(url_of(folder))
        found = {}
        for name, each in store.find(url_of(folder), detail=True).items():
            rest = name.removeprefix(own)
            # what can be no file below the folder is left out
            if each["type"] == "file" and not {"", ".", ".."} & {*rest.split("/")[1:]}:
                found[Path(f"{folder}{rest}")] = _version(each)
        return found


def _version(info: Mapping[str, Any]) -> _Version:
    """Of an object as fsspec describes it."""
    modified = next((info[key] for key in _MODIFIED if info.get(key)), 0)
    seconds = int(modified.timestamp() if isinstance(modified, datetime) else modified)
    return _Version(info["size"], seconds * 10**9)


@cache
def _store(bucket: str) -> Any:
    """The file system of fsspec for a URL, without its folder."""
    try:
        fsspec = import_module("fsspec")
    except ImportError as error:
        raise RuntimeMissingError(
            f"fsspec, which speaks to object storage, is not installed: {add_extra('cluster')}."
        ) from error
    try:
        options = {"auto_mkdir": True} if bucket.startswith("file:") else {}
        return fsspec.core.url_to_fs(bucket, use_listings_cache=False, **options)[0]
    except (ImportError, ValueError) as error:  # the error names the package
        raise StorageError(f"{bucket} can't be used: {str(error).rstrip('.')}.") from error


@contextmanager
def _using(url: str) -> Iterator[Any]:
    """The file system of ``url``; its errors become StorageError."""
    with _sentences(url):
        yield _store(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}")


@contextmanager
def _sentences(url: str) -> Iterator[None]:
    """Errors of the file system of ``url``, and of its local copy, become StorageError."""
    try:
        yield
    except UndertoneError:
        raise
    except Exception as error:  # each file system has its own
        reason = str(error).rstrip(".") or type(error).__name__
        advice = "check the network, and the credentials and settings for this storage"
        if isinstance(error, FileNotFoundError):
            advice = "check the name of the bucket and the folder"
        elif isinstance(error, PermissionError):
            advice = "check the credentials, and that they allow to list, get, put and delete"
        if isinstance(error, OSError) and (error.filename or error.errno in _FULL):
            reason = f"its copy can't be written: {error.strerror}"
            advice = "make room, or name other folders with XDG_CACHE_HOME and TMPDIR"
        raise StorageError(f"{url} can't be used ({reason}): {advice}.") from error
