"""What the programs import: a Pi has little memory, and help must come at once."""

import subprocess
import sys

import pytest

from undertone.samples import clips

HEAVY = {"tensorflow", "keras", "librosa", "matplotlib", "pandas", "sklearn", "scipy.signal"}

RUN = """
import sys
from undertone.cli import run, undertone
status = run(undertone, "undertone", sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""
RUN_TRAINING = """
import sys
from undertone.cli import run
from undertone_training.cli import undertone_train
status = run(undertone_train, "undertone-train", sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


def modules_of(program: str, *arguments: str) -> set[str]:
    """All modules at the end of ``program``, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_the_package_itself_imports_next_to_nothing() -> None:
    program = "import sys, undertone; print(*sys.modules, file=sys.stderr)"
    assert not modules_of(program) & (HEAVY | {"numpy", "scipy", "click", "rich"})


@pytest.mark.parametrize("program", [RUN, RUN_TRAINING], ids=["undertone", "undertone-train"])
def test_help_imports_nothing_that_computes(program: str) -> None:
    assert not modules_of(program, "--help") & (HEAVY | {"numpy", "scipy", "rich"})


def test_classifying_imports_nothing_of_training() -> None:
    loaded = modules_of(RUN, "classify", "--format", "json", str(clips()[0]))
    assert "undertone.recognition.pipeline" in loaded
    assert not loaded & (HEAVY | {"undertone_training", "sounddevice"})


def test_listening_imports_nothing_of_training(tmp_path_factory: pytest.TempPathFactory) -> None:
    journal = tmp_path_factory.mktemp("journal")
    loaded = modules_of(RUN, "listen", "--source", str(clips()[0]), "--journal", str(journal))
    assert "undertone.listener" in loaded
    assert not loaded & (HEAVY | {"undertone_training"})


def test_publishing_imports_nothing_that_hears(tmp_path_factory: pytest.TempPathFactory) -> None:
    journal = tmp_path_factory.mktemp("journal")
    loaded = modules_of(
        *(RUN, "publish", "--mqtt", "mqtt://nowhere.invalid", "--test"),
        *("--journal", str(journal)),
    )
    assert "undertone.publish.broker" in loaded
    assert not loaded & (HEAVY | {"numpy", "scipy", "sounddevice", "apprise"})
