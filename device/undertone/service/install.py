"""Installs and removes the service: each action is a list of commands to run or print."""

import pwd
import shlex
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from undertone.errors import ServiceError
from undertone.service import unit

UNIT_PATH = Path(f"/etc/systemd/system/{unit.NAME}.service")
PUBLISH_UNIT_PATH = UNIT_PATH.with_name(f"{unit.PUBLISH_NAME}.service")
PACKAGED_UNIT_PATH = Path(f"/usr/lib/systemd/system/{unit.NAME}.service")
"""Of the Debian package."""

BOOTED = Path("/run/systemd/system")
"""Exists if the machine runs systemd: see sd_booted(3)."""

_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the unit's ProtectHome= and PrivateTmp= hide from the service."""

_SYSTEMCTL = "systemctl"


@dataclass(frozen=True, slots=True)
class Step:
    """One command; ``stdin`` is its input."""

    command: tuple[str, ...]
    stdin: str = ""

    def __str__(self) -> str:
        """A line of a shell script, followed by its input."""
        line = shlex.join(self.command)
        return f"{line} <<'END'\n{self.stdin}END" if self.stdin else line


Run = Callable[[Step], int]
"""Runs a step and returns its exit status."""


def run(step: Step) -> int:
    """Run it and show its output; raises ServiceError if the program is missing."""
    try:
        return subprocess.run(step.command, input=step.stdin or None, text=True).returncode
    except OSError as error:
        raise ServiceError(f"can't run {step.command[0]}: {error.strerror}") from error


def require_systemd(booted: Path = BOOTED) -> None:
    """Raise ServiceError on a machine that does not run systemd."""
    if not booted.is_dir():
        raise ServiceError(
            "this machine does not run systemd, so there is no service to manage: "
            "have its own init system start `undertone listen --source mic`."
        )


def require_root(user_id: int, command: Iterable[str]) -> None:
    """Raise ServiceError, naming the ``command`` to run instead, for any user but root."""
    if user_id != 0:
        raise ServiceError(
            f"only root may change the services of a machine: run sudo {shlex.join(command)}"
        )


def require_reachable(paths: Iterable[Path]) -> None:
    """Raise ServiceError if the service could not see one of the program's own ``paths``."""
    for path in paths:
        for hidden in _HIDDEN:
            if path.is_relative_to(hidden):
                raise ServiceError(
                    f"the service has no access to {hidden}, where this program is ({path}): "
                    "install Undertone system-wide and use the command from there: "
                    f"sudo python3 -m venv /opt/{unit.NAME}, "
                    f"then sudo /opt/{unit.NAME}/bin/pip install and the folder of its source."
                )


def require_unpackaged(path: Path = PACKAGED_UNIT_PATH) -> None:
    """Raise ServiceError if the service belongs to the Debian package."""
    if path.exists():
        raise ServiceError(
            f"the service belongs to the Debian package: sudo systemctl enable --now {unit.NAME} "
            "starts it, now and at boot, and disable --now stops it; its options are in "
            f"/etc/{unit.NAME}/config.toml."
        )


def require_installed(path: Path = UNIT_PATH, packaged: Path = PACKAGED_UNIT_PATH) -> None:
    """Raise ServiceError if there is no unit."""
    if not (path.exists() or packaged.exists()):
        raise ServiceError(
            "the service is not installed: run undertone service install; --dry-run shows what "
            "that would do."
        )


def user_exists(name: str = unit.NAME) -> bool:
    """Whether this machine has the user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def install_steps(service: unit.Unit, *, with_user: bool) -> list[Step]:
    """Write the unit, enable it at boot, and start or restart it now.

    with_user: create its user first, a fixed one, so that the journal has an owner and a group
        to which others can be added.
    """
    home = f"/var/lib/{unit.NAME}"
    options = ("--system", "--user-group", "--no-create-home", "--home-dir", home)
    user = ("useradd", *options, "--shell", "/usr/sbin/nologin", unit.NAME)
    return [
        *([Step(user)] if with_user else []),
        *_start_steps(UNIT_PATH, unit.text(service)),
    ]


def publish_steps(executable: Path) -> list[Step]:
    """The same for ``undertone publish``, which follows the journal of the listener's service."""
    return _start_steps(PUBLISH_UNIT_PATH, unit.publish_text(executable))


def _start_steps(path: Path, text: str) -> list[Step]:
    return [
        Step(("install", "-m", "644", "/dev/stdin", str(path)), text),
        Step((_SYSTEMCTL, "daemon-reload")),
        Step((_SYSTEMCTL, "enable", path.stem)),
        Step((_SYSTEMCTL, "restart", path.stem)),
    ]


def remove_steps(*, with_publish: bool = False) -> list[Step]:
    """Stop the service and remove its unit; its user and its journal stay.

    with_publish: also the service of ``undertone publish``, whose cursor stays.
    """
    paths = [UNIT_PATH, *([PUBLISH_UNIT_PATH] if with_publish else [])]
    return [
        Step((_SYSTEMCTL, "disable", "--now", *(path.stem for path in paths))),
        Step(("rm", "--force", *map(str, paths))),
        Step((_SYSTEMCTL, "daemon-reload")),
    ]


def publish_is_installed(path: Path = PUBLISH_UNIT_PATH) -> bool:
    """Whether the unit of ``undertone publish`` is installed."""
    return path.exists()


def status_step(*, with_publish: bool = False) -> Step:
    """Show the state of the services; the exit status is 0 if they run."""
    names = (unit.NAME, *([unit.PUBLISH_NAME] if with_publish else []))
    return Step((_SYSTEMCTL, "status", "--no-pager", *names))


def perform(steps: Iterable[Step], run: Run = run) -> None:
    """Run the steps in turn; raises ServiceError at the first that fails."""
    for step in steps:
        if status := run(step):
            raise ServiceError(
                f"{shlex.join(step.command)} failed with status {status}: "
                f"sudo journalctl -u {unit.NAME} -n 20 may say why."
            )
