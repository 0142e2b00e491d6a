"""``undertone web`` from the command line: who may open the page, and its messages."""

import http.client
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from undertone import cli
from undertone.support.installation import add_extra
from web_page import PageServer, chromium, what_is_missing


def output_of(capsys: Any, *arguments: str) -> tuple[int, str]:
    status = cli.run(cli.undertone, "undertone", ["web", *arguments])
    return status, capsys.readouterr().err


needs_streamlit = pytest.mark.skipif(
    "streamlit" in (what_is_missing() or ""), reason="no streamlit: pip install -e '.[web]'"
)


@needs_streamlit
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "raspberrypi"])
def test_it_is_not_opened_to_others_without_a_password(capsys: Any, host: str) -> None:
    status, message = output_of(capsys, "--host", host)
    assert status == 2
    assert message.startswith(f"undertone: Others could open the page on {host}: set UNDERTONE_WEB")
    assert len(message.splitlines()) == 1


@needs_streamlit
@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("correct horse\n", 0o644, "chmod 600"),
        ("short\n", 0o600, "too short"),
        ("\n", 0o600, "too short"),
        (b"\xff" * 20, 0o600, "not UTF-8"),
        (None, 0, "No such file"),
    ],
)
def test_a_file_that_holds_no_good_password_is_refused(
    capsys: Any, tmp_path: Path, content: "str | bytes | None", mode: int, message: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
    status, sentence = output_of(capsys, "--web-password-file", str(path))
    assert status == 2
    assert message in sentence
    assert str(path) in sentence
    assert len(sentence.splitlines()) == 1


@needs_streamlit
def test_a_short_password_is_refused_and_never_shown(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("UNDERTONE_WEB_PASSWORD", "secret")
    status, message = output_of(capsys)
    assert status == 2
    assert "UNDERTONE_WEB_PASSWORD is too short" in message
    assert "secret" not in message


def test_the_password_is_no_setting_that_is_shown(monkeypatch: Any) -> None:
    monkeypatch.setenv("UNDERTONE_WEB_PASSWORD", "correct horse")
    assert "horse" not in CliRunner().invoke(cli.undertone, ["config"]).stdout
    assert "--password " not in CliRunner().invoke(cli.undertone, ["web", "--help"]).stdout


def test_without_its_extra_it_names_it(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "starlette.formparsers", None)
    monkeypatch.delitem(sys.modules, "undertone.web.server", raising=False)
    monkeypatch.delitem(sys.modules, "undertone.web.uploads", raising=False)
    status, message = output_of(capsys)
    assert status == 1
    assert message.endswith(f"is not installed: {add_extra('web')}.\n")


@needs_streamlit
def test_a_port_that_is_taken_is_one_sentence(capsys: Any, server: PageServer) -> None:
    status, message = output_of(capsys, "--port", str(server.port))
    assert status == 1
    assert "choose another with --port" in message
    assert len(message.splitlines()) == 1


@needs_streamlit
def test_an_unknown_model_is_reported_before_anything_is_served(capsys: Any) -> None:
    status, message = output_of(capsys, "--model", "nonesuch", "--port", "0")
    assert status == 1
    assert "There is no bundle called nonesuch" in message


def test_the_password_opens_the_page_in_a_browser_until_the_logout(tmp_path: Path) -> None:
    if missing := what_is_missing():
        pytest.skip(missing)
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    password.chmod(0o600)
    with (
        PageServer(
            "--host", "0.0.0.0", "--web-password-file", password, "--journal", tmp_path / "journal"
        ) as server,
        chromium() as browser,
    ):
        connection = http.client.HTTPConnection("localhost", server.port)
        connection.request("GET", "/_stcore/health")
        assert connection.getresponse().status == 401
        visitor = browser.new_context()
        page = visitor.new_page()
        page.goto(f"http://localhost:{server.port}/journal")
        page.get_by_label("Password").fill("a wrong one")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Wrong password").wait_for()
        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("How something is said").wait_for()
        page.get_by_role("link", name="Classify").click()
        page.get_by_role("radio", name="sad").click()
        page.get_by_test_id("verdict").wait_for()
        left_open = visitor.new_page()
        left_open.goto(f"http://localhost:{server.port}/live")
        left_open.get_by_role("heading", name="Live", exact=True).wait_for()
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Password").wait_for()
        left_open.get_by_text("Reload this page and log in").wait_for()
        status, rest = server.stop()
        assert status == 0
        assert (
            "WARNING: other machines in the network can reach the page, and nothing is encrypted"
            in rest
        )
