"""Write the figures in README.md and docs/, and the model cards.

``make figures`` runs it.  The figures come from the manifests and reports in models/; what else is
known about the weights from models/facts.toml; the reference systems from
docs/references/table.json, written by ``undertone-train compare --references``; the speech gate
from docs/speech-gate/, written by ``undertone-train measure-gate``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import bench_figures
from pages import rewritten, table
from undertone.recognition import bundle
from undertone_training.detection.measure import GateReport
from undertone_training.evaluation.conditions import (
    ConditionFigures,
    ConditionsReport,
    load_reports,
)
from undertone_training.evaluation.device_protocols import ZERO_SHOT
from undertone_training.references.picture import picture
from undertone_training.references.table import Table, markdown
from undertone_training.report.breakdown import read_breakdown
from undertone_training.report.card import model_card
from undertone_training.report.conditions import COVERAGE_PICTURE, curves_of
from undertone_training.report.conditions import markdown as markdown_of
from undertone_training.report.facts import Facts
from undertone_training.report.facts import load as load_facts
from undertone_training.report.pictures import coverage_by_corpus, png
from undertone_training.report.protocols import (
    LISTENERS_ACCURACY,
    percent,
    percent_interval,
    percent_spread,
)
from undertone_training.report.template import macros

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ACCURACY = ROOT / "docs" / "accuracy.md"
REFERENCES = ROOT / "docs" / "references" / "table.json"
SPEECH_GATE = ROOT / "docs" / "speech-gate.md"
FACTS = ROOT / "models" / "facts.toml"
BEGIN = "<!-- figures: written by tools/docs_figures.py -->"

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
"""Others on RAVDESS speech, with 8 emotions unless stated otherwise, as their authors report."""


@dataclass(frozen=True)
class Model:
    """One bundle that was tested, and all that is known about its figures.

    breakdown: the rows of its report's breakdown.csv.
    conditions: its reports of other corpora and degraded sound, by protocol.
    """

    folder: Path
    manifest: Mapping[str, Any]
    breakdown: Sequence[Mapping[str, Any]]
    facts: Facts
    conditions: Mapping[str, ConditionsReport]

    @property
    def name(self) -> str:
        """The bundle's name."""
        return str(self.manifest["name"])

    @property
    def is_of_one_corpus(self) -> bool:
        """Whether it was trained and tested on RAVDESS, by other speakers."""
        return bool(self.figures["protocol"].startswith("speaker-independent"))

    @property
    def figures(self) -> Mapping[str, Any]:
        """What its evaluation found."""
        figures: Mapping[str, Any] = self.manifest["figures"]
        return figures


def models() -> list[Model]:
    """The bundles of this tree that were tested: of one corpus, the default first; then others."""
    known = load_facts(FACTS)
    found = []
    for path in sorted((ROOT / "models").glob(f"*/{bundle.MANIFEST_FILE}")):
        manifest = json.loads(path.read_bytes())
        if manifest["figures"]:
            breakdown = read_breakdown(path.parent / "report").to_dict("records")
            of_it = known.of(manifest["model_sha256"])
            conditions = load_reports(path.parent / "report", manifest["model_sha256"])
            found.append(Model(path.parent, manifest, breakdown, of_it, conditions))
    return sorted(found, key=lambda each: not each.is_of_one_corpus)


def pages() -> dict[Path, str]:
    """Every file that this command writes, with the figures of the bundles in this tree."""
    found = models()
    references = json.loads(REFERENCES.read_bytes())
    return {
        README: rewritten(README.read_text(), BEGIN, readme(found)),
        ACCURACY: rewritten(ACCURACY.read_text(), BEGIN, accuracy(found, references)),
        REFERENCES.with_suffix(".md"): f"{markdown(reference_table())}\n",
        SPEECH_GATE: rewritten(SPEECH_GATE.read_text(), BEGIN, speech_gate(gate_reports())),
        **{
            each.folder / "README.md": model_card(each.manifest, each.folder / "report", each.facts)
            for each in found
        },
    }


def reference_table() -> Table:
    """The reference systems compared with ours."""
    return msgspec.json.decode(REFERENCES.read_bytes(), type=Table)


def gate_reports() -> list[GateReport]:
    """What the speech gate made of each corpus."""
    return [
        msgspec.json.decode(path.read_bytes(), type=GateReport)
        for path in sorted(SPEECH_GATE.with_suffix("").glob("*.json"))
    ]


