"""The model card: what a bundle is and is for, how accurate it is, and where its data are from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undertone_training.evaluation.conditions import ConditionsReport, load_reports
from undertone_training.report.breakdown import read_breakdown
from undertone_training.report.conditions import markdown
from undertone_training.report.facts import Facts
from undertone_training.report.protocols import LISTENERS_ACCURACY
from undertone_training.report.template import render

_HELD_OUT = ("speaker-independent", "leave-one-corpus-out", "published-folds", "live")
"""Protocols that test each model on speakers it was not trained on."""


def model_card(
    manifest: Mapping[str, Any],
    report: Path,
    facts: Facts | None = None,
    conditions: Mapping[str, ConditionsReport] | None = None,
) -> str:
    """The README.md of a bundle.

    manifest: manifest.json as a dictionary, with the figures that ``write_report`` returned, the
        shipped form last.  Their ``extra`` holds ``model_bytes``, ``multiply_accumulates`` (of one
        window) and ``command`` (what made the model); and, where they are known, ``seeds``
        (``numbers``, and by form the ``uar``'s ``mean`` and ``deviation``), ``verdicts`` (see
        ``results.Verdicts``), ``live`` (by condition ``protocol``, ``uar``, ``seeds``,
        ``missed_clips`` and ``false_segments``) and ``noise`` (by kind ``protocol``,
        ``duration_s``, ``false_segments`` and ``named``).
    report: the folder that ``write_report`` wrote, for the figures by sex and speaker.
    facts: what else is known about this model.
    conditions: its reports of other corpora and degraded sound, by protocol; None takes those in
        ``report``.
    Raises jinja2.UndefinedError for a key that is missing.
    """
    if conditions is None:
        conditions = load_reports(report, manifest["model_sha256"])
    training, figures = manifest["training"], manifest["figures"]
    trained = {*training["train_speakers"], *training["validation_speakers"]}
    tested = {*figures["speakers"]} if figures["protocol"].startswith(_HELD_OUT) else set()
    return render(
        "card.md",
        manifest=manifest,
        training=training,
        figures=figures,
        extra=figures["extra"],
        n_trained=len(trained),
        n_both=len(trained & tested),
        parts=read_breakdown(report).to_dict("records"),
        facts=facts or Facts(),
        listeners=LISTENERS_ACCURACY,
        conditions=[markdown(each, "report") for each in conditions.values()],
    )
