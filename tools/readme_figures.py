"""Write the README's figures anew: the part between the two markers, never by hand.

``make readme`` runs it.  Accuracy comes from the manifests in models/, cost from docs/bench/,
one file a machine and runtime, each written by ``undertone bench --format json``, endurance
from docs/soak/, written by ``make soak`` and ``make journal-scale``, the reference systems from
docs/references/table.json, written by ``undertone-train compare --references``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pages import rewritten, table
from undertone.bench import result
from undertone.bench.result import Benchmark, Measurement
from undertone.recognition import bundle
from undertone_training.report.protocols import (
    LISTENERS_ACCURACY,
    percent,
    percent_interval,
    percent_spread,
)

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BENCHMARKS = ROOT / "docs" / "bench"
SOAKS = ROOT / "docs" / "soak"
REFERENCES = ROOT / "docs" / "references" / "table.json"
BEGIN = "<!-- figures: written by tools/readme_figures.py -->"

Row = tuple[str, str, str]

_LEAVE_ONE_OUT = "speaker-independent, leave one speaker out"
_ACTOR_FOLDS = "speaker-independent, actor folds"
LISTENERS: Row = (
    "Human listeners (Livingstone & Russo 2018)",
    "listening test",
    f"about {100 * LISTENERS_ACCURACY:.0f} % accuracy",
)
PUBLISHED: tuple[Row, ...] = (
    ("XLS-R 300M, frozen, linear", _LEAVE_ONE_OUT, "81.9 % UAR"),
    ("xlsr-wav2vec2, fine-tuned (Luna-Jiménez 2022)", "published-folds", "81.8 % accuracy"),
    ("WavLM-Large (EmoBox)", _ACTOR_FOLDS, "72.0 %"),
    ("HuBERT-base (EmoBox)", _ACTOR_FOLDS, "66.2 %"),
    ("1D CNN, 132.8 k parameters, 6 emotions only", "2 unseen actors", "66.5 % accuracy"),
    ("ComParE features, linear", _LEAVE_ONE_OUT, "63.6 % UAR"),
    (
        "ResLSTM-SA, 46.8 k parameters (DSPA 2026)",
        "speaker-independent, 5 folds",
        "62.3 ± 1.2 % UAR",
    ),
    ("eGeMAPS features, linear", _LEAVE_ONE_OUT, "53.1 % UAR"),
    ("MFCC and prosody, linear", _LEAVE_ONE_OUT, "50.5 % UAR"),
    ("TIM-Net", "*speaker-dependent*: random clips, 10 folds; inflated", "90.1 %"),
)
"""Others on RAVDESS speech, 8 emotions unless it is said otherwise, as their authors report."""


def part(
    manifests: Iterable[Mapping[str, Any]],
    benchmarks: Iterable[Benchmark],
    soak: Mapping[str, Any],
    references: Mapping[str, Any],
) -> str:
    """The README's part, without its markers.

    manifests: as dictionaries; one without figures (it was never tested) is left out.
    benchmarks: one of each machine.
    soak: ``file``, ``microphone`` and ``summary``, as the soaks printed them, or less of it.
    references: what ``undertone-train compare --references`` wrote as JSON, or empty.
    Raises KeyError for a key that is missing.
    """
    manifests = [manifest for manifest in manifests if manifest["figures"]]
    ours = [row for manifest in manifests for row in _compared(manifest)]
    blocks = [
        table(
            ["RAVDESS speech, 8 emotions, sound alone", "protocol", "figure"],
            [LISTENERS, *ours, *PUBLISHED],
            left=2,
        ),
        "UAR is the mean of the eight recalls; guessing gives 12.5 %. Systems were tested on "
        "different speakers and folds, so a difference of a few points between rows means little; "
        "where no measure is named, it is not known which was meant. "
        "[Protocols](docs/protocols.md) says what each figure means.",
        _side_by_side(manifests),
        "*Live*: the same held-out clips laid into one long recording with pauses, heard through "
        "the whole device path. The model cards below have the float model's figures, those of "
        "each emotion, and more.",
        *_cost(benchmarks),
        *_instead(references),
        *_endurance(soak),
    ]
    return "\n\n".join(blocks)


def current() -> str:
    """The README as the bundles and benchmarks in this tree want it."""
    manifests = [
        json.loads((folder / bundle.MANIFEST_FILE).read_bytes())
        for folder in bundle.installed_bundles().values()
    ]
    benchmarks = [result.read(path) for path in sorted(BENCHMARKS.glob("machine-*.json"))]
    soak: dict[str, Any] = {}
    for path in sorted(SOAKS.glob("*.json")):
        soak |= json.loads(path.read_bytes())
    references = json.loads(REFERENCES.read_bytes()) if REFERENCES.exists() else {}
    figures = part(manifests, benchmarks, soak, references)
    return rewritten(README.read_text(), BEGIN, figures)


def _compared(manifest: Mapping[str, Any]) -> list[Row]:
    figures = manifest["figures"]
    return [
        (
            f"**{manifest['name']}**, {form}",
            _protocol(figures),
            _reached(figures, form),
        )
        for form in reversed(figures["forms"])
    ]


def _reached(figures: Mapping[str, Any], form: str) -> str:
    """UAR and accuracy: of all seeds where there are several, else of the one."""
    one, seeds = figures["forms"][form], figures["extra"].get("seeds")
    if not seeds or len(seeds["numbers"]) < 2:
        return f"**{percent(one['uar'])} UAR**, {percent(one['accuracy'])} accuracy"
    uar, accuracy = (percent_spread(**seeds[form][name]) for name in ("uar", "accuracy"))
    return f"**{uar} UAR**, {accuracy} accuracy; {len(seeds['numbers'])} seeds"


def _protocol(figures: Mapping[str, Any]) -> str:
    return f"{figures['protocol']}, {_count(len(figures['extra']['splits']), 'fold')}"


def _side_by_side(manifests: Sequence[Mapping[str, Any]]) -> str:
    """What each bundle reaches and is, the int8 model's figures; the cards have the others."""
    columns = [dict(_facts(manifest["figures"])) for manifest in manifests]
    titles = dict.fromkeys(title for column in columns for title in column)
    rows = ([title, *(column.get(title, "") for column in columns)] for title in titles)
    return table(["The int8 model", *(f"`{one['name']}`" for one in manifests)], rows)


