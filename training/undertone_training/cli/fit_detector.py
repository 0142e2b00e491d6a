"""``undertone-train fit-detector``: the speech detector that goes into every bundle."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common
from undertone_training.errors import RunError

if TYPE_CHECKING:
    from undertone_training.detection.mixtures import Material

FOLDER = "speech-detector"
"""The folder of mixtures and detector, inside that of the runs."""


@click.command(
    epilog="""\b
Examples:
  undertone-train fit-detector --data ~/corpora --dry-run
  undertone-train fit-detector --data ~/corpora
  undertone-train fit-detector --mixtures 500 --epochs 2 --output trial

The same command continues where it was interrupted: mixtures are made once and stay in
speech-detector/mixtures of the folder of the runs, and the training loses one epoch at most.
`undertone-train measure-gate --detector FOLDER` measures what it is worth.
"""
)
@common.data
@common.runs
@common.jobs
@click.option(
    "--mixtures",
    "count",
    type=click.IntRange(min=1, max=1_000_000),
    default=10_000,
    show_default=True,
    help="Number of mixtures of 12 s to train on, rounded up to a multiple of 50.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=common.SEED, default=0, show_default=True)
@click.option(
    "--output",
    type=common.FOLDER,
    help="Folder of the detector.  [default: speech-detector/detector in the folder of the runs]",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be used and made.")
def command(
    data: Path,
    runs: Path,
    jobs: int | None,
    count: int,
    epochs: int,
    seed: int,
    output: Path | None,
    dry_run: bool,
) -> None:
    """Train the speech detector on mixtures of speech with noise, music, voices and rooms.

    The speech is that of CREMA-D and nEMO. RAVDESS is not used, because the accuracy of models is
    measured on it, behind this detector. Recordings of noise, in the folder noise of --data, are
    optional; one kind of them is kept for tests.
    """
    from undertone.recognition.mfcc import MfccConfig
    from undertone_training.corpora import scan
    from undertone_training.corpora.noise import for_training
    from undertone_training.detection import clips as voices
    from undertone_training.detection.mixtures import Material, examples

    clips = voices.for_training(scan(data, voices.CORPORA).clips)
    material = Material(clips, for_training(data).files)
    mixtures = runs / FOLDER / "mixtures"
    output = output or runs / FOLDER / "detector"
    _describe(material, count, seed, mixtures)
    if dry_run:
        return
    _require_writable(mixtures, "--runs")
    _require_writable(output, "--output")
    made = examples(material, MfccConfig(), count, seed, mixtures, jobs, common.progress)
    common.load_tensorflow()
    from undertone_training.detection.fit import Plan, fit

    fit(Plan(epochs=epochs, seed=seed), made, tuple(clips), output, common.progress)
    _report(output)


def _describe(material: "Material", count: int, seed: int, folder: Path) -> None:
    """Print what the mixtures are made of, and how many of them are there already."""
    from undertone.recognition.mfcc import MfccConfig
    from undertone_training.corpora.noise import kind
    from undertone_training.detection.mixtures import DURATION_S, PIECE, piece_files, size_bytes

    for corpus, clips in material.clips.items():
        speakers = {clip.speaker for clip in clips}
        plural = "s" * (len(speakers) > 1)
        click.echo(f"{corpus}: {len(clips)} clips of {len(speakers)} speaker{plural}")
    kinds = ", ".join(dict.fromkeys(map(kind, material.noise)))
    click.echo(f"noise: {len(material.noise)} recordings{f' of {kinds}' if kinds else ''}")
    files = piece_files(material, MfccConfig(), count, seed, folder)
    stored = sum(file.exists() for file in files)
    click.echo(
        f"mixtures: {len(files) * PIECE} of {DURATION_S:.0f} s, {stored * PIECE} of which are "
        f"made; all of them need {len(files) * PIECE * size_bytes(MfccConfig()) / 1e6:.0f} MB in "
        f"{folder}"
    )


def _require_writable(folder: Path, option: str) -> None:
    """Create ``folder``; raises RunError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RunError(
            f"{folder} can't be written ({error.strerror}): name another folder with {option}."
        ) from error


def _report(folder: Path) -> None:
    """Print what was written, and the last figures of the training."""
    from undertone.recognition.bundle import DETECTOR_FILE
    from undertone_training.features.gate import CONFIG_FILE, detector_in

    config, network = detector_in(folder)
    held_out = config.training["held_out"]
    click.echo(
        f"held-out mixtures of the same voices: {100 * held_out['accuracy']:.1f} % of the frames "
        f"are right, loss {held_out['loss']:.4f}"
    )
    click.echo(f"{folder / CONFIG_FILE}: written")
    click.echo(f"{folder / DETECTOR_FILE}: {len(network) / 1024:.1f} KB")
