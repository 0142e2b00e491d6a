"""``undertone publish`` as a command: what it refuses, what it shows, and that it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mqtt_broker import Mosquitto, Subscriber
from undertone import cli
from undertone.errors import ConfigError
from undertone.publish.messages import check_topic, slug

from .conftest import PATIENCE_S, Journal, gap, segment, started

SECRET = "s3cret-token"
RULE = """
[[alert]]
name = "lost"
when = "microphone lost"
"""


@pytest.fixture
def publish(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Call the command with a settings file of this text."""

    def call(*arguments: str, settings: str = "", **environment: str) -> Result:
        config = tmp_path / "config.toml"
        config.write_text(settings)
        monkeypatch.setenv("UNDERTONE_CONFIG", str(config))
        monkeypatch.setenv("UNDERTONE_STATE", str(tmp_path / "state"))
        command = ["publish", "--journal", str(journal.folder), *arguments]
        # the command takes the secrets out of the environment
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return CliRunner().invoke(cli.undertone, command)

    return call


def test_a_test_shows_every_topic_and_payload_and_stores_nothing(
    publish: Any, journal: Journal, tmp_path: Path
) -> None:
    journal.write(started(), segment())
    done = publish("--mqtt", "mqtt://nowhere.invalid", "--mqtt-topic", "home/pi", "--test")
    assert done.exit_code == 0, done.output
    blocks = [block.splitlines() for block in done.stdout.split("\n\n")[1:]]
    shown = {topic.split("  ")[0]: payload for topic, payload in blocks}
    assert shown["home/pi/status"] == "online"
    said = json.loads(shown["home/pi/usb/segment"])
    assert (said["verdict"], said["id"].split(":")[0]) == ("angry", "2026-11-21.jsonl")
    assert json.loads(shown["homeassistant/sensor/home_pi_usb/emotion/config"])
    retained = {block[0].split()[0] for block in blocks if block[0].endswith("(retained)")}
    assert "home/pi/usb/segment" not in retained
    assert {f"home/pi/{kind}" for kind in ("status", "usb/state", "usb/counts")} <= retained
    assert not (tmp_path / "state").exists()


def test_a_test_needs_no_journal_and_shows_alerts_without_their_secrets(publish: Any) -> None:
    done = publish(
        *("--mqtt", "mqtts://nowhere.invalid", "--test"),
        settings=RULE,
        UNDERTONE_MQTT_PASSWORD=SECRET,
        UNDERTONE_WEBHOOK_URL=f"https://host.invalid/{SECRET}",
        UNDERTONE_WEBHOOK_SECRET=SECRET,
    )
    assert done.exit_code == 0, done.output
    assert '"verdict": "happy"' in done.stdout
    assert "POST to host.invalid" in done.stdout
    assert "X-Undertone-Signature-256: sha256=" in done.stdout
    assert '"message": "microphone lost: USB"' in done.stdout
    assert SECRET not in done.output


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        ([], "", "There is nothing to publish to: name a broker with --mqtt"),
        ([], RULE, "has alerts, but nothing says where they go"),
        ([], '[[alert]]\nname = "x"\nwhen = "emotion"\nemotion = "furious"', "not an emotion"),
        ([], "[alert]\n", "write [[alert]] above each alert"),
        ([], 'mqt = "mqtt://host"', "there is no setting 'mqt'; did you mean 'mqtt'?"),
        ([], 'mqtt_topic = "home/+/x"', "has a wildcard"),
        (["--mqtt", "mqtt://h", "--mqtt-topic", "home/#"], "", "has a wildcard"),
        (["--mqtt", "mqtt://pi:x@host"], "", "can't contain a user or a password"),
        (["--mqtt", "host"], "", "write mqtt://host"),
        (["--publish-secrets-file", "none.toml"], "", "Can't read the secrets in none.toml"),
        (["--mqtt", "mqtts://h", "--mqtt-ca-file", "none.crt"], "", "No such file"),
        (["--mqtt", "mqtts://h", "--mqtt-ca-file", __file__], "", "there is none in it"),
        (["--mqtt", "mqtt://h", "--mqtt-ca-file", __file__], "", "write mqtts://"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_status_2(
    publish: Any, arguments: list[str], settings: str, told: str
) -> None:
    done = publish(*arguments, settings=settings)
    error = done.exception
    if isinstance(error, ConfigError):
        assert told in str(error)
        assert error.exit_status == 2
    else:
        assert done.exit_code == 2
        assert told in " ".join(done.stderr.replace("│", " ").split())


def test_an_address_for_alerts_needs_a_rule(publish: Any) -> None:
    done = publish(UNDERTONE_WEBHOOK_URL="https://host.invalid/")
    assert "has no [[alert]]" in str(done.exception)


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (f'mqtt_password = "{SECRET}"', 0o644, "is accessible to others: run chmod 600"),
        (f'mqtt_pasword = "{SECRET}"', 0o600, "did you mean 'mqtt_password'?"),
        ("mqtt_password = 5", 0o600, "mqtt_password must be text in quotes"),
        ("mqtt_password", 0o600, "is not valid TOML"),
    ],
)
def test_a_file_of_secrets_that_is_wrong_is_refused(
    publish: Any, tmp_path: Path, content: str, mode: int, told: str
) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text(content)
    path.chmod(mode)
    done = publish("--mqtt", "mqtt://host", "--publish-secrets-file", str(path))
    assert isinstance(done.exception, ConfigError)
    assert told in str(done.exception)
    assert SECRET not in str(done.exception)