def speech_gate(reports: Sequence[GateReport]) -> str:
    """The part of the page about the speech gate: speech in noise, then sounds without speech."""
    found = [
        (
            _MEASURED[report.corpus],
            each.condition,
            f"{each.missed} of {each.clips}",
            str(each.merged),
            str(each.false_segments),
            *(
                f"{shift.mean_ms:.0f} / {shift.percentile_90_ms:.0f}" if shift else "–"
                for shift in (each.start, each.end)
            ),
        )
        for report in reports
        for each in report.found
    ]
    head = ("clips", "condition", "missed", "merged", "false", "start moves, ms", "end moves, ms")
    sounds = reports[0].mistaken
    mistaken = [
        (
            title,
            f"{sum(each.minutes for each in chosen):.0f}",
            str(sum(each.segments for each in chosen)),
        )
        for title, chosen in (
            ("generated for this measurement", [s for s in sounds if s.kind == "generated sounds"]),
            ("recorded noise that training uses", [s for s in sounds if s.trained_with]),
            (
                "recorded noise of another kind",
                [s for s in sounds if s.kind == "recorded noise" and not s.trained_with],
            ),
            ("synthetic sounds", [s for s in sounds if s.kind == "made sounds"]),
        )
    ]
    return "\n\n".join(
        (
            table(head, found, left=2),
            table(("sounds without speech", "minutes", "false segments"), mistaken),
        )
    )


_MEASURED = {
    "choosing": "CREMA-D and nEMO, which the settings are chosen with",
    "ravdess": "RAVDESS, which only tests",
}


def readme(models: Sequence[Model]) -> str:
    """The README's part, without its markers: a few rows, and what to know about them.

    Raises KeyError for a key that is missing.
    """
    tests = [each.facts.independent for each in models]
    rows = [
        [
            "people whom it was not trained on, in a studio",
            _protocol(models[0].figures),
            *(f"**{_uar_of_seeds(each)}**" if each.is_of_one_corpus else "–" for each in models),
        ],
        [
            "the same clips in one long recording, a quiet room",
            "live, no noise",
            *(_live(each, "live, no noise") for each in models),
        ],
        [
            "the same in a noisy room",
            "live, 10 dB SNR",
            *(_live(each, "live, room noise at 10 dB SNR") for each in models),
        ],
        *(
            [title, f"{protocol}, {name}", *(_four(each, protocol, condition) for each in models)]
            for title, protocol, name, condition in _ELSEWHERE
        ),
    ]
    if not all(each.is_of_one_corpus for each in models):
        uars = ("–" if each.is_of_one_corpus else _uar_of_seeds(each) for each in models)
        what = "a corpus left out of the training, all its emotions"
        rows.append([what, "leave-one-corpus-out", *uars])
    if any(tests):
        uars = (percent(test.held_out.uar) if test else "–" for test in tests)
        rows.insert(3, ["four people who played no part in development", "final", *uars])
    first = models[0]
    blocks = [
        table(["UAR, int8 model", "protocol", *(f"`{one.name}`" for one in models)], rows, left=2),
        "UAR is the mean over the emotions of the share of clips that are recognised correctly. "
        "Guessing gives 12.5 % with eight emotions and 25 % with four; human listeners recognise "
        f"{LISTENERS[2].removesuffix(' accuracy')} of RAVDESS's clips.",
    ]
    if first.facts.development:
        women, men = (
            next(row["uar"] for row in first.breakdown if row["value"] == sex)
            for sex in ("female", "male")
        )
        blocks.append(
            f"Take the figures with care: about {first.facts.development.variants_judged} variants "
            "were tested on the speakers of the first row before the best was kept, and the noise "
            f"of the third was known by then. `{first.name}` recognises women better than men "
            f"({100 * women:.0f} % against {100 * men:.0f} %). Its confidence is calibrated for "
            f"RAVDESS only{_right_elsewhere(first)}. "
            "[More about that](docs/accuracy.md#how-far-these-figures-can-be-trusted)."
        )
    return "\n\n".join(blocks)


