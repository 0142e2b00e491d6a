"""The page ``undertone web`` in a process of its own, and a browser to look at it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

CHROMIUM = "/usr/bin/chromium"
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
_HEARS = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
_READY = re.compile(r"the page is on (http://\S+);")


def what_is_missing() -> str | None:
    """The sentence that says how to get what a browser's look at the page needs, or None."""
    for package in ("streamlit", "playwright"):
        if importlib.util.find_spec(package) is None:
            return f"no {package}: pip install 'undertone[web,test]'"
    return None if shutil.which(CHROMIUM) else "no browser: sudo apt install chromium"


class PageServer:
    """One running ``undertone web``."""

    def __init__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "undertone.cli"),
    ) -> None:
        """Start it on a free port and wait until it says where; it loads nothing of the caller.

        program: to give Python in place of the command itself.
        """
        self.process = subprocess.Popen(
            [sys.executable, *program, "web", "--port", "0", *map(str, arguments)],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        found = _READY.search(self.said)
        if found is None:
            rest = self.process.communicate()[1]
            raise RuntimeError(self.said + rest)
        self.url = found[1].replace("127.0.0.1", "localhost")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave no server behind, whatever happened."""
        if self.process.poll() is None:
            self.stop()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def memory_bytes(self) -> int:
        """Its resident set."""
        return self._status("VmRSS")

    @property
    def peak_memory_bytes(self) -> int:
        """The largest resident set that it has had."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def stop(self) -> tuple[int, str]:
        """End it as Ctrl-C does; return its status and what it said after it was ready."""
        self.process.send_signal(2)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        assert self.process.stderr is not None
        rest = self.process.stderr.read()  # what was read ahead with the first line as well
        return self.process.wait(), rest


@contextmanager
def chromium(voice: Path | None = None, more: Sequence[str] = ()) -> Iterator[Any]:
    """Debian's browser; ``voice`` is the WAV file that its microphone hears, over and over."""
    from playwright.sync_api import sync_playwright

    hears = [*_HEARS, f"--use-file-for-fake-audio-capture={voice}"] if voice else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*_QUIET, *hears, *more]
        )
        yield browser
        browser.close()
