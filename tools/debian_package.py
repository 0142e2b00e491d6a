"""Build the Debian packages ``undertone`` and ``undertone-web`` of this tree, with dpkg-deb.

``make deb`` runs it.  Each package holds the pinned wheels of what it needs, in a virtual
environment below /usr/lib/undertone, so that installing takes no network beyond Debian's own.
Wheels with compiled code fit one Python: the interpreter that runs this program decides for which
Debian the packages are (3.11: Debian 12, 3.13: Debian 13).  No program of the other architecture
is run, so that both can be built on either.
"""

import argparse
import compileall
import gzip
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from undertone import __version__
from undertone.service import install, unit

TREE = Path(__file__).parent.parent
SCRIPTS = TREE / "packaging/debian"
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "device", "models")
"""What the wheel of the device is built from: without ``training`` there is none in it."""

HOME = Path("/usr/lib/undertone")
PROGRAM = HOME / "bin/undertone"
UNITS = Path("/usr/lib/systemd/system")
MAINTAINER = "The Undertone authors <undertone@users.noreply.github.com>"
HOMEPAGE = "https://github.com/undertone/undertone"

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's architectures, and what wheels call them."""

SOURCE_ONLY = "python_speech_features"
"""Published without a wheel; pure Python, so that one made here will do."""

LIBRARIES = {
    "libc.so.6": "libc6",
    "libm.so.6": "libc6",
    "libmvec.so.1": "libc6",
    "libpthread.so.0": "libc6",
    "libdl.so.2": "libc6",
    "librt.so.1": "libc6",
    "ld-linux-x86-64.so.2": "libc6",
    "ld-linux-aarch64.so.1": "libc6",
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}
"""Shared libraries that the wheels take from the system, and Debian's packages of them."""


class PackageError(Exception):
    """A failure, as one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Debian, and of Raspberry Pi OS: its Python, and the minor version of glibc 2."""

    number: int
    python: str
    glibc_minor: int


RELEASES = {"3.11": Release(12, "3.11", 36), "3.13": Release(13, "3.13", 41)}


@dataclass(frozen=True, slots=True)
class Package:
    """A package; its files are those of the extras, without those of the packages before it.

    depends: beside the shared libraries, which are found in the files.
    """

    name: str
    extras: tuple[str, ...]
    depends: tuple[str, ...]
    weaker: dict[str, str]
    summary: str
    description: str
    with_service: bool = False


PACKAGES = (
    Package(
        "undertone",
        ("formats", "publish", "apprise"),
        (
            "python{release.python}",
            "libportaudio2",
            "procps",  # the unit reloads by /bin/kill
            "passwd",  # the scripts create and delete the user
            "init-system-helpers",  # and restart services as the administrator wants
        ),
        {"Recommends": "alsa-utils", "Suggests": "undertone-web, pulseaudio-utils"},
        "speech emotions from a microphone, in a local journal",
        "Undertone listens to a microphone and writes down how things are said: a small neural "
        "network recognises eight emotions in speech. It needs no network and stores no audio. "
        "The service that listens is installed, but neither enabled nor started.",
        with_service=True,
    ),
    Package(
        "undertone-web",
        ("formats", "publish", "apprise", "web"),
        ("undertone (= {version})",),
        {},
        "web page of Undertone",
        "The page and the HTTP interface that `undertone web` serves, and pyarrow, with which "
        "`undertone journal export` writes Parquet.",
    ),
)


def progress(what: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"deb: {what}\n")


def run(command: Sequence[str | Path]) -> str:
    """Run a command and return its output; PackageError if it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise PackageError(
            f"{command[0]} is missing: sudo apt install dpkg binutils python3-venv"
        ) from None
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise PackageError(f"`{command[0]}` failed with status {done.returncode}: see above")
    return done.stdout


def release_of(python: str) -> Release:
    """The Debian with this Python, such as ``3.11``."""
    if python not in RELEASES:
        raise PackageError(
            f"no Debian has Python {python}: run make deb with PYTHON=python3.11 for Debian 12 or "
            "PYTHON=python3.13 for Debian 13"
        )
    return RELEASES[python]


def version_of(release: Release) -> str:
    """The package's version: one built for a newer Debian is newer."""
    return f"{__version__}+deb{release.number}"