def accuracy(models: Sequence[Model], references: Mapping[str, Any]) -> str:
    """The part of docs/accuracy.md, without its markers.

    references: what ``undertone-train compare --references`` wrote as JSON, or empty.
    Raises KeyError for a key that is missing.
    """
    caveats = macros("caveats.md")
    within = [each for each in models if each.is_of_one_corpus]
    ours = [row for each in within for row in _compared(each.figures, each.name)]
    blocks = [
        "## New speakers",
        table(
            ["RAVDESS speech, 8 emotions, sound alone", "protocol", "figure"],
            [LISTENERS, *ours, *PUBLISHED],
            left=2,
        ),
        "UAR is the mean of the eight recalls; guessing gives 12.5 %. Systems were tested on "
        "different speakers and folds, so a difference of a few points between rows means little. "
        "Where no measure is named, the source does not say which.",
        "## The int8 models side by side",
        _side_by_side(models),
        "*Live*: the same held-out clips in one long recording with pauses, played through the "
        "whole device path.",
        "## Each emotion",
        *(_each_emotion(each) for each in models),
        *(
            f"![Confusion matrix of {each.name}, int8, {each.figures['protocol']}]"
            f"(../models/{each.folder.name}/report/confusion-int8.png)"
            for each in models
        ),
        *_conditions(models),
        "## How far these figures can be trusted",
        *(
            f"{', '.join(f'`{one.name}`' for one in models if one.facts.development == each)}: "
            f"{caveats.selection(each)}"
            for each in dict.fromkeys(one.facts.development for one in models)
            if each
        ),
        *(f"`{each.name}`: {caveats.speakers(each.breakdown)}" for each in models),
        *_elsewhere(models),
        *_instead(references),
    ]
    return "\n\n".join(filter(None, blocks))


def _elsewhere(models: Sequence[Model]) -> Iterator[str]:
    """The figures that were measured independently of development."""
    for each in models:
        if test := each.facts.independent:
            yield f"## Other speakers, languages and sound: `{each.name}`"
            yield macros("caveats.md").independent(test)
    if untested := [f"`{each.name}`" for each in models if not each.facts.independent]:
        yield f"Not tested independently of development: {', '.join(untested)}."


def _conditions(models: Sequence[Model]) -> Iterator[str]:
    """Other corpora and degraded sound, through the device path."""
    if not any(each.conditions for each in models):
        return
    yield "## Other corpora and degraded sound"
    yield macros("caveats.md").conditions()
    yield (
        "CASIA is Chinese, ASED Amharic, nEMO Polish and CREMA-D English, here without anything "
        "above 5.5 kHz. No network was tested on a corpus that any stage of its training saw. "
        "Nothing of the `ravdess8` models was chosen by CASIA and ASED; some of the others was "
        "(see below)."
    )
    for each in models:
        for report in each.conditions.values():
            yield f"`{each.name}`:"
            yield markdown_of(report, f"../models/{each.folder.name}/report")


def _uar_of_seeds(model: Model) -> str:
    return percent_spread(**model.figures["extra"]["seeds"]["int8"]["uar"])


def _live(model: Model, condition: str) -> str:
    live = model.figures["extra"].get("live", {})
    return percent_spread(**live[condition]["uar"]) if condition in live else "–"


_ELSEWHERE = (
    (
        "other corpora and languages, four emotions only",
        "cross-corpus", ZERO_SHOT, ZERO_SHOT,
    ),
    (
        "the same, after a minute of the same voice (samples)",
        "known-voice", "60 s", "60 s known",
    ),
    (
        "one of them (ASED, a sample) as on the telephone",
        "degraded", "8 kHz", "8 kHz, as on the telephone",
    ),
)  # fmt: skip
"""Rows of the README: what was tested, the protocol, and the condition in short and in full."""


def _four(model: Model, protocol: str, condition: str) -> str:
    """UAR of four emotions under a condition, lowest and highest of the corpora."""
    found = [each.four_emotions for each in _tested(model, protocol, condition)]
    uars = [each.uar for each in found if each]
    if len(uars) < 2:
        return percent(uars[0]) if uars else "–"
    return percent_interval((min(uars), max(uars)))


def _right_elsewhere(model: Model) -> str:
    """How many of the verdicts on other corpora are correct, as an addition to a sentence."""
    corpora = _tested(model, "cross-corpus", ZERO_SHOT)
    shares = [each.right / each.verdicts for each in corpora if each.verdicts]
    if test := model.facts.independent:
        shares += test.verdicts_right_elsewhere
    if not shares:
        return ""
    low, high = 100 * min(shares), 100 * max(shares)
    return f"; on other corpora, only {low:.0f} to {high:.0f} % of its verdicts are correct"


def _tested(model: Model, protocol: str, condition: str) -> Sequence[ConditionFigures]:
    """Its figures under a condition, one for each corpus."""
    report = model.conditions.get(protocol)
    return [each for each in report.conditions if each.condition == condition] if report else ()


def _compared(figures: Mapping[str, Any], name: str) -> list[Row]:
    return [
        (f"**{name}**, {form}", _protocol(figures), _reached(figures, form))
        for form in reversed(figures["forms"])
    ]


