"""The notebook: it runs from its first cell to its last, and is kept without what it printed."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

from undertone.recognition import bundle

NOTEBOOK = Path(__file__).parents[2] / "training" / "notebooks" / "ravdess.ipynb"


def execute(folder: Path) -> str:
    """Run it with ``folder`` as the working directory; what its last cell shows."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=540, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    shown: str = notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    return shown


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert "execution" not in cell.metadata


def test_from_the_packaged_clips_to_a_bundle_that_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERTONE_DATA", raising=False)
    assert "surprised" in execute(tmp_path)
    work = tmp_path / "runs" / "notebook"
    manifest = bundle.load(work / "bundle").manifest
    assert manifest.name == "notebook"
    assert manifest.figures["protocol"] == "a rehearsal on the training clips"
    assert (work / "overview" / "overview.html").is_file()
    assert (work / "final" / "seed0" / "report" / "report.html").is_file()


@pytest.mark.corpora
@pytest.mark.skipif("UNDERTONE_DATA" not in os.environ, reason="UNDERTONE_DATA names no corpora")
def test_from_eight_actors_to_a_bundle(tmp_path: Path) -> None:
    execute(tmp_path)
    manifest = bundle.load(tmp_path / "runs" / "notebook" / "bundle").manifest
    assert manifest.figures["protocol"] == "speaker-independent (2 actors)"
    assert manifest.figures["speakers"] == ["01", "02"]
    assert not set(manifest.training.train_speakers) & {"01", "02"}
