"""Install the Debian packages in a bare Debian, use them, remove and purge them.

``make deb-check`` runs it, as root, on Debian, after ``make deb``.  The bare root is built with
mmdebstrap, once, and kept; packages for Arm are run under qemu, which takes half an hour.  Nothing
but apt gets a network.  What can't be tried here: a boot with systemd, and a sound card.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import arm
from debian_package import HOME, MACHINES, RELEASES, UNITS, Release, version_of
from undertone.service import unit

STATE = "/var/lib/undertone"
CODENAMES = {12: "bookworm", 13: "trixie"}

ENTER = """
mount -t proc proc "$0/proc"
if [ -e "$0/cpuinfo" ]; then mount --bind "$0/cpuinfo" "$0/proc/cpuinfo"; fi
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""
"""In a mount namespace of its own, so that nothing stays mounted."""

VOLATILE = (
    "cpuinfo",  # what tells the runtimes of Arm what processor they run on
    "sys/devices",
    "dev",
    "proc",
    "run",
    "tmp",
    "root",
    "packages",
    "etc/ld.so.cache",
    "etc/group-",
    "etc/hosts",  # made by netbase, on which the Python of Debian 13 depends
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subuid-",
    "etc/subgid-",
    "usr/lib/locale",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/log",
)
"""What Debian's own tools leave behind."""

LOADS = """
import pathlib, re, subprocess, sys
shared = [path for path in pathlib.Path(sys.argv[1]).rglob("*.so*") if path.is_file()]
done = subprocess.run(["ldd", *shared], capture_output=True, text=True)
missing = set(re.findall(r"(\\S+) => not found", done.stdout))
# those of one wheel find each other by what has loaded them
missing -= {path.name for path in shared}
sys.exit(f"missing: {', '.join(sorted(missing))}" if missing else 0)
"""

GET = """
import sys, time, urllib.request
for _ in range(3600):  # Streamlit takes minutes to start under qemu
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())
        sys.exit(0)
    except OSError:
        time.sleep(0.5)
sys.exit("the page does not answer")
"""


class CheckError(Exception):
    """Something that the packages do wrong, as one sentence."""


