"""The command compare: a row for each report, the best of each protocol first."""

import json
from pathlib import Path

import msgspec
import pytest
from miniature import Pipeline, train

from undertone_training import recipe as recipes
from undertone_training.evaluation.results import Cost, Pooled, PooledFigures
from undertone_training.metrics import Spread

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_compare_shows_a_row_for_each_report(
    pipeline: Pipeline, promoted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("compare", pipeline.quick, promoted, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    protocols = [row["protocol"] for row in rows]
    assert "speaker-independent (1 of 4 folds)" in protocols
    assert "live, no noise (1 of 4 folds)" in protocols
    assert all(row["parameters"] > 1000 and row["fit_s"] > 0 for row in rows)
    best_first = [(row["protocol"], -row["uar"]["mean"]) for row in rows]
    assert best_first == sorted(best_first)
    for form in ("table", "markdown"):
        assert train("compare", pipeline.quick, promoted, "--format", form) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(rows) + (1 if form == "table" else 2)
    for name in ("figures.md", "figures.json"):
        assert train("compare", pipeline.quick, promoted, "--output", tmp_path / name) == 0
        assert capsys.readouterr().out == f"{tmp_path / name}: {len(rows)} rows\n"
    assert (tmp_path / "figures.md").read_text().splitlines() == lines
    assert json.loads((tmp_path / "figures.json").read_text()) == rows
    assert train("compare", pipeline.quick, "--output", tmp_path / "figures.csv") == 2
    assert "must end in one of .md, .json" in capsys.readouterr().err


def test_compare_tables_several_seeds_and_recipes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, uar, seeds in (("a", 0.6, (0, 1, 2)), ("b", 0.65, (0,))):
        figure = PooledFigures(
            *[Spread(uar, 0.012 if len(seeds) > 1 else None)] * 3, Spread(0.05, None), (0.5, 0.7)
        )
        recipe = msgspec.structs.replace(recipes.load("smoke"), name=name)
        Pooled(
            recipe, "speaker-independent", seeds, ("x",), {"float": figure}, Cost(1, None, 1, 95.4)
        ).save(tmp_path / name / "report" / "speaker-independent.json")  # fmt: skip
    assert train("compare", tmp_path, "--format", "markdown") == 0
    _, _, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("| b | speaker-independent | 0 | float | 65.0 % | 50.0 to 70.0 % |")
    assert second.startswith("| a | speaker-independent | 0, 1, 2 | float | 60.0 ± 1.2 % |")
    assert second.endswith("| – | 0.00 | 95 s |")