def _each_emotion(model: Model) -> str:
    form = list(model.figures["forms"])[-1]
    rows = [
        [
            row["label"],
            *("–" if row[k] is None else percent(row[k]) for k in ("precision", "recall", "f1")),
            str(row["support"]),
        ]
        for row in model.figures["forms"][form]["per_class"]
    ]
    head = f"{model.name}, {form}, {model.figures['protocol']}"
    return table([head, "precision", "recall", "F1", "clips"], rows)


def _reached(figures: Mapping[str, Any], form: str) -> str:
    """UAR and accuracy: of all seeds where there are several, else of the one."""
    one, seeds = figures["forms"][form], figures["extra"].get("seeds")
    if not seeds or len(seeds["numbers"]) < 2:
        return f"**{percent(one['uar'])} UAR**, {percent(one['accuracy'])} accuracy"
    uar, accuracy = (percent_spread(**seeds[form][name]) for name in ("uar", "accuracy"))
    return f"**{uar} UAR**, {accuracy} accuracy; {len(seeds['numbers'])} seeds"


def _protocol(figures: Mapping[str, Any]) -> str:
    return f"{figures['protocol']}, {count(len(figures['extra']['splits']), 'fold')}"


def _side_by_side(models: Sequence[Model]) -> str:
    """The int8 figures and the size of each bundle; the cards have the other figures."""
    columns = [dict(_rows(each.figures)) for each in models]
    titles = dict.fromkeys(title for column in columns for title in column)
    rows = ([title, *(column.get(title, "") for column in columns)] for title in titles)
    return table(["The int8 model", *(f"`{each.name}`" for each in models)], rows)


def _rows(figures: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    one = list(figures["forms"].values())[-1]
    extra = figures["extra"]
    seed = f", seed {extra['seed']}" if "seed" in extra else ""
    yield "protocol of the next rows", f"{_protocol(figures)}{seed}"
    yield "UAR", percent(one["uar"])
    yield "95 % interval of the UAR, over actors", percent_interval(one["uar_interval95"])
    yield "macro F1", percent(one["macro_f1"])
    yield "expected calibration error", f"{one['ece']:.3f}"
    if counts := extra.get("verdicts"):
        yield "clips with a verdict", percent(counts["verdicts"] / counts["clips"])
        yield "correct verdicts", percent(counts["right"] / counts["verdicts"])
    for live in extra.get("live", {}).values():
        seeds = count(live["seeds"], "seed")
        yield f"UAR, {live['protocol']}", f"{percent_spread(**live['uar'])}; {seeds}"
    if noise := extra.get("noise"):
        minutes = sum(kind["duration_s"] for kind in noise.values()) / 60
        false = sum(kind["false_segments"] for kind in noise.values())
        yield "false segments in sounds without speech", f"{false} in {minutes:.0f} min"
    yield "parameters", f"{extra['parameters']:,}"
    yield "multiply-accumulates per window", f"{extra['multiply_accumulates'] / 1e6:.2f} million"
    yield "`model.tflite`", f"{extra['model_bytes'] / 1024:.1f} KB"


def _instead(references: Mapping[str, Any]) -> Iterable[str]:
    """The reference systems compared with ours: accuracy, and cost relative to ours."""
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
        # our network behind librosa was only timed, not trained on librosa's features
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
        "system", "*speaker-independent* UAR",
        "*speaker-dependent* accuracy, inflated", "file", "features + inference",
        "with speech detection", "memory",
    ]  # fmt: skip
    yield "## Compared with other systems"
    yield table(head, rows)
    yield (
        "Five published systems and LIGHT-SERNet, rebuilt and trained on the same clips, in the "
        "form in which they are used: librosa and a float Keras model. File size, latency of 3 s "
        "of sound (one thread) and peak memory are relative to our int8 model, measured in one "
        f"run. Only ours detects speech first, which takes {detection:.0f} of its {whole:.0f} ms. "
        "[The reference systems](references.md) says how they were rebuilt and what their authors "
        "report. Figures with ± are from several seeds, the others from one; for the other "
        "systems, two validation actors choose the epoch."
    )


def count(number: int, thing: str) -> str:
    """A number with its noun."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def main() -> None:
    """Rewrite the files in place, the charts of the cards, and docs/benchmark.md with its own."""
    for path, text in pages().items():
        path.write_text(text)
    for each in models():
        if corpora := [row for one in each.conditions.values() for row in curves_of(one)]:
            chart = png(coverage_by_corpus(corpora))
            (each.folder / "report" / COVERAGE_PICTURE).write_bytes(chart)
    REFERENCES.with_suffix(".png").write_bytes(png(picture(reference_table())))
    bench_figures.main()


if __name__ == "__main__":
    main()