def test_the_environment_comes_before_the_file_of_secrets(tmp_path: Path) -> None:
    from undertone.publish.secrets import read_secrets

    path = tmp_path / "secrets.toml"
    path.write_text('mqtt_user = "pi"\nmqtt_password = "file"')
    path.chmod(0o600)
    environment = {"UNDERTONE_MQTT_PASSWORD": "environment", "HOME": "/"}
    found = read_secrets(environment, path)
    assert (found.mqtt_user, found.mqtt_password) == ("pi", "environment")
    assert environment == {"HOME": "/"}  # children need no secrets


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_status_0_and_the_cursor_stored(
    broker: Mosquitto, subscriber: Subscriber, journal: Journal, tmp_path: Path, number: int
) -> None:
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "undertone.cli", "publish", "--mqtt", broker.url),
            *("--journal", str(journal.folder), "--mqtt-topic", "home/pi"),
        ],
        env=os.environ | {"UNDERTONE_STATE": str(tmp_path / "state")},
        stderr=subprocess.PIPE,
        text=True,
    )
    subscriber.wait_for(lambda got: any(m.payload == "online" for m in got))
    journal.write(gap(1))
    subscriber.wait_for(lambda got: any(m.topic.endswith("/gap") for m in got))
    program.send_signal(number)
    _, told = program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 0
    assert told.splitlines() == [
        f"undertone: publishing {journal.folder} to {broker.url} below home/pi",
        f"undertone: connected to the broker {broker.url}",
    ]
    stored = json.loads((tmp_path / "state/publish/mqtt.json").read_text())
    size = (journal.folder / "2026-11-21.jsonl").stat().st_size
    assert stored["positions"]["2026-11-21.jsonl"]["offset"] == size
    assert (tmp_path / "state/publish").stat().st_mode & 0o077 == 0
    subscriber.wait_for(lambda got: got[-1].payload == "offline")


def test_the_help_is_instant_and_has_examples() -> None:
    done = CliRunner().invoke(cli.undertone, ["publish", "--help"])
    assert "undertone publish --mqtt" in done.stdout.split("Examples")[1]
    context = click.Context(cli.undertone)
    command = cli.undertone.get_command(context, "publish")
    assert command
    options = [name for parameter in command.params for name in parameter.opts]
    assert not [name for name in options if "password" in name or "user" in name]


@pytest.mark.parametrize(
    "topic", ["", "/a", "a/", "a//b", "a/+", "#", "$SYS/a", "a\0b", "a" * 2000]
)
def test_topics_that_can_begin_no_topic(topic: str) -> None:
    with pytest.raises(ValueError, match=r"can't begin|wildcard|too long"):
        check_topic(topic)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("USB", "usb"),
        ("USB PnP: Audio (hw:1,0)", "usb_pnp_audio_hw_1_0"),
        ("Küche", "kuche_"),
        ("麦克风", ""),
        ("...", "source"),
    ],
)
def test_names_in_topics(name: str, expected: str) -> None:
    assert slug(name).startswith(expected)
    assert slug(name).replace("_", "").isalnum()
    assert slug(name).isascii()


def test_names_that_differ_in_foreign_letters_differ_in_topics() -> None:
    assert (
        len({slug(name) for name in ("麦克风", "麦克", "Küche", "Kuche", "x" * 61, "x" * 62)}) == 6
    )
