"""``undertone-train recipes``: what can be trained."""

import json
from collections.abc import Iterator
from typing import Any

import click


@click.command(epilog="Example: undertone-train recipes compact > my-recipe.toml")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the packaged recipes, or print NAME as TOML with the value of every setting."""
    import msgspec

    from undertone_training import recipe

    if name is None:
        for each in recipe.names():
            click.echo(each)
        return
    for key, value in _flat(msgspec.to_builtins(recipe.load(name))):
        click.echo(f"{key} = {json.dumps(value)}")  # alike in TOML for these types


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
