"""The documentation against the program: commands parse, links lead somewhere, lists are whole."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import click
import msgspec
import pytest

from undertone import cli
from undertone.bench import limits, result
from undertone.cli.options import known_settings
from undertone.events import (
    Gap,
    Scores,
    SegmentHeard,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
)
from undertone.journal import DaysRemoved, DiskRefused, EventsLost, parse_line, to_line
from undertone.recognition import bundle
from undertone.recognition.interpreter import InstalledRuntime
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.windows import WindowConfig
from undertone_training import cli as training_cli

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "models").glob("*/README.md")),
    *sorted((ROOT / "device").glob("**/README.md")),
]
FIGURES = result.figure_names()
PROGRAMS = {"undertone": cli.undertone, "undertone-train": training_cli.undertone_train}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(page: Path) -> Iterator[str]:
    """Command lines: in blocks of code, and in table cells and sentences between backticks."""
    text = page.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    for line in [*lines, *re.findall(r"`(undertone(?:-train)? [^`]+)`", text)]:
        if re.match(r"undertone(-train)? ", line) and not line.endswith(":"):
            yield line


COMMANDS = sorted({(name(page), line) for page in PAGES for line in commands(page)})


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_shown_command_line_is_one_that_the_program_takes(page: str, line: str) -> None:
    # `$(undertone samples)` is the shell's, `… > file` as well, NAME and others stand for values
    program, *arguments = shlex.split(re.sub(r"\$\([^)]*\)", "clip.wav", line).split(" > ")[0])
    context = click.Context(PROGRAMS[program], info_name=program)
    try:
        parse(PROGRAMS[program], context, arguments)
    except click.ClickException as error:
        pytest.fail(f"{page}: {line}: {error.format_message()}")


def parse(command: click.Command, parent: click.Context, arguments: list[str]) -> None:
    """Go down the groups and parse the last command's arguments; executes nothing."""
    while isinstance(command, click.Group):
        if not arguments:
            return
        first, *arguments = arguments
        below = command.get_command(parent, first)
        if below is None:
            raise click.UsageError(f"there is no command {first}")
        command = below
    with_data = {"data": "corpora"}  # what UNDERTONE_DATA gives
    if {"-h", "--help"} & set(arguments) or (not arguments and has_required_argument(command)):
        return  # the help, or a command that is only mentioned
    command.make_context(command.name, arguments, parent=parent, default_map=with_data)


def has_required_argument(command: click.Command) -> bool:
    return any(p.required for p in command.params if isinstance(p, click.Argument))


def anchors(text: str) -> set[str]:
    """The headings' anchors, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_pictures_lead_to_something(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_names_a_folder_of_the_machine_that_it_was_written_on(page: Path) -> None:
    assert not re.search(r"(?<![\w.~])/(work|home|root|tmp|mnt|Users)/", page.read_text())
    assert "../shared" not in page.read_text()


def tables(page: str) -> dict[str, list[list[str]]]:
    """Rows of the tables of a page of docs, by the heading that they stand under."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (ROOT / "docs" / page).read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip("`")
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(heading, []).append(cells)
    return found


def first_column(page: str, heading: str) -> list[str]:
    return [row[0].strip("`") for row in tables(page).get(heading, [])]


@pytest.mark.parametrize(
    "struct",
    [
        bundle.Manifest,
        MfccConfig,
        WindowConfig,
        bundle.Normalization,
        bundle.Quantization,
        bundle.Training,
    ],
    ids=lambda struct: struct.__name__,
)
def test_the_page_of_the_bundle_has_every_key(struct: type[msgspec.Struct]) -> None:
    keys = [field.name for field in msgspec.structs.fields(struct)]
    assert first_column("bundle.md", struct.__name__) == keys


def test_no_struct_of_the_manifest_is_left_out() -> None:
    def below(struct: type) -> Iterator[str]:
        yield struct.__name__
        for field in msgspec.structs.fields(struct):
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                yield from below(field.type)

    assert set(below(bundle.Manifest)) <= set(tables("bundle.md"))


