"""``make deb`` without downloads: what the packages of Debian and the container are made of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import debian_package
from debian_package import (
    HOME,
    PACKAGES,
    PROGRAM,
    RELEASES,
    TREE,
    UNITS,
    PackageError,
    Release,
)
from undertone import __version__
from undertone.cli import undertone
from undertone.service import install, unit

DEVICE, WEB = PACKAGES
BOOKWORM = RELEASES["3.11"]


def control(package: debian_package.Package, release: Release = BOOKWORM) -> dict[str, str]:
    text = debian_package.control_text(package, "arm64", release, {"libc6", "zlib1g"}, 123)
    fields, _, description = text.partition("Description: ")
    assert all(line.startswith(" ") for line in description.splitlines()[1:])
    return dict(line.split(": ", 1) for line in fields.splitlines())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of the package that are no wheels."""
    debian_package.write_program(tmp_path, BOOKWORM)
    debian_package.write_service(tmp_path, tmp_path / "DEBIAN")
    return tmp_path


def test_the_units_are_those_that_service_install_writes(root: Path) -> None:
    listen, publish = install.UNIT_PATH.name, install.PUBLISH_UNIT_PATH.name
    packaged = {
        name: debian_package.place(root, UNITS / name).read_text() for name in (listen, publish)
    }
    shown = CliRunner().invoke(undertone, ["service", "install", "--publish", "--dry-run"])
    printed = re.findall(r"<<'END'\n(.*?)^END$", shown.stdout, re.DOTALL | re.M)
    own = re.search(r"^ExecStart=(\S+) listen", printed[0], re.M)
    assert own
    assert [text.replace(own[1], str(PROGRAM)) for text in printed] == [*packaged.values()]
    assert f"\nExecStart={PROGRAM} listen --source mic\n" in packaged[listen]


def test_what_the_units_start_is_there(root: Path) -> None:
    program = debian_package.place(root, PROGRAM)
    assert program.stat().st_mode & 0o777 == 0o755
    first, *_ = program.read_text().splitlines()
    assert first == f"#!{HOME}/bin/python -I"
    assert (root / "usr/bin/undertone").resolve() == program
    (root / "usr/bin/python3.11").touch()  # Debian's
    python = debian_package.place(root, HOME / "bin/python")
    assert python.resolve() == root / "usr/bin/python3.11"
    assert (
        debian_package.place(root, HOME / "pyvenv.cfg").read_text().startswith("home = /usr/bin\n")
    )


def test_the_user_is_the_one_that_service_install_creates(root: Path) -> None:
    postinst = (root / "DEBIAN/postinst").read_text()
    create_user = install.install_steps(unit.Unit(PROGRAM), with_user=True)[0]
    assert f"|| {create_user}\n" in postinst
    assert "@" not in postinst


