"""The layers that each package names in its docstring: imports go downwards, without circles."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGES = ("undertone", "undertone_training")

_TABLE = re.compile(r"^=+ +=+\nlayer .*\n=+ +=+\n(.*?)^=+ +=+$", re.M | re.S)


def layers_of(docstring: str) -> list[list[str]]:
    """The modules and packages of each layer in a docstring's table, the highest first."""
    tables: list[str] = _TABLE.findall(docstring)
    return [
        re.findall(r"\w+", re.match(r"(\w+(?:, \w+)*)", row)[0])  # type: ignore[index]
        for table in tables
        for row in table.splitlines()
    ]


def root_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


def sources_of(package: str) -> dict[str, ast.Module]:
    """Every module of the package by its dotted name, parsed."""
    root = root_of(package)
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = [package, *path.relative_to(root).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = ast.parse(path.read_text())
    return sources


def imports_of(name: str, tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """The modules among ``modules`` that one of them imports, anywhere in its source.

    Importing ``a.b.c`` also runs ``a.b``, unless the importing module is itself inside of it.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            base = node.module or ""
            full = [f"{base}.{alias.name}" for alias in node.names]
            targets = [each if each in modules else base for each in full]
        else:
            continue
        for target in targets:
            parts = target.split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                if module in modules and not f"{name}.".startswith(f"{module}."):
                    yield module


def checked(package: str) -> tuple[list[list[str]], dict[str, set[str]]]:
    """The package's layers, and what each of its modules imports."""
    sources = sources_of(package)
    docstring = ast.get_docstring(sources[package]) or ""
    imports = {name: set(imports_of(name, tree, set(sources))) for name, tree in sources.items()}
    return layers_of(docstring), imports


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
    layers, imports = checked(package)
    if not layers:
        pytest.skip(f"{package} names no layers")
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_from_a_layer_above_its_own(package: str) -> None:
    layers, imports = checked(package)
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
