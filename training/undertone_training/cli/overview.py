"""``undertone-train overview``: what clips there are, as tables and pictures."""

from pathlib import Path

import click

from undertone_training.cli import common


@click.command(
    epilog="""\b
Examples:
  undertone-train overview --data ~/corpora
  undertone-train overview --data ~/corpora --corpus ravdess --output ravdess
"""
)
@common.data
@click.option("--corpus", "corpora", multiple=True, help="Only this corpus; may be repeated.")
@click.option(
    "--output", type=common.FOLDER, default=Path("overview"), show_default=True,
    help="Folder for the page, the pictures and the table.",
)  # fmt: skip
def command(data: Path, corpora: tuple[str, ...], output: Path) -> None:
    """Draw what the corpora contain: clips of each emotion, speaker, sex and intensity, how long
    they are, and a clip of each emotion as waveform, MFCC and mel bands.

    overview.html shows all of it and works offline; clips.csv is the table of the clips with
    path, labels and duration.
    """
    from undertone.recognition.mfcc import MfccConfig
    from undertone_training.corpora import scan
    from undertone_training.report.overview import summary, write_overview

    found = scan(data, corpora or None)
    with common.progress("recordings", len(found.clips)) as step:
        frame = write_overview(
            output, found.clips, found.complaints(), MfccConfig(), lambda: step("")
        )
    for corpus, clips in frame.groupby("corpus", sort=False):
        click.echo(f"{corpus}: {summary(clips)}")
    if missing := len(found.clips) - len(frame):
        click.echo(f"left out because they can't be read: {missing} of the clips", err=True)
    click.echo(f"{output / 'overview.html'}: written, beside clips.csv and the pictures")
