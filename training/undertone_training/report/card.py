"""The model card: what a bundle is, how good, for what, and whose data it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from undertone_training.report.breakdown import read_breakdown
from undertone_training.report.facts import Development, Facts
from undertone_training.report.protocols import (
    LISTENERS_ACCURACY,
    NOISE_HEAD,
    meaning,
    noise_row,
    percent,
    percent_interval,
    percent_spread,
    verdicts,
)
from undertone_training.report.template import macros

_RESPONSIBLE_USE = """\
- It learnt how actors with North American voices *play* emotions, on two sentences, in a studio.
  It does not know what anyone feels, and hears other voices, languages, ages and rooms worse.
- Judge no person by it: not for hiring, teaching, policing, credit, health or safety. Use it
  where a wrong verdict does no harm, and expect wrong verdicts.
- Ask everyone who can be heard before it listens. The device stores labels and times, never audio,
  unless its owner asks for it; a log of moods is personal data all the same.
- The EU AI Act (Regulation (EU) 2024/1689, Article 5(1)(f)) forbids systems that infer emotions at
  workplaces and in schools, but for medical or safety reasons.\
"""

_SOURCES = {
    "ravdess": """\
The clips are from RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song
(CC BY-NC-SA 4.0): Livingstone SR, Russo FA (2018), PLoS ONE 13(5): e0196391,
<https://doi.org/10.1371/journal.pone.0196391>. The weights inherit its licence: no commercial
use.""",
    "nemo": """\
It first learnt from nEMO (CC BY-NC-SA 4.0): Christop I (2024), nEMO: Dataset of Emotional Speech in
Polish, LREC-COLING 2024, <https://arxiv.org/abs/2404.06292>. The same licence holds.""",
}
"""What the licence of a corpus asks to be said."""


