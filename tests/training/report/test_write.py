"""The report: complete, strict, self-contained."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from example_report import BY_FORM, EXTRA, HISTORY, PROTOCOL, predictions
from sklearn.metrics import classification_report

from undertone.emotions import EMOTIONS
from undertone_training.metrics import Predictions, figures
from undertone_training.report.write import write_report

FILES = {
    "figures.json",
    "per-class.csv",
    "breakdown.csv",
    "classification.txt",
    "report.html",
    "confusion-float.png",
    "confusion-int8.png",
    "recall.png",
    "coverage.png",
    "reliability.png",
    "breakdown.png",
    "embedding.png",
    "training.png",
}


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def test_the_report_has_all_its_files(report: tuple[Path, dict[str, Any]]) -> None:
    assert {path.name for path in report[0].iterdir()} == FILES


def test_the_page_of_the_workbench_has_every_file() -> None:
    page = (Path(__file__).parents[3] / "docs" / "workbench.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in FILES)


def test_figures_json_is_strict_and_is_what_was_returned(
    report: tuple[Path, dict[str, Any]],
) -> None:
    folder, returned = report
    read = json.loads((folder / "figures.json").read_text("utf-8"), parse_constant=refuse)

    assert read == returned
    assert read["protocol"] == PROTOCOL
    assert read["speakers"] == ["01", "02", "03", "04"]
    assert read["extra"] == EXTRA
    assert 0.7 < read["agreement"]["float and int8"] < 1
    for form, given in BY_FORM.items():
        plain = read["forms"][form]
        assert plain.pop("protocol") == PROTOCOL
        assert plain == figures(given).to_dict()


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "report"

    with pytest.raises(ValueError, match="JSON"):
        write_report(folder, "x", PROTOCOL, BY_FORM, {}, {"seconds": float("nan")})
    assert not folder.exists()


def test_forms_with_predictions_for_other_clips_are_refused(tmp_path: Path) -> None:
    other = predictions(labels=("calm", "sad"))

    with pytest.raises(ValueError, match="same clips"):
        write_report(tmp_path, "x", PROTOCOL, {"float": other, "int8": BY_FORM["int8"]}, {}, {})
    with pytest.raises(ValueError, match="at least one"):
        write_report(tmp_path, "x", PROTOCOL, {}, {}, {})


def test_the_table_per_class_has_a_row_for_each_form_and_class(
    report: tuple[Path, dict[str, Any]],
) -> None:
    rows = list(csv.DictReader(io.StringIO((report[0] / "per-class.csv").read_text("utf-8"))))

    assert [(row["form"], row["label"]) for row in rows] == [
        (form, label) for form in ("float", "int8") for label in EMOTIONS
    ]
    happy = figures(BY_FORM["float"]).per_class[2]
    assert float(rows[2]["recall"]) == happy.recall
    assert int(rows[2]["support"]) == happy.support


def test_the_text_is_scikit_learns_report_under_its_protocol(
    report: tuple[Path, dict[str, Any]],
) -> None:
    text = (report[0] / "classification.txt").read_text("utf-8")
    int8 = BY_FORM["int8"]

    assert f"int8 model, {PROTOCOL}\n" in text
    assert (
        classification_report(int8.truth, int8.predicted, target_names=EMOTIONS, digits=3) in text
    )


class Page(HTMLParser):
    """Collects what a browser would fetch, and the tags left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href", "srcset")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_network_and_is_well_formed(report: tuple[Path, dict[str, Any]]) -> None:
    text = (report[0] / "report.html").read_text("utf-8")
    page = Page(text)

    assert page.open == []
    assert len(page.sources) == 8
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"https?://|@import|url\(", text)


def test_the_page_shows_the_figure_with_its_protocol_and_escapes(
    report: tuple[Path, dict[str, Any]],
) -> None:
    text = (report[0] / "report.html").read_text("utf-8")

    assert f"{100 * figures(BY_FORM['int8']).uar:.1f} % UAR" in text
    assert (report[0] / "classification.txt").read_text("utf-8") in text
    assert "speaker-independent: no tested speaker is in the training data" in text
    assert "<title>compact &lt;1&gt;</title>" in text
    assert "prefers-color-scheme: dark" in text


def test_a_report_of_one_form_without_training_curves(tmp_path: Path) -> None:
    returned = write_report(tmp_path, "x", "live", {"int8": BY_FORM["int8"]}, {}, {})

    assert returned["agreement"] == {}
    assert {path.name for path in tmp_path.iterdir()} == FILES - {
        "confusion-float.png",
        "training.png",
        "embedding.png",
    }
    Page((tmp_path / "report.html").read_text("utf-8"))


def test_a_class_without_clips_and_one_speaker_make_a_report_too(tmp_path: Path) -> None:
    given = predictions(labels=("calm", "happy", "sad"), without=1)
    alone = Predictions(
        given.clip_ids, ("01",) * 160, given.truth, given.probabilities, given.labels
    )
    returned = write_report(tmp_path, "x", "cross-corpus", {"int8": alone}, HISTORY, {})

    assert returned["forms"]["int8"]["absent"] == ["happy"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "No clips of happy: left out of UAR and macro F1." in page
    assert "no interval: one speaker" in page
    assert "nan" not in (tmp_path / "figures.json").read_text("utf-8").lower()


def test_a_random_split_is_called_inflated(tmp_path: Path) -> None:
    write_report(tmp_path, "x", "speaker-dependent, 5 classes", BY_FORM, {}, {})

    page = (tmp_path / "report.html").read_text("utf-8")
    assert "speaker-dependent, 5 classes: inflated" in page
