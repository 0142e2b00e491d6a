"""The documentation against the program: commands parse, links lead somewhere, lists are whole."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest

import bench_figures
import docs_figures
from pages import rewritten
from undertone import cli
from undertone.bench import limits, result
from undertone.cli.options import known_settings
from undertone.events import (
    DaysRemoved,
    DiskRefused,
    Event,
    EventsLost,
    Gap,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)
from undertone.journal.format import parse_line, placed, to_line
from undertone.recognition import bundle
from undertone.recognition.interpreter import InstalledRuntime
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_detector import DetectorConfig
from undertone.recognition.speech_gate import GateConfig
from undertone.recognition.windows import WindowConfig
from undertone_training import cli as training_cli
from undertone_training.evaluation.conditions import (
    ConditionFigures,
    ConditionsReport,
    GroupFigures,
)
from undertone_training.report.facts import (
    Condition,
    Corpus,
    Development,
    Facts,
    IndependentTest,
)
from undertone_training.report.facts import load as load_facts

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
        GateConfig,
        DetectorConfig,
        bundle.Normalization,
        bundle.Activation,
        bundle.Quantization,
        bundle.Training,
    ],
    ids=lambda struct: struct.__name__,
)
def test_the_page_of_the_bundle_has_every_key(struct: type[msgspec.Struct]) -> None:
    keys = [field.name for field in msgspec.structs.fields(struct)]
    assert first_column("bundle.md", struct.__name__) == keys


def test_the_page_of_the_speech_gate_has_every_setting() -> None:
    fields = {field.name: str(field.default) for field in msgspec.structs.fields(GateConfig)}
    del fields["version"]
    assert {row[0].strip("`"): row[1] for row in tables("speech-gate.md")["Settings"]} == fields


def test_no_struct_of_the_manifest_is_left_out() -> None:
    def below(struct: type) -> Iterator[str]:
        yield struct.__name__
        for field in msgspec.structs.fields(struct):
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                yield from below(field.type)

    assert set(below(bundle.Manifest)) <= set(tables("bundle.md"))


SCORES = {"happy": 0.75, "sad": 0.25}
EVENTS = [
    Started(moment(0.0), "USB", "m", "0" * 64, "1"),
    SegmentEnded.of(
        *(0.0, 1.0, -20.0, Verdict.of(SCORES, reason="r", activation=0.5), "m", "0" * 64, "USB")
    ),
    Gap(moment(0.0), 1, "r", "USB"),
    SourceLost(moment(0.0), "USB", "r"),
    SourceBack(moment(0.0), "USB", 1.0),
    EventsLost(moment(0.0), 1, "r"),
    DiskRefused(moment(0.0), 1.0, "r"),
    DaysRemoved(moment(0.0), "2026-11-20", "r"),
    Stopped(moment(0.0), "r", 1.0, 1, "USB"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_the_page_of_the_journal_has_every_key_of_every_event(event: Any) -> None:
    keys = list(msgspec.json.decode(to_line(placed(event, recording=True, demonstration=True))))
    common = first_column("journal.md", "Events")
    assert [*common, *first_column("journal.md", event.kind)] == keys


def test_the_page_of_the_journal_has_every_event() -> None:
    written = {event.kind for event in EVENTS}
    assert set(tables("journal.md")) == {"Events", *written}
    assert {type(event) for event in EVENTS} == {*Event.__subclasses__()}


def test_the_segment_in_the_readme_is_one_that_the_program_reads() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    events = [parse_line(block.replace("\n", " ")) for block in blocks]
    assert [type(event) for event in events if event] == [SegmentEnded]


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


def test_the_examples_of_alerts_are_valid_and_every_key_is_told(tmp_path: Path) -> None:
    from undertone.cli.settings import load_alerts
    from undertone.publish.rules import EmotionRule, NothingHeardRule, parse_rules
    from undertone.publish.secrets import Secrets

    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/publish.md").read_text(), re.DOTALL)
    (tmp_path / "config.toml").write_text(block)
    assert len(parse_rules(load_alerts(tmp_path / "config.toml"), "config.toml")) == 3
    fields = [*msgspec.structs.fields(EmotionRule), *msgspec.structs.fields(NothingHeardRule)]
    rows = {row[0].strip("`"): row[2].strip("`") for row in tables("publish.md")["Alerts"]}
    assert rows.keys() == {"when", *(field.name for field in fields)}
    for field in fields:
        if field.default != msgspec.NODEFAULT and field.default:
            assert rows[field.name] == str(field.default)
    secrets = [field.name for field in msgspec.structs.fields(Secrets)]
    assert first_column("publish.md", "Secrets") == secrets


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
        for one in wanted.checked(benchmark):
            assert one.cpu_share_without_detector <= 0.02
            if not bundle.load(one.bundle).manifest.mfcc.pitch:  # which the stage included then
                assert one.mfcc_saving >= 4  # of four frames at once


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


FORM = {"uar": 0.5, "accuracy": 0.25, "macro_f1": 0.5, "ece": 0.125, "uar_interval95": [0.4, 0.6]}
FORM |= {
    "per_class": [
        {"label": "sad", "precision": 0.25, "recall": 0.75, "f1": 0.375, "support": 9},
        {"label": "calm", "precision": None, "recall": None, "f1": None, "support": 0},
    ]
}
OVER_SEEDS = {
    "uar": {"mean": 0.5, "deviation": 0.01},
    "accuracy": {"mean": 0.25, "deviation": 0.02},
}
LIVE = {
    "protocol": "live, no noise",
    "uar": {"mean": 0.3, "deviation": None},
    "seeds": 1,
    "missed_clips": 7,
    "false_segments": 2,
}
MANIFEST = {
    "name": "m",
    "figures": {
        "protocol": "speaker-independent",
        "forms": {"float": {**FORM, "uar": 0.75}, "int8": FORM},
        "agreement": {"float and int8": 0.99},
        "extra": {
            "splits": ["a", "b"],
            "seed": 7,
            "parameters": 1000,
            "multiply_accumulates": 2_000_000,
            "model_bytes": 2048,
            "seeds": {"numbers": [0, 1, 2], "float": OVER_SEEDS, "int8": OVER_SEEDS},
            "live": {
                "live, no noise": LIVE,
                "live, room noise at 10 dB SNR": LIVE
                | {"protocol": "live, 10 dB", "uar": {"mean": 0.2, "deviation": 0.01}},
            },
            "noise": {
                "x": {
                    "protocol": "noise, x",
                    "duration_s": 1200.0,
                    "false_segments": 2,
                    "named": 1,
                }
            },
        },
    },
}
BREAKDOWN = [
    {"kind": "speaker", "value": "01", "uar": 0.25},
    {"kind": "speaker", "value": "02", "uar": 0.875},
    {"kind": "sex", "value": "female", "uar": 0.625},
    {"kind": "sex", "value": "male", "uar": 0.5},
]
KNOWN = Facts(
    Development(
        ("0" * 64,),
        77,
        "the same folds that the speaker-independent figures come from",
        ("It was another recipe.",),
    ),
    IndependentTest(
        model_sha256="0" * 64,
        version="0.0",
        verdicts_right=0.8,
        verdicts_right_elsewhere=(0.2, 0.4),
        missed_clips=3,
        false_segments=(1, 4),
        held_out=Corpus("RAVDESS, actors 21-24", 8, 0.7),
        corpora=(Corpus("German", 6, 0.4, 0.6, 0.9), Corpus("Urdu", 5, 0.2, 0.3)),
        conditions=(Condition("a room", 0.65),),
    ),
)


def figures_on(corpus: str, condition: str, four_uar: float, right: int = 30) -> ConditionFigures:
    """300 verdicts."""
    return ConditionFigures(
        corpus=corpus,
        condition=condition,
        n_clips=1200,
        n_speakers=4,
        shared_labels=GroupFigures(("happy", "sad"), 800, 0.5, (0.4, 0.6)),
        four_emotions=GroupFigures(("a", "b", "c", "d"), 800, four_uar, (0.125, 0.375)),
        activation=None,
        missed=1,
        verdicts=300,
        right=right,
        ece=0.375,
        accuracy_at_tenths=(0.5, 0.25),
    )


ELSEWHERE = ConditionsReport(
    "cross-corpus",
    "0" * 64,
    (
        figures_on("casia", "zero-shot", 0.25),
        figures_on("ased", "zero-shot", 0.4),
        figures_on("nemo", "leave-one-corpus-out", 0.9, right=300),
    ),
    ("a sample of casia: 1,200 of 1,300 clips, drawn with seed 0", "x"),
)
KNOWN_VOICE = ConditionsReport(
    "known-voice",
    "0" * 64,
    (figures_on("casia", "0 s known", 0.3), figures_on("casia", "60 s known", 0.35)),
)
TESTED = docs_figures.Model(
    ROOT / "models/m",
    MANIFEST,
    BREAKDOWN,
    KNOWN,
    {"cross-corpus": ELSEWHERE, "known-voice": KNOWN_VOICE},
)
OTHER = docs_figures.Model(ROOT / "models/o", MANIFEST | {"name": "o"}, BREAKDOWN, Facts(), {})


def test_the_readme_has_rows_with_their_protocols() -> None:
    lines = docs_figures.readme([TESTED, OTHER]).splitlines()
    rows = [line for line in lines if line.startswith("| ")][2:]
    assert [[cell.strip() for cell in row.strip("|").split("|")][1:] for row in rows] == [
        ["speaker-independent, 2 folds", "**50.0 ± 1.0 %**", "**50.0 ± 1.0 %**"],
        ["live, no noise", "30.0 %", "30.0 %"],
        ["live, 10 dB SNR", "20.0 ± 1.0 %", "20.0 ± 1.0 %"],
        ["final", "70.0 %", "–"],
        ["cross-corpus, zero-shot", "25.0 to 40.0 %", "–"],
        ["known-voice, 60 s", "35.0 %", "–"],
        ["degraded, 8 kHz", "–", "–"],
    ]
    assert "human listeners recognise about 62 % of RAVDESS's clips" in lines[-3]
    assert "about 77 variants" in lines[-1]
    assert "(62 % against 50 %)" in lines[-1]
    assert (
        "Its confidence is calibrated for RAVDESS only; on other corpora, only 10 to 40 % of its "
        "verdicts are correct." in lines[-1]
    )
    assert "`m` recognises women better than men" in lines[-1]
    assert "variants" not in docs_figures.readme([OTHER])


def test_every_row_of_figures_has_its_protocol_and_both_forms() -> None:
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
    page = docs_figures.accuracy([TESTED, OTHER], references)
    lines = page.splitlines()
    assert (
        "| **m**, int8 | speaker-independent, 2 folds | **50.0 ± 1.0 % UAR**, "
        "25.0 ± 2.0 % accuracy; 3 seeds |" in lines
    )
    assert "| **m**, float | " in page
    wanted = "speaker-independent, 2 folds, seed 7"
    assert f"| protocol of the next rows | {wanted} | {wanted} |" in lines
    assert "| UAR | 50.0 % | 50.0 % |" in lines
    assert "| UAR, live, no noise | 30.0 %; 1 seed | 30.0 %; 1 seed |" in lines
    assert "| false segments in sounds without speech | 2 in 20 min | 2 in 20 min |" in lines
    assert "| m, int8, speaker-independent | precision | recall | F1 | clips |" in lines
    assert "| sad | 25.0 % | 75.0 % | 37.5 % | 9 |" in lines
    assert "| calm | – | – | – | 0 |" in lines
    assert "| cnn | 40.0 % | 40.0 % | 26.0 x | 20.0 x | 10.0 x | 9.0 x |" in lines
    assert "takes 15 of its 16 ms" in page


def test_the_page_of_accuracy_says_what_weakens_the_figures() -> None:
    page = docs_figures.accuracy([TESTED, OTHER], {})
    assert "About 77 variants" in page
    assert "Women are recognised better than men: 62.5 % UAR against 50.0 %." in page
    assert "the UAR ranges from 25.0 % to 87.5 %" in page
    assert "| RAVDESS, actors 21-24 | 8 | 70.0 % | 12.5 % | – | – |" in page
    assert "| German | 6 | 40.0 % | 16.7 % | 60.0 % | 90.0 % |" in page
    assert "| a room | 65.0 % |" in page
    assert "3 clips were missed and there were 1 to 4 false segments" in page
    assert "80 % are correct; on the other corpora only 20 to 40 %" in page
    assert "Not tested independently of development: `o`." in page


def test_the_page_of_accuracy_has_other_corpora_with_their_protocol_and_their_sample() -> None:
    page = docs_figures.accuracy([TESTED, OTHER], {})
    assert "| cross-corpus | condition | clips | speakers | UAR of four emotions |" in page
    assert (
        "| casia | zero-shot | 1,200 | 4 | 25.0 % | 12.5 to 37.5 % | 50.0 % of 2 | – | 25.0 % "
        "| 10.0 % | 0.375 |" in page
    )
    assert "A sample of casia: 1,200 of 1,300 clips, drawn with seed 0. X." in page
    assert "| nemo | leave-one-corpus-out | 1,200 | 4 | 90.0 % |" in page
    assert page.count("](../models/m/report/coverage-by-corpus.png)") == 1
    assert "Other corpora" not in docs_figures.accuracy([OTHER], {})


def test_the_page_of_the_benchmark_has_the_endurance() -> None:
    run = {
        "audio_h": 24.01,
        "segments": 17_000,
        "lost": 1,
        "doubled": 0,
        "faults": {"disk full": {"thrown": 12, "in_the_journal": 11}},
        "memory": {"settled_mb": 70.21, "largest_growth_mb": 0.31},
    }
    microphone = {"real_time_min": 30.2, "faults": {"server killed": run["faults"]["disk full"]}}
    measured = {"processor_s": 0.9, "peak_memory_mb": 23.4}
    soak = {
        "file": run,
        "microphone": run | microphone,
        "events": 10_000_000,
        "size_mb": 4400,
        "summary": measured,
        "summary_without_stored_ones": measured,
    }
    lines = bench_figures.figures(
        [], bench_figures.growth(), bench_figures.publish(), soak
    ).splitlines()
    assert (
        "| a file, as fast as possible | 24.0 h | 1 lost, 0 repeated, of 17,000 | 11 of 12 "
        "| 70.2 MB, then at most +0.3 MB |" in lines
    )
    assert "The injected faults: disk full, server killed." in lines
    assert any(
        line.startswith("`undertone journal summary` summarises 10,000,000") for line in lines
    )


@pytest.mark.parametrize("path", docs_figures.pages(), ids=name)
def test_the_pages_have_the_figures_of_this_tree(path: Path) -> None:
    assert path.read_text() == docs_figures.pages()[path], "run make figures"


def test_the_facts_are_of_the_weights_that_ship() -> None:
    known = load_facts(docs_figures.FACTS)
    shas = {each.name: each.manifest["model_sha256"] for each in docs_figures.models()}
    described = [sha for each in known.development for sha in each.model_sha256]
    assert sorted(described) == sorted(shas.values())
    assert {each.model_sha256 for each in known.independent} <= {*shas.values()}
    assert known.of("f" * 64) == Facts()


def test_the_figures_are_those_of_the_report_beside_the_manifest() -> None:
    for folder in bundle.installed_bundles().values():
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
        report = msgspec.json.decode((folder / "report/figures.json").read_bytes())
        if not manifest["figures"]:
            pytest.skip(f"{folder.name} was not tested yet")
        for key in ("protocol", "speakers", "forms", "agreement"):
            assert manifest["figures"][key] == report[key], (folder.name, key)


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no part between"):
        rewritten("# Undertone", docs_figures.BEGIN, "figures")
