"""Write a model's report: figures as JSON, CSV and text, pictures, and a page with all of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from sklearn.metrics import classification_report

from undertone.emotions import EMOTIONS
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.embeddings import EmbeddingMap
from undertone_training.metrics import Figures, Predictions, agreement, figures
from undertone_training.report import clip_charts, pictures
from undertone_training.report.breakdown import breakdown, write_breakdown
from undertone_training.report.protocols import LISTENERS_ACCURACY
from undertone_training.report.template import Picture, render


def write_report(
    folder: Path,
    title: str,
    protocol: str,
    predictions_by_form: Mapping[str, Predictions],
    history: Mapping[str, Sequence[float]],
    extra: Mapping[str, Any],
    clips: Iterable[Clip] = (),
    maps: Sequence[EmbeddingMap] = (),
) -> dict[str, Any]:
    """Write the report's files into ``folder`` and return what figures.json holds.

    protocol: its name, shown beside every figure.
    predictions_by_form: for the same test clips, of ``float`` or ``int8`` or both, the form
        that ships last.
    history: ``loss``, ``val_loss``, ``accuracy``... of every epoch; empty for no curves.
    extra: anything else for figures.json and the page, in strict JSON; its
        ``confidence_threshold`` is marked in the coverage curve.
    clips: the tested clips, for the figures by sex and intensity.
    maps: the clips' embeddings by each float network; empty for no picture.
    Raises ValueError without predictions, for forms with different clips, and for values that
    JSON does not have (NaN, infinity).
    """
    if not predictions_by_form:
        raise ValueError("a report needs the predictions of at least one form of the model")
    by_form = {form: figures(given) for form, given in predictions_by_form.items()}
    *others, shipped = predictions_by_form
    predictions = predictions_by_form[shipped]
    content: dict[str, Any] = {
        "title": title,
        "protocol": protocol,
        "speakers": sorted(set(predictions.speakers)),
        "forms": {form: {"protocol": protocol, **each.to_dict()} for form, each in by_form.items()},
        "agreement": {
            f"{form} and {shipped}": agreement(predictions_by_form[form], predictions)
            for form in others
        },
        "extra": dict(extra),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    parts = breakdown(predictions, {clip.clip_id: clip for clip in clips})
    classification = _classification(protocol, predictions_by_form)
    drawn = _draw(protocol, predictions_by_form, by_form, history, extra, parts, maps)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(text, encoding="utf-8")
    for picture in drawn:
        (folder / picture.name).write_bytes(picture.png)
    classes = [
        {"form": form, **msgspec.structs.asdict(row)}
        for form, each in by_form.items()
        for row in each.per_class
    ]
    pd.DataFrame(classes).to_csv(folder / "per-class.csv", index=False)
    write_breakdown(folder, shipped, parts)
    (folder / "classification.txt").write_text(classification, encoding="utf-8")
    page = render(
        "report.html",
        content=content,
        by_form=by_form,
        parts=parts.to_dict("records"),
        classification=classification,
        drawn=drawn,
        extra=json.dumps(content["extra"], indent=2, ensure_ascii=False),
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    return content


def _draw(
    protocol: str,
    predictions_by_form: Mapping[str, Predictions],
    by_form: Mapping[str, Figures],
    history: Mapping[str, Sequence[float]],
    extra: Mapping[str, Any],
    parts: pd.DataFrame,
    maps: Sequence[EmbeddingMap],
) -> list[Picture]:
    shipped = list(by_form)[-1]
    last = by_form[shipped]
    note = f"{protocol} · {last.n_clips:,} clips of {last.n_speakers} speakers"
    known = set(last.labels) == set(EMOTIONS)  # the emotions that the listeners could choose from
    drawn = {
        f"confusion-{form}.png": (
            f"Confusion matrix of the {form} model: share and number of clips.",
            pictures.confusion(each, f"Confusion matrix, {form} model", note),
        )
        for form, each in list(by_form.items())[::-1]
    }
    drawn["recall.png"] = (
        f"Recall of each class; bars: the {shipped} model.",
        pictures.recalls(by_form, note, LISTENERS_ACCURACY if known else None),
    )
    drawn["coverage.png"] = (
        "Accuracy of the verdicts when the least confident clips get none.",
        pictures.coverage(
            predictions_by_form,
            note,
            extra.get("confidence_threshold"),
            extra.get("without_verdict", ()),
        ),
    )
    drawn["reliability.png"] = (
        f"Confidence against accuracy of the {shipped} model.",
        pictures.reliability_diagram(
            predictions_by_form[shipped], last.ece, f"Reliability, {shipped} model", note
        ),
    )
    drawn["breakdown.png"] = (
        f"UAR of the {shipped} model for each speaker and kind of clip.",
        clip_charts.breakdown(parts, last.uar, note),
    )
    if maps:
        drawn["embedding.png"] = (
            "Embeddings of the held-out clips (the input of the float model's last layer), "
            "coloured by true emotion; the network finds clips near each other similar (t-SNE; "
            "the axes mean nothing).",
            clip_charts.embedding(maps, note),
        )
    if history:
        validated = "validation on held-out training speakers"
        by = validated if "val_loss" in history else "no validation speakers"
        drawn["training.png"] = (
            f"Training, epoch by epoch; {by}.",
            pictures.curves(history, f"{protocol} · {by}"),
        )
    return [Picture(name, caption, pictures.png(p)) for name, (caption, p) in drawn.items()]


def _classification(protocol: str, predictions_by_form: Mapping[str, Predictions]) -> str:
    """scikit-learn's report on each form, under its protocol."""
    parts = []
    for form, each in predictions_by_form.items():
        present = sorted(set(each.truth.tolist()))
        report = classification_report(
            each.truth,
            each.predicted,
            labels=present,
            target_names=[each.labels[index] for index in present],
            digits=3,
            zero_division=0,
        )
        parts.append(f"{form} model, {protocol}\n\n{report}")
    return "\n\n".join(parts)
