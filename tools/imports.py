"""Reads the layers that a package names in its docstring, and what its modules import."""

import ast
import importlib.util
import re
from collections.abc import Collection, Iterator
from pathlib import Path

PACKAGES = ("undertone", "undertone_training")

_TABLE = re.compile(r"^=+ +=+\nlayer .*\n=+ +=+\n(.*?)^=+ +=+$", re.M | re.S)


def layers_of(docstring: str) -> list[list[str]]:
    """The modules and folders of each layer in a docstring's table, the highest first."""
    tables: list[str] = _TABLE.findall(docstring)
    return [
        re.findall(r"\w+", re.match(r"(\w+(?:, \w+)*)", row)[0])  # type: ignore[index]
        for table in tables
        for row in table.splitlines()
    ]


def sources_of(package: str) -> dict[str, ast.Module]:
    """Every module of the package by its dotted name, parsed."""
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.origin
    root = Path(spec.origin).parent
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = [package, *path.relative_to(root).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = ast.parse(path.read_text())
    return sources


def imports_of(name: str, tree: ast.Module, modules: Collection[str]) -> Iterator[str]:
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


def layers_and_imports(package: str) -> tuple[list[list[str]], dict[str, set[str]]]:
    """The package's layers, and what each of its modules imports of the package."""
    sources = sources_of(package)
    docstring = ast.get_docstring(sources[package]) or ""
    imports = {name: set(imports_of(name, tree, sources)) for name, tree in sources.items()}
    return layers_of(docstring), imports
