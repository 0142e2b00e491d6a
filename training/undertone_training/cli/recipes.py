"""``undertone-train recipes``: what can be trained."""

import click

from undertone_training.cli import common


@click.command(
    cls=common.Command, epilog="Example: undertone-train recipes compact > my-recipe.toml"
)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the packaged recipes, or print NAME as TOML with the value of every setting."""
    from undertone_training import recipe
    from undertone_training.search.space import to_toml

    if name is None:
        for each in recipe.names():
            click.echo(each)
        return
    click.echo(to_toml(recipe.load(name)), nl=False)
