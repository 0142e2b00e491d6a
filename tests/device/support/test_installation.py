"""How to add what is missing to an installation, however it was made."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

import undertone
from undertone.support import installation
from undertone.support.installation import add_extra, reinstallation

PIP = f"{sys.executable} -m pip install"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this program is now: in an environment, without its source."""
    folder = tmp_path / "lib" / "python3" / "site-packages" / "undertone"
    folder.mkdir(parents=True)
    monkeypatch.setattr(undertone, "__file__", str(folder / "__init__.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return folder


def say_that_it_is_from(url: str, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip does it (PEP 610)."""
    record = package.with_name("undertone-9.dist-info")
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: undertone\nVersion: 9\n")
    (record / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {}}))
    monkeypatch.setattr(metadata, "distribution", lambda name: metadata.Distribution.at(record))


def test_a_checkout_is_installed_again_with_the_extra() -> None:
    source = Path(undertone.__file__).parents[2]
    assert add_extra("web") == f"run `cd {source} && {PIP} -c constraints.txt -e '.[web]'`"


def test_a_folder_that_was_installed_is_named(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "my copy"
    source.mkdir()
    say_that_it_is_from(source.as_uri(), package, monkeypatch)
    assert add_extra("web") == f"run `cd '{source}' && {PIP} -c constraints.txt '.[web]'`"
    source.rmdir()
    assert add_extra("web") == (
        f"run `{PIP} -c constraints.txt '.[web]'` in the folder of Undertone's source"
    )


def test_a_wheel_that_was_installed_is_named(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "undertone-9-py3-none-any.whl"
    wheel.touch()
    say_that_it_is_from(wheel.as_uri(), package, monkeypatch)
    assert add_extra("formats") == f"run `{PIP} '{wheel}[formats]'`"


@pytest.mark.parametrize("url", ["https://me@example.org/undertone-9-py3-none-any.whl", "", "["])
def test_without_a_source_on_this_machine_its_folder_is_asked_for(
    url: str, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_that_it_is_from(url, package, monkeypatch)
    command = f"{PIP} --force-reinstall -c constraints.txt ."
    assert reinstallation() == f"in the folder of Undertone's source: `{command}`"


@pytest.mark.parametrize(
    ("extra", "name"), [("web", "undertone-web"), ("parquet", "undertone-web"), ("x", "undertone")]
)
def test_on_debian_the_package_is_named(
    extra: str, name: str, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "DEBIAN_FOLDER", package.parent)
    assert add_extra(extra) == f"install the Debian package {name}, which `make deb` builds"
