"""A report of a model in both forms, written once."""

from pathlib import Path
from typing import Any

import pytest
from example_report import BY_FORM, CLIPS, EXTRA, HISTORY, MAP, PROTOCOL

from undertone_training.report.write import write_report


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder, and what ``write_report`` returned."""
    folder = tmp_path_factory.mktemp("run") / "deep" / "report"
    return folder, write_report(
        folder, "compact <1>", PROTOCOL, BY_FORM, HISTORY, EXTRA, CLIPS, [MAP]
    )