class Root:
    """A Debian in a folder."""

    def __init__(self, folder: Path, architecture: str) -> None:
        """``folder`` holds the root of an ``architecture``."""
        self.folder = folder
        self._arm = architecture == "arm64" and os.uname().machine != "aarch64"

    def run(self, *command: str, network: bool = False, status: int = 0) -> str:
        """Run a command there and return its output; CheckError unless it ends with ``status``."""
        if self._arm:
            arm.pretend(self.folder, arm.TEST_CORE)
        enter = ["unshare", "--mount"]
        script = ENTER
        if not network:
            enter.append("--net")
            script = f"ip link set lo up\n{ENTER}"
        environment = arm.ENVIRONMENT | {
            "DEBIAN_FRONTEND": "noninteractive",
            "QEMU_CPU": arm.TEST_CORE,
        }
        done = subprocess.run(
            [*enter, "sh", "-ec", script, self.folder, *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != status:
            sys.stderr.write(done.stdout)
            raise CheckError(f"`{' '.join(command)}` ended with status {done.returncode}")
        return done.stdout

    def apt(self, *arguments: str) -> str:
        """Run apt-get there."""
        quiet = ("-y", "-qq", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends")
        return self.run("apt-get", *quiet, *arguments, network=True)

    def as_user(self, *command: str, status: int = 0) -> str:
        """Run a command as the service's user, with the environment that the unit sets."""
        who = ("setpriv", "--reuid=undertone", "--regid=undertone", "--init-groups")
        state = "UNDERTONE_STATE=/var/lib/undertone"
        where = ("env", "HOME=/nonexistent", "XDG_CONFIG_HOME=/etc", state)
        return self.run(*who, *where, *command, status=status)

    def files(self) -> set[str]:
        """Every path there, without what Debian's own tools leave behind."""
        skipped = {self.folder / name for name in VOLATILE}
        found = set()
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if Path(folder, name) not in skipped]
            paths = (Path(folder, name) for name in (*folders, *names))
            found |= {str(path.relative_to(self.folder)) for path in paths if path not in skipped}
        return found

    def holds(self, path: Path | str) -> bool:
        """Whether there is an absolute path."""
        return os.path.lexists(self.folder / Path(path).relative_to("/"))


def progress(what: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"deb-check: {what}\n")


def expect(fact: object, sentence: str) -> None:
    """Raise CheckError with the sentence unless the fact is true."""
    if not fact:
        raise CheckError(sentence)


def make_root(folder: Path, architecture: str, release: Release) -> Root:
    """A fresh copy of a bare Debian."""
    codename = CODENAMES[release.number]
    bare = folder / f"{codename}-{architecture}"
    if not bare.exists():
        progress(f"building a bare {codename} for {architecture}")
        part = bare.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        how = ["--quiet", "--mode=root", "--skip=check/qemu", "--variant=minbase"]
        how.append("--include=systemd")  # any Raspberry Pi has it
        arm.run(["mmdebstrap", *how, f"--architectures={architecture}", codename, part])
        part.rename(bare)
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    arm.run(["cp", "--archive", bare, root])
    (root / "packages").mkdir()
    (root / "etc/dpkg/dpkg.cfg.d/check").write_text("force-unsafe-io\n")  # no fsync of each file
    return Root(root, architecture)


def install(root: Root) -> None:
    """The package of the program, with what apt gets for it: nothing may start."""
    root.run("apt-get", "-qq", "update", network=True)
    said = root.apt("install", "/packages/undertone.deb")
    expect("nothing listens yet" in said, "the installation does not say that nothing listens")
    wanted = "/etc/systemd/system/multi-user.target.wants/undertone.service"
    expect(not root.holds(wanted), "the service is enabled before anyone asked for it")
    root.run("dpkg", "--verify", "undertone")
    root.run(f"{HOME}/bin/python", "-c", LOADS, str(HOME))


def use(root: Root) -> None:
    """The program as the service's user."""
    version = root.run("undertone", "--version").strip()
    expect(version == f"undertone, version {arm.__version__}", f"its version is {version}")
    root.run("install", "-d", "-o", "undertone", "-g", "undertone", "-m", "750", STATE)
    clip = root.as_user("undertone", "samples").splitlines()[4]
    heard = json.loads(root.as_user("undertone", "classify", "--format", "json", clip))
    progress(f"{Path(clip).name}: {heard['label']} ({max(heard['scores'].values()):.2f})")
    expect(len(heard["scores"]) == 8, "classify gives no eight emotions")
    root.as_user("undertone", "listen", "--source", clip, "--fast")
    shown = root.as_user("undertone", "journal", "show", "--recordings", "--format", "json")
    expect('"segment"' in shown, "listening to a recording wrote no segment to the journal")
    findings = root.as_user("undertone", "doctor", "--format", "json", status=1)
    status = {each["name"]: each["status"] for each in map(json.loads, findings.splitlines())}
    # the group audio is the unit's; a microphone is all that is missing
    wanted = ("python", "runtime", "model", "speech gate", "portaudio", "journal")
    bad = [name for name in wanted if status.get(name) != "ok"]
    expect(not bad, f"the doctor complains about {', '.join(bad)}: {findings}")
    command = ("undertone", "publish", "--mqtt", "mqtt://localhost", "--test")
    root.as_user(*command)  # paho-mqtt is there
    said = root.as_user("undertone", "listen", "--source", "mic", status=1)
    expect("icrophone" in said, f"listening without a microphone says: {said}")
    root.run("dpkg", "--verify", "undertone")  # nothing that ran wrote into its files


def check_units(root: Root) -> None:
    """The systemd of that Debian understands every line of the units, and finds what they start."""
    for name in (unit.NAME, unit.PUBLISH_NAME):
        said = root.run("systemd-analyze", "verify", str(UNITS / f"{name}.service"))
        expect(f"{name}.service" not in said, f"systemd complains: {said}")


def check_web(root: Root) -> None:
    """The second package: the page answers."""
    said = root.as_user("undertone", "web", status=1)
    expect("which the page needs, is not installed" in said, f"without it, web says: {said}")
    root.apt("install", "/packages/undertone-web.deb")
    root.run(f"{HOME}/bin/python", "-c", LOADS, str(HOME))
    script = f'undertone web & {HOME}/bin/python -c "$0" http://127.0.0.1:8501/api/health; kill $!'
    answer = root.as_user("sh", "-c", script, GET)
    expect('"listener_up":false' in answer.replace(" ", ""), f"the page's health is {answer}")
    root.run("dpkg", "--verify", "undertone-web")
    root.apt("purge", "undertone-web")
    root.as_user("undertone", "samples")


def reinstall(root: Root) -> None:
    """An update in place: nothing is lost, and nothing is said again."""
    before = sorted((root.folder / "var/lib/undertone/journal").iterdir())
    said = root.apt("install", "--reinstall", "/packages/undertone.deb")
    expect("nothing listens yet" not in said, "an update says what the first installation says")
    expect(
        before == sorted((root.folder / "var/lib/undertone/journal").iterdir()),
        "an update changes the journal",
    )


def remove(root: Root, bare: set[str]) -> None:
    """Removing keeps the journal and the settings; purging leaves nothing."""
    (root.folder / "etc/undertone/config.toml").write_text('microphone = "USB"\n')
    root.apt("remove", "undertone")
    expect(not root.holds(HOME), f"{HOME} is there after the removal")
    expect(root.holds(f"{STATE}/journal"), "removing deletes the journal")
    expect(root.holds("/etc/undertone/config.toml"), "removing deletes the settings")
    root.run("getent", "passwd", "undertone")
    root.apt("install", "/packages/undertone.deb")  # back again, with all that was there
    root.as_user("undertone", "journal", "show", "--recordings")
    root.apt("purge", "undertone")
    root.run("getent", "passwd", "undertone", status=2)
    root.run("getent", "group", "undertone", status=2)
    root.apt("autoremove", "--purge")
    left = root.files() - bare
    expect(not left, f"purging leaves {', '.join(sorted(left)[:20])}")


def check(folder: Path, packages: Path, architecture: str, release: Release) -> None:
    """Every step, in a fresh root."""
    version = version_of(release)
    root = make_root(folder, architecture, release)
    for name in ("undertone", "undertone-web"):
        path = packages / f"{name}_{version}_{architecture}.deb"
        expect(path.exists(), f"there is no {path}: run make deb first")
        shutil.copy(path, root.folder / f"packages/{name}.deb")
    bare = root.files()
    steps: tuple[tuple[str, Callable[[Root], None]], ...] = (
        ("installing", install),
        ("using", use),
        ("the units", check_units),
        ("the page", check_web),
        ("an update", reinstall),
    )
    for what, step in steps:
        progress(f"{architecture}: {what}")
        step(root)
    progress(f"{architecture}: removing and purging")
    remove(root, bare)
    progress(f"{architecture}: all is well")
    shutil.rmtree(root.folder)


def main() -> int:
    """Check what is asked for; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", choices=MACHINES, action="append", help="default: all")
    parser.add_argument("--release", type=int, choices=sorted(CODENAMES), default=12)
    parser.add_argument("--packages", type=Path, default=arm.TREE / "dist")
    parser.add_argument("--folder", type=Path, default=arm.TREE / "build/debian", help="of roots")
    wanted = parser.parse_args()
    (release,) = (each for each in RELEASES.values() if each.number == wanted.release)
    try:
        arm.check_machine()
        for architecture in wanted.architecture or MACHINES:
            check(wanted.folder.resolve(), wanted.packages, architecture, release)
    except (CheckError, arm.ArmError) as error:
        sys.stderr.write(f"deb-check: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
