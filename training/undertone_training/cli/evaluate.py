"""``undertone-train evaluate``: figures of runs on clips that they never saw."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.corpora.clip import Clip
    from undertone_training.figures import Predictions
    from undertone_training.runs import Run


@click.command(
    epilog="""\b
Examples:
  undertone-train evaluate runs/compact
  undertone-train evaluate runs/compact --protocol live
  undertone-train evaluate runs/compact/final --protocol cross-corpus
  undertone-train evaluate runs/compact/final --split validation
"""
)
@click.argument("folder", type=common.FOLDER)
@common.data
@common.cache
@common.jobs
@click.option(
    "--protocol",
    type=click.Choice(["own", "cross-corpus", "live"]),
    default="own",
    show_default=True,
    help="own: the clips that each run's protocol held out; live: the same in one long "
    "recording, through the device path; cross-corpus: every other corpus at hand.",
)
@click.option(
    "--split",
    "side",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which clips; of a final run the test clips are actors 21-24, for who has them.",
)
def command(
    folder: Path, data: Path, cache: Path, jobs: int | None, protocol: str, side: str
) -> None:
    """Test every quantised run in FOLDER, float and int8, and write reports.

    Each run gets a report of its own; the folds of one protocol and seed are put together in
    FOLDER/report, with mean and deviation over seeds.
    """
    from undertone_training.runs import find_runs

    runs = find_runs(folder)
    clips = common.clips_by_id(data)
    if protocol == "live":
        _live(folder, runs, clips, data)
    elif protocol == "cross-corpus":
        _cross_corpus(runs, clips, cache, jobs)
    else:
        _own(folder, runs, clips, side, cache, jobs)


def _own(
    folder: Path,
    runs: "Sequence[Run]",
    clips: "dict[str, Clip]",
    side: str,
    cache: Path,
    jobs: int | None,
) -> None:
    """Each run on the clips that it held out; the folds of a protocol put together."""
    pooled: dict[tuple[str, str], dict[int, list[dict[str, Predictions]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in runs:
        info = run.info
        held_out = common.chosen(clips, info.test if side == "test" else info.validation)
        protocol = info.protocol if side == "test" else f"{info.protocol} (validation actors)"
        predictions = _predict(run, held_out, cache, jobs)
        _report(run, run.report / side, predictions, protocol)
        pooled[info.recipe.name, protocol][info.seed].append(predictions)
    for (recipe, protocol), seeds in pooled.items():
        _pool(folder / "report", recipe, protocol, seeds)


def _cross_corpus(
    runs: "Sequence[Run]", clips: "dict[str, Clip]", cache: Path, jobs: int | None
) -> None:
    """Each run on every corpus that it was not trained on, as far as its labels go."""
    for run in runs:
        info = run.info
        for corpus in sorted({clip.corpus for clip in clips.values()} - set(info.corpora)):
            foreign = [
                clip
                for clip in clips.values()
                if clip.corpus == corpus and clip.emotion in info.labels
            ]
            predictions = _predict(run, foreign, cache, jobs)
            folder = run.report / f"cross-corpus-{corpus}"
            _report(run, folder, predictions, f"cross-corpus ({corpus})")


def _live(folder: Path, runs: "Sequence[Run]", clips: "dict[str, Clip]", data: Path) -> None:
    """Each run's held-out clips in one long recording, and the folds put together."""
    common.load_tensorflow()
    from undertone_training.evaluate import evaluate_live
    from undertone_training.figures import figures
    from undertone_training.report.protocols import percent

    noise = sorted((data / "noise").glob("*.flac"))
    pooled: dict[float | None, list[Any]] = defaultdict(list)
    for run in runs:
        held_out = common.chosen(clips, run.info.test)
        for snr_db, heard in evaluate_live(run, held_out, noise).items():
            pooled[snr_db].append(heard)
    content = {}
    for snr_db, parts in pooled.items():
        name = "no noise" if snr_db is None else f"room noise at {snr_db:.0f} dB SNR"
        seconds = sum(part.recording_s for part in parts)
        result = {
            "protocol": f"live, {name}",
            **figures(_joined([part.predictions for part in parts])).to_dict(),
            "missed_clips": sum(part.missed for part in parts),
            "false_segments": sum(part.false_segments for part in parts),
            "recording_s": round(seconds, 1),
        }
        content[name] = result
        click.echo(
            f"live, {name}: UAR {percent(result['uar'])}, {result['missed_clips']} of "
            f"{result['n_clips']} clips missed, {result['false_segments']} false segments in "
            f"{seconds / 60:.0f} min"
        )
    _write(folder / "report" / "live.json", content)


def _predict(
    run: "Run", clips: "Sequence[Clip]", cache: Path, jobs: int | None
) -> "dict[str, Predictions]":
    info = run.info
    features = common.features_of(clips, info.recipe, cache, jobs, str(run.folder), copies=False)
    common.load_tensorflow()
    from undertone_training.evaluate import evaluate_run

    return evaluate_run(run, features)


def _report(run: "Run", folder: Path, predictions: "dict[str, Predictions]", protocol: str) -> None:
    from undertone_training.report import write_report

    info, calibration = run.info, run.calibration
    write_report(
        folder,
        f"{info.recipe.name}, {info.split}, seed {info.seed}",
        protocol,
        predictions,
        run.epochs(),
        {
            "seed": info.seed,
            "split": info.split,
            "commit": info.commit,
            "machine": info.machine,
            "fit_s": round(calibration.fit_s, 1),
            "temperature": calibration.temperature,
            "confidence_threshold": calibration.threshold,
        },
    )
    _say(f"{run.folder} {protocol}", predictions)


def _pool(
    folder: Path,
    recipe: str,
    protocol: str,
    seeds: "dict[int, list[dict[str, Predictions]]]",
) -> None:
    """One report over all folds of each seed, and the spread over the seeds."""
    import msgspec

    from undertone_training.figures import figures, mean_and_deviation
    from undertone_training.report import write_report

    name = protocol.replace(" ", "-").replace("(", "").replace(")", "")
    over_seeds: dict[str, list[Any]] = defaultdict(list)
    for seed, parts in seeds.items():
        joined = {form: _joined([part[form] for part in parts]) for form in parts[0]}
        extra = {"seed": seed, "splits": len(parts)}
        write_report(folder / name / f"seed{seed}", recipe, protocol, joined, {}, extra)
        for form, predictions in joined.items():
            over_seeds[form].append(figures(predictions))
        _say(f"{recipe} {protocol} seed {seed}, {len(parts)} splits", joined)
    content = {
        "protocol": protocol,
        "recipe": recipe,
        "seeds": sorted(seeds),
        **{
            form: msgspec.to_builtins(mean_and_deviation(each)) for form, each in over_seeds.items()
        },
    }
    _write(folder / f"{name}.json", content)


def _joined(parts: "Sequence[Predictions]") -> "Predictions":
    from undertone_training.figures import Predictions

    return Predictions.concatenate(parts)


def _say(what: str, predictions: "dict[str, Predictions]") -> None:
    from undertone_training.figures import figures
    from undertone_training.report.protocols import percent, percent_interval

    for form, each in predictions.items():
        found = figures(each)
        click.echo(
            f"{what}, {form}: UAR {percent(found.uar)} ({percent_interval(found.uar_interval95)}), "
            f"accuracy {percent(found.accuracy)}"
        )


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
