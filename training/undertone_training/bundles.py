"""The bundles that ship, and the recipe that each is made with."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from undertone_training.recipe import Recipe

BUNDLES = {
    "everyday-compact": "everyday-compact",
    "everyday-tiny": "everyday-tiny",
    "ravdess8-compact": "compact-noise",
    "ravdess8-tiny": "tiny-noise",
}
"""The name of each bundle's recipe; `undertone-train make` derives its stages from that."""


def ships_as(name: str, recipe: "Recipe") -> bool:
    """Whether ``recipe`` is the packaged one of the bundle ``name``."""
    from undertone_training import recipe as recipes

    known = BUNDLES.get(name) == recipe.name and recipe.name in recipes.names()
    return known and recipes.load(recipe.name) == recipe
