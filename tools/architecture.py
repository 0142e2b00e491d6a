"""Draw docs/pictures/architecture.svg: the folders of both packages in their layers.

``make pictures`` runs it.  The layers are those of the packages' docstrings, the arrows the
imports, without those that follow from others: if a imports b, and b imports c, there is no arrow
from a to c.  All imports are stored as text in the picture, by which a test knows whether it is
current.  A box names the folders of the device that the training program imports in blue.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from imports import PACKAGES, imports_of, layers_and_imports, sources_of

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "architecture.svg"
DEVICE, TRAINING = PACKAGES

_BOX_HEIGHT = 0.64  # in rows
_COLOURS = {DEVICE: "#DCE9F7", TRAINING: "#FBE9D5"}
_DESCRIPTION = ".//{http://purl.org/dc/elements/1.1/}description"

Imports = Mapping[str, set[str]]
"""What each folder or top-level module (``undertone.audio``) imports of the others."""


def imports() -> Imports:
    """The imports of both packages; the packages themselves, which hold a version, are left out."""
    sources = {name: tree for package in PACKAGES for name, tree in sources_of(package).items()}
    found: dict[str, set[str]] = defaultdict(set)
    for name, tree in sources.items():
        if "." in name:
            folder = _folder(name)
            targets = map(_folder, imports_of(name, tree, sources))
            found[folder] |= {target for target in targets if "." in target} - {folder}
    return dict(sorted(found.items()))


def _folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def description(imports: Imports) -> str:
    """What is drawn, as text: a line of imports for each folder, a paragraph for each layer."""
    return "\n\n".join(
        "\n".join(f"{name}: {' '.join(sorted(imports.get(name, ())))}" for name in layer)
        for package in PACKAGES
        for layer in _layers(package)
    )


def _layers(package: str) -> list[list[str]]:
    layers, _ = layers_and_imports(package)
    return [[f"{package}.{name}" for name in layer] for layer in layers]


def stored_description() -> str | None:
    """The description of what the picture shows."""
    return ElementTree.parse(PICTURE).findtext(_DESCRIPTION)


def direct(targets: set[str], imports: Imports) -> list[str]:
    """Those of ``targets`` that no other of them imports, directly or not."""
    implied: set[str] = set()
    waiting = list(targets)
    while waiting:
        more = imports[waiting.pop()] - implied
        implied |= more
        waiting += more
    return sorted(targets - implied)


def _draw_package(axes: Any, package: str, imports: Imports) -> None:
    layers = _layers(package)
    centres = {
        name: (2.4 * (column - (len(layer) - 1) / 2) + 0.4 * (row % 3 - 1), -row)
        for row, layer in enumerate(layers)
        for column, name in enumerate(layer)
    }
    for name, (x, y) in centres.items():
        targets = imports.get(name, set())
        short = name.partition(".")[2]
        of_device = ", ".join(
            target.partition(".")[2] for target in direct(targets - centres.keys(), imports)
        )
        width = max(0.13 * len(short), 0.1 * len(of_device)) + 0.4
        axes.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - _BOX_HEIGHT / 2),
                width,
                _BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.1",
                facecolor=_COLOURS[package],
                edgecolor="#555555",
            )
        )
        place = {"ha": "center", "va": "center"}
        axes.text(x, y + (0.12 if of_device else 0), short, fontsize=11, **place)
        axes.text(x, y - 0.16, of_device, fontsize=8, color="#3465A4", **place)
        for target in direct(targets & centres.keys(), imports):
            end_x, end_y = centres[target]
            bend = 0 if y - end_y <= 1 else 0.2 if end_x < x else -0.2
            axes.add_patch(
                FancyArrowPatch(
                    (x, y - _BOX_HEIGHT / 2),
                    (end_x, end_y + _BOX_HEIGHT / 2),
                    connectionstyle=f"arc3,rad={bend}",
                    arrowstyle="-|>",
                    mutation_scale=11,
                    color="#777777",
                    zorder=0,
                )
            )
    axes.set(title=package, xlim=(-4.2, 4.2), ylim=(0.6 - len(layers), 0.6))
    axes.set_axis_off()


def main() -> None:
    """Write the picture; the same imports give the same file."""
    mpl.rcParams["svg.hashsalt"] = "undertone"
    found = imports()
    figure = Figure(figsize=(12, 8), layout="constrained")
    for axes, package in zip(figure.subplots(1, 2), PACKAGES, strict=True):
        _draw_package(axes, package, found)
    figure.savefig(PICTURE, metadata={"Date": None, "Description": description(found)})


if __name__ == "__main__":
    main()
