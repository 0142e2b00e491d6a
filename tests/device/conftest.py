"""What several folders of the device's tests share."""

import shutil
from pathlib import Path

import pytest
from msgspec import structs

from made_microphones import MadeMicrophones
from undertone.recognition import bundle


@pytest.fixture(scope="session")
def voice_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle called knowing, that knows voices."""
    packaged = bundle.load("ravdess8-tiny")
    folder = tmp_path_factory.mktemp("bundles") / "knowing"
    shutil.copytree(packaged.folder, folder)
    normalization = structs.replace(packaged.manifest.normalization, voice_prior_frames=200.0)
    manifest = structs.replace(packaged.manifest, name="knowing", normalization=normalization)
    (folder / bundle.MANIFEST_FILE).write_bytes(bundle.manifest_json(manifest))
    return folder


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeMicrophones:
    """Microphones for processes that are started in this test."""
    microphones = MadeMicrophones(tmp_path)
    for name, value in microphones.env.items():
        monkeypatch.setenv(name, value)
    return microphones
