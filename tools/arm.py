"""Build, test and count the device on Arm, without a Pi: an arm64 Bookworm under qemu.

``make arm`` runs it, as root, on Debian.  Its steps, in order, all unless some are named:

- *root*: builds an arm64 Bookworm with mmdebstrap, once (some minutes), and keeps it;
- *wheels*: builds this tree's wheel, and downloads those of its requirements for aarch64;
- *install*: unpacks them into a virtual environment of that root;
- *golden*: computes the golden outputs there;
- *test*: runs the device tests there;
- *count*: counts the instructions that each core of a Pi would execute, for each bundle;
- *page*: writes the tables of docs/arm.md from docs/arm.json, which the three before it write.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import arm_figures
from debian_package import compile_all
from undertone import __version__

HERE = Path(__file__).parent
TREE = HERE.parent
BINFMT = Path("/proc/sys/fs/binfmt_misc")
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64": "qemu-user",
    "qemu-aarch64-static": "qemu-user-static",
    "gcc": "gcc",
    "unshare": "util-linux",
}
"""Programs, and the Debian packages that they are in."""

PACKAGES = "python3,libportaudio2"
PYTHON = "3.11"
"""Bookworm's."""

PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 27, 28, 31, 34)]
"""Every wheel tag that Bookworm's glibc 2.36 accepts; pip does not add the older ones."""

TARGET = ("--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp")
TARGET += tuple(f"--platform={platform}" for platform in PLATFORMS)
"""What pip is to get wheels for."""

PINNED = ("--constraint", TREE / "constraints.txt")

PACKAGES_FOLDER = f"opt/undertone/lib/python{PYTHON}/site-packages"
"""Below the root."""

SOURCE_ONLY = "python_speech_features"
"""Published without a wheel; pure Python, so that one made here will do."""

OWN_WHEEL = f"undertone-{__version__}-py3-none-any.whl"
EXTRAS = "[formats,publish]"
"""Without them, their tests would be skipped."""

TEST_PACKAGES = ("pytest", "hypothesis")
PIP_OPTIONS = ("--disable-pip-version-check", "--quiet")

TEST_CORE = "cortex-a72"
_KILLED = "test_killed_at_any_time_it_loses_no_more_than_its_bound_and_doubles_nothing"
_ENVIRONMENT = "test_pip_changes_the_environment_of_the_program_and_no_other"
_SANDBOX = "support/test_sandbox.py"
_ADVICE = "diagnostics/test_doctor_advice.py"
_CHECKOUT = (
    "support/test_installation.py::test_a_checkout_is_installed_again_with_the_extra",
    f"{_ADVICE}::test_a_broken_installation_is_reinstalled_from_its_own_source",
)
LEFT_OUT = {
    "cli/test_classify.py::test_closed_streams_are_no_bug": "qemu-user opens files of its own",
    f"{_SANDBOX}::test_the_child_takes_no_more_than_its_memory": "qemu-user sets no such limit",
    f"{_SANDBOX}::test_what_comes_back_or_raises_is_not_deadly[grow]": "the same",
    f"journal/test_faults.py::{_KILLED}": "the kernel's part, and half an hour under qemu",
    **dict.fromkeys(_CHECKOUT, "about an installation from a copy of the repository"),
    f"{_ADVICE}::{_ENVIRONMENT}": (
        "makes a virtual environment, for which this Debian has no python3-venv"
    ),
}
"""Tests in tests/device that can't pass in an emulated root, and why."""

IN_CHECK = ("env", "--chdir=/opt/check", "/opt/undertone/bin/python")
"""Runs Python beside the tests, in the root."""

FIRST = "journal/test_format.py"
"""Before anything imports tflite-runtime, which flushes subnormal numbers to zero on Arm:
hypothesis then refuses to make floats."""

ENTER = """
mount -t proc proc "$0/proc"
mount --bind "$0/cpuinfo" "$0/proc/cpuinfo"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""
"""In a mount namespace of its own, so that nothing stays mounted."""

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Nothing of the caller's environment, and one thread, as on the device."""


class ArmError(Exception):
    """A failure, as one sentence that says what to do."""


