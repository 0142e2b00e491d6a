"""Rules, the alerts that they raise, and the webhook and Apprise that get them."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from undertone.errors import ConfigError
from undertone.publish.alerts import Alert, DeliveryError
from undertone.publish.apprise_target import AppriseTarget
from undertone.publish.delivery import AlertPublisher, DeliveryState
from undertone.publish.rules import parse_rules
from undertone.publish.store import Store
from undertone.publish.webhook import SIGNATURE, Webhook

from .conftest import (
    NOON_S,
    PATIENCE_S,
    Journal,
    back,
    gap,
    lost,
    running,
    segment,
    started,
)

ARGUMENT = {"name": "argument", "when": "emotion", "emotion": "angry", "times": 3}
ARGUMENT |= {"within": "10m", "confidence": 0.6}
SILENCE = {"name": "silence", "when": "nothing heard", "after": "12h"}
LOST = {"name": "lost", "when": "microphone lost"}
ALERT = Alert("argument@1", "argument", "angry 3 times in 10m", "2026-11-21T12:00:00+00:00", "USB")


class Taking:
    """A target that keeps what it gets, and refuses as often as it is told."""

    key = "taking"

    def __init__(self, refuses: int = 0) -> None:
        self.alerts: list[Alert] = []
        self.refuses = refuses
        self.tries = 0

    def deliver(self, alert: Alert) -> None:
        self.tries += 1
        if self.refuses:
            self.refuses -= 1
            raise DeliveryError("it refuses")
        self.alerts.append(alert)

    def preview(self, alert: Alert) -> str:
        return ""


class Machine:
    """A publisher of alerts, the journal that it follows, and two clocks."""

    def __init__(self, journal: Journal, folder: Path, *rules: dict[str, Any]) -> None:
        self.rules = rules
        self.target = Taking()
        self.now_s = NOON_S
        self.steady_s = 1000.0
        self.trusts_clock = True
        self._journal = journal
        self._folder = folder
        self.restart()

    def restart(self) -> None:
        store = Store(self._folder / "alerts.json", DeliveryState)
        self._publisher = AlertPublisher(
            parse_rules(self.rules, "config.toml"),
            [self.target],
            self._journal.folder,
            store,
            steady_clock=lambda: self.steady_s,
            local_time=lambda: datetime.fromtimestamp(self.now_s, UTC),
            trusted=lambda: self.trusts_clock,
        )

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.steady_s += seconds

    def alerts(self, *events: Any) -> list[str]:
        """What is alerted after these events, and now."""
        self.target.alerts.clear()
        self._journal.write(*events)
        while self._publisher.step():
            pass
        return [alert.message for alert in self.target.alerts]


@pytest.fixture
def machine(journal: Journal, tmp_path: Path) -> Callable[..., Machine]:
    return lambda *rules: Machine(journal, tmp_path, *rules)


def test_an_emotion_so_often_in_a_while_and_so_sure(machine: Any) -> None:
    one = machine(ARGUMENT)
    assert one.alerts(started(), segment(), segment("sad"), segment(at_s=1)) == []
    assert one.alerts(segment(confidence=0.59, at_s=2)) == []
    assert one.alerts(segment(at_s=600)) == ["angry 3 times in 10m"]
    (alert,) = one.target.alerts
    assert (alert.alert, alert.source) == ("argument", "USB")
    assert alert.time == "2026-11-21T12:10:01.000+00:00"


def test_what_is_too_old_does_not_count(machine: Any) -> None:
    one = machine(ARGUMENT)
    assert one.alerts(segment(), segment(at_s=1), segment(at_s=601)) == []
    assert one.alerts(segment(at_s=601)) == ["angry 3 times in 10m"]


def test_after_an_alert_the_rule_rests_and_counts_anew(machine: Any) -> None:
    one = machine(ARGUMENT | {"times": 1, "cooldown": "1h"})
    assert one.alerts(segment(at_s=0), segment(at_s=10)) == ["angry"]
    one.restart()
    assert one.alerts(segment(at_s=3599)) == []
    assert one.alerts(segment(at_s=3600)) == ["angry"]


def test_a_restart_forgets_nothing_and_alerts_nothing_twice(machine: Any) -> None:
    one = machine(ARGUMENT)
    assert one.alerts(segment(), segment(at_s=1)) == []
    one.restart()
    assert one.alerts(segment(at_s=2)) == ["angry 3 times in 10m"]
    one.restart()
    assert one.alerts() == []


def test_what_was_there_before_the_first_start_raises_no_alert(
    machine: Any, journal: Journal
) -> None:
    journal.write(started(), *(segment(at_s=at_s) for at_s in range(5)))
    one = machine(ARGUMENT)
    assert one.alerts() == []
    assert one.alerts(segment(at_s=6), segment(at_s=7)) == []
    assert one.alerts(segment(at_s=8)) == ["angry 3 times in 10m"]


def test_quiet_hours_over_midnight(machine: Any) -> None:
    one = machine(ARGUMENT | {"times": 1, "quiet": "22:00-07:00", "cooldown": "0s"})
    hour = 3600
    assert one.alerts(segment(at_s=9 * hour)) == ["angry"]
    assert one.alerts(segment(at_s=10 * hour), segment(at_s=19 * hour - 2)) == []
    assert one.alerts(segment(at_s=19 * hour - 1)) == ["angry"]


def test_a_microphone_is_lost_once_until_it_is_lost_again(machine: Any) -> None:
    one = machine(LOST | {"cooldown": "10m"})
    assert one.alerts(started(), lost()) == ["microphone lost: USB"]
    one.restart()
    assert one.alerts() == []
    assert one.alerts(back(), lost()) == []  # within the cool-down
    one.passes(600)
    assert one.alerts() == ["microphone lost: USB"]  # and still lost
    assert one.alerts(back(), gap(1)) == []


def test_each_microphone_is_lost_by_itself(machine: Any) -> None:
    one = machine(LOST | {"cooldown": "0s"})
    assert one.alerts(started("A"), started("B"), lost("A")) == ["microphone lost: A"]
    assert one.alerts(lost("B")) == ["microphone lost: B"]


def test_what_still_holds_when_the_quiet_hours_end_is_told_then(machine: Any) -> None:
    one = machine(LOST | {"quiet": "11:00-13:00"})
    assert one.alerts(started(), lost()) == []
    one.passes(3600)
    assert one.alerts() == ["microphone lost: USB"]


def test_nothing_heard(machine: Any) -> None:
    one = machine(SILENCE)
    assert one.alerts(started(), segment()) == []
    one.passes(12 * 3600 - 1)
    assert one.alerts() == []
    one.passes(1)
    assert one.alerts() == ["nothing heard for 12h"]
    one.passes(24 * 3600)
    assert one.alerts() == []
    assert one.alerts(segment()) == []
    one.passes(12 * 3600)
    assert one.alerts(gap(1)) == ["nothing heard for 12h"]


def test_a_clock_that_jumps_is_no_silence(machine: Any) -> None:
    one = machine(SILENCE)
    one.alerts(started(), segment())
    for jump_s in (1e8, -2e8, 1e8):
        one.now_s += jump_s
        assert one.alerts() == []
    one.passes(12 * 3600)
    assert one.alerts() == ["nothing heard for 12h"]


@pytest.mark.parametrize(("trusts_clock", "told"), [(True, True), (False, False)])
def test_silence_lasts_over_a_restart_if_the_clock_is_right(
    machine: Any, trusts_clock: bool, told: bool
) -> None:
    one = machine(SILENCE)
    one.alerts(started(), segment(at_s=0))
    one.now_s += 12 * 3600 + 1
    one.steady_s = 5.0  # the machine was off
    one.trusts_clock = trusts_clock
    one.restart()
    assert bool(one.alerts()) == told


def test_a_target_that_refuses_is_tried_again_with_patience_and_gets_all(machine: Any) -> None:
    one = machine(ARGUMENT | {"times": 1, "cooldown": "0s"})
    one.target.refuses = 3
    assert one.alerts(segment(at_s=0), segment(at_s=1)) == []
    for wait_s, tries in ((0.9, 1), (0.1, 2), (1.9, 2), (0.1, 3)):
        one.passes(wait_s)
        assert one.alerts() == []
        assert one.target.tries == tries
    one.restart()
    assert one.alerts() == ["angry", "angry"]
    one.restart()
    assert one.alerts() == []


def test_of_too_many_alerts_the_oldest_are_given_up(machine: Any) -> None:
    one = machine(ARGUMENT | {"times": 1, "cooldown": "0s"})
    one.target.refuses = 1
    assert one.alerts(*(segment(at_s=at_s) for at_s in range(150))) == []
    one.passes(10)
    assert len(one.alerts()) == 100
    assert one.target.alerts[-1].time == "2026-11-21T12:02:30.000+00:00"


# the settings


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"name": "a", "when": "emotion"}, "alert 1: it is missing required field 'emotion'"),
        (ARGUMENT | {"emotion": "angri"}, "'angri' is not an emotion; did you mean 'angry'?"),
        (ARGUMENT | {"emotion": "bored"}, "'bored' is not an emotion; emotions are neutral,"),
        (ARGUMENT | {"emotoin": "sad"}, "there is no 'emotoin'; did you mean 'emotion'?"),
        (LOST | {"emotion": "sad"}, "there is no 'emotion'; its keys are"),
        ({"name": "a"}, "when must be 'emotion', 'nothing heard', 'microphone lost', not None"),
        (ARGUMENT | {"when": ["emotion"]}, "when must be"),
        (ARGUMENT | {"within": "ten"}, "within: 'ten' is not a duration; write 30s, 10m"),
        (ARGUMENT | {"cooldown": "1e9d"}, "cooldown: '1e9d' is not a duration"),
        (ARGUMENT | {"times": 0}, "times must be from 1 to 1000"),
        (ARGUMENT | {"times": True}, "Expected 'int', got 'bool'"),
        (ARGUMENT | {"confidence": 60}, "confidence must be from 0 to 1"),
        (ARGUMENT | {"confidence": float("nan")}, "confidence must be from 0 to 1"),
        (ARGUMENT | {"quiet": "22-7"}, "quiet: '22-7' are not hours; write them like 22:00-07:00"),
        (ARGUMENT | {"quiet": "25:00-07:00"}, "are not hours"),
        (ARGUMENT | {"name": " "}, "name must be a short text"),
        ("angry", "it must be a table"),
    ],
)
def test_a_rule_that_is_wrong_is_named_with_its_fault(table: Any, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_rules([table], "config.toml")
    assert str(error.value).startswith("config.toml: alert 1: ")
    assert told in str(error.value)


def test_two_rules_need_two_names() -> None:
    with pytest.raises(ConfigError, match="alert 2: another alert is called 'lost', too"):
        parse_rules([LOST, LOST], "config.toml")


# the webhook


class Hook:
    """An HTTP server that keeps what it is sent, and answers as it is told, or never."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        """Status codes of the next answers; 0: none while the test lasts, -1: one without an end;
        else 204.
        """
        self.ending = threading.Event()
        self.arrived = threading.Semaphore(0)
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.answers.pop(0) if hook.answers else 204
                if not status:
                    hook.ending.wait(PATIENCE_S)
                    return
                if status < 0:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                    while not hook.ending.wait(0.05):
                        self.wfile.write(b"x")
                    return
                if status == 204:
                    hook.requests.append((dict(self.headers), body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                hook.arrived.release()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=secret"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


def test_a_webhook_gets_signed_json(hook: Hook) -> None:
    Webhook(hook.url, "key").deliver(ALERT)
    ((headers, body),) = hook.requests
    assert json.loads(body) == {
        "id": "argument@1",
        "alert": "argument",
        "message": "angry 3 times in 10m",
        "time": "2026-11-21T12:00:00+00:00",
        "source": "USB",
    }
    signature = {name.lower(): value for name, value in headers.items()}[SIGNATURE.lower()]
    assert signature == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_any_other_answer_is_a_failure(hook: Hook, status: int) -> None:
    hook.answers = [status]
    with pytest.raises(DeliveryError, match=f"it answers with status {status}"):
        Webhook(hook.url).deliver(ALERT)
    assert hook.requests == []


def test_a_webhook_that_hangs_or_is_absent_is_a_failure(hook: Hook) -> None:
    hook.answers = [0]
    with pytest.raises(DeliveryError, match="it does not answer in time"):
        Webhook(hook.url, patience_s=0.2).deliver(ALERT)
    with pytest.raises(DeliveryError, match="refused"):
        Webhook("http://127.0.0.1:1/").deliver(ALERT)


def test_a_webhook_that_never_ends_its_answer_is_a_failure_and_gets_no_second_alert(
    hook: Hook,
) -> None:
    hook.answers = [-1]
    webhook = Webhook(hook.url, patience_s=0.2)
    with pytest.raises(DeliveryError, match="it does not answer in time"):
        webhook.deliver(ALERT)
    with pytest.raises(DeliveryError, match="it has not answered yet"):
        webhook.deliver(ALERT)
    assert hook.requests == []


def test_a_login_in_the_address_of_a_webhook_is_sent_and_not_shown(hook: Hook) -> None:
    webhook = Webhook(hook.url.replace("://", "://me:hunter%402@"))
    webhook.deliver(ALERT)
    ((headers, _),) = hook.requests
    encoded = base64.b64encode(b"me:hunter@2").decode()
    assert headers["Authorization"] == f"Basic {encoded}"
    shown = f"{webhook} {webhook!r} {webhook.preview(ALERT)}"
    assert "hunter" not in shown
    assert encoded not in shown


def test_an_alert_gets_through_a_webhook_that_fails_and_hangs_first(
    hook: Hook, journal: Journal, tmp_path: Path
) -> None:
    hook.answers = [500, 0]
    target = Webhook(hook.url, patience_s=0.2)
    rules = parse_rules([ARGUMENT | {"times": 1}], "config.toml")
    store = Store(tmp_path / "alerts.json", DeliveryState)
    with running(AlertPublisher(rules, [target], journal.folder, store).run):
        journal.write(started(), segment())
        assert hook.arrived.acquire(timeout=PATIENCE_S)  # the 500
        assert hook.arrived.acquire(timeout=PATIENCE_S)
    ((_, body),) = hook.requests
    assert json.loads(body)["message"] == "angry"
    state = store.load()
    assert state
    assert state.waiting == []


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "host/x", "http://"])
def test_a_webhook_must_be_a_web_address(url: str) -> None:
    with pytest.raises(ValueError, match="http:// or https://"):
        Webhook(url)


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        (":0/secret", "no port"),
        (":secret/x", "no port"),
        (":70000/secret", "no port"),
        ("/a secret", "has a space"),
        ("/sécret", "must be written with %"),
    ],
)
def test_an_address_that_can_never_work_is_refused_without_showing_it(rest: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        Webhook(f"http://host{rest}")
    assert "cret" not in str(error.value)


def test_no_secret_of_an_address_is_shown(hook: Hook) -> None:
    webhook = Webhook(hook.url, "key")
    shown = f"{webhook} {webhook!r} {webhook.preview(ALERT)}"
    assert "127.0.0.1" in shown
    assert "secret" not in shown
    assert "key" not in shown.replace("key='webhook'", "")


# Apprise


def test_apprise_delivers_to_what_it_knows(hook: Hook) -> None:
    pytest.importorskip("apprise")
    target = AppriseTarget(hook.url.replace("http:", "json:"))
    target.deliver(ALERT)
    ((_, body),) = hook.requests or [({}, b"{}")]
    said = json.loads(body)
    assert (said["title"], said["message"]) == ("Undertone: argument", "angry 3 times in 10m")
    assert "secret" not in f"{target} {target!r} {target.key} {target.preview(ALERT)}"
    hook.answers = [500]
    with pytest.raises(DeliveryError, match="Apprise could not send it"):
        target.deliver(ALERT)


def test_an_address_that_apprise_does_not_know_is_refused() -> None:
    pytest.importorskip("apprise")
    with pytest.raises(ValueError, match="begins with nowhere://"):
        AppriseTarget("nowhere://token")
