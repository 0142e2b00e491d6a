"""Miniature corpora for the speech detector, and one that was trained on them."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from miniature import TrainedDetector, train, write_detector_corpora


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector-corpora")
    write_detector_corpora(folder)
    return folder


@pytest.fixture(scope="session")
def trained(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedDetector:
    from undertone_training.tensorflow_loader import load_tensorflow

    load_tensorflow()
    from undertone_training.detection import fit

    converted: list[Any] = []
    convert = fit.convert

    def keep(network: Any, windows: Any) -> bytes:
        converted.append(network)
        return convert(network, windows)

    runs = tmp_path_factory.mktemp("detector-runs")
    printed = io.StringIO()
    args = ("--data", corpora, "--runs", runs, "--mixtures", 20, "--epochs", 1, "--jobs", 1)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(fit, "convert", keep)
        assert train("fit-detector", *args) == 0
    (network,) = converted
    return TrainedDetector(runs, printed.getvalue(), network)
