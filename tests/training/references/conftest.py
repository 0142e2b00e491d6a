"""A reference system, trained for one epoch under both protocols, quantised and tested."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from miniature import (
    ACTORS,
    conversion_here,
    eager_training,
    train,
    without_pictures,
    write_ravdess,
)

from undertone import samples
from undertone_training.learning.runs import Run

QUICK = """
network = "mfcc-cnn"
features = "mfcc-mean"
level = "none"
song = false
[augmentation]
copies = 0
[regularization]
tempo = 0.0
vocal_tract = 0.0
mixup = 0.0
[schedule]
shape = "plateau"
epochs = 1
batch_size = 16
early_stopping = 1
weight_averaging = 0.0
"""


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    sound, _ = soundfile.read(samples.clips()[4], dtype="int16")
    return sound


@pytest.fixture(scope="session")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch of a reference system under both protocols, quantised and tested."""
    folder = tmp_path_factory.mktemp("references")
    write_ravdess(folder / "data", ACTORS)
    data = ("--data", folder / "data", "--cache", folder / "cache", "--jobs", 1)
    (folder / "mfcc-cnn.toml").write_text(QUICK)
    fit = ("fit", "--recipe", folder / "mfcc-cnn.toml", "--runs", folder / "runs", *data)
    with eager_training(), conversion_here():
        assert train(*fit, "--fold", 1) == 0
        assert train(*fit, "--protocol", "speaker-dependent", "--fold", 2) == 0
        assert train("quantize", folder / "runs", *data) == 0
    with without_pictures():
        assert train("evaluate", folder / "runs/mfcc-cnn", *data) == 0
    return folder


@pytest.fixture(scope="session")
def dependent(systems: Path) -> Run:
    """Its run under the speaker-dependent protocol."""
    return Run(systems / "runs/mfcc-cnn/speaker-dependent-speech-8/seed0")