def platforms(architecture: str, release: Release) -> list[str]:
    """Every wheel tag that the release's glibc accepts; pip does not add the older ones."""
    machine = MACHINES[architecture]
    newer = [f"manylinux_2_{minor}_{machine}" for minor in range(17, release.glibc_minor + 1)]
    return [f"manylinux2014_{machine}", *newer]


class Pip:
    """pip, in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        """Make the environment in ``folder``, unless there is one."""
        self._python = folder / "bin/python"
        if not (folder / "bin/pip").exists():
            run([sys.executable, "-m", "venv", folder])

    def __call__(self, *arguments: str | Path) -> None:
        """Run one of pip's commands; PackageError if it fails."""
        quietly = ("--disable-pip-version-check", "--quiet")
        run([self._python, "-m", "pip", *arguments, *quietly])


def copy_sources(to: Path) -> None:
    """Copy what the device's wheel is built from, since building leaves files beside it."""
    to.mkdir(parents=True)
    for name in SOURCES:
        if (TREE / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(TREE / name, to / name, ignore=unwanted)
        else:
            shutil.copy(TREE / name, to)


def get_wheels(pip: Pip, architecture: str, release: Release, folder: Path) -> Path:
    """All wheels that any package needs, into ``folder``; returns the device's own."""
    sources = folder / "source"
    shutil.rmtree(folder, ignore_errors=True)
    copy_sources(sources)
    pinned = ("--constraint", TREE / "constraints.txt")
    pip("wheel", "--use-pep517", "--no-deps", *pinned, "--wheel-dir", folder, sources, SOURCE_ONLY)
    shutil.rmtree(sources)
    (own,) = folder.glob(f"undertone-{__version__}-*.whl")
    # the own wheel by its path: the index has another project of the same name
    where = ("--find-links", folder, "--dest", folder, *pinned)
    extras = sorted({extra for package in PACKAGES for extra in package.extras})
    pip("download", *_target(architecture, release), *where, f"{own}[{','.join(extras)}]")
    return own


def _target(architecture: str, release: Release) -> list[str]:
    tags = [f"--platform={platform}" for platform in platforms(architecture, release)]
    return ["--only-binary=:all:", "--python-version", release.python, "--implementation=cp", *tags]


def unpack(pip: Pip, own: Path, extras: Iterable[str], target: Sequence[str], to: Path) -> None:
    """Unpack the device's wheel and what it needs with ``extras`` into the folder ``to``."""
    shutil.rmtree(to, ignore_errors=True)
    where = ("--no-index", "--find-links", own.parent, "--target", to, "--no-compile")
    pip("install", *target, *where, f"{own}[{','.join(extras)}]")
    for name in ("bin", "etc", "share"):  # programs of others, and parts of Jupyter
        shutil.rmtree(to / name, ignore_errors=True)
    for tests in [path for path in to.rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests, ignore_errors=True)
    for plugin in to.glob("ai_edge_litert/vendors/**/*.so"):
        plugin.unlink()  # for the accelerators of phones and PCs, whose own libraries are missing
    for record in to.glob("*.dist-info/direct_url.json"):
        record.unlink()  # where this was built


def libraries(folder: Path) -> set[str]:
    """Debian's packages of the shared libraries that those in ``folder`` need beside each other."""
    shared = [path for path in folder.rglob("*.so*") if path.is_file()]
    if not shared:
        return set()
    own = {path.name for path in shared}
    names = re.findall(r"\(NEEDED\).*\[(.+)\]", run(["readelf", "--dynamic", *shared]))
    needed = set(names) - own
    if unknown := needed - LIBRARIES.keys():
        raise PackageError(
            f"a wheel needs {', '.join(sorted(unknown))}: add the Debian package that has it to "
            "LIBRARIES in tools/debian_package.py"
        )
    return {LIBRARIES[name] for name in needed}


def compile_all(root: Path, folder: Path) -> None:
    """Byte code for all modules in ``folder``, below ``root``: the service can write none.

    Python does not compare it with its source, so that no time of a file matters.
    """
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    # stripdir leaves a path that is relative to the root, prependdir makes it absolute
    done = compileall.compile_dir(
        folder, quiet=2, stripdir=str(root), prependdir="/", invalidation_mode=unchecked
    )
    if not done:
        progress("some modules are for another Python and have no byte code")


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def place(root: Path, absolute: Path) -> Path:
    """Where a file of the installed system is below ``root``."""
    return root / absolute.relative_to("/")


def site_packages(release: Release) -> Path:
    """Where the modules are on the installed system."""
    return HOME / f"lib/python{release.python}/site-packages"


def write_program(root: Path, release: Release) -> None:
    """The virtual environment around the modules, and the command ``undertone``."""
    home = place(root, HOME)
    write(
        home / "pyvenv.cfg",
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {release.python}\n",
    )
    (home / "bin").mkdir()
    (home / "bin/python").symlink_to(f"../../../bin/python{release.python}")
    # -I: a command of the system does not import from the caller's folder or PYTHONPATH
    text = f"#!{HOME}/bin/python -I\nfrom undertone.cli import main\n\nmain()\n"
    write(place(root, PROGRAM), text, 0o755)
    command = root / "usr/bin/undertone"
    command.parent.mkdir()
    command.symlink_to("../lib/undertone/bin/undertone")


def write_service(root: Path, control: Path) -> None:
    """The units, exactly as ``undertone service install`` writes them, and the scripts."""
    listen = unit.Unit(PROGRAM)
    write(place(root, UNITS / f"{unit.NAME}.service"), unit.text(listen))
    write(place(root, UNITS / f"{unit.PUBLISH_NAME}.service"), unit.publish_text(PROGRAM))
    (root / "etc" / unit.NAME).mkdir(parents=True)  # for config.toml and publish.env
    create_user, *_ = install.install_steps(listen, with_user=True)
    for name in ("postinst", "prerm", "postrm"):
        text = (SCRIPTS / name).read_text().replace("@USERADD@", str(create_user))
        write(control / name, text, 0o755)


def copyright_text(packaged: Path) -> str:
    """The licences of this tree, and where those of the ``packaged`` projects are."""
    lines = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        "Upstream-Name: Undertone",
        f"Source: {HOMEPAGE}",
        "Comment: Also packaged, each with its licence in its folder NAME-VERSION.dist-info:",
    ]
    for one in sorted(
        metadata.distributions(path=[str(packaged)]), key=lambda one: one.name.lower()
    ):
        about = one.metadata
        licence = about.get("License-Expression") or ", ".join(
            each.rpartition(" :: ")[2]
            for each in about.get_all("Classifier", [])
            if each.startswith("License :: ")
        )
        licence = licence or (about.get("License") or "see its folder").partition("\n")[0]
        lines.append(f" {one.name} {one.version}: {licence}")
    code = (TREE / "LICENSE").read_text()
    who = re.search(r"^Copyright (.+)$", code, re.M)
    assert who
    weights = (TREE / "models/LICENSE.txt").read_text()
    for files, short, text in (
        ("*", "MIT", code),
        (f"{HOME}/*/undertone_models/* {HOME}/*/undertone/samples/*", "CC-BY-NC-SA-4.0", weights),
    ):
        body = "\n".join(f" {line}" if line.strip() else " ." for line in text.splitlines())
        lines += ["", f"Files: {files}", f"Copyright: {who[1]}", f"License: {short}", body]
    return "\n".join(lines) + "\n"


