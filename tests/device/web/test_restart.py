"""The server is stopped and started again while browsers look at the page."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")

from undertone.web.wording import WORDS
from web_page import PageServer

TITLES = {
    "/live": "Live",
    "/journal": "Journal",
    "/model": "Models",
}


@pytest.mark.parametrize("path", ["/live", "/model"])  # and /journal below
def test_each_page_may_be_the_first_that_is_opened(browser: Any, tmp_path: Path, path: str) -> None:
    page = browser.new_page()
    with PageServer("--journal", tmp_path) as server:
        page.goto(server.url + path)
        page.get_by_role("heading", name=TITLES[path]).wait_for()
    page.close()


def test_a_page_whose_server_is_away_says_how_to_start_it_and_comes_back(
    browser: Any, tmp_path: Path
) -> None:
    page = browser.new_page()
    with PageServer("--journal", tmp_path) as server:
        page.goto(server.url + "/journal")
        page.get_by_role("heading", name=TITLES["/journal"]).wait_for()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("undertone web").wait_for()
    assert "streamlit" not in dialog.inner_text().lower()
    with PageServer("--journal", tmp_path, "--port", str(server.port)):
        dialog.wait_for(state="detached")
        page.get_by_text("The journal is empty").wait_for()
        page.get_by_role("link", name="Live").click()
        page.get_by_role("heading", name=TITLES["/live"]).wait_for()
    page.close()


def test_what_is_reworded_is_what_streamlit_says() -> None:
    from streamlit.file_util import get_static_dir

    scripts = b"".join(path.read_bytes() for path in Path(get_static_dir()).rglob("index.*.js"))
    assert [theirs for theirs in WORDS if theirs not in scripts] == []
