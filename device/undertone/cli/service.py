"""``undertone service``: ``undertone listen`` as a systemd service."""

import os
import sys
import sysconfig
from collections.abc import Iterable
from copy import copy
from pathlib import Path

import click

import undertone
from undertone.audio.address import NetworkAddress
from undertone.errors import ServiceError
from undertone.service import install as installing
from undertone.service.unit import LISTEN_SECRETS, NAME, Unit, default_source

_PROGRAM = Path(sysconfig.get_path("scripts"), "undertone")

_dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the commands as a shell script; do not run them."
)


@click.group(
    epilog=f"""\b
Examples:
  undertone service install --dry-run
  sudo /opt/{NAME}/bin/undertone service install
  undertone service status

The service reads its settings from /etc/{NAME}/config.toml and writes its journal to
/var/lib/{NAME}/journal.
"""
)
def command() -> None:
    """Manage `undertone listen` as a systemd service that starts at boot."""


def _arguments(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Check the options of ``listen`` now, before the service fails at each start."""
    if any(isinstance(each, NetworkAddress) and each.has_secrets for each in _sources(value)):
        raise click.BadParameter(
            "every user of this machine can read a unit, and this address may have a password in "
            f"it: write UNDERTONE_SOURCE='...' into {LISTEN_SECRETS} and use --network instead."
        )
    if any(not word.isprintable() for word in value):
        raise click.BadParameter("a systemd unit can't contain control characters.")
    return value


def _sources(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What ``listen`` would listen to."""
    from undertone.cli.listen import command as listen

    words = [*default_source(arguments), *arguments]
    sources: tuple[str, ...] = listen.make_context("undertone listen", words).params["source"]
    return sources


@command.command(
    epilog=f"""\b
Examples:
  undertone service install --dry-run
  sudo /opt/{NAME}/bin/undertone service install
  sudo /opt/{NAME}/bin/undertone service install --publish
  sudo /opt/{NAME}/bin/undertone service install -- --microphone USB
  sudo /opt/{NAME}/bin/undertone service install -- --source rtsp://camera.local:554/live
"""
)
@_dry_run
@click.option(
    "--publish",
    is_flag=True,
    help="Install `undertone publish` as a second service, with the network and another user.",
)
@click.option(
    "--network",
    is_flag=True,
    help=f"Listen to the stream whose address is UNDERTONE_SOURCE in {LISTEN_SECRETS}, which only "
    "root may read: for an address with a password.",
)
@click.argument("arguments", nargs=-1, callback=_arguments, metavar="[-- OPTIONS OF LISTEN]")
def install(dry_run: bool, publish: bool, network: bool, arguments: tuple[str, ...]) -> None:
    """Install and start the service.

    Creates its user, writes its unit and starts it, now and at boot.  Run it again to change the
    options: the unit is rewritten and the service restarted.  It has no network, unless its source
    is a stream.
    """
    if not dry_run:
        installing.require_systemd()
        installing.require_unpackaged()
    try:
        needed = (_PROGRAM, Path(undertone.__file__), Path(sys.base_prefix))
        installing.require_reachable(path.resolve() for path in needed)
    except ServiceError as error:
        if not dry_run:
            raise
        click.echo(f"undertone: {error}", err=True)
    if not dry_run:
        options = [*["--publish"] * publish, *["--network"] * network]
        _require_root("install", *options, *(["--", *arguments] if arguments else []))
    network = network or any(isinstance(each, NetworkAddress) for each in _sources(arguments))
    unit = Unit(_PROGRAM, arguments, network=network)
    _perform(installing.install_steps(unit, with_user=not installing.user_exists()), dry_run)
    if publish:
        _perform(installing.publish_steps(_PROGRAM), dry_run)
    if not dry_run:
        click.echo(
            f"The service is running. To show its journal: sudo {_PROGRAM} journal show "
            f"--journal /var/lib/{NAME}/journal"
        )


@command.command(epilog="Example: undertone service status")
@_dry_run
def status(dry_run: bool) -> int:
    """Show whether the service is running.

    Prints its last messages; the exit status is 0 if it is running.
    """
    step = installing.status_step(with_publish=installing.publish_is_installed())
    if dry_run:
        click.echo(step)
        return 0
    installing.require_systemd()
    installing.require_installed()
    return 1 if installing.run(step) else 0


@command.command(epilog=f"Example: sudo /opt/{NAME}/bin/undertone service remove")
@_dry_run
def remove(dry_run: bool) -> None:
    """Stop and remove the service.

    Its user, settings and journal are kept.
    """
    if not dry_run:
        installing.require_systemd()
        if not installing.UNIT_PATH.exists():
            installing.require_unpackaged()
        installing.require_installed()
        _require_root("remove")
    _perform(installing.remove_steps(with_publish=installing.publish_is_installed()), dry_run)
    if not dry_run:
        click.echo(f"The service is removed; its journal is still in /var/lib/{NAME}/journal.")


_uninstall = copy(remove)
_uninstall.hidden = True  # for those who look for the opposite of install
command.add_command(_uninstall, "uninstall")


def _require_root(*arguments: str) -> None:
    installing.require_root(os.geteuid(), [str(_PROGRAM), "service", *arguments])


def _perform(steps: Iterable[installing.Step], dry_run: bool) -> None:
    if dry_run:
        for step in steps:
            click.echo(step)
    else:
        installing.perform(steps)