def write_documents(root: Path, package: Package, packaged: Path) -> None:
    """The licences and the changes, where Debian has them."""
    folder = root / "usr/share/doc" / package.name
    write(folder / "copyright", copyright_text(packaged))
    changes = (TREE / "CHANGELOG.md").read_bytes()
    (folder / "changelog.gz").write_bytes(gzip.compress(changes, mtime=0))


def control_text(
    package: Package, architecture: str, release: Release, shared: Iterable[str], size_kib: int
) -> str:
    """The package's control file."""
    version = version_of(release)
    named = [each.format(version=version, release=release) for each in package.depends]
    versioned = {"libc6": f"libc6 (>= 2.{release.glibc_minor})"}  # for which wheels were chosen
    depends = [*named, *(versioned.get(name, name) for name in sorted(shared))]
    fields = {
        "Package": package.name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size_kib),
        "Depends": ", ".join(depends),
        **package.weaker,
        "Section": "sound",
        "Priority": "optional",
        "Homepage": HOMEPAGE,
        "Description": package.summary,
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines += [f" {line}" for line in textwrap.wrap(package.description, 78)]
    return "\n".join(lines) + "\n"


def pack(root: Path, control: str, to: Path) -> None:
    """The package of the files below ``root``, whose DEBIAN has the scripts."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    own = root / "DEBIAN"
    sums = (
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  "
        f"{path.relative_to(root)}\n"
        for path in files
        if not path.is_relative_to(own)
    )
    write(own / "md5sums", "".join(sums))
    write(own / "control", control)
    to.parent.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "--root-owner-group", "--build", root, to])


def size_kib(root: Path) -> int:
    """What the files take on the disk, as Debian counts: whole KiB each, and one for others."""
    return sum(
        -(-path.stat().st_size // 1024) if path.is_file() and not path.is_symlink() else 1
        for path in root.rglob("*")
    )


def build(architecture: str, release: Release, work: Path, to: Path) -> list[Path]:
    """All packages for an architecture; ``work`` keeps pip and what is unpacked."""
    folder = work / f"{release.python}-{architecture}"
    pip = Pip(work / f"pip-{release.python}")
    progress(f"getting the wheels for {architecture}, Python {release.python}")
    own = get_wheels(pip, architecture, release, folder / "wheels")
    target = _target(architecture, release)
    before: set[Path] = set()
    made = []
    for package in PACKAGES:
        progress(f"building {package.name} for {architecture}")
        root = folder / package.name
        shutil.rmtree(root, ignore_errors=True)
        modules = place(root, site_packages(release))
        unpack(pip, own, package.extras, target, modules)
        new = {path.relative_to(modules) for path in modules.rglob("*") if path.is_file()} - before
        remove_others(modules, new)
        before |= new
        shared = libraries(modules)
        write_documents(root, package, modules)
        compile_all(root, modules)
        if package.with_service:
            write_program(root, release)
            write_service(root, root / "DEBIAN")
        control = control_text(package, architecture, release, shared, size_kib(root))
        path = to / f"{package.name}_{version_of(release)}_{architecture}.deb"
        pack(root, control, path)
        made.append(path)
        shutil.rmtree(root)
    return made


def remove_others(folder: Path, wanted: set[Path]) -> None:
    """Remove all files but the ``wanted``, which are relative, and the folders left empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder) not in wanted:
            path.unlink()


def date_sources() -> None:
    """Make builds of the same commit alike: SOURCE_DATE_EPOCH, unless set, is the commit's time."""
    if "SOURCE_DATE_EPOCH" not in os.environ and (TREE / ".git").exists() and shutil.which("git"):
        seconds = run(["git", "-C", TREE, "log", "-1", "--format=%ct"])
        os.environ["SOURCE_DATE_EPOCH"] = seconds.strip()


def main() -> int:
    """Build what is asked for; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--architecture", choices=MACHINES, action="append", help="default: all; may be repeated"
    )
    parser.add_argument("--output", type=Path, default=TREE / "dist", help="gets the packages")
    parser.add_argument(
        "--work", type=Path, default=TREE / "build/debian", help="default: %(default)s"
    )
    wanted = parser.parse_args()
    os.umask(0o022)
    try:
        release = release_of("{}.{}".format(*sys.version_info))
        date_sources()
        for architecture in wanted.architecture or MACHINES:
            for path in build(architecture, release, wanted.work.resolve(), wanted.output):
                sys.stdout.write(f"{path}\n")
    except PackageError as error:
        sys.stderr.write(f"deb: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
