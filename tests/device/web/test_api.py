"""The interface for programs: real requests to a real server, and what must not be sent to it."""

import asyncio
import base64
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner

pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")

from hostile_uploads import NAMES, RUBBISH, sound
from undertone import __version__, cli
from undertone.events import Gap, SegmentEnded, Verdict, moment
from undertone.journal.format import to_line
from undertone.journal.lock import locked
from undertone.samples import clips
from undertone.web import api
from undertone.web.auth import COOKIE, LOGIN_PATH, MOST_TRIES
from undertone.web.uploads import LARGEST_MB
from web_page import Answer, PageServer

ROOT = Path(__file__).parents[3]
MB = 2**20
PASSWORD = "a long sentence"
OWNER, STRANGER, OTHER_STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
PATIENCE_S = 120.0
CLIP = clips()[4]
SENTENCE = re.compile(r"\S.*\S\.", re.DOTALL)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "journal"


@pytest.fixture(scope="module")
def server(journal: Path) -> Iterator[PageServer]:
    with PageServer("--journal", journal) as running:
        yield running
        assert running.stop() == (0, "")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A server with a password."""
    env = {"UNDERTONE_WEB_PASSWORD": PASSWORD}
    with PageServer("--journal", tmp_path_factory.mktemp("guarded"), env=env) as running:
        yield running
        assert running.stop() == (0, "")


def ask(
    server: PageServer,
    method: str,
    path: str,
    body: Any = None,
    address: str = OWNER,
    **headers: str,
) -> Answer:
    """The answer; the names of ``headers`` have underscores."""
    return server.ask(method, path, body, address, headers, PATIENCE_S)


def classify(server: PageServer, data: bytes, name: str = "x.wav") -> Answer:
    return ask(server, "POST", f"/api/classify?name={quote(name)}", data)


def form(*files: tuple[str, bytes]) -> dict[str, Any]:
    """Body and headers of a form with these files."""
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.encode().replace(b'"', b"%22")
        + b'"\r\n\r\n'
        + data
        + b"\r\n"
        for name, data in files
    ]
    return {
        "body": b"".join([*parts, b"--x--\r\n"]),
        "Content_Type": "multipart/form-data; boundary=x",
    }


def refused(answer: Answer) -> tuple[int, str]:
    """Status and sentence of an answer that must be an error as JSON."""
    status, text, headers = answer
    assert headers["content-type"] == "application/json"
    assert text.isascii()
    error = json.loads(text)
    assert list(error) == ["error"]
    assert SENTENCE.fullmatch(error["error"])
    assert "Traceback" not in error["error"]
    return status, error["error"]


def printed(path: Path, monkeypatch: Any) -> str:
    """What ``undertone classify`` prints of a file."""
    monkeypatch.chdir(path.parent)
    result = CliRunner().invoke(cli.undertone, ["classify", path.name, "--format", "json"])
    return result.stdout


def test_a_file_is_classified_as_on_the_command_line(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = printed(CLIP, monkeypatch)
    assert json.loads(expected)["label"] == "angry"
    body = classify(server, CLIP.read_bytes(), CLIP.name)
    field = ask(server, "POST", "/api/classify", **form((CLIP.name, CLIP.read_bytes())))
    for status, text, headers in (body, field):
        assert (status, text) == (200, expected)
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_file_without_a_name_has_one_in_the_answer(server: PageServer) -> None:
    body = ask(server, "POST", "/api/classify", CLIP.read_bytes())
    field = ask(server, "POST", "/api/classify", **form(("", CLIP.read_bytes())))
    assert [json.loads(text)["path"] for _, text, _ in (body, field)] == ["recording"] * 2


@pytest.mark.parametrize("what", [what for what in RUBBISH if what != "nothing"])
def test_rubbish_is_one_sentence(server: PageServer, what: str) -> None:
    status, sentence = refused(classify(server, RUBBISH[what](), "rubbish.wav"))
    assert status == 415
    assert sentence.startswith("rubbish.wav ")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_text_and_nothing_else(server: PageServer, name: str) -> None:
    status, sentence = refused(classify(server, b"no sound", name))
    assert status == 415
    assert sentence.startswith(f"{name} is not audio")


def test_a_request_without_exactly_one_file_is_refused(server: PageServer) -> None:
    clip = ("a.flac", CLIP.read_bytes())
    broken = form(clip) | {"Content_Type": "multipart/form-data"}
    field = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
    for sent in (
        {"body": b""},
        form(),
        form(clip, clip),
        form(("a.wav", b"")),
        form(("a\r\nb.wav", b"no sound")),
        broken,
        form(clip) | {"body": field},
    ):
        assert refused(ask(server, "POST", "/api/classify", **sent)) == (400, api._NO_FILE)


def test_a_misspelt_parameter_of_a_file_is_refused(server: PageServer) -> None:
    answer = ask(server, "POST", "/api/classify?nmae=x.wav", CLIP.read_bytes())
    assert refused(answer) == (400, "'nmae' is unknown: use name.")


def test_a_file_that_is_too_large_or_of_unknown_length_is_refused(server: PageServer) -> None:
    status, sentence = refused(classify(server, bytes((LARGEST_MB + 1) * MB)))
    assert (status, sentence) == (413, f"A file may have at most {LARGEST_MB} MB.")
    pieces = iter([b"of any", b" length"])
    assert refused(ask(server, "POST", "/api/classify", pieces))[0] == 411


def test_another_page_cannot_use_it(server: PageServer) -> None:
    for path in ("/api/health", "/metrics"):
        assert refused(ask(server, "GET", path, Origin="http://evil.example"))[0] == 403
        assert refused(ask(server, "GET", path, Host="evil.example"))[0] == 403


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/x", "/api/health/", "/api/../journal"])
def test_an_unknown_address_is_refused(server: PageServer, path: str) -> None:
    status, sentence = refused(ask(server, "GET", path))
    assert status == 404
    assert "use /api/classify" in sentence


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/classify", "POST"),
        ("PUT", "/api/classify", "POST"),
        ("DELETE", "/api/journal", "GET"),
        ("POST", "/api/health", "GET"),
        ("POST", "/metrics", "GET"),
    ],
)
def test_another_method_is_refused(
    server: PageServer, method: str, path: str, allowed: str
) -> None:
    status, sentence = refused(ask(server, method, path))
    assert status == 405
    assert allowed in sentence


BEGAN_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def segment(time_s: float, verdict: str = "happy", activation: float | None = None) -> SegmentEnded:
    given = Verdict.of({"happy": 0.25, verdict: 0.75}, activation=activation)
    return SegmentEnded.of(time_s, 1.5, -20.0, given, "m", "0" * 64)


def append(journal: Path, *lines: str) -> None:
    """Write these lines as a listener would."""
    journal.mkdir(exist_ok=True)
    with (journal / "2026-11-20.jsonl").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def no_journal(journal: Path) -> Iterator[None]:
    shutil.rmtree(journal, ignore_errors=True)
    yield
    shutil.rmtree(journal, ignore_errors=True)


def events(server: PageServer, query: str = "") -> list[str]:
    status, text, headers = ask(server, "GET", f"/api/journal{query}")
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    return text.splitlines()


@pytest.mark.usefixtures("no_journal")
def test_events_are_read_as_they_are_in_the_files(server: PageServer, journal: Path) -> None:
    lines = [to_line(segment(BEGAN_S + number)) for number in range(5)]
    recording = to_line(Gap(moment(BEGAN_S), 1, "test", recording=True))
    append(journal, *lines[:2], "no event", recording, *lines[2:])
    assert events(server) == lines
    assert events(server, "?limit=2") == lines[3:]
    assert events(server, "?since=2026-11-20") == lines
    assert events(server, "?since=2026-11-20&limit=2") == lines[:2]
    ended = json.loads(lines[2])["time"]
    assert events(server, f"?since={quote_plus(ended)}") == lines[2:]
    assert events(server, "?since=1s") == []


@pytest.mark.usefixtures("no_journal")
@pytest.mark.parametrize(
    "query",
    [
        "since=",
        "since=yesterday",
        "since=2026-02-31",
        "since=2026-11-20T08:15+01:00",  # the plus sign is a space
        "since=9999999999999w",
        "since=\0",
        "since=nan",
        "since=" + "9" * 5000 + "d",
        "since=%ff",
        "limit=0",
        "limit=10001",
        "limit=-1",
        "limit=1e3",
        "limit=%C2%B2",
        "limit=" + "9" * 5000,
        "limit=",
        "limt=5",
        "since=2h&path=/etc",
    ],
)
def test_a_nonsensical_parameter_is_refused(server: PageServer, journal: Path, query: str) -> None:
    append(journal, to_line(segment(BEGAN_S)))
    assert refused(ask(server, "GET", f"/api/journal?{quote(query, safe='=&+%')}"))[0] == 400


@pytest.mark.usefixtures("no_journal")
def test_a_journal_that_cannot_be_read_is_one_sentence(server: PageServer, journal: Path) -> None:
    status, sentence = refused(ask(server, "GET", "/api/journal"))
    assert (status, "There is no journal in" in sentence) == (503, True)
    journal.write_text("not a folder")
    for path in ("/api/journal", "/api/health", "/metrics"):
        status, sentence = refused(ask(server, "GET", path))
        assert (status, "Can't read the journal" in sentence) == (503, True)
    journal.unlink()


def health(server: PageServer) -> dict[str, Any]:
    status, text, headers = ask(server, "GET", "/api/health")
    assert (status, headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.usefixtures("no_journal")
def test_the_health_tells_the_listener_and_the_last_segment(
    server: PageServer, journal: Path
) -> None:
    before = health(server)
    assert before["version"] == __version__
    assert re.fullmatch("[0-9a-f]{64}", before["model_sha256"])
    assert before["model"]
    assert before["disk_free_bytes"] > 0
    assert (before["listener_up"], before["last_segment_age_s"]) == (False, None)
    append(journal, to_line(segment(time.time() - 100)), to_line(Gap(moment(time.time()), 1, "")))
    with locked(journal):
        now = health(server)
    assert now["listener_up"]
    assert 98 < now["last_segment_age_s"] < 98 + PATIENCE_S
    assert not health(server)["listener_up"]


LABELS = r'\{(?:[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)+\}'
SAMPLE = re.compile(rf"([a-z_]+)((?:{LABELS})?) ([0-9.e+-]+)")
SUFFIXES = {
    "counter": ("_total",),
    "info": ("_info",),
    "gauge": ("",),
    "summary": ("_count", "_sum"),
}


def metrics(server: PageServer) -> dict[str, float]:
    """The samples of a scrape, of which every line is checked: TYPE, UNIT, HELP, its samples."""
    status, text, headers = ask(server, "GET", "/metrics")
    assert status == 200
    media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert headers["content-type"] == media_type
    assert text.endswith("\n# EOF\n")
    samples: dict[str, float] = {}
    families: list[str] = []
    kind = ""
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split()
            assert family not in families
            families.append(family)
        elif line.startswith("# UNIT "):
            assert line.split()[2] == families[-1]
            assert families[-1].endswith("_" + line.split()[3])
        elif line.startswith("# HELP "):
            assert line.split()[2] == families[-1]
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] in [families[-1] + suffix for suffix in SUFFIXES[kind]]
            assert found[1] + found[2] not in samples
            samples[found[1] + found[2]] = float(found[3])
    return samples


@pytest.mark.usefixtures("no_journal")
def test_the_metrics_count_each_segment_once(server: PageServer, journal: Path) -> None:
    append(journal, to_line(segment(BEGAN_S)))
    before = metrics(server)
    name, speech = "undertone_segments_total", "undertone_speech_seconds_total"
    append(
        journal,
        *(to_line(segment(BEGAN_S + number)) for number in range(1998)),
        *(to_line(segment(BEGAN_S + number, activation=number)) for number in range(2)),
        to_line(segment(BEGAN_S, verdict='a "strange"\\\nname')),
    )
    with locked(journal):
        after = metrics(server)
    happy = '{verdict="happy"}'
    assert after["undertone_activation_count"] - before["undertone_activation_count"] == 2
    assert after["undertone_activation_sum"] - before["undertone_activation_sum"] == 1
    strange = r'{verdict="a \"strange\"\\\nname"}'
    assert after[name + happy] - before[name + happy] == 2000
    assert after[speech + happy] - before[speech + happy] == 3000
    assert after[name + strange] == 1
    assert before[name + '{verdict="uncertain"}'] == 0
    ended_s = after["undertone_last_segment_timestamp_seconds"]
    assert ended_s == pytest.approx(BEGAN_S + 1.5, abs=0.1)
    assert after["undertone_disk_free_bytes"] > 0
    (info,) = [key for key in after if key.startswith("undertone_info{")]
    assert f'version="{__version__}"' in info
    assert (before["undertone_listener_up"], after["undertone_listener_up"]) == (0, 1)
    assert metrics(server)[name + happy] == after[name + happy]


def bearer(password: str) -> str:
    return f"Bearer {password}"


def basic(password: str, user: str = "me") -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_nothing_is_answered_without_the_password(guarded: PageServer) -> None:
    for method, path in (
        ("GET", "/api/health"),
        ("GET", "/api/journal"),
        ("GET", "/metrics"),
        ("POST", "/api/classify"),
        ("GET", "/api/x"),
    ):
        answer = ask(guarded, method, path)
        assert refused(answer)[0] == 401
        assert answer[2]["www-authenticate"].startswith("Bearer ")


WRONG = [
    "",
    "Bearer",
    "Digest x",
    PASSWORD,
    "Basic",
    "Basic !",
    "Basic é",
    f"Bearer {PASSWORD[:-1]}",
    f"Bearer {PASSWORD}x",
    basic("x"),
    basic(""),
    "Basic " + base64.b64encode(PASSWORD.encode()).decode(),
    "Bearer " + "x" * 9000,
    "Bearer \xff\xfe",
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_header_opens_nothing(guarded: PageServer, number: int) -> None:
    address = f"127.0.1.{number}"
    answer = ask(guarded, "GET", "/api/health", address=address, Authorization=WRONG[number])
    assert refused(answer)[0] == 401


@pytest.mark.parametrize("value", [bearer(PASSWORD), basic(PASSWORD), basic(PASSWORD, "")])
def test_the_password_opens_the_interface_and_not_the_page(guarded: PageServer, value: str) -> None:
    assert ask(guarded, "GET", "/api/health", Authorization=value)[0] == 200
    status, text, headers = ask(guarded, "GET", "/", Authorization=value)
    assert (status, "<form" in text) == (401, True)
    assert "set-cookie" not in headers


def test_a_logged_in_browser_needs_no_header(guarded: PageServer) -> None:
    _, _, headers = ask(guarded, "POST", LOGIN_PATH, f"password={quote_plus(PASSWORD)}")
    cookie = headers["set-cookie"].partition(";")[0]
    assert cookie.startswith(COOKIE)
    assert ask(guarded, "GET", "/api/health", Cookie=cookie)[0] == 200


def test_wrong_passwords_are_counted_together_with_those_of_the_form(guarded: PageServer) -> None:
    for _ in range(MOST_TRIES // 2):
        assert ask(guarded, "POST", LOGIN_PATH, "password=guess", STRANGER)[0] == 401
    tries = [bearer("guess"), basic("guess")] * MOST_TRIES
    answers = [
        refused(ask(guarded, "GET", "/metrics", address=STRANGER, Authorization=each))[0]
        for each in tries
    ]
    wrong = MOST_TRIES - MOST_TRIES // 2
    assert answers == [401] * wrong + [429] * (len(tries) - wrong)
    right = bearer(PASSWORD)
    answer = ask(guarded, "GET", "/metrics", address=STRANGER, Authorization=right)
    assert refused(answer)[0] == 429
    assert answer[2]["retry-after"] == "60"
    assert ask(guarded, "POST", LOGIN_PATH, f"password={quote_plus(PASSWORD)}", STRANGER)[0] == 429
    assert ask(guarded, "GET", "/metrics", address=OTHER_STRANGER, Authorization=right)[0] == 200


def test_a_right_password_does_not_forgive_wrong_ones(guarded: PageServer) -> None:
    address = "127.0.0.4"
    for _ in range(MOST_TRIES):
        wrong = ask(guarded, "GET", "/api/health", address=address, Authorization=bearer("guess"))
        assert wrong[0] == 401
        right = ask(guarded, "GET", "/api/health", address=address, Authorization=bearer(PASSWORD))
    assert right[0] == 429


COMMANDS = re.findall(
    r"^    (\(umask.*|curl .*)$", (ROOT / "docs/web.md").read_text(), re.MULTILINE
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: sudo apt install curl")
def test_every_command_of_the_documentation_is_answered(
    server: PageServer, guarded: PageServer, journal: Path, tmp_path: Path
) -> None:
    assert len(COMMANDS) >= 10
    append(journal, to_line(segment(BEGAN_S)))
    shutil.copy(CLIP, tmp_path / "speech.wav")
    for command in COMMANDS:
        here = command.replace("localhost:8501", f"localhost:{server.port}")
        here = here.replace("raspberrypi:8501", f"localhost:{guarded.port}")
        done = subprocess.run(
            here.replace("curl ", "curl -sS --fail-with-body --noproxy '*' ", 1),
            shell=True,
            executable="/bin/bash",
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), (command, done.stdout)
        if "/api/classify" in command:
            assert json.loads(done.stdout)["label"] == "angry"
            assert json.loads(done.stdout)["path"] == "speech.wav"
        elif "/api/health" in command:
            assert json.loads(done.stdout)["version"] == __version__
    assert (tmp_path / ".undertone-curl").stat().st_mode & 0o777 == 0o600


def test_the_server_can_be_stopped_while_it_classifies(tmp_path: Path) -> None:
    with PageServer("--journal", tmp_path / "journal") as server:
        data = sound(4 * 3600, "FLAC")
        head = f"POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}"
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as client:
            client.sendall(f"{head}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(data)
            assert server.stop() == (0, "")
            answer = client.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 503 ")
    assert api._ENDING in answer


class Client:
    """One request to the interface without a socket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, classify_upload: Any) -> None:
        """``classify_upload`` replaces what classifies."""
        monkeypatch.setattr(api, "classify_upload", classify_upload)
        manifest = SimpleNamespace(labels=())
        model = SimpleNamespace(bundle=SimpleNamespace(manifest=manifest))
        self.state: Any = SimpleNamespace(
            settings=SimpleNamespace(threshold=None),
            models=SimpleNamespace(default=model),
            working=Lock(),
        )
        self.sent: list[Any] = []

    async def post(self, stays: bool) -> None:
        """Send a file; ``stays``: wait for the answer."""
        messages = iter([{"type": "http.request", "body": b"sound", "more_body": False}])

        async def receive() -> Any:
            message = next(messages, None)
            if message is None and stays:
                await asyncio.Event().wait()
            return message or {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/api/classify", "headers": []}
        scope |= {"query_string": b"", "root_path": ""}
        app: Any = None
        await api.Api(app, self.state, lambda: False)(scope, receive, send)


def test_a_file_for_which_nobody_waits_is_not_classified_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def endless(name: str, data: bytes, model: Any, threshold: Any, on_progress: Any) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            on_progress(0.5, [])

    client = Client(monkeypatch, endless)
    with pytest.raises(api.ClientDisconnect):
        asyncio.run(client.post(stays=False))
    assert client.sent == []
    assert not client.state.working.locked()


def test_a_request_that_waits_too_long_for_the_classifier_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api, "WAIT_S", 0.01)
    client = Client(monkeypatch, lambda *_: pytest.fail("two at a time"))
    with client.state.working:  # held by a visitor of the page
        asyncio.run(client.post(stays=True))
    assert client.sent[0]["status"] == 503
    assert json.loads(client.sent[1]["body"]) == {"error": api._BUSY}
