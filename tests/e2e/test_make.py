"""``make`` on machines of several kinds, made of programs that only say what they were asked."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools/system-packages.sh"
PACKAGES = ("python3-venv", "libportaudio2")
TOOLS = ("sh", "env", "grep", "sed", "expand")
DOES_NOTHING = "exit 0"
FAILS = "exit 1"


class Machine:
    """A folder of programs that is the whole PATH; ``log`` has what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found
            (folder / tool).symlink_to(found)

    def has(self, name: str, does: str) -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{does}\n')
        program.chmod(0o755)

    def run(self, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={"PATH": str(self.folder), **env},
            capture_output=True,
            text=True,
            timeout=30,
        )

    def install(self) -> subprocess.CompletedProcess[str]:
        return self.run("/bin/sh", SCRIPT, *PACKAGES)

    def called(self, program: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(program + " ")]


@pytest.fixture
def debian(tmp_path: Path) -> Machine:
    """Fresh Debian: no packages, a user without rights; installing makes python3 work."""
    machine = Machine(tmp_path)
    machine.has("id", "echo 1000")
    machine.has("python3", f"test -e {tmp_path}/installed")
    machine.has("apt-get", f'case "$*" in *install*) : > {tmp_path}/installed;; esac')
    return machine


def test_what_is_there_is_not_installed_again(debian: Machine) -> None:
    debian.has("python3", DOES_NOTHING)
    done = debian.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert not debian.called("apt-get")


@pytest.mark.parametrize("sudo", [None, FAILS])
def test_who_may_not_install_gets_the_one_command(debian: Machine, sudo: str | None) -> None:
    if sudo:
        debian.has("sudo", sudo)
    done = debian.install()
    assert done.returncode == 1
    assert done.stderr == "Please run: sudo apt install python3-venv libportaudio2\n"
    assert not debian.called("apt-get")


def test_sudo_that_asks_nothing_installs(debian: Machine) -> None:
    debian.has("sudo", 'test "$1" = -n && shift; "$@"')
    assert debian.install().returncode == 0
    update, install = debian.called("apt-get")
    assert "update" in update
    assert install.endswith("python3-venv libportaudio2")
    assert any("DEBIAN_FRONTEND=noninteractive" in call for call in debian.called("sudo"))


def test_root_installs(debian: Machine) -> None:
    debian.has("id", "echo 0")
    assert debian.install().returncode == 0
    assert len(debian.called("apt-get")) == 2


def test_where_installing_fails_the_command_is_printed(debian: Machine) -> None:
    debian.has("id", "echo 0")
    debian.has("apt-get", FAILS)
    done = debian.install()
    assert done.returncode == 1
    assert done.stderr.endswith("Please run: sudo apt install python3-venv libportaudio2\n")


def test_a_machine_without_apt_is_told_what_it_lacks(debian: Machine) -> None:
    (debian.folder / "apt-get").unlink()
    done = debian.install()
    assert done.returncode == 1
    assert done.stderr == "Please install what Debian calls python3-venv libportaudio2\n"


@pytest.fixture
def make() -> str:
    found = shutil.which("make")
    if not found:
        pytest.skip("make is not installed")
    return found


@pytest.mark.parametrize("works", ["3.11", "3.12", "3.13"])
def test_make_takes_the_first_python_that_runs(debian: Machine, make: str, works: str) -> None:
    for version in ("3.11", "3.12", "3.13"):
        debian.has(f"python{version}", "exit 127")  # a shim with nothing behind it
    debian.has(f"python{works}", f"echo python{works}")
    done = debian.run(make, "--dry-run", "--always-make", "run")
    assert f"\npython{works} -m venv .venv\n" in done.stdout


def test_make_run_installs_the_device_alone(debian: Machine, make: str) -> None:
    device = debian.run(make, "--dry-run", "--always-make", "run").stdout
    assert "-c constraints.txt -e '.'" in device
    assert "training" not in device
    assert ".venv/bin/undertone listen" in device
    everything = debian.run(make, "--dry-run", "--always-make", "test").stdout
    assert "-e '.[training,reference,web,test]'" in everything


def test_make_lists_what_it_makes(debian: Machine, make: str) -> None:
    listed = debian.run(make).stdout
    for target in ("run", "test", "check", "clean"):
        assert f"\n{target} " in f"\n{listed}"