SCORES = Scores({"happy": 0.75, "sad": 0.25})
EVENTS = [
    Started(0.0, "USB", "m", "0" * 64, "1"),
    SegmentHeard(0.0, 1.0, -20.0, Verdict(SCORES, "happy"), "m", "0" * 64),
    Gap(0.0, 1, "r"),
    SourceLost(0.0, "USB", "r"),
    SourceBack(0.0, "USB", 1.0),
    EventsLost(0.0, 1, "r"),
    DiskRefused(0.0, 1.0, "r"),
    DaysRemoved(0.0, "2026-11-20", "r"),
    Stopped(0.0, "r", 1.0, 1),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_the_page_of_the_journal_has_every_key_of_every_event(event: Any) -> None:
    keys = list(msgspec.json.decode(to_line(event, recording=True)))
    common = first_column("journal.md", "Events")
    assert [*common, *first_column("journal.md", event.kind)] == keys


def test_the_page_of_the_journal_has_every_event() -> None:
    written = {event.kind for event in EVENTS}
    assert set(tables("journal.md")) == {"Events", *written}
    assert {type(event) for event in EVENTS} == {*journal_events()}


def journal_events() -> Iterator[type]:
    from typing import get_args

    from undertone.journal.format import JournalEvent

    return iter(get_args(JournalEvent))


def test_the_segment_in_the_readme_is_one_that_the_program_reads() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    records = [parse_line(block.replace("\n", " ")) for block in blocks]
    assert [type(record.event) for record in records if record] == [SegmentHeard]


def test_the_page_of_the_configuration_has_every_setting() -> None:
    rows = tables("configuration.md")["Settings"]
    settings = known_settings()
    assert [row[0].strip("`") for row in rows] == list(settings)
    for row, option in zip(rows, settings.values(), strict=True):
        assert row[1].strip("`") == option.envvar
        if isinstance(option.type, click.Choice):
            assert re.findall(r"`(.+?)`", row[2]) == list(option.type.choices)
        if isinstance(option.default, str | int | float):
            assert row[3] == f"`{option.default}`"


def test_the_example_of_a_settings_file_is_valid(tmp_path: Path) -> None:
    from undertone.cli.settings import load_default_map

    for page in ("configuration.md", "raspberry-pi.md"):
        for block in re.findall(
            r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL
        ):
            path = tmp_path / "config.toml"
            path.write_text(block)
            assert load_default_map(path, known_settings())


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("model", [name for name in FIGURES if name.startswith("model.")]),
        ("stages", [name for name in FIGURES if name.startswith("stages.")]),
        ("Measurement", [name for name in FIGURES if not name.startswith(("model.", "stages."))]),
    ],
)
def test_the_page_of_the_benchmark_has_every_figure(heading: str, names: list[str]) -> None:
    told = first_column("benchmark.md", heading)
    if heading == "Measurement":
        assert sorted(told) == sorted(names)
    else:
        assert told == list(dict.fromkeys(name.split(".")[1] for name in names))


def test_the_page_of_the_benchmark_has_every_runtime() -> None:
    assert first_column("benchmark.md", "Runtimes") == [*get_args(InstalledRuntime)]


def test_the_stored_benchmarks_have_the_schema_of_this_version() -> None:
    folder = ROOT / "docs/bench"
    assert (folder / "schema.json").read_text() == result.schema()
    for stored in folder.glob("machine-*.json"):
        assert result.to_json(result.read(stored)) == stored.read_text()


def test_the_stored_benchmarks_keep_the_limits_of_this_version() -> None:
    wanted = limits.load(ROOT / "docs/bench/limits.toml")
    for stored in (ROOT / "docs/bench").glob("machine-*.json"):
        benchmark = result.read(stored)
        assert not list(limits.broken(benchmark, wanted))
        for one in wanted.held(benchmark):
            assert one.cpu_share_without_detector <= 0.02
            assert one.mfcc_saving >= 5


