"""The layers that each package names in its docstring: imports go downwards, without circles."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

import architecture
from imports import PACKAGES, imports_of, layers_and_imports, layers_of


def test_the_table_of_a_docstring_is_read() -> None:
    table = """Says what it is.

    ======  =====
    layer   contents
    ======  =====
    c       on top, above b
    a, b    at the bottom
    ======  =====
    """
    assert layers_of("\n".join(line.strip() for line in table.splitlines())) == [["c"], ["a", "b"]]


def test_imports_are_found_wherever_they_are() -> None:
    source = """
import typing
import p.a
if typing.TYPE_CHECKING:
    from p.b import c
def function():
    from p import d
    import p.e.f
"""
    modules = {"p", "p.a", "p.b", "p.b.c", "p.d", "p.e", "p.e.f", "p.x"}
    assert set(imports_of("p.x", ast.parse(source), modules)) == modules - {"p", "p.x"}
    assert set(imports_of("p.e.g", ast.parse("import p.e.f"), modules)) == {"p.e.f"}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_form_no_circle(package: str) -> None:
    layers, imports = layers_and_imports(package)
    if not layers:
        pytest.skip(f"{package} names no layers")
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_from_a_layer_above_its_own(package: str) -> None:
    layers, imports = layers_and_imports(package)
    if not layers:
        pytest.skip(f"{package} names no layers")
    heights = {name: -height for height, layer in enumerate(layers) for name in layer}
    assert len(heights) == sum(map(len, layers)), "a name is in two layers"
    modules = {name.split(".")[1] for name in imports if "." in name}
    assert modules - heights.keys() == set(), "modules in no layer"
    assert heights.keys() - modules == set(), "layers of modules that do not exist"
    upward = [
        f"{name} imports {target}"
        for name, targets in imports.items()
        for target in targets
        if "." in name and "." in target
        if heights[target.split(".")[1]] > heights[name.split(".")[1]]
    ]
    assert upward == []


def test_the_picture_of_the_architecture_is_current() -> None:
    """Else run ``make pictures``."""
    assert architecture.stored_description() == architecture.description(architecture.imports())
