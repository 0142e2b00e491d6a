"""``undertone samples``: the paths of the packaged clips."""

import click


@click.command(epilog="Example: undertone classify $(undertone samples)")
def command() -> None:
    """Print the paths of the packaged RAVDESS clips, one per line."""
    from undertone.samples import clips

    for clip in clips():
        click.echo(clip)
