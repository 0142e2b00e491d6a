"""The doctor's advice carried out as it stands, in a bare root: it helps, and it harms nothing.

The root has a user ``pi``, and a ``sudo`` that asks nothing.  ``install``, ``chmod``, ``usermod``,
``du`` and others are those of this machine; what would need more of a machine only writes down how
it was called.
"""

import os
import pickle
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_IMODE

import numpy as np
import pytest

import undertone
from undertone.audio.portaudio import InputDevice
from undertone.diagnostics import doctor
from undertone.diagnostics.doctor import Finding
from undertone.errors import AudioSourceError, BundleError, RuntimeMissingError
from undertone.recognition.speech_gate import GateConfig

PI = 1000
ONLY_NOTE = ("alsamixer", "apt", "arecord", "dmesg", "fuser", "timedatectl", "undertone")
RUN_IN_ROOT = """
mount --bind /usr "$0/usr" && mount -o remount,ro,bind "$0/usr" && exec chroot "$0" \
/usr/bin/env -i PATH=/stubs:/usr/sbin:/usr/bin USER=pi HOME=/home/pi /bin/sh -ec "$1"
"""


class Root:
    """A root file system of its own, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        for name in ("etc", "home", "root", "srv", "usr", "var/log/journal", "var/lib", "stubs"):
            (folder / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:\n")
        (folder / "etc/group").write_text("root:x:0:\naudio:x:29:\npi:x:1000:\n")
        (folder / "var/log/journal/system.journal").write_text("what happened")
        (folder / "root").chmod(0o700)
        self.make("home/pi", PI)
        self.has("sudo", 'exec "$@"')
        for name in ONLY_NOTE:
            self.has(name, f'echo {name} "$@" >> /stubs/called')

    def make(self, folder: str, owner: int = 0, mode: int = 0o755) -> None:
        (self.folder / folder).mkdir(parents=True)
        (self.folder / folder).chmod(mode)
        os.chown(self.folder / folder, owner, owner)

    def has(self, program: str, does: str) -> None:
        (self.folder / "stubs" / program).write_text(f"#!/bin/sh\n{does}\n")
        (self.folder / "stubs" / program).chmod(0o755)

    def as_pi(self, check: Callable[[], Finding | None]) -> Finding:
        """What ``check`` finds in here, as the user pi."""
        receive, send = os.pipe()
        child = os.fork()
        if not child:
            os.chroot(self.folder)
            os.chdir("/")
            os.setgroups([])
            os.setresgid(PI, PI, PI)
            os.setresuid(PI, PI, PI)
            try:
                os.write(send, pickle.dumps(check()))
            finally:
                os._exit(0)
        os.close(send)
        with os.fdopen(receive, "rb") as answer:
            finding: Finding = pickle.load(answer)
        os.waitpid(child, 0)
        return finding

    def carry_out(self, command: str) -> list[str]:
        """Run ``command`` in here with all rights; how programs were called that only note it."""
        (self.folder / "stubs/called").unlink(missing_ok=True)
        subprocess.run(
            ["unshare", "--mount", "/bin/sh", "-ec", RUN_IN_ROOT, self.folder, command],
            check=True,
            capture_output=True,
            timeout=60,
        )
        called = self.folder / "stubs/called"
        return called.read_text().splitlines() if called.exists() else []

    def state(self) -> set[tuple[str, int, int, str]]:
        """Each file and folder with its owner, rights and content."""
        return {
            (
                str(path.relative_to(self.folder)),
                path.lstat().st_uid,
                S_IMODE(path.lstat().st_mode),
                path.read_text() if path.is_file() and not path.is_symlink() else "",
            )
            for path in self.folder.rglob("*")
            if "stubs" not in path.parts
        }


@pytest.fixture
def root(tmp_path: Path) -> Root:
    if os.geteuid() != 0:
        pytest.skip("only root can make a bare root")
    made = Root(tmp_path)
    try:
        made.carry_out("true")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no bare root can be made here: {error}")
    return made


def commands(remedy: str | None) -> list[str]:
    """Those of a remedy: between backticks, or all of it."""
    assert remedy
    return re.findall(r"`(.+?)`", remedy) or [remedy]


# the journal's folder


def check_journal(folder: str) -> Callable[[], Finding]:
    return lambda: doctor.check_journal_folder(Path(folder))


def test_a_folder_below_a_root_that_does_not_exist_is_made_and_nothing_else_changes(
    root: Root,
) -> None:
    before = root.state()
    finding = root.as_pi(check_journal("/data/under tone"))
    assert finding.status == "problem"
    assert finding.remedy == "sudo install -d -m 750 -o \"$USER\" '/data/under tone'"
    root.carry_out(finding.remedy)
    assert root.state() - before == {("data", 0, 0o755, ""), ("data/under tone", PI, 0o750, "")}
    assert before <= root.state()
    assert root.as_pi(check_journal("/data/under tone")).status == "ok"


def test_a_folder_of_ones_own_is_opened(root: Root) -> None:
    root.make("home/pi/closed", PI, 0o500)
    before = root.state()
    finding = root.as_pi(check_journal("/home/pi/closed"))
    assert finding.remedy == "chmod u+rwx /home/pi/closed"
    root.carry_out(finding.remedy)
    assert root.state() - before == {("home/pi/closed", PI, 0o700, "")}
    assert root.as_pi(check_journal("/home/pi/closed")).status == "ok"


def test_a_link_to_nothing_gets_the_folder_that_it_names(root: Root) -> None:
    (root.folder / "home/pi/link").symlink_to("/data/journal")
    before = root.state()
    finding = root.as_pi(check_journal("/home/pi/link"))
    root.carry_out(finding.remedy or "")
    assert root.state() - before == {("data", 0, 0o755, ""), ("data/journal", PI, 0o750, "")}
    assert root.as_pi(check_journal("/home/pi/link")).status == "ok"


@pytest.mark.parametrize(
    "folder",
    ["/", "/etc", "/data/../etc", "/root", "/root/journal", "/etc/passwd/journal", "/link/journal",
     "/loop"],
)  # fmt: skip
def test_what_belongs_to_others_is_left_to_them(root: Root, folder: str) -> None:
    (root.folder / "link").symlink_to("/root/there")
    (root.folder / "loop").symlink_to("/loop")
    finding = root.as_pi(check_journal(folder))
    assert finding.status == "problem"
    assert finding.remedy == "name a folder of your own with --journal"


# all the rest


def raises(error: Exception) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


def device(*rates_hz: int) -> InputDevice:
    return InputDevice(0, "Webcam", "ALSA", 1, 48_000, True, rates_hz)


def level(samples: np.ndarray) -> Finding:
    return doctor.check_level("Webcam", lambda: samples.astype(np.int16))


WHO_HOLDS_IT = ["fuser -v /dev/snd/*", "undertone devices --meter"]
ADVICE: list[tuple[Callable[[], Finding | None], list[str]]] = [
    (
        lambda: doctor.check_model(raises(BundleError("It is damaged.")), "small"),  # type: ignore[arg-type]
        ["undertone doctor --model ravdess8-compact"],
    ),
    (
        lambda: doctor.check_portaudio(
            raises(RuntimeMissingError("It is gone: run sudo apt install libportaudio2."))
        )[0],  # type: ignore[arg-type]
        ["apt install libportaudio2"],
    ),
    (lambda: doctor.check_microphone([], None), ["arecord -l"]),
    (lambda: doctor.check_microphone([device(16_000)], "piano"), ["undertone devices"]),
    (lambda: doctor.check_rate(device(8_000)), ["undertone devices"]),
    (lambda: doctor.check_rate(device()), WHO_HOLDS_IT),
    (lambda: doctor.check_level("Webcam", raises(AudioSourceError("It is busy."))), WHO_HOLDS_IT),  # type: ignore[arg-type]
    (lambda: level(np.zeros(0)), WHO_HOLDS_IT),
    (lambda: level(np.zeros(9)), ["alsamixer"]),
    (lambda: level(np.full(9, 32767)), ["alsamixer"]),
    (lambda: doctor.check_clock(lambda command: "no"), ["timedatectl set-ntp true"]),
]


@pytest.mark.parametrize(("check", "called"), ADVICE)
def test_advice_that_changes_no_file(
    root: Root, check: Callable[[], Finding | None], called: list[str]
) -> None:
    finding = check()
    assert finding
    before = root.state()
    done = [call for command in commands(finding.remedy) for call in root.carry_out(command)]
    assert done == called
    assert root.state() == before


def test_a_user_becomes_a_member_of_the_group_audio_and_of_no_other_and_leaves_none(
    root: Root,
) -> None:
    (root.folder / "etc/group").write_text("root:x:0:\naudio:x:29:\nvideo:x:44:pi\npi:x:1000:\n")
    before = root.state()
    finding = doctor.check_audio_group({"pi"}, sees_inputs=False)
    assert finding
    (command,) = commands(finding.remedy)
    root.carry_out(command)
    groups = (root.folder / "etc/group").read_text()
    assert groups == "root:x:0:\naudio:x:29:pi\nvideo:x:44:pi\npi:x:1000:\n"
    changed = {path for path, *_ in root.state() ^ before}
    assert changed == {"etc/group", "etc/group-", "etc/.pwd.lock"}  # group- is the one before


def test_a_full_disk_is_looked_at_and_only_what_can_be_had_again_goes(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", 2**80)
    finding = root.as_pi(check_journal("/home/pi"))
    assert finding.status == "warning"
    before = root.state()
    done = [call for command in commands(finding.remedy) for call in root.carry_out(command)]
    assert done == ["apt clean"]
    assert root.state() == before


def test_a_read_only_disk_is_looked_at_and_not_forced(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "ST_RDONLY", -1)  # any flag will do
    finding = root.as_pi(check_journal("/home/pi"))
    (root.folder / "proc").mkdir()
    (root.folder / "proc/mounts").write_text("disk / ext4 ro 0 0\n")
    before = root.state()
    done = [call for command in commands(finding.remedy) for call in root.carry_out(command)]
    assert done == ["dmesg --level=err,warn"]
    assert "--journal" in (finding.remedy or "")
    assert root.state() == before


@pytest.mark.parametrize(
    "check",
    [
        lambda: doctor.check_python((3, 10)),
        lambda: doctor.check_gate(GateConfig(pause_s=9.0), "small"),
        lambda: doctor.check_power(lambda command: "throttled=0x50005"),
    ],
)
def test_advice_without_a_command(check: Callable[[], Finding]) -> None:
    remedy = check().remedy
    assert remedy
    assert not re.search(r"[`/$]|sudo|pip|rm ", remedy)


# pip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin/python"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of empty packages is all that pip sees, and another pip stands on the PATH."""
    for name, version in (("numpy", "1.26.4"), ("numpy", "2.1.0"), ("tflite-runtime", "2.14.0"),
                          ("ai-edge-litert", "2.1.0"), ("undertone", "9.9")):  # fmt: skip
        word = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(tmp_path / f"{word}-py3-none-any.whl", "w") as wheel:
            told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            wheel.writestr(f"{word}.dist-info/METADATA", told)
            wheel.writestr(f"{word}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{word}.dist-info/RECORD", "")
    (tmp_path / "pip").write_text("#!/bin/sh\necho the wrong one >&2\nexit 1\n")
    (tmp_path / "pip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    yield


def test_pip_changes_the_environment_of_the_program_and_no_other(
    environment: Path, index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(environment))
    monkeypatch.setattr(sys, "prefix", str(environment.parents[1]))

    def pip(*arguments: str) -> str:
        done = subprocess.run(
            [environment, "-m", "pip", *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout

    pip("install", "numpy==2.1.0")
    for runtimes in ([], ["tflite-runtime"]):
        remedy = doctor.check_runtime(runtimes, "2.1.0").remedy
        assert remedy
        subprocess.run(remedy, shell=True, check=True, capture_output=True)
    installed = pip("list", "--format", "freeze")
    assert "numpy==1.26.4" in installed
    assert ("tflite" in installed) != ("litert" in installed)


def test_who_may_not_change_the_environment_asks_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/undertone/bin/python")
    monkeypatch.setattr(sys, "prefix", "/opt/undertone")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert doctor.check_runtime(["tflite-runtime"], "2.1.0").remedy == (
        "sudo /opt/undertone/bin/python -m pip install 'numpy<2'"
    )


@pytest.mark.parametrize("name", ["ravdess8-compact", "small"])
def test_a_broken_installation_is_reinstalled_from_its_own_source(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Never from a package index, where another program may have the name."""
    damaged = BundleError("It is damaged.") if name == "ravdess8-compact" else OSError("broken")
    check = raises(damaged)
    source = Path(undertone.__file__).parents[2]
    monkeypatch.setattr(sys, "executable", "/v/bin/python")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert doctor.check_model(check, name).remedy == (  # type: ignore[arg-type]
        f"cd {source} && /v/bin/python -m pip install --force-reinstall -c constraints.txt -e ."
    )
    monkeypatch.setattr(undertone, "__file__", str(tmp_path / "lib/python3/undertone/__init__.py"))
    assert doctor.check_model(check, name).remedy == (  # type: ignore[arg-type]
        "in the folder of Undertone's source: "
        "`/v/bin/python -m pip install --force-reinstall -c constraints.txt .`"
    )
