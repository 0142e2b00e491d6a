"""The package as it ships: a wheel in an empty environment, without TensorFlow."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("install")  # the wheel and the environments are made once

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "undertone": "device/undertone",
    "undertone_training": "training/undertone_training",
    "undertone_models": "models",
}
WORKSTATION = {"tensorflow", "keras", "librosa", "matplotlib", "pandas", "scikit-learn", "numba"}

MODULES_OF_CLASSIFY = """
import sys
from undertone.cli import run, undertone
status = run(undertone, "undertone", ["classify", "--format", "json", *sys.argv[1:]])
print(*sys.modules)
sys.exit(status)
"""
GOLDEN = """
import json, sys
from undertone.recognition import bundle
from undertone.audio.files import read_blocks
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone.samples import clips

def heard(name):
    classifier = Classifier(bundle.load(name), reference_kernels=True)
    overall = {clip.name: classify(read_blocks(clip), classifier).overall for clip in clips()}
    return {clip: heard.scores for clip, heard in overall.items()}

print(json.dumps({name: heard(name) for name in bundle.installed_bundles()}))
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and what it asks for, and a folder that is no clone."""

    python: Path
    runtime: str
    folder: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs with nobody's settings."""
        return subprocess.run(
            [self.python.parent / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, since building leaves files beside them."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for folder in ("device", "training", "models"):
        shutil.copytree(ROOT / folder, copy / folder)
    (copy / "models/__pycache__").mkdir(exist_ok=True)  # an editable install leaves one
    (copy / "models/__pycache__/__init__.cpython-311.pyc").touch()
    built = tmp_path_factory.mktemp("wheel")
    _succeed([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", built, copy])
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(
    scope="session",
    params=[("tflite-runtime", ["3.11"]), ("litert", ["3.13", "3.12"])],
    ids=["tflite-runtime", "litert"],
)
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The wheel in an environment of its own, on each Python that has another runtime."""
    runtime, versions = request.param
    python = _interpreter(versions)
    if python is None:
        pytest.skip(f"no Python {' or '.join(versions)} runs here")
    folder = tmp_path_factory.mktemp(runtime)
    _succeed([python, "-m", "venv", "--without-pip", folder / "venv"])
    made = folder / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", made, "--disable-pip-version-check"]
    # what is imported is compiled then
    _succeed([*pip, "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt", wheel])
    _succeed([*pip, "check"])
    return Installed(made, runtime, folder)


def _interpreter(versions: Sequence[str]) -> str | None:
    """One that really runs: a name on the PATH may be a shim with nothing behind it."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for version in versions:
        for name in (f"python{version}", *pyenv.glob(f"versions/{version}.*/bin/python3")):
            try:
                return _succeed([name, "-c", "import venv, sys; print(sys.executable)"]).strip()
            except (OSError, AssertionError):
                continue
    return None


def _succeed(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        f"{package}/{path.relative_to(ROOT / folder)}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    of_the_repository = {
        name
        for name in ours
        if name == "undertone_models/facts.toml"
        or ("/report/" in name and name.startswith("undertone_models/"))
    }
    shown = {name for name in of_the_repository if name.endswith("/confusion-int8.png")}
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == ours - of_the_repository | shown
    assert len(shown) == 4  # on the web page, of each bundle
    assert wheel.stat().st_size < 2 * 2**20
    for licence in ("licenses/LICENSE", "licenses/models/LICENSE.txt"):
        assert any(name.endswith(licence) for name in metadata)
    for needed in (
        "undertone/samples/README.md",  # their licence
        "undertone_models/LICENSE.txt",
        "undertone_models/ravdess8-compact/model.tflite",
        "undertone_models/ravdess8-compact/README.md",
        "undertone_training/recipes/compact.toml",
        "undertone_training/spaces/compact.toml",
        "undertone_training/report/templates/card.md",
    ):
        assert needed in names


def test_nothing_of_a_workstation_is_installed(installed: Installed) -> None:
    pip = [sys.executable, "-m", "pip", "--python", installed.python, "list", "--format", "json"]
    names = {each["name"].lower() for each in json.loads(_succeed(pip))}
    assert not names & WORKSTATION
    assert ("tflite-runtime" in names) == (installed.runtime == "tflite-runtime")
    assert ("ai-edge-litert" in names) == (installed.runtime == "litert")


def test_a_packaged_clip_is_classified_with_the_runtime_of_this_python(
    installed: Installed,
) -> None:
    clip = installed.run("undertone", "samples").stdout.splitlines()[4]
    done = installed.run("python", "-c", MODULES_OF_CLASSIFY, clip)
    assert done.returncode == 0, done.stderr
    line, modules = done.stdout.splitlines()
    heard = json.loads(line)
    assert heard["path"] == clip
    assert heard["label"] == max(heard["scores"], key=heard["scores"].get)
    assert len(heard["scores"]) == 8
    assert sum(heard["scores"].values()) == pytest.approx(1, abs=0.001)
    assert heard["segments"]
    runtime = {"tflite-runtime": "tflite_runtime", "litert": "ai_edge_litert"}[installed.runtime]
    assert runtime in modules.split()


def test_the_reference_kernels_give_the_golden_outputs(installed: Installed) -> None:
    golden = json.loads((ROOT / "tests/device/recognition/golden.json").read_text())
    heard = json.loads(installed.run("python", "-c", GOLDEN).stdout)
    assert heard.keys() == golden.keys()
    for name, clips in heard.items():
        assert clips.keys() == golden[name]["probabilities"].keys()
        # one value of one clip differs by a step in tflite-runtime: by 0.00095 of a probability
        tolerance = 1e-3 if name == "everyday-tiny" else 1e-4
        for clip, probabilities in clips.items():
            expected = golden[name]["probabilities"][clip]
            assert probabilities == pytest.approx(expected, abs=tolerance)


def test_the_doctor_finds_nothing_wrong_with_the_installation(installed: Installed) -> None:
    lines = installed.run("undertone", "doctor", "--format", "json").stdout.splitlines()
    status = {finding["name"]: finding["status"] for finding in map(json.loads, lines)}
    assert [status[name] for name in ("python", "runtime", "model")] == ["ok"] * 3


def test_both_programs_show_their_help(installed: Installed) -> None:
    for program in ("undertone", "undertone-train"):
        done = installed.run(program, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Usage: {program}" in done.stdout


@pytest.mark.parametrize("command", ["prepare", "fit"])
def test_training_without_its_extra_is_one_sentence(
    installed: Installed, command: str, tmp_path: Path
) -> None:
    clip = Path(installed.run("undertone", "samples").stdout.splitlines()[0])
    for actor in range(1, 21):
        shutil.copy(clip, tmp_path / f"03-01-01-01-01-01-{actor:02}.flac")
    done = installed.run("undertone-train", command, "--recipe", "smoke", "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith(".whl[training]'`.\n")
    assert "Traceback" not in done.stderr
