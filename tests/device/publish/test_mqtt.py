"""The journal on a real broker: each event once and in order, whatever happens to either side."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mqtt_broker import Mosquitto, Received, Subscriber
from undertone.errors import JournalError, PublishError
from undertone.publish.broker import Broker, Connection, DisconnectedError, parse_url
from undertone.publish.mqtt import MqttPublisher, MqttState
from undertone.publish.sources import LISTENING, LOST, STOPPED
from undertone.publish.store import Store, locked

from .conftest import Journal, back, gap, lost, refused, running, segment, started, stopped

TOPIC = "undertone/pi"
TODAY: list[date] = []


@pytest.fixture
def publisher(journal: Journal, tmp_path: Path) -> Callable[..., MqttPublisher]:
    """A new program each time, with the cursor where the last one stored it."""

    def begin(url: str, **login: Any) -> MqttPublisher:
        store = Store(tmp_path / "mqtt.json", MqttState)
        where = parse_url(url)
        broker = Broker(where.host, where.port, where.tls, **login)
        return MqttPublisher(broker, TOPIC, journal.folder, store, lambda: TODAY[0])

    return begin


@pytest.fixture(autouse=True)
def _today() -> None:
    """The day of :func:`segment`, until a test says otherwise."""
    TODAY[:] = [date(2026, 11, 21)]


def numbers(messages: Sequence[Received]) -> list[int]:
    """Which of the events that :func:`gap` makes arrived, in order."""
    return [json.loads(m.payload)["lost_samples"] for m in messages if m.topic.endswith("/gap")]


def payloads(messages: Sequence[Received], topic: str) -> list[Any]:
    return [json.loads(m.payload) for m in messages if m.topic == topic]


def test_a_segment_is_published_once_with_an_id_and_not_retained_but_the_state_is(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    with running(publisher(broker.url).run):
        journal.write(started(), segment())
        messages = subscriber.wait_for(lambda got: payloads(got, f"{TOPIC}/usb/counts"))
    (said,) = payloads(messages, f"{TOPIC}/usb/segment")
    assert (said["verdict"], said["confidence"]) == ("angry", 0.75)
    assert said["id"].startswith("2026-11-21.jsonl:")
    (line,) = [line for line in lines_of(journal) if line["event"] == "segment"]
    assert said == {"id": said["id"], **line}
    counts = {"day": "2026-11-21", "segments": 1, "verdicts": {"angry": 1}}
    assert payloads(messages, f"{TOPIC}/usb/counts")[-1] == counts
    assert payloads(messages, f"{TOPIC}/usb/state")[-1]["state"] == LISTENING

    later = Subscriber(broker.port)
    lasting = {f"{TOPIC}/status", f"{TOPIC}/usb/state", f"{TOPIC}/usb/counts"}
    kept = later.wait_for(lambda got: lasting <= {m.topic for m in got})
    later.close()
    assert {m.topic for m in kept if m.topic.startswith(TOPIC)} == lasting


def lines_of(journal: Journal) -> list[Any]:
    files = sorted(journal.folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_home_assistant_finds_a_device_for_each_source(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    with running(publisher(broker.url).run):
        journal.write(started("USB"), segment(), started("Küche: (hw:1,0)"), segment())
        subscriber.wait_for(lambda got: len([m for m in got if m.topic.endswith("/counts")]) > 1)
    later = Subscriber(broker.port, "homeassistant/#")
    found = later.wait_for(lambda got: len(got) >= 10)
    later.close()
    assert all(message.retained for message in found)
    devices: dict[str, set[str]] = {}
    topics = {message.topic for message in subscriber.messages}
    for message in found:
        _, component, node, key, _ = message.topic.split("/")
        config = json.loads(message.payload)
        devices.setdefault(config["device"]["name"], set()).add(f"{component} {key}")
        assert config["device"]["identifiers"] == [node]
        assert config["unique_id"] == f"{node}_{key}"
        assert config["availability_topic"] == f"{TOPIC}/status"
        assert config["state_topic"] in topics
        is_number = key in ("confidence", "segments")
        assert ("state_class" in config) == is_number, "a text is no measurement"
        assert "device_class" not in config or component == "binary_sensor"
    entities = {f"sensor {key}" for key in ("emotion", "confidence", "segments", "state")}
    assert devices == dict.fromkeys(
        ("Undertone USB", "Undertone Küche: (hw:1,0)"), entities | {"binary_sensor microphone"}
    )


def test_activation_is_published_only_where_events_have_one(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    with running(publisher(broker.url).run):
        journal.write(started(), segment())
        subscriber.wait_for(lambda got: [m for m in got if m.topic.endswith("/counts")])
        assert not [m for m in subscriber.messages if "activation" in m.topic]
        (path,) = journal.folder.glob("*.jsonl")
        line = lines_of(journal)[-1] | {"activation": 0.7}
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        said = f"{TOPIC}/usb/segment"
        subscriber.wait_for(lambda got: "activation" in payloads(got, said)[-1])
    config = "homeassistant/sensor/undertone_pi_usb/activation/config"
    (found,) = payloads(subscriber.messages, config)
    assert (found["name"], found["unit_of_measurement"]) == ("Activation", "%")
    assert (found["state_class"], found["state_topic"]) == ("measurement", said)
    jinja2 = pytest.importorskip("jinja2", reason="no jinja2, in which Home Assistant's are")
    shown = jinja2.Template(found["value_template"])
    assert shown.render(value_json=payloads(subscriber.messages, said)[-1]) == "70.0"
    assert shown.render(value_json={"verdict": "angry"}) == "", "Home Assistant ignores it"


def test_the_state_follows_the_microphone_and_the_journal_has_its_own_topic(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    state = f"{TOPIC}/usb/state"
    with running(publisher(broker.url).run):
        for event, expected in (
            (started(), LISTENING),
            (lost(), LOST),
            (back(), LISTENING),
            (stopped(), STOPPED),
        ):
            journal.write(event)
            subscriber.wait_for(
                lambda got, expected=expected: (
                    [each["state"] for each in payloads(got, state)][-1:] == [expected]
                )
            )
        journal.write(refused())
        subscriber.wait_for(lambda got: payloads(got, f"{TOPIC}/disk-refused"))


def test_a_listener_that_was_killed_is_stopped(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    state = f"{TOPIC}/usb/state"
    with running(publisher(broker.url).run):
        journal.write(started())
        subscriber.wait_for(lambda got: payloads(got, state))
        journal.close()  # with its lock, and without a line that says so
        messages = subscriber.wait_for(lambda got: len(payloads(got, state)) > 1)
    assert [each["state"] for each in payloads(messages, state)] == [LISTENING, STOPPED]
    assert payloads(messages, state)[-1]["since"] is None


def test_a_new_day_begins_without_segments(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    def shown(got: Sequence[Received]) -> list[tuple[str, int]]:
        return [(each["day"], each["segments"]) for each in payloads(got, f"{TOPIC}/usb/counts")]

    with running(publisher(broker.url).run):
        journal.write(started(), segment())
        subscriber.wait_for(lambda got: ("2026-11-21", 1) in shown(got))
        TODAY[:] = [date(2026, 11, 22)]
        subscriber.wait_for(lambda got: shown(got)[-1] == ("2026-11-22", 0))
        TODAY[:] = [date(2026, 11, 20)]  # the clock was set back
        subscriber.wait_for(lambda got: shown(got)[-1] == ("2026-11-21", 1))


def test_only_what_is_written_from_the_first_start_on_is_published(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    journal.write(started(), gap(1), segment(), gap(2))
    with running(publisher(broker.url).run):
        subscriber.wait_for(lambda got: payloads(got, f"{TOPIC}/usb/counts"))
        journal.write(gap(3))
        messages = subscriber.wait_for(numbers)
    assert numbers(messages) == [3]
    assert payloads(messages, f"{TOPIC}/usb/counts")[0]["segments"] == 1  # known from before


def test_it_goes_on_where_it_ended(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    for round_ in range(4):
        journal.write(*(gap(3 * round_ + number) for number in range(2)))
        with running(publisher(broker.url).run):
            journal.write(gap(3 * round_ + 2))
            subscriber.wait_for(lambda got, last=3 * round_ + 2: last in numbers(got))
    # the first start begins with what is written from then on
    assert numbers(subscriber.messages)[-10:] == list(range(2, 12))
    farewell = Received(f"{TOPIC}/status", "offline", False)
    subscriber.wait_for(lambda got: got[-1] == farewell)


def test_a_journal_that_is_deleted_and_begun_again_under_it_is_followed_on(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    with running(publisher(broker.url).run):
        journal.write(started(), gap(1))
        subscriber.wait_for(lambda got: numbers(got) == [1])
        shutil.rmtree(journal.folder)
        journal.write(started(at_s=1), gap(2), gap(3))
        messages = subscriber.wait_for(lambda got: len(numbers(got)) == 3)
    assert numbers(messages) == [1, 2, 3]
    ids = [said["id"] for said in payloads(messages, f"{TOPIC}/usb/gap")]
    assert len(set(ids)) == 3


def test_a_broker_that_is_restarted_in_good_order_gets_nothing_twice(
    broker: Mosquitto, journal: Journal, publisher: Any
) -> None:
    got: list[Received] = []
    with running(publisher(broker.url).run):
        for round_ in range(3):
            subscriber = Subscriber(broker.port)
            if round_ == 0:
                subscriber.wait_until_online(TOPIC)
            journal.write(*(gap(10 * round_ + number) for number in range(10)))
            if round_ == 0:
                subscriber.wait_for(lambda got: len(numbers(got)) == 10)
            else:
                subscriber.wait_for(lambda got: numbers(got)[-1:] == [10 * round_ + 9])  # noqa: B023
            broker.stop()
            got += subscriber.end()
            broker.start()
    found = numbers(got)
    assert len(found) == len(set(found))
    assert found == sorted(found)


def test_discovery_is_sent_again_after_a_reconnect_and_after_home_assistants_birth(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    def discovered(got: Sequence[Received]) -> int:
        return len([m for m in got if m.topic.endswith("/emotion/config") and not m.retained])

    journal.write(started(), segment())
    with running(publisher(broker.url).run):
        subscriber.wait_for(lambda got: discovered(got) == 1)
        subscriber.wait_for(lambda got: payloads(got, f"{TOPIC}/usb/state"))
        subscriber.client.publish("homeassistant/status", "offline")
        subscriber.client.publish("homeassistant/status", "online")
        subscriber.wait_for(lambda got: discovered(got) == 2)
        subscriber.wait_for(lambda got: len(payloads(got, f"{TOPIC}/usb/state")) == 2)
        broker.kill()
        broker.start()
        later = Subscriber(broker.port)
        later.wait_for(lambda got: [m for m in got if m.topic.endswith("/emotion/config")])
        later.close()
    assert payloads(subscriber.messages, f"{TOPIC}/usb/segment") == []  # no news


def test_a_microphone_that_is_listened_to_no_more_is_not_announced_again(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    def announced(got: Sequence[Received]) -> list[str]:
        found = [m.topic.split("/")[2] for m in got if m.topic.endswith("/emotion/config")]
        return [node.removeprefix("undertone_pi_") for node in found]

    with running(publisher(broker.url).run):
        journal.write(started("USB"), segment())
        subscriber.wait_for(lambda got: announced(got) == ["usb"])
        journal.write(started("Webcam"), segment())
        subscriber.wait_for(lambda got: announced(got) == ["usb", "webcam"])
        subscriber.wait_for(lambda got: payloads(got, f"{TOPIC}/usb/state")[-1:] != [])
        subscriber.client.publish("homeassistant/status", "online")
        subscriber.wait_for(lambda got: announced(got) == ["usb", "webcam", "webcam"])
        journal.write(started("USB"), segment())
        subscriber.wait_for(lambda got: announced(got)[3:] == ["usb"])


def test_a_program_that_is_killed_is_offline(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, publisher: Any
) -> None:
    connection = Connection(parse_url(broker.url), TOPIC)
    subscriber.wait_for(lambda got: Received(f"{TOPIC}/status", "online", False) in got)
    connection._client.socket().close()
    subscriber.wait_for(lambda got: got[-1] == Received(f"{TOPIC}/status", "offline", False))


def test_an_absent_broker_is_waited_for_from_the_start_and_told_of_once(
    broker: Mosquitto, journal: Journal, publisher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()
    with running(publisher(broker.url).run):
        journal.write(gap(1))
        while not caplog.records:
            threading.Event().wait(0.05)
        broker.start()
        subscriber = Subscriber(broker.port, f"{TOPIC}/status")
        subscriber.wait_for(lambda got: got)
        subscriber.close()
        journal.write(gap(2))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "can't publish to mqtt",
        "connected to the broker mqtt",
    ]
    assert "Connection refused; it is tried again" in caplog.text


def test_a_wrong_password_is_told_and_nothing_is_lost_until_it_is_right(
    broker: Mosquitto, tmp_path: Path, journal: Journal, publisher: Any, caplog: Any
) -> None:
    broker.kill()
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    subprocess.run(["mosquitto_passwd", "-b", passwords, "pi", "right"], check=True)
    guarded = Mosquitto(tmp_path, f"password_file {passwords}", anonymous=False)
    guarded.start()
    try:
        with running(publisher(guarded.url, user="pi", password="wrong").run):
            journal.write(gap(1))
            while not caplog.records:
                threading.Event().wait(0.05)
        assert "it refuses the user or the password" in caplog.text
        assert "wrong" not in caplog.text.replace("wrong name", "")
        with running(publisher(guarded.url, user="pi", password="right").run):
            stored = Store(tmp_path / "mqtt.json", MqttState)
            while not stored.load().positions:
                threading.Event().wait(0.05)
    finally:
        guarded.kill()


@pytest.fixture
def authority(tmp_path: Path) -> Callable[[str], tuple[Path, ...]]:
    """Makes a certificate for a name: the files of the authority, the certificate and its key."""

    def certify(name: str) -> tuple[Path, ...]:
        ca, ca_key, cert, key = (tmp_path / part for part in ("ca", "ca-key", "cert", "key"))
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        more = ["-addext", "keyUsage=critical,keyCertSign"]
        run(*new, *more, "-subj", "/CN=test authority", "-keyout", ca_key, "-out", ca)
        by = ["-CA", ca, "-CAkey", ca_key, "-addext", f"subjectAltName={name}"]
        leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
        run(*new, *by, *leaf, "-subj", "/CN=broker", "-keyout", key, "-out", cert)
        return ca, cert, key

    return certify


def run(*command: object) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "with_authority", "told"),
    [
        ("IP:127.0.0.1", True, None),
        ("DNS:elsewhere.example", True, "IP address mismatch"),
        ("IP:127.0.0.1", False, "unable to get local issuer certificate"),
    ],
)
def test_a_broker_must_prove_its_name(
    name: str,
    with_authority: bool,
    told: str | None,
    broker: Mosquitto,
    authority: Any,
    tmp_path: Path,
    journal: Journal,
    publisher: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker.kill()
    ca, cert, key = authority(name)
    secure = Mosquitto(tmp_path, f"certfile {cert}", f"keyfile {key}")
    secure.start()
    url = secure.url.replace("mqtt:", "mqtts:")
    stored = Store(tmp_path / "mqtt.json", MqttState)
    try:
        with running(publisher(url, ca_file=ca if with_authority else None).run):
            journal.write(gap(1))
            while not (caplog.records if told else stored.load().positions):
                threading.Event().wait(0.05)
        assert (told or "") in caplog.text
        assert bool(stored.load().positions) == (told is None)
    finally:
        secure.kill()


def test_a_server_that_never_answers_is_given_up() -> None:
    moments = iter([0.0, 0.0, 9.99, 11.0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = Broker("127.0.0.1", server.getsockname()[1])
        with pytest.raises(DisconnectedError, match="it does not answer"):
            Connection(silent, TOPIC, moments.__next__)


def test_a_port_without_tls_is_told(
    broker: Mosquitto, journal: Journal, publisher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with running(publisher(broker.url.replace("mqtt:", "mqtts:")).run):
        while not caplog.records:
            threading.Event().wait(0.05)
    assert "mqtts://" in caplog.text


def test_a_journal_that_cannot_be_read_ends_it(
    broker: Mosquitto, journal: Journal, publisher: Any
) -> None:
    started_ = publisher(broker.url)
    journal.close()
    for path in journal.folder.iterdir():
        path.unlink()
    journal.folder.rmdir()
    journal.folder.write_text("not a folder")
    with pytest.raises(JournalError):
        started_.run(threading.Event())
    journal.folder.unlink()


def test_a_damaged_cursor_and_a_second_program_are_refused(
    tmp_path: Path, journal: Journal, publisher: Any
) -> None:
    (tmp_path / "mqtt.json").write_text('{"version": 1}')
    with pytest.raises(PublishError, match="Delete it to start again"):
        publisher("mqtt://localhost")
    with (
        locked(tmp_path / "state"),
        pytest.raises(PublishError, match="Another `undertone publish`"),
        locked(tmp_path / "state"),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("broker", "write mqtt://host"),
        ("http://broker", "write mqtt://host"),
        ("mqtt://", "write mqtt://host"),
        ("mqtt://pi:secret@broker", "can't contain a user or a password"),
        ("mqtt://broker:70000", "no port from 1 to 65535"),
        ("mqtt://broker:0", "no port from 1 to 65535"),
        ("mqtt://broker/topic", "use mqtt_topic"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        parse_url(url)
    assert "secret" not in str(error.value).split("file of secrets")[0]


def test_addresses() -> None:
    assert parse_url("mqtt://broker") == Broker("broker", 1883)
    assert parse_url("mqtts://[::1]") == Broker("::1", 8883, tls=True)
    assert str(parse_url("mqtts://[::1]:99/")) == "mqtts://[::1]:99"