def test_the_example_of_limits_is_valid(tmp_path: Path) -> None:
    page = (ROOT / "docs/benchmark.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "limits.toml").write_text(block)
    for stored in (ROOT / "docs/bench").glob("machine-*.json"):
        (tmp_path / "before.json").write_bytes(stored.read_bytes())
    found = limits.load(tmp_path / "limits.toml")
    assert found.at_most
    assert found.ratio_at_most
    assert found.baseline


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "readme_figures", ROOT / "tools/readme_figures.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_of_figures_has_its_protocol_and_both_forms(tool: ModuleType) -> None:
    one = {
        "uar": 0.5,
        "accuracy": 0.25,
        "macro_f1": 0.5,
        "ece": 0.125,
        "uar_interval95": [0.4, 0.6],
    }
    spread = {
        "uar": {"mean": 0.5, "deviation": 0.01},
        "accuracy": {"mean": 0.25, "deviation": 0.02},
    }
    live = {
        "protocol": "live, no noise",
        "uar": {"mean": 0.3, "deviation": None},
        "seeds": 1,
        "missed_clips": 7,
        "false_segments": 2,
    }
    noise = {"protocol": "noise, x", "duration_s": 1200.0, "false_segments": 2, "named": 1}
    manifest = {
        "name": "m",
        "figures": {
            "protocol": "speaker-independent",
            "forms": {"float": {**one, "uar": 0.75}, "int8": one},
            "agreement": {"float and int8": 0.99},
            "extra": {
                "splits": ["a", "b"],
                "seed": 7,
                "parameters": 1000,
                "multiply_accumulates": 2_000_000,
                "model_bytes": 2048,
                "seeds": {"numbers": [0, 1, 2], "float": spread, "int8": spread},
                "live": {"no noise": live},
                "noise": {"x": noise},
            },
        },
    }
    run = {
        "audio_h": 24.01,
        "segments": 17_000,
        "lost": 1,
        "doubled": 0,
        "faults": {"disk full": {"thrown": 12, "in_the_journal": 11}},
        "memory": {"settled_mb": 70.21, "largest_growth_mb": 0.31},
    }
    microphone = {"real_time_min": 30.2, "faults": {"server killed": run["faults"]["disk full"]}}
    figures = {"processor_s": 0.9, "peak_memory_mb": 23.4}
    soak = {
        "file": run,
        "microphone": run | microphone,
        "events": 10_000_000,
        "size_mb": 4400,
        "summary": figures,
        "summary_without_stored_ones": figures,
    }
    spread = {"mean": 0.4, "deviation": None}
    reached = {"float_uar": spread, "float_accuracy": spread, "int8_uar": None}
    system = {
        "recipe": "cnn",
        "published": {},
        "independent": reached,
        "dependent": [reached],
        "ratios": {"float": {"file": 26.04, "latency": 20.0, "whole": 10.0, "memory": 9.0}},
    }
    cost = {"form": "int8", "detection": {"p50_ms": 15.1}, "whole": {"p50_ms": 16.4}}
    ours = {"recipe": "ours", "published": None, "independent": None, "dependent": []}
    references = {"systems": [ours | {"cost": [cost], "ratios": {}}, system]}
    lines = tool.part(
        [manifest, {"name": "untested", "figures": {}}], [], soak, references
    ).splitlines()
    assert (
        "| **m**, int8 | speaker-independent, 2 folds | **50.0 ± 1.0 % UAR**, "
        "25.0 ± 2.0 % accuracy; 3 seeds |" in lines
    )
    assert "| **m**, float | " in "\n".join(lines)
    assert "| protocol of the next figures | speaker-independent, 2 folds, seed 7 |" in lines
    assert "| UAR | 50.0 % |" in lines
    assert "| UAR, live, no noise | 30.0 %; 1 seed |" in lines
    assert "| sounds in which nobody speaks, taken for speech | 2 in 20 min |" in lines
    assert not any("untested" in line for line in lines)
    assert (
        "| a file, as fast as it can be heard | 24.0 h | 1 lost, 0 doubled, of 17,000 | 11 of 12 "
        "| 70.2 MB, then at most +0.3 MB |" in lines
    )
    assert "The faults: disk full, server killed." in lines
    assert "| cnn | 40.0 % | 40.0 % | 26.0 x | 20.0 x | 10.0 x | 9.0 x |" in lines
    assert any("takes 15 of its 16 ms" in line for line in lines)
    assert any(line.startswith("`undertone journal summary` adds up 10,000,000") for line in lines)


def test_the_readme_has_the_figures_of_this_tree(tool: ModuleType) -> None:
    assert (ROOT / "README.md").read_text() == tool.current(), "run make readme"


def test_the_figures_are_those_of_the_report_beside_the_manifest() -> None:
    for folder in bundle.installed_bundles().values():
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
        report = msgspec.json.decode((folder / "report/figures.json").read_bytes())
        if not manifest["figures"]:
            pytest.skip(f"{folder.name} was not tested yet")
        for key in ("protocol", "speakers", "forms", "agreement"):
            assert manifest["figures"][key] == report[key], (folder.name, key)


def test_a_readme_without_the_markers_is_refused(tool: ModuleType) -> None:
    with pytest.raises(ValueError, match="no part between"):
        tool.rewritten("# Undertone", tool.BEGIN, "figures")