def test_installing_neither_enables_nor_starts_anything(root: Path) -> None:
    for name in ("postinst", "prerm", "postrm"):
        script = (root / "DEBIAN" / name).read_text()
        assert not re.search(r"^ *(systemctl|deb-systemd-\w+) (enable|start|restart)", script, re.M)
    assert not list(root.rglob("*.wants"))


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_the_scripts_are_right_for_a_shell_and_executable(root: Path, name: str) -> None:
    script = root / "DEBIAN" / name
    assert script.stat().st_mode & 0o777 == 0o755
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    # "abort-remove" and the like do nothing
    done = subprocess.run(["sh", script, "abort-something"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_purging_deletes_what_the_service_wrote(root: Path) -> None:
    for name in ("postinst", "prerm"):
        assert "rm -r" not in (root / "DEBIAN" / name).read_text()
    before, _, purging = (root / "DEBIAN/postrm").read_text().partition('if [ "$1" = purge ]; then')
    assert "rm " not in before
    folders = {unit.NAME, unit.PUBLISH_NAME}
    assert set(re.findall(r"/var/lib/([\w-]+)", purging)) == {*folders, "private"}
    for name in (install.UNIT_PATH.name, install.PUBLISH_UNIT_PATH.name):
        assert f"/multi-user.target.wants/{name}" in purging


def test_the_package_asks_for_the_python_that_its_wheels_fit() -> None:
    old, new = (control(DEVICE, RELEASES[python]) for python in ("3.11", "3.13"))
    assert old["Version"] == f"{__version__}+deb12"
    assert new["Version"] == f"{__version__}+deb13"
    assert old["Depends"].startswith("python3.11, libportaudio2, ")
    assert new["Depends"].startswith("python3.13, libportaudio2, ")
    assert old["Depends"].endswith("libc6 (>= 2.36), zlib1g")
    assert (old["Architecture"], old["Installed-Size"]) == ("arm64", "123")


def test_the_page_goes_with_the_program_of_its_own_version_only() -> None:
    assert control(WEB)["Depends"].startswith(f"undertone (= {__version__}+deb12), ")
    assert set(DEVICE.extras) < set(WEB.extras)  # so that its files are those of "web" alone


def test_the_wheels_fit_the_release_and_the_processor() -> None:
    tags = debian_package.platforms("arm64", BOOKWORM)
    assert {"manylinux2014_aarch64", "manylinux_2_36_aarch64"} < set(tags)
    assert "manylinux_2_37_aarch64" not in tags
    assert "manylinux_2_41_x86_64" in debian_package.platforms("amd64", RELEASES["3.13"])


def test_a_python_that_no_debian_has_is_refused_with_those_that_do() -> None:
    with pytest.raises(PackageError, match=r"PYTHON=python3\.11 for Debian 12 or PYTHON=python3"):
        debian_package.release_of("3.12")


def test_the_wheel_has_the_device_and_the_models_and_no_training(tmp_path: Path) -> None:
    debian_package.copy_sources(tmp_path / "source")
    build = ["-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, tmp_path / "source"]
    done = subprocess.run([sys.executable, *build], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    found = {path.name for path in (tmp_path / "unpacked").iterdir()}
    assert found == {"undertone", "undertone_models", f"undertone-{__version__}.dist-info"}
    assert not [path for path in (tmp_path / "unpacked").rglob("test*") if path.is_dir()]
    assert (tmp_path / "unpacked/undertone_models/ravdess8-compact/model.tflite").exists()


def test_a_package_of_the_page_has_no_file_of_the_program(tmp_path: Path) -> None:
    for name in ("both/a.py", "own/b.py", "own/deep/c.py", "both/deep/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    debian_package.remove_others(tmp_path, {Path("own/b.py"), Path("both/deep/d.py")})
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"own", "own/b.py", "both", "both/deep", "both/deep/d.py"}


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


@needs("readelf")
def test_shared_libraries_become_dependencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec._core

    shutil.copy(msgspec._core.__file__, tmp_path)
    assert debian_package.libraries(tmp_path) == {"libc6"}
    monkeypatch.setattr(debian_package, "LIBRARIES", {})
    with pytest.raises(PackageError, match=r"a wheel needs .*libc\.so\.6.*: add the Debian"):
        debian_package.libraries(tmp_path)


@needs("dpkg-deb")
def test_packages_of_the_same_files_are_alike(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    text = debian_package.control_text(DEVICE, "arm64", BOOKWORM, {"libc6"}, 1)
    first, second = (tmp_path_factory.mktemp("deb") / "a.deb" for _ in range(2))
    again = tmp_path_factory.mktemp("again") / "root"
    shutil.copytree(root, again, symlinks=True, copy_function=shutil.copy)  # other times
    debian_package.pack(root, text, first)
    debian_package.pack(again, text, second)
    assert first.read_bytes() == second.read_bytes()
    field = subprocess.check_output(["dpkg-deb", "--field", first, "Package"], text=True)
    assert field == "undertone\n"
    files = subprocess.check_output(["dpkg-deb", "--contents", first], text=True)
    assert all(" root/root " in line for line in files.splitlines())
    assert f".{UNITS}/undertone.service" in files


def test_every_packaged_project_is_named_with_its_licence(tmp_path: Path) -> None:
    for name, about in {
        "one": "License-Expression: BSD-3-Clause",
        "two": "Classifier: License :: OSI Approved :: MIT License",
        "three": "Summary: says nothing",
    }.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1\n{about}\n")
    text = debian_package.copyright_text(tmp_path)
    assert " one 1: BSD-3-Clause\n" in text
    assert " two 1: MIT License\n" in text
    assert " three 1: see its folder\n" in text
    assert "License: MIT\n" in text
    assert "License: CC-BY-NC-SA-4.0\n" in text
    assert "" not in text.split("\n\n")[-1].splitlines()  # no empty line within a field


def test_the_container_is_built_from_what_the_packages_are_built_from() -> None:
    text = (TREE / "packaging/Containerfile").read_text()
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)
        for source in line.split()
    }
    assert {*debian_package.SOURCES, "constraints.txt", "CHANGELOG.md", "packaging"} < copied
    for name in copied:
        assert (TREE / name).exists(), name
    assert "\nUSER undertone\n" in text
    assert f"UNDERTONE_STATE=/var/lib/{unit.NAME}\n" in text


def test_the_check_of_the_packages_needs_nothing_but_python() -> None:
    command = ["make", "deb-check", f"PYTHON={sys.executable} -S", "RELEASE=0"]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True)
    assert "invalid choice: 0 (choose from 12, 13)" in done.stderr
