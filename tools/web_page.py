"""``undertone web`` in its own process, and a browser to view it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from undertone.bench.memory import status_bytes

CHROMIUM = "/usr/bin/chromium"
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
_MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
Answer = tuple[int, str, dict[str, str]]
"""Status, text and headers (names in lower case)."""

_READY = re.compile(r"the page is on (http://\S+);")


def what_is_missing() -> str | None:
    """What viewing the page needs and this machine lacks, as a sentence; None if nothing."""
    for package in ("streamlit", "playwright"):
        if importlib.util.find_spec(package) is None:
            return f"no {package}: pip install -e '.[web,test]'"
    return None if shutil.which(CHROMIUM) else "no browser: sudo apt install chromium"


class PageServer:
    """One running ``undertone web``."""

    def __init__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "undertone.cli"),
    ) -> None:
        """Start it on a free port and wait until it is ready.

        program: Python's arguments to start it with, instead of the command itself.
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
        self.first_line = self.process.stderr.readline()
        found = _READY.search(self.first_line)
        if found is None:
            rest = self.process.communicate()[1]
            raise RuntimeError(self.first_line + rest)
        self.url = found[1].replace("127.0.0.1", "localhost")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the server."""
        if self.process.poll() is None:
            self.stop()

    @property
    def port(self) -> int:
        """The port that it serves on."""
        return int(self.url.rpartition(":")[2])

    def ask(
        self,
        method: str,
        path: str,
        body: Any,
        address: str,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> Answer:
        """The answer to one request from ``address``; names in ``headers`` have underscores."""
        connection = HTTPConnection(
            "127.0.0.1", self.port, timeout=timeout_s, source_address=(address, 0)
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        got = {name.lower(): value for name, value in response.getheaders()}
        return response.status, text, got

    @property
    def memory_bytes(self) -> int:
        """Its resident memory."""
        return status_bytes("VmRSS", self.process.pid)

    @property
    def peak_memory_bytes(self) -> int:
        """Its largest resident memory so far."""
        return status_bytes("VmHWM", self.process.pid)

    def stop(self) -> tuple[int, str]:
        """End it as Ctrl-C does; return its status and what it printed after it was ready."""
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
    """Debian's browser; ``voice``: a WAV file that its microphone repeats."""
    from playwright.sync_api import sync_playwright

    microphone = [*_MICROPHONE, f"--use-file-for-fake-audio-capture={voice}"] if voice else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*_QUIET, *microphone, *more]
        )
        yield browser
        browser.close()