def model_card(manifest: Mapping[str, Any], report: Path, facts: Facts | None = None) -> str:
    """The README.md of a bundle.

    manifest: manifest.json as a dictionary.  Read are ``name``, ``version``, ``labels``,
        ``model_sha256``, ``mfcc``, ``window``, ``temperature``, ``confidence_threshold``,
        ``training`` (``corpora``, ``train_speakers``, ``validation_speakers``, ``recipe``'s
        ``name``, ``seed``, ``licence``), ``tools``, ``commit`` and ``figures``: what
        ``write_report`` returned, the shipped form last; its ``extra`` holds ``model_bytes``,
        ``multiply_accumulates`` (of one window) and ``command`` (what made the model); and,
        where they are known, ``seeds`` (``numbers``, and by form the ``uar``'s ``mean`` and
        ``deviation``), ``verdicts`` (see ``results.Verdicts``), ``live`` (by condition
        ``protocol``, ``uar``, ``missed_clips`` and ``false_segments``) and ``noise`` (by kind
        ``protocol``, ``duration_s``, ``false_segments`` and ``named``).
    report: the folder that ``write_report`` wrote, for the figures by sex and speaker.
    facts: what else is known of this model.
    Raises KeyError for a key that is missing.
    """
    figures, facts = manifest["figures"], facts or Facts()
    caveats = macros("caveats.md")
    parts = [
        f"# {manifest['name']}",
        _headline(figures),
        _origin(manifest, figures),
        f"A bundle for Undertone, version {manifest['version']}: a full-int8 TensorFlow Lite model "
        f"that hears {len(manifest['labels'])} emotions in speech, from MFCC, on small devices.",
        "## Figures",
        _figures_table(figures),
        _seeds(figures),
        _verdicts(figures["extra"].get("verdicts")),
        _live(figures["extra"].get("live", {})),
        _noise(figures["extra"].get("noise", {})),
        _comparison(),
        "## Each class",
        _classes_table(figures),
        "## How far these figures can be trusted",
        caveats.selection(facts.development) if facts.development else "",
        caveats.speakers(read_breakdown(report)),
        caveats.independent(facts.independent)
        if facts.independent
        else "This model was not tested apart from development.",
        "## Input and output",
        _interface(manifest),
        "## Cost",
        _cost(figures["extra"], manifest),
        "## Limits and responsible use",
        _RESPONSIBLE_USE,
        "## Data and licence",
        _data(manifest["training"]),
        "## How it was made",
        _making(manifest, figures["extra"], facts.development),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _shipped(figures: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    form = list(figures["forms"])[-1]
    return form, figures["forms"][form]


def _headline(figures: Mapping[str, Any]) -> str:
    form, shipped = _shipped(figures)
    protocol = figures["protocol"]
    meant = f" ({meaning(protocol)})" if meaning(protocol) else ""
    seeds = figures["extra"].get("seeds")
    several = bool(seeds) and len(seeds["numbers"]) > 1
    reached = percent_spread(**seeds[form]["uar"]) if several else percent(shipped["uar"])
    over = f"; mean and deviation over {len(seeds['numbers'])} seeds" if several else ""
    interval = (seeds[form] if several else shipped)["uar_interval95"]
    return (
        f"**{reached} UAR, {protocol}**{meant}"
        f"{over}; 95 % interval {percent_interval(interval)} by bootstrap over "
        f"{shipped['n_speakers']} speakers, {shipped['n_clips']:,} clips, {form} model."
    )


def _origin(manifest: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Tell when the shipped weights have heard the speakers that the figures were taken on."""
    training = manifest["training"]
    heard = {*training["train_speakers"], *training["validation_speakers"]}
    tested = set(figures["speakers"])
    unheard = ("speaker-independent", "published-folds", "live")
    if not figures["protocol"].startswith(unheard) or not heard & tested:
        return ""
    return (
        "The figures are a cross-validation's: of models made by the same recipe, each tested on "
        "speakers that it never heard. The weights here were then trained on "
        f"{len(heard)} speakers, {len(heard & tested)} of the {len(tested)} tested ones included, "
        "and have no figure of their own."
    )


def _figures_table(figures: Mapping[str, Any]) -> str:
    forms = figures["forms"]
    each = forms.values()
    rows = [
        ("UAR", [percent(one["uar"]) for one in each]),
        ("95 % interval", [percent_interval(one["uar_interval95"]) for one in each]),
        ("accuracy", [percent(one["accuracy"]) for one in each]),
        ("95 % interval", [percent_interval(one["accuracy_interval95"]) for one in each]),
        ("macro F1", [percent(one["macro_f1"]) for one in each]),
        ("expected calibration error", [f"{one['ece']:.3f}" for one in each]),
    ]
    table = _table(
        [figures["protocol"], *(f"{form} model" for form in forms)],
        ([name, *values] for name, values in rows),
    )
    same = [
        f"Models {pair} say the same of {percent(share)} of the clips."
        for pair, share in figures["agreement"].items()
    ]
    return "\n\n".join([table, *same])


def _seeds(figures: Mapping[str, Any]) -> str:
    seeds = figures["extra"].get("seeds")
    if not seeds or len(seeds["numbers"]) < 2:
        return ""
    spreads = (f"{percent_spread(**seeds[form]['uar'])} ({form})" for form in figures["forms"])
    numbers = ", ".join(map(str, seeds["numbers"]))
    return (
        f"UAR, {figures['protocol']}, mean and standard deviation over the seeds {numbers}: "
        f"{', '.join(spreads)}."
    )


def _verdicts(counts: Mapping[str, int] | None) -> str:
    """What the confidence threshold gives and costs."""
    return f"{verdicts(counts)}." if counts else ""


def _live(live: Mapping[str, Any]) -> str:
    """What remains through the whole device path."""
    if not live:
        return ""
    rows = (
        [
            each["protocol"],
            percent_spread(**each["uar"]),
            str(each["seeds"]),
            str(each["missed_clips"]),
            str(each["false_segments"]),
        ]
        for each in live.values()
    )
    return _table(["protocol", "UAR", "seeds", "clips missed", "segments of noise"], rows)


def _noise(noise: Mapping[str, Any]) -> str:
    """What it makes of sounds that are no speech."""
    if not noise:
        return ""
    return _table(NOISE_HEAD, map(noise_row, noise.values()))


def _comparison() -> str:
    return (
        f"For comparison: human listeners name about {100 * LISTENERS_ACCURACY:.0f} % of RAVDESS's "
        "speech clips rightly (mean; Livingstone & Russo 2018). Figures of a random split "
        "(*speaker-dependent*: the tested speakers were heard in training) are inflated, by about "
        "7 to 13 points, and not to be compared with these."
    )


def _classes_table(figures: Mapping[str, Any]) -> str:
    form, shipped = _shipped(figures)
    rows = [
        [
            row["label"],
            *("–" if row[k] is None else percent(row[k]) for k in ("precision", "recall", "f1")),
            str(row["support"]),
        ]
        for row in shipped["per_class"]
    ]
    head = [f"{form} model, {figures['protocol']}", "precision", "recall", "F1", "clips"]
    return _table(head, rows)


def _interface(manifest: Mapping[str, Any]) -> str:
    mfcc, window = manifest["mfcc"], manifest["window"]
    rate = mfcc["sample_rate_hz"]
    hop_s = mfcc["hop_length"] / rate
    # a window of n frames lasts n - 1 hops and the last frame's length
    window_s = (window["frames"] - 1) * hop_s + mfcc["frame_length"] / rate
    judged = (
        "training speakers held out for validation"
        if manifest["training"]["validation_speakers"]
        else "the development folds' judgements of speakers that each had not heard"
    )
    return "\n".join(
        [
            f"- **Sound**: mono, {rate:,} Hz, 16 bit; the speech that the gate lets through.",
            f"- **Features**: {mfcc['n_coefficients']} MFCC of frames of "
            f"{1000 * mfcc['frame_length'] / rate:g} ms every {1000 * hop_s:g} ms, "
            f"{mfcc['n_filters']} mel filters from {mfcc['low_hz']:g} to {mfcc['high_hz']:g} Hz "
            "(python_speech_features, Hamming window), standardised per coefficient.",
            f"- **Window**: {window['frames']} frames ({window_s:.2f} s), a new one every "
            f"{window['hop']} ({window['hop'] * hop_s:.2f} s); int8.",
            *_voices(window["vocal_tracts"]),
            f"- **Output**: int8 logits of {', '.join(manifest['labels'])}, in this order; softmax "
            f"with temperature {manifest['temperature']:.3g}.",
            "- **Verdict**: mean of the windows' log-probabilities; *uncertain* below a confidence "
            f"of {manifest['confidence_threshold']:.2f}. Temperature and threshold were fitted on "
            f"{judged}.",
        ]
    )


def _voices(factors: Sequence[float]) -> list[str]:
    if tuple(factors) == (1.0,):
        return []
    named = " and ".join(f"{factor:g}" for factor in factors)
    return [
        f"- **Voices**: each window is heard {len(factors)} times, with its spectrum stretched by "
        f"{named} as by another vocal tract; the mean of the logits counts."
    ]


def _cost(extra: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    millions = extra["multiply_accumulates"] / 1e6
    return (
        f"`model.tflite` has {extra['model_bytes']:,} bytes and takes {millions:.2f} million "
        "multiply-accumulates a window. `undertone bench` measures its time and memory on your "
        f"machine.\n\nSHA-256: `{manifest['model_sha256']}`"
    )


def _data(training: Mapping[str, Any]) -> str:
    corpora = ", ".join(training["corpora"])
    validated = (
        f"validated on {', '.join(training['validation_speakers'])}"
        if training["validation_speakers"]
        else "temperature and threshold from the development folds, each of which judged speakers "
        "that it had not heard"
    )
    lines = [
        f"Corpora: {corpora}. Trained on the speakers {', '.join(training['train_speakers'])}; "
        f"{validated}.",
        f"Licence of the weights: {training['licence']}",
    ]
    lines += [said for corpus, said in _SOURCES.items() if corpus in training["corpora"]]
    return "\n\n".join(lines)


def _making(
    manifest: Mapping[str, Any], extra: Mapping[str, Any], development: Development | None
) -> str:
    training = manifest["training"]
    tools = _table(["tool", "version"], ([k, v] for k, v in manifest["tools"].items()))
    before = training["recipe"].get("begins_with")
    begun = f" It begins with what `{before}` learnt." if before else ""
    reasons = development.not_reproducible if development else ()
    warning = "".join(f"\n- {reason}" for reason in reasons)
    if reasons:
        warning = f"\n\n**This command does not give the weights in this folder.**\n{warning}"
    return (
        f"```\n{extra['command']}\n```\n\nRecipe `{training['recipe']['name']}`, seed "
        f"{training['seed']}, commit `{manifest['commit']}`.{begun} The whole recipe stands "
        f"in `manifest.json`.{warning}\n\n{tools}"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, its first column left, the others right."""
    titles = list(head)
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