def progress(what: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"arm: {what}\n")


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command; ArmError if it fails."""
    done = subprocess.run(command, text=True, **options)
    if done.returncode:
        sys.stderr.write(done.stderr or "")  # where it was captured
        raise ArmError(f"`{command[0]}` failed with status {done.returncode}: see above")
    return done


def check_machine() -> None:
    """Make this machine run Arm programs; raise ArmError if a requirement is missing."""
    missing = sorted({package for name, package in NEEDED.items() if not shutil.which(name)})
    if missing:
        raise ArmError(f"first install the Debian packages {' '.join(missing)}")
    if os.geteuid():
        raise ArmError("building a root file system needs root: run `sudo make arm`")
    if not (BINFMT / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT])
    if not (BINFMT / "qemu-aarch64").exists():
        progress("registering qemu for Arm programs")
        (BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes())


def pretend(root: Path, core: str) -> None:
    """Give the root the /proc/cpuinfo and /sys of a machine with four such cores.

    qemu-user shows this machine's, from which the runtimes learn what the processor can do.
    """
    kind = arm_figures.CORES[core]
    block = (
        f"Features\t: {kind.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {kind.part}\nCPU revision\t: 4\n\n"
    )
    text = "".join(f"processor\t: {number}\n{block}" for number in range(4))
    for path, content in {
        "cpuinfo": text,
        "proc/cpuinfo": text,  # for the counts, which need no mounts
        "sys/devices/system/cpu/possible": "0-3\n",
        "sys/devices/system/cpu/present": "0-3\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def inside(root: Path, *command: str) -> None:
    """Run a command in the root."""
    pretend(root, TEST_CORE)
    enter = ["unshare", "--mount", "sh", "-ec", ENTER, root]
    run([*enter, *command], env=ENVIRONMENT | {"QEMU_CPU": TEST_CORE})


def make_root(root: Path) -> None:
    """An arm64 Bookworm, unless there is one."""
    if root.exists():
        progress(f"the root exists already: {root}")
        return
    progress("building an arm64 Bookworm; this takes ten minutes")
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    # the check for qemu is check_machine's
    how = ["--quiet", "--mode=root", "--skip=check/qemu", "--variant=minbase"]
    what = ["--architectures=arm64", f"--include={PACKAGES}", "bookworm"]
    run(["mmdebstrap", *how, *what, part])
    part.rename(root)


def pip(*arguments: str | Path) -> None:
    """Run one of pip's commands on this machine; ArmError if it fails."""
    run([sys.executable, "-m", "pip", *arguments, *PIP_OPTIONS])


def get_wheels(root: Path) -> None:
    """The wheels of this tree and of all that it needs, into the root."""
    if not sys.version.startswith(f"{PYTHON}."):
        raise ArmError(f"pip judges wheels by its own Python: make .venv-dev with python{PYTHON}")
    progress("making this tree's wheel and downloading the others")
    wheels = root / "opt/wheels"
    wheels.mkdir(exist_ok=True)
    shutil.rmtree(TREE / "build/lib", ignore_errors=True)  # setuptools packs what it finds there
    pip("wheel", "--no-deps", *PINNED, "--wheel-dir", wheels, TREE, SOURCE_ONLY)
    where = ("--find-links", wheels, "--dest", wheels)
    pip("download", *TARGET, *PINNED, *where, f"{wheels / OWN_WHEEL}{EXTRAS}", *TEST_PACKAGES)


def install(root: Path) -> None:
    """The wheels, in a virtual environment at /opt/undertone: by this machine, which is faster."""
    progress("installing the wheels")
    environment, wheels = root / "opt/undertone", root / "opt/wheels"
    shutil.rmtree(environment, ignore_errors=True)
    inside(root, "python3", "-m", "venv", "--without-pip", "/opt/undertone")
    where = ("--no-index", "--find-links", wheels, "--target", root / PACKAGES_FOLDER)
    own = f"{wheels / OWN_WHEEL}{EXTRAS}"
    pip("install", *TARGET, *PINNED, *where, "--no-compile", own, *TEST_PACKAGES)
    compile_all(root, root / PACKAGES_FOLDER)


def check_bundles(root: Path) -> None:
    """ArmError if the root has other bundles than this tree: what is measured would be theirs."""
    # deb-check takes this module, too, and has nothing but Python
    from undertone.recognition.bundle import MANIFEST_FILE

    installed, own = (
        {path.parent.name: path.read_bytes() for path in folder.glob(f"*/{MANIFEST_FILE}")}
        for folder in (root / PACKAGES_FOLDER / "undertone_models", TREE / "models")
    )
    if installed != own:
        raise ArmError(
            "the root has other bundles than this tree: run the steps `wheels` and `install` first"
        )


