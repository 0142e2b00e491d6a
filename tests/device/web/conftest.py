"""One page and one browser for all tests of the page."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from undertone.samples import clips
from web_page import PageServer, chromium, what_is_missing


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On one worker: the page and the browser are started once."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("web"))


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page's journal."""
    return tmp_path_factory.mktemp("web") / "journal"


@pytest.fixture(scope="session")
def server(journal: Path) -> Iterator[PageServer]:
    """The page, on this machine alone."""
    pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")
    with PageServer("--journal", journal) as running:
        yield running
        assert running.stop() == (0, "")  # no traceback was printed, whatever was sent to it


@pytest.fixture(scope="module")  # its event loop prevents another one
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, into whose microphone an actor speaks."""
    if missing := what_is_missing():
        pytest.skip(missing)
    import soundfile

    voice = tmp_path_factory.mktemp("voice") / "voice.wav"
    samples, rate_hz = soundfile.read(clips()[4], dtype="int16")
    soundfile.write(voice, samples, rate_hz)
    with chromium(voice) as running:
        context = running.new_context(accept_downloads=True)  # one: it keeps what it has fetched
        context.grant_permissions(["microphone"])
        context.set_default_timeout(120_000)  # a busy machine may stand still for half a minute
        yield context


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go: UNDERTONE_ARTEFACTS, or pytest's own folder."""
    chosen = os.environ.get("UNDERTONE_ARTEFACTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser: Any, server: PageServer, request: Any, artefacts: Path) -> Iterator[Any]:
    """Opens a path of the page; at the end a screenshot, and the proof that nothing went out."""
    opened: list[tuple[Any, list[str]]] = []

    def visit(path: str = "/", width: int = 1280, scheme: str = "light") -> Any:
        page = browser.new_page()
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=scheme)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        opened.append((page, asked))
        page.goto(server.url + path)
        page.locator("h1").first.wait_for()
        return page

    yield visit
    for number, (page, asked) in enumerate(opened):
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        page.screenshot(path=artefacts / f"{name}-{number}.png")
        page.close()
        ours = re.compile(rf"((http|ws)://localhost:{server.port}/|blob:|data:)")
        assert [url for url in asked if not ours.match(url)] == []


Visit = Callable[..., Any]
