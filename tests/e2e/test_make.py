"""``make`` on machines of several kinds, made of programs that only say what they were asked."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from undertone.diagnostics.doctor import check_python

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools/system-packages.sh"
PACKAGES = ("python3-venv", "libportaudio2")
TOOLS = ("sh", "env", "echo", "grep", "sed", "expand")
DOES_NOTHING = "exit 0"
FAILS = "exit 1"


class Machine:
    """A folder of programs that is the whole PATH; ``log`` has what was called.

    ``clone`` has what of the repository is needed to make an environment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.clone = folder / "clone"
        (self.clone / "tools").mkdir(parents=True)
        for file in (ROOT / name for name in ("Makefile", "setup.py", "constraints.txt")):
            shutil.copy(file, self.clone)
        for script in (ROOT / "tools").glob("*.sh"):
            shutil.copy(script, self.clone / "tools")
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
            cwd=self.clone,
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


def python(version: str) -> str:
    """What an interpreter of this version does, as far as it is asked."""
    pretend = f"""
import sys
sys.version_info = ({version.replace(".", ", ")}, 0)
code = sys.argv[2]
del sys.argv[1:3]
exec(code)
"""
    return f"""
case $1 in
    --version) echo Python {version}.0 ;;
    -c) exec {sys.executable} -c '{pretend}' "$@" ;;
esac
"""


@pytest.mark.parametrize("goal", ["run", "test"])
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("python3.14", "python3.14 does not run here"),
        ("python3.10", "python3.10 is Python 3.10.0"),
        ("/opt/python3.9", "/opt/python3.9 does not run here"),
    ],
)
def test_an_unsupported_python_is_reported_with_the_supported_ones(
    debian: Machine, make: str, goal: str, wanted: str, said: str
) -> None:
    debian.has("python3.10", python("3.10"))
    needed = "and Undertone needs Python 3.11, 3.12 or 3.13"
    for hint in ("install one of them.", "PYTHON=python3.12 will do."):
        done = debian.run(make, goal, f"PYTHON={wanted}")
        assert (done.returncode, done.stdout) == (2, "")
        first, *more = done.stderr.splitlines()
        assert first == f"{said}, {needed}: {hint}"
        assert [line.startswith("make: ") for line in more] == [True]
        assert not debian.called("apt-get")
        debian.has("python3.12", python("3.12"))


def test_a_python3_that_is_too_old_is_reported(debian: Machine, make: str) -> None:
    debian.has("python3", python("3.10"))
    done = debian.run(make, "run")
    assert done.stderr.startswith("python3 is Python 3.10.0, and Undertone needs Python 3.11, ")
    assert not debian.called("apt-get")


def test_a_python3_that_was_installed_and_is_too_old_is_reported(
    debian: Machine, make: str
) -> None:
    debian.has("id", "echo 0")
    debian.has("python3", f"test -e {debian.folder}/installed || exit 127\n{python('3.10')}")
    done = debian.run(make, "run")
    assert debian.called("apt-get")
    assert "\npython3 is Python 3.10.0, and Undertone needs Python 3.11, " in done.stderr
    assert not [call for call in debian.called("python3") if "-m venv" in call]


def test_a_python3_that_was_installed_and_will_do_goes_on(debian: Machine, make: str) -> None:
    debian.has("id", "echo 0")
    debian.has("python3", f"test -e {debian.folder}/installed || exit 127\n{python('3.13')}")
    debian.run(make, "run")
    assert [call for call in debian.called("python3") if "-m venv" in call]


def test_the_package_asked_for_is_that_of_the_python(debian: Machine, make: str) -> None:
    debian.has("python3", DOES_NOTHING)  # it has its own
    debian.has("python3.12", f'case "$*" in *ensurepip*) exit 1;; esac\n{python("3.12")}')
    done = debian.run(make, "run", "PYTHON=python3.12")
    assert done.returncode == 2
    assert "Please run: sudo apt install python3.12-venv" in done.stderr


SETUP_WITHOUT_SETUPTOOLS = """
import runpy, sys, types
any = lambda *some, **named: []
sys.modules["setuptools"] = types.SimpleNamespace(setup=any, find_packages=any)
runpy.run_path(sys.argv[1])
"""


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 13), (3, 14)])
def test_make_pip_and_the_doctor_agree_on_the_versions(
    debian: Machine, version: tuple[int, int]
) -> None:
    text = "{}.{}".format(*version)
    debian.has("python", python(text))
    versions = re.findall(r"^VERSIONS := (.+)$", (ROOT / "Makefile").read_text(), re.M)[0].split()
    by_make = debian.run("sh", "tools/require-python.sh", "python", *versions)
    by_pip = debian.run("python", "-c", SETUP_WITHOUT_SETUPTOOLS, str(ROOT / "setup.py"))
    will_do = check_python(version).status == "ok"
    assert (by_make.returncode == 0, by_pip.returncode == 0) == (will_do, will_do)
    if not will_do:
        needed = "Undertone needs Python 3.11, 3.12 or 3.13"
        assert needed in by_make.stderr
        assert by_pip.stderr == f"{needed}, and this is Python {text}.\n"


@pytest.mark.parametrize(("goal", "size"), [("run", "230 MB"), ("test", "3.5 GB")])
def test_make_says_how_large_it_gets(debian: Machine, make: str, goal: str, size: str) -> None:
    assert size in debian.run(make, "--dry-run", goal).stdout


def test_make_run_installs_the_device_alone(debian: Machine, make: str) -> None:
    device = debian.run(make, "--dry-run", "--always-make", "run").stdout
    assert "-c constraints.txt -e '.'" in device
    assert "training" not in device
    assert ".venv/bin/undertone listen" in device
    everything = debian.run(make, "--dry-run", "--always-make", "test").stdout
    assert "-e '.[training,reference,web,formats,publish,apprise,test]'" in everything


def test_make_lists_what_it_makes(debian: Machine, make: str) -> None:
    listed = debian.run(make).stdout
    for target in ("run", "test", "check", "clean"):
        assert f"\n{target} " in f"\n{listed}"