def _facts(figures: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    one = list(figures["forms"].values())[-1]
    extra = figures["extra"]
    seed = f", seed {extra['seed']}" if "seed" in extra else ""
    yield "protocol of the next figures", f"{_protocol(figures)}{seed}"
    yield "UAR", percent(one["uar"])
    yield "95 % interval of the UAR, over actors", percent_interval(one["uar_interval95"])
    yield "macro F1", percent(one["macro_f1"])
    yield "expected calibration error", f"{one['ece']:.3f}"
    if counts := extra.get("verdicts"):
        yield "clips that get a verdict", percent(counts["verdicts"] / counts["clips"])
        yield "verdicts that are right", percent(counts["right"] / counts["verdicts"])
    for live in extra.get("live", {}).values():
        seeds = _count(live["seeds"], "seed")
        yield f"UAR, {live['protocol']}", f"{percent_spread(**live['uar'])}; {seeds}"
    if noise := extra.get("noise"):
        minutes = sum(kind["duration_s"] for kind in noise.values()) / 60
        false = sum(kind["false_segments"] for kind in noise.values())
        yield "sounds in which nobody speaks, taken for speech", f"{false} in {minutes:.0f} min"
    yield "parameters", f"{extra['parameters']:,}"
    yield "multiply-accumulates of a window", f"{extra['multiply_accumulates'] / 1e6:.2f} million"
    yield "`model.tflite`", f"{extra['model_bytes'] / 1024:.1f} KB"


def _cost(benchmarks: Iterable[Benchmark]) -> Iterable[str]:
    """What a machine pays with one thread, one row for each bundle and runtime."""
    for benchmark in benchmarks:
        machine = benchmark.machine
        head = [
            f"Cost on one core: {machine.processor}, Python {machine.python}",
            "file",
            "one invoke, p50 / p99",
            "silence",
            "speech",
            "memory",
            "verdict after speech",
            "cold start",
        ]
        alone = [one for one in benchmark.measurements if one.threads == 1]
        yield table(head, (_cost_row(benchmark, one) for one in alone))
        yield (
            "*Silence* and *speech*: the share of a core that `undertone listen` takes while it "
            "hears them in real time, and *memory* what it holds then; *verdict after speech*: the "
            "longest from its end to its event, most of it the pause that ends a segment; *cold "
            "start*: `undertone classify` of one clip from start to end. "
            "[How it is measured](docs/benchmark.md), and what a PC does not say about a Pi."
        )


def _cost_row(benchmark: Benchmark, one: Measurement) -> Sequence[str]:
    invoke = one.stages.invoke
    return (
        f"{one.bundle}, {one.runtime}",
        f"{benchmark.model(one).file_bytes / 1024:.0f} KB",
        f"{invoke.p50_ms:.3f} / {invoke.p99_ms:.3f} ms",
        f"{100 * one.silence.cpu_share:.2f} %",
        f"{100 * one.speech.cpu_share:.2f} %",
        f"{one.speech.memory_bytes / 2**20:.0f} MB",
        f"{one.event_delay_s + one.stages.event.max_ms / 1000:.2f} s",
        f"{one.cold_start.p50_ms / 1000:.2f} s",
    )


def _instead(references: Mapping[str, Any]) -> Iterable[str]:
    """The reference systems beside ours: accuracy, and what they take as times ours."""
    if not references:
        return

    def reached(figures: Mapping[str, Any] | None, form: str, what: str) -> str:
        spread = figures and figures[f"{form}_{what}"]
        return percent_spread(**spread) if spread else "–"

    def row(system: Mapping[str, Any], form: str) -> tuple[str, ...]:
        ours = system["published"] is None
        name, ratios = system["recipe"], system["ratios"][form]
        if ours:
            name = f"**{name}**, {form}" if form == "int8" else f"{name}, librosa and Keras"
        # ours behind librosa is a cost alone: nobody trained it on librosa's features
        independent = None if ours and form == "float" else system["independent"]
        return (
            name,
            reached(independent, form, "uar"),
            ", ".join(reached(each, form, "accuracy") for each in system["dependent"]) or "–",
            *(f"{ratios[what]:.1f} x" for what in ("file", "latency", "whole", "memory")),
        )

    rows = [
        row(system, form)
        for system in references["systems"]
        for form in (("int8", "float") if system["published"] is None else ("float",))
        if form in system["ratios"]
    ]
    own = next(one for one in references["systems"][0]["cost"] if one["form"] == "int8")
    detection, whole = (own[stage]["p50_ms"] for stage in ("detection", "whole"))
    head = [
        "Beside what you would pick instead", "*speaker-independent* UAR",
        "*speaker-dependent* accuracy, inflated", "file", "features + inference",
        "with speech detection", "memory",
    ]  # fmt: skip
    yield table(head, rows)
    yield (
        "Five published systems and LIGHT-SERNet, rebuilt and trained on the same clips, as they "
        "are used: librosa and a float Keras model. File, latency of 3 s of sound (one thread) and "
        "peak memory are times ours, measured in one run. Ours alone looks for the speech first, "
        f"which takes {detection:.0f} of its {whole:.0f} ms. "
        "[The reference systems](docs/references.md) tells how they were rebuilt and what their "
        "authors report. What has a ± is of several seeds, the rest of one; two validation actors "
        "choose the epoch of theirs."
    )


def _endurance(soak: Mapping[str, Any]) -> Iterable[str]:
    """How long it listened with faults thrown in, and what a long journal costs to sum up."""

    def row(title: str, sound: str, run: Mapping[str, Any]) -> tuple[str, ...]:
        thrown = sum(fault["thrown"] for fault in run["faults"].values())
        told = sum(fault["in_the_journal"] for fault in run["faults"].values())
        memory = run["memory"]
        return (
            title,
            sound,
            f"{run['lost']} lost, {run['doubled']} doubled, of {run['segments']:,}",
            f"{told} of {thrown}",
            f"{memory['settled_mb']:.1f} MB, then at most {memory['largest_growth_mb']:+.1f} MB",
        )

    rows = []
    if run := soak.get("file"):
        rows.append(row("a file, as fast as it can be heard", f"{run['audio_h']:.1f} h", run))
    if run := soak.get("microphone"):
        rows.append(row("a virtual microphone", f"{run['real_time_min']:.0f} min", run))
    if rows:
        head = ["Endurance", "sound", "segments", "faults told in the journal", "memory"]
        yield table(head, rows)
        runs = [soak[name] for name in ("file", "microphone") if name in soak]
        names = {name for run in runs for name in run["faults"]}
        yield f"The faults: {', '.join(sorted(names))}."
    if summary := soak.get("summary"):
        without = soak["summary_without_stored_ones"]
        yield (
            f"`undertone journal summary` adds up {soak['events']:,} events "
            f"({soak['size_mb'] / 1024:.1f} GB) in {summary['processor_s']:.1f} s of processor "
            f"time and {summary['peak_memory_mb']:.0f} MB; where it has to read every line, in "
            f"{without['processor_s']:.0f} s and {without['peak_memory_mb']:.0f} MB."
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def main() -> None:
    """Rewrite README.md in place."""
    README.write_text(current())


if __name__ == "__main__":
    main()
