"""``undertone publish``: the journal to an MQTT broker, and alerts to people."""

import os
import socket
import ssl
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import click

from undertone import paths
from undertone.cli import options
from undertone.cli.output import notice
from undertone.cli.settings import load_alerts
from undertone.errors import ConfigError, RuntimeMissingError
from undertone.publish.alerts import example
from undertone.publish.apprise_target import AppriseTarget
from undertone.publish.broker import Broker, parse_url
from undertone.publish.delivery import AlertPublisher, DeliveryState, Target
from undertone.publish.messages import slug
from undertone.publish.mqtt import MqttPublisher, MqttState
from undertone.publish.preview import mqtt_messages
from undertone.publish.rules import AnyRule, parse_rules
from undertone.publish.run import Work, run_until_signal
from undertone.publish.secrets import Secrets, read_secrets
from undertone.publish.store import Store, locked
from undertone.publish.webhook import Webhook
from undertone.support.installation import add_extra
from undertone.support.printable import printable


@click.command(
    epilog="""\b
Examples:
  undertone publish --mqtt mqtt://homeassistant.local --test
  UNDERTONE_MQTT_USER=pi UNDERTONE_MQTT_PASSWORD=... undertone publish --mqtt mqtts://broker
  undertone publish --mqtt mqtts://broker --publish-secrets-file ~/.undertone-secrets

\b
Alerts are tables in the settings file:
  [[alert]]
  name = "argument"
  when = "emotion"
  emotion = "angry"
  times = 3
  within = "10m"
  confidence = 0.6
"""
)
@options.journal
@options.mqtt
@options.mqtt_ca_file
@options.mqtt_topic
@options.publish_secrets_file
@click.option("--test", is_flag=True, help="Print what would be sent; send and store nothing.")
def command(
    journal: Path,
    mqtt: str | None,
    mqtt_ca_file: Path | None,
    mqtt_topic: str | None,
    publish_secrets_file: Path | None,
    test: bool,
) -> None:
    """Follow the journal and publish it to an MQTT broker, with alerts, until Ctrl-C.

    Runs beside `undertone listen`.  The first time, it begins with what is written from then on;
    later it goes on where it ended.  Home Assistant finds the microphones by itself.
    """
    secrets = read_secrets(os.environ, publish_secrets_file)
    rules, targets = _alerts(secrets)
    broker = _broker(mqtt, mqtt_ca_file, secrets)
    if broker is None and not rules:
        raise ConfigError(
            "There is nothing to publish to: name a broker with --mqtt mqtt://host, or write "
            "alerts into the settings file (undertone publish --help shows one)."
        )
    topic = mqtt_topic or f"undertone/{slug(socket.gethostname())}"
    if test:
        if broker:
            _print_messages(broker, topic, journal)
        _print_alerts(rules, targets)
        return
    _run(journal, broker, topic, rules, targets)


def _run(
    journal: Path,
    broker: Broker | None,
    topic: str,
    rules: list[AnyRule],
    targets: list[Target],
) -> None:
    folder = paths.state_dir() / "publish"
    with ExitStack() as held:
        held.enter_context(locked(folder))
        work: list[Work] = []
        if broker:
            store = Store(folder / "mqtt.json", MqttState)
            work.append(MqttPublisher(broker, topic, journal, store).run)
            notice(f"publishing {journal} to {broker} below {topic}")
        if rules and targets:
            alert_store = Store(folder / "alerts.json", DeliveryState)
            work.append(AlertPublisher(rules, targets, journal, alert_store).run)
            notice(f"alerts go to {', '.join(map(str, targets))}")
        run_until_signal(work)


def _print_messages(broker: Broker, topic: str, journal: Path) -> None:
    click.echo(f"To {broker}, QoS 1, now and for the newest segment:")
    for message in mqtt_messages(topic, journal, _now()):
        click.echo(f"\n{printable(message.topic)}{'  (retained)' if message.retained else ''}")
        click.echo(printable(message.payload))


def _print_alerts(rules: list[AnyRule], targets: list[Target]) -> None:
    for rule in rules:
        for target in targets:
            click.echo(f"\nAlert {rule.name}, as it would be sent now:")
            for line in target.preview(example(rule, _now())).splitlines():
                click.echo(printable(line))


def _now() -> datetime:
    return datetime.now().astimezone()


def _alerts(secrets: Secrets) -> tuple[list[AnyRule], list[Target]]:
    """The rules, and where their alerts go; ConfigError for one without the other."""
    path = paths.config_path()
    rules = parse_rules(load_alerts(path), path)
    targets: list[Target] = []
    try:
        if secrets.webhook_url:
            targets.append(Webhook(secrets.webhook_url, secrets.webhook_secret))
        targets += [AppriseTarget(url) for url in secrets.apprise_urls.split()]
    except ValueError as error:
        raise ConfigError(f"Alerts can't be sent: {error}.") from error
    if rules and not targets:
        raise ConfigError(
            f"{path} has alerts, but nothing says where they go: set UNDERTONE_WEBHOOK_URL or "
            "UNDERTONE_APPRISE_URLS, or use a file of secrets."
        )
    if targets and not rules:
        raise ConfigError(f"There is an address for alerts, but {path} has no [[alert]].")
    return rules, targets


def _broker(url: str | None, ca_file: Path | None, secrets: Secrets) -> Broker | None:
    if url is None:
        return None
    if find_spec("paho") is None:
        raise RuntimeMissingError(
            f"paho-mqtt, which speaks to the broker, is not installed: {add_extra('publish')}."
        )
    user, password = secrets.mqtt_user, secrets.mqtt_password
    broker = replace(parse_url(url), ca_file=ca_file, user=user, password=password)
    if ca_file and not broker.tls:
        raise ConfigError(f"mqtt_ca_file is for TLS, which {broker} has not: write mqtts://.")
    try:
        broker.tls_context()
    except OSError as error:
        reason = "there is none in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"Can't use the certificate in {ca_file}: {reason}.") from error
    return broker
