"""``undertone samples``: where the packaged clips are."""

import click


@click.command(epilog="Example: undertone classify $(undertone samples)")
def command() -> None:
    """Print the paths of the packaged RAVDESS clips, one a line."""
    from undertone.samples import clips

    for clip in clips():
        click.echo(clip)