def copy_tests(root: Path) -> Path:
    """The tests and what they need beside the wheels; returns the folder."""
    there = root / "opt/check"
    shutil.rmtree(there, ignore_errors=True)
    for name in ("tests/device", "tests/conftest.py", "models", "tools", "pyproject.toml"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, there / name)
        else:
            shutil.copy(TREE / name, there / name)
    return there


def golden(root: Path) -> None:
    """How far the golden outputs computed in the root deviate."""
    progress("computing the golden outputs under qemu")
    there = copy_tests(root)
    inside(root, *IN_CHECK, "tools/update_golden.py")
    path = "tests/device/recognition/golden.json"
    outputs = (json.loads((tree / path).read_bytes()) for tree in (there, TREE))
    arm_figures.update(golden_deviation=arm_figures.largest_deviation(*outputs))


def test(root: Path) -> None:
    """The device tests, in the root."""
    progress("running the device tests under qemu")
    there = copy_tests(root)
    tests = there / "tests/device"
    shutil.rmtree(tests / "web")  # the device set has no Streamlit and no browser
    names = sorted(str(path.relative_to(tests)) for path in tests.rglob("test_*.py"))
    files = [f"tests/device/{name}" for name in sorted(names, key=lambda name: name != FIRST)]
    left_out = [f"--deselect=tests/device/{name}" for name in LEFT_OUT]
    options = ["-q", "--hypothesis-profile=ci", "--junit-xml=report.xml"]  # ci: no deadlines
    inside(root, *IN_CHECK, "-m", "pytest", *options, *left_out, *files)
    suite = next(ElementTree.parse(there / "report.xml").iter("testsuite")).attrib
    skipped = int(suite["skipped"])
    passed = int(suite["tests"]) - skipped
    arm_figures.update(tests={"passed": passed, "skipped": skipped, "left_out": LEFT_OUT})


def count(root: Path) -> None:
    """Executed instructions of each stage, for each core and bundle."""
    plugin = root.parent / "count.so"
    run(["gcc", "-shared", "-fPIC", "-O2", "-o", plugin, HERE / "arm_instruction_count.c"])
    counts = {core: counted(root, plugin, core) for core in arm_figures.CORES}
    arm_figures.update(counts=counts)


def counted(root: Path, plugin: Path, core: str) -> dict[str, dict[str, int]]:
    """Instructions by bundle and stage, of a second or a window."""
    progress(f"counting instructions: {core}")
    pretend(root, core)
    # a fixed layout of memory and of dictionaries, so that a count repeats
    fixed = {"PYTHONPATH": str(root / PACKAGES_FOLDER), "PYTHONHASHSEED": "0"}
    emulator = ["setarch", "-R", "qemu-aarch64", "-cpu", core, "-L", root, "-plugin", plugin]
    python = root / f"usr/bin/python{PYTHON}"
    done = run(
        [*emulator, python, HERE / "arm_workload.py"],
        env=ENVIRONMENT | fixed,
        capture_output=True,
    )
    marks = [int(mark) for mark in re.findall(r"^INSTRUCTIONS (\d+)$", done.stderr, re.M)]
    counts: dict[str, dict[str, int]] = {}
    work = zip(json.loads(done.stdout), marks[::2], marks[1::2], strict=True)
    for (name, stage, units), begin, end in work:
        counts.setdefault(name, {})[stage] = round((end - begin) / units)
    return counts


def page(_: Path) -> None:
    """The tables of the page."""
    progress(f"writing {arm_figures.PAGE.relative_to(TREE)}")
    arm_figures.write_page()


STEPS: dict[str, Callable[[Path], None]] = {
    "root": make_root,
    "wheels": get_wheels,
    "install": install,
    "golden": golden,
    "test": test,
    "count": count,
    "page": page,
}

MEASURING = {"golden", "test", "count"}
"""The steps whose figures are of the bundles in the root."""


def main() -> int:
    """Do the steps asked for; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help="default: all, in this order")
    parser.add_argument("--folder", type=Path, default=TREE / "build/arm", help="keeps the root")
    wanted = parser.parse_args()
    if unknown := set(wanted.steps) - set(STEPS):
        parser.error(f"there is no step {', '.join(sorted(unknown))}; they are {', '.join(STEPS)}")
    steps = wanted.steps or list(STEPS)
    try:
        root = wanted.folder.resolve() / "root"
        if steps != ["page"]:
            check_machine()
            if steps[0] != "root" and not root.exists():
                raise ArmError(f"there is no root at {root}: run the step `root` first")
        for name in steps:
            if name in MEASURING:
                check_bundles(root)
            STEPS[name](root)
    except ArmError as error:
        sys.stderr.write(f"arm: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
