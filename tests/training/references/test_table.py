"""What the systems cost, and the table that compares them with ours."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from matplotlib.colors import to_hex
from miniature import train

from undertone.recognition.bundle import load
from undertone_training import recipe as recipes
from undertone_training.errors import RunError
from undertone_training.evaluation.results import Pooled
from undertone_training.learning.runs import Run
from undertone_training.metrics import Spread
from undertone_training.references.costs import (
    Costs,
    Latency,
    Measured,
    machine,
    measure,
    system_of,
    three_seconds,
)
from undertone_training.references.picture import picture
from undertone_training.references.table import (
    ProtocolFigures,
    Published,
    SystemFigures,
    Table,
    markdown,
    table,
    verdicts,
)
from undertone_training.report.pictures import BLUE, VERMILION, png

pytestmark = pytest.mark.xdist_group("references")


def cost(recipe: str, form: str, times: int) -> Measured:
    latency = Latency(1.0 * times, 2.0 * times, 3.0 * times)
    return Measured(recipe, form, *[latency] * 4, 0.5, 2**20 * times, 1024 * times)


def test_a_system_is_measured_in_a_separate_process(systems: Path, dependent: Run) -> None:
    found = measure(dependent, "int8", calls=3)
    assert (found.recipe, found.form) == ("mfcc-cnn", "int8")
    assert found.file_bytes == dependent.tflite.stat().st_size
    assert found.detection.p50_ms < found.features.p50_ms
    for latency in (found.features, found.inference, found.whole):
        assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms
    assert found.cold_start_s > 0
    assert found.peak_memory_bytes > 2**20
    (broken := Run(systems / "nothing")).folder.mkdir(exist_ok=True)
    with pytest.raises(RunError, match=r"can't be measured: .*run\.json"):
        measure(broken, "int8", calls=1)


def test_our_int8_models_take_samples_and_segments_of_speech() -> None:
    bundle = load("ravdess8-compact")
    manifest = bundle.manifest
    run = SimpleNamespace(
        info=SimpleNamespace(recipe=recipes.load("compact-noise")),
        calibration=SimpleNamespace(normalization=manifest.normalization),
        quantization=manifest.quantization,
        tflite=bundle.folder / "model.tflite",
    )
    system = system_of(cast(Run, run), "int8")
    clip = three_seconds()
    for given in ([clip], system.detect(clip)):  # samples, or segments with their frames
        assert system.infer(system.windows(given))


@pytest.fixture
def costs(systems: Path, tmp_path: Path) -> Path:
    """Costs of ours and of the reference system, and a report of ours, which was its twin."""
    ours = tmp_path / "ours/report/speaker-independent.json"
    (report,) = (systems / "runs/mfcc-cnn/report").glob("speaker-independent*.json")
    pooled = Pooled.load(report)
    recipe = msgspec.structs.replace(pooled.recipe, name="ours")
    whole = msgspec.structs.replace(pooled, recipe=recipe, protocol="speaker-independent")
    whole.save(ours)
    measured = (cost("ours", "int8", 1), cost("mfcc-cnn", "float", 20), cost("mfcc-cnn", "int8", 4))
    path = tmp_path / "costs.json"
    path.write_bytes(
        msgspec.json.encode(Costs(**machine(), calls=1, measured=measured, unquantized={}))
    )
    return path


def test_the_table_sets_them_beside_ours(
    systems: Path, costs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = (costs.parent, systems / "runs/mfcc-cnn")
    beside = costs.parent / "ours/final/seed0/report"  # what other protocols and bundles leave
    beside.mkdir(parents=True)
    for name in ("noise.json", "figures.json"):
        (beside / name).write_text("{}")
    ours, theirs = table(costs, folders).systems
    assert (ours.recipe, theirs.recipe) == ("ours", "mfcc-cnn")
    assert msgspec.structs.astuple(theirs.ratios["float"]) == (20.0,) * 4
    assert msgspec.structs.astuple(theirs.ratios["int8"]) == (4.0,) * 4
    assert theirs.dependent[0].protocol.startswith("speaker-dependent")
    command = ("compare", *folders, "--references", costs)
    assert train(*command, "--format", "markdown") == 0
    shown = capsys.readouterr().out
    assert "speaker-dependent accuracy (inflated)" in shown
    assert "class accuracy > 75 %" in shown
    for ending in ("md", "json", "png"):
        assert train(*command, "--output", costs.parent / f"table.{ending}") == 0
    written = json.loads((costs.parent / "table.json").read_text())["systems"]
    assert written[1]["ratios"]["float"]["latency"] == 20.0
    assert (costs.parent / "table.png").read_bytes() == png(picture(table(costs, folders)))


def test_an_earlier_table_has_the_accuracy_of_systems_without_a_report(
    systems: Path, costs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = (costs.parent, systems / "runs/mfcc-cnn")
    command = ("compare", costs.parent, "--references", costs)
    assert train(*command) == 1
    assert "no report on mfcc-cnn" in capsys.readouterr().err
    earlier = tmp_path / "earlier.json"
    assert train("compare", *folders, "--references", costs, "--output", earlier) == 0
    before = json.loads(earlier.read_text())
    changed = json.loads(costs.read_text())
    changed["measured"][-1]["file_bytes"] *= 2
    costs.write_text(json.dumps(changed))
    _, theirs = table(costs, folders[:1], earlier).systems
    assert theirs.ratios["int8"].file == 8.0
    kept = json.loads(msgspec.json.encode(theirs.dependent))
    assert kept == before["systems"][1]["dependent"]
    earlier.write_text("[]")
    assert train(*command, "--accuracy", earlier) == 1
    assert "is no table that can be read" in capsys.readouterr().err


def test_the_chart_has_a_mark_for_each_form_of_each_system() -> None:
    def system(name: str, published: Published | None, int8_uar: Spread | None) -> SystemFigures:
        float_uar = Spread(0.7, None)
        reached = ProtocolFigures(
            "speaker-independent", (0,), float_uar, float_uar, int8_uar, int8_uar
        )
        measured = (cost(name, "int8", 2), cost(name, "float", 8))
        return SystemFigures(name, 1, reached, (), published, measured, None, {})

    ours = system("ours", None, Spread(0.6, None))
    theirs = system("cnn", Published("speech", 0.9, "90 %"), None)
    untested = msgspec.structs.replace(ours, independent=None)
    found = Table("x", "3", 1, (ours, theirs, untested))
    (axes,) = picture(found).axes
    marks = [
        (
            *each.get_xdata(),
            *each.get_ydata(),
            to_hex(each.get_markeredgecolor()),
            to_hex(each.get_color()),
        )
        for each in axes.lines
        if each.get_marker() == "o"
    ]
    red, blue, white = VERMILION.lower(), BLUE.lower(), "#ffffff"
    assert marks == [
        (2, pytest.approx(60), red, red),
        (8, pytest.approx(70), red, white),
        (8, pytest.approx(70), blue, white),
    ]
    assert [text.get_text() for text in axes.texts] == ["ours", "cnn"]
    for text, mark in zip(axes.texts, marks[1:], strict=True):  # beside its larger file
        assert text.xy == mark[:2]
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == (
        "log", "file size, KB", "UAR, %",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("uar", "times", "said"),
    [
        (0.2, 10, ("new speakers than all of them", "that of all of them", "those of all of them")),
        (
            0.7,
            4,
            (
                "new speakers than all but mfcc-cnn (70.0 %)",
                "that of all but mfcc-cnn (4.0 x)",
                "those of all but mfcc-cnn (4.0 x)",
            ),
        ),
        (0.2, 7, ("new speakers than all of them", "that of all of them", "but mfcc-cnn (7.0 x)")),
    ],
)
def test_the_table_says_where_ours_falls_short(
    systems: Path, costs: Path, uar: float, times: int, said: tuple[str, ...]
) -> None:
    found = table(costs, (costs.parent, systems / "runs/mfcc-cnn"))
    ours, theirs = found.systems
    reached = ours.independent
    assert reached
    replace = msgspec.structs.replace
    heard = replace(reached, float_uar=replace(reached.float_uar, mean=uar))
    own = replace(reached, int8_uar=replace(reached.float_uar, mean=0.6))
    changed = (
        replace(ours, independent=own),
        replace(theirs, independent=heard, cost=(cost("mfcc-cnn", "float", times),)),
    )
    (sentence,) = verdicts(replace(found, systems=changed))
    assert all(part in sentence for part in said)
    assert sentence in markdown(replace(found, systems=changed))


def test_what_the_table_lacks_is_one_sentence(
    systems: Path, costs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("compare", systems, "--references", costs.parent / "none.json") == 1
    assert "run `undertone-train measure`" in capsys.readouterr().err
    assert train("compare", costs.parent, "--references", costs) == 1
    assert "There is no report on mfcc-cnn" in capsys.readouterr().err
    assert train("compare", systems, "--output", "table.png") == 2
    assert "must end in one of .md, .json" in capsys.readouterr().err
