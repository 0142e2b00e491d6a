"""The report and the model card: complete, strict, self-contained, and honest."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.image import imread
from sklearn.metrics import accuracy_score, balanced_accuracy_score, classification_report

from undertone.emotions import EMOTIONS
from undertone_training.corpora import AudioRef, Clip
from undertone_training.evaluation.embeddings import map_embeddings
from undertone_training.metrics import Predictions, figures
from undertone_training.report import pictures
from undertone_training.report.breakdown import breakdown, read_breakdown
from undertone_training.report.card import model_card
from undertone_training.report.facts import Development, Facts
from undertone_training.report.write import write_report

PROTOCOL = "speaker-independent"
HISTORY = {
    "loss": [2.0, 1.5, 1.2],
    "val_loss": [2.1, 1.7, 1.6],
    "accuracy": [0.2, 0.4, 0.6],
    "val_accuracy": [0.2, 0.3, 0.4],
}
EXTRA = {
    "model_bytes": 123_456,
    "multiply_accumulates": 4_560_000,
    "command": "undertone-train fit --recipe compact",
    "confidence_threshold": 0.4,
}
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


def predictions(
    noise: float = 0.0, labels: tuple[str, ...] = EMOTIONS, without: int | None = None
) -> Predictions:
    """Fair predictions of 160 clips by 4 speakers; ``without``: a class that has no clip."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(labels), 160)
    if without is not None:
        truth[truth == without] = (without + 1) % len(labels)
    logits = rng.normal(0, 1, (160, len(labels))) + 1.5 * np.eye(len(labels))[truth]
    logits += noise * np.random.default_rng(1).normal(0, 1, logits.shape)
    odds = np.exp(logits)
    return Predictions(
        clip_ids=tuple(f"clip{i}" for i in range(160)),
        speakers=tuple(f"{i % 4 + 1:02}" for i in range(160)),
        truth=truth,
        probabilities=odds / odds.sum(axis=1, keepdims=True),
        labels=labels,
    )


def clip(number: int) -> Clip:
    """The one that ``predictions`` calls ``clip{number}``."""
    speaker = number % 4 + 1
    return Clip(
        corpus="made", clip_id=f"clip{number}", speaker=f"{speaker:02}",
        sex="female" if speaker % 2 else "male", emotion="calm", channel="speech",
        intensity="strong" if number % 3 else "normal", statement=None, repetition=None,
        source=AudioRef(Path("nowhere")),
    )  # fmt: skip


CLIPS = [clip(number) for number in range(160)]
EMBEDDED = np.random.default_rng(2).normal(size=(12, 6)) + 4 * np.eye(6)[np.arange(12) // 2]
MAP = map_embeddings("fold-1, seed 0", [*EMOTIONS, *EMOTIONS][:12], EMBEDDED)
assert MAP
BY_FORM = {"float": predictions(), "int8": predictions(noise=0.2)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run") / "deep" / "report"
    return folder, write_report(
        folder, "compact <1>", PROTOCOL, BY_FORM, HISTORY, EXTRA, CLIPS, [MAP]
    )


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def test_the_report_has_all_its_files(report: tuple[Path, dict[str, Any]]) -> None:
    assert {path.name for path in report[0].iterdir()} == FILES


def test_the_page_of_the_workbench_has_every_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "workbench.md").read_text("utf-8")
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


def test_forms_that_judged_other_clips_are_refused(tmp_path: Path) -> None:
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


def test_the_breakdown_has_the_figures_of_each_speaker_and_kind(
    report: tuple[Path, dict[str, Any]],
) -> None:
    rows = list(csv.DictReader(io.StringIO((report[0] / "breakdown.csv").read_text("utf-8"))))
    int8 = BY_FORM["int8"]

    assert [(row["kind"], row["value"]) for row in rows] == [
        *(("speaker", name) for name in ("01", "02", "03", "04")),
        ("sex", "female"), ("sex", "male"), ("intensity", "normal"), ("intensity", "strong"),
    ]  # fmt: skip
    members = {
        ("speaker", "02"): [each.speaker == "02" for each in CLIPS],
        ("sex", "female"): [each.sex == "female" for each in CLIPS],
        ("intensity", "strong"): [each.intensity == "strong" for each in CLIPS],
    }
    for row in rows:
        if (chosen := members.get((row["kind"], row["value"]))) is None:
            continue
        truth, predicted = int8.truth[chosen], int8.predicted[chosen]
        assert int(row["clips"]) == sum(chosen)
        assert float(row["accuracy"]) == accuracy_score(truth, predicted)
        assert float(row["uar"]) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_a_kind_that_no_clip_or_all_clips_have_is_no_part() -> None:
    spoken = {each.clip_id: replace(each, intensity=None) for each in CLIPS if each.sex == "male"}
    assert {*breakdown(BY_FORM["int8"], spoken)["kind"]} == {"speaker"}
    assert {*breakdown(BY_FORM["int8"], {})["kind"]} == {"speaker"}


def test_a_map_is_the_same_at_every_call_and_keeps_neighbours() -> None:
    again = map_embeddings("x", MAP.emotions, EMBEDDED)
    assert again
    assert np.array_equal(again.points, MAP.points)
    corners = np.repeat(10 * np.eye(3), 30, axis=0)
    crowd = np.random.default_rng(3).normal(size=(90, 3)) * 0.1 + corners
    placed = map_embeddings("x", ["sad"] * 90, crowd)
    assert placed
    distances = np.linalg.norm(placed.points[:, None] - placed.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) // 30 == np.arange(90) // 30).all()


@pytest.mark.parametrize("embedded", [np.eye(4), np.ones((20, 3))])
def test_of_few_or_equal_embeddings_there_is_no_map(embedded: np.ndarray) -> None:
    assert map_embeddings("x", ["sad"] * len(embedded), embedded) is None


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
    assert "speaker-independent: every tested speaker was unheard in training" in text
    assert "<title>compact &lt;1&gt;</title>" in text
    assert "prefers-color-scheme: dark" in text


def test_every_picture_shows_something(report: tuple[Path, dict[str, Any]]) -> None:
    for path in report[0].glob("*.png"):
        image = imread(path)
        assert min(image.shape[:2]) > 400, path.name
        ink = (image[..., :3].min(axis=2) < 0.8).mean()
        assert ink > 0.01, path.name
        assert (image[..., :3].max(axis=(0, 1)) == 1).all(), path.name  # white paper


def test_the_same_predictions_draw_the_same_bytes() -> None:
    figure = figures(BY_FORM["int8"])

    assert pictures.png(pictures.confusion(figure, "a", "b")) == pictures.png(
        pictures.confusion(figure, "a", "b")
    )


def test_curves_show_validation_where_there_was_one() -> None:
    alone = {"loss": HISTORY["loss"], "accuracy": HISTORY["accuracy"]}
    for history, lines in ((HISTORY, ["training", "validation"]), (alone, ["training"])):
        picture = pictures.curves(history, "x")
        assert [text.get_text() for text in picture.legends[0].get_texts()] == lines


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
    assert "No clips of: happy" in page
    assert "no interval: one speaker" in page
    assert "nan" not in (tmp_path / "figures.json").read_text("utf-8").lower()


def test_a_random_split_is_called_inflated(tmp_path: Path) -> None:
    write_report(tmp_path, "x", "speaker-dependent, 5 classes", BY_FORM, {}, {})

    page = (tmp_path / "report.html").read_text("utf-8")
    assert "speaker-dependent, 5 classes: inflated" in page


DEVELOPMENT = Development(("ab" * 32,), 77, ("It was another recipe.",))
MANIFEST: dict[str, Any] = {
    "name": "ravdess8-compact",
    "version": "1",
    "labels": list(EMOTIONS),
    "model_sha256": "ab" * 32,
    "mfcc": {
        "sample_rate_hz": 16000,
        "frame_length": 1024,
        "hop_length": 512,
        "n_filters": 64,
        "n_coefficients": 40,
        "low_hz": 0.0,
        "high_hz": 8000.0,
    },
    "window": {"frames": 96, "hop": 32, "vocal_tracts": [0.92, 1.08]},
    "temperature": 1.23,
    "confidence_threshold": 0.42,
    "training": {
        "corpora": ["nemo", "ravdess"],
        "train_speakers": ["03", "04"],
        "validation_speakers": ["01", "02"],
        "recipe": {"name": "compact", "begins_with": "nemo"},
        "seed": 7,
        "licence": "CC BY-NC-SA 4.0",
    },
    "tools": {"tensorflow": "2.21.0"},
    "commit": "0123456789ab",
}


def card(report: tuple[Path, dict[str, Any]], facts: Facts | None = None, **changes: object) -> str:
    folder, returned = report
    return model_card({**MANIFEST, "figures": returned, **changes}, folder, facts)


def test_the_cards_first_line_is_the_figure_with_protocol_and_interval(
    report: tuple[Path, dict[str, Any]],
) -> None:
    int8 = figures(BY_FORM["int8"])
    assert int8.uar_interval95 is not None
    low, high = int8.uar_interval95
    title, first = [line for line in card(report).splitlines() if line][:2]

    assert title == "# ravdess8-compact"
    assert first.startswith(f"**{100 * int8.uar:.1f} % UAR, speaker-independent**")
    assert f"{100 * low:.1f} to {100 * high:.1f} %" in first


@pytest.mark.parametrize(
    "fact",
    [
        "40 MFCC of frames of 64 ms every 32 ms",
        "96 frames (3.10 s)",
        "heard 2 times, with its spectrum stretched by 0.92 and 1.08",
        "neutral, calm, happy, sad, angry, fearful, disgust, surprised",
        "| speaker-independent | float model | int8 model |",
        "123,456 bytes",
        "4.56 million multiply-accumulates",
        "human listeners name about 62 %",
        "North American voices",
        "EU AI Act",
        "never audio",
        "CC BY-NC-SA 4.0",
        "PLoS ONE 13(5): e0196391",
        "nEMO (CC BY-NC-SA 4.0): Christop I (2024)",
        "undertone-train fit --recipe compact",
        "commit `0123456789ab`",
        "seed 7",
        "It begins with what `nemo` learnt.",
        "| tensorflow | 2.21.0 |",
        "ab" * 32,
    ],
)
def test_the_card_says(report: tuple[Path, dict[str, Any]], fact: str) -> None:
    assert fact in " ".join(card(report).split())


def test_the_card_tells_whether_the_weights_heard_the_tested_speakers(
    report: tuple[Path, dict[str, Any]],
) -> None:
    others = {
        **MANIFEST["training"],
        "train_speakers": ["21", "22"],
        "validation_speakers": ["23"],
    }
    assert "have no figure of their own" in card(report)
    assert "have no figure of their own" not in card(report, training=others)


def test_the_card_says_what_weakens_its_figures(report: tuple[Path, dict[str, Any]]) -> None:
    rows = read_breakdown(report[0]).set_index("value")["uar"]
    better, worse = sorted(["female", "male"], key=rows.get, reverse=True)
    names = {"female": "Women", "male": "Men"}
    speakers = [rows[name] for name in ("01", "02", "03", "04")]
    plain, known = card(report), card(report, Facts(DEVELOPMENT))

    for text in (plain, known):
        assert f"{names[better]} are recognised better than {names[worse].lower()}" in text
        assert f"{100 * rows[better]:.1f} % UAR against {100 * rows[worse]:.1f} %" in text
        assert f"from {100 * min(speakers):.1f} % to {100 * max(speakers):.1f} %" in text
        assert "This model was not tested apart from development." in text
    assert "About 77 variants" in known
    assert "does not give the weights in this folder.**\n\n- It was another recipe.\n" in known
    assert "variants" not in plain
    assert "does not give the weights" not in plain


def test_the_card_shows_the_seeds_the_live_test_and_the_noise_where_they_are_known(
    report: tuple[Path, dict[str, Any]],
) -> None:
    uar = {"uar": {"mean": 0.581, "deviation": 0.0062}, "uar_interval95": [0.51, 0.64]}
    extra = {
        **EXTRA,
        "seeds": {"numbers": [0, 1, 2], "float": uar, "int8": uar},
        "live": {
            "20 dB": {
                "protocol": "live, 20 dB",
                "uar": {"mean": 0.5, "deviation": 0.01},
                "seeds": 2,
                "missed_clips": 3,
                "false_segments": 4,
            }
        },
        "noise": {
            "x": {"protocol": "noise, x", "duration_s": 1200.0, "false_segments": 2, "named": 1}
        },
    }
    text = card(report, figures={**report[1], "extra": extra})

    first = text.splitlines()[2]
    assert first.startswith("**58.1 ± 0.6 % UAR, speaker-independent**")
    assert "over 3 seeds; 95 % interval 51.0 to 64.0 %" in first
    assert "over the seeds 0, 1, 2: 58.1 ± 0.6 % (float), 58.1 ± 0.6 % (int8)." in text
    assert "| live, 20 dB | 50.0 ± 1.0 % | 2 | 3 | 4 |" in text
    assert "| noise, x | 20 | 2 | 1 |" in text


def test_the_card_reads_what_the_report_wrote(report: tuple[Path, dict[str, Any]]) -> None:
    folder, returned = report
    read = json.loads((folder / "figures.json").read_text("utf-8"))

    assert card(report, figures=read) == card(report, figures=returned)


def test_a_key_that_is_missing_is_named(report: tuple[Path, dict[str, Any]]) -> None:
    without = {key: value for key, value in MANIFEST.items() if key != "commit"}

    with pytest.raises(UndefinedError, match="commit"):
        model_card({**without, "figures": report[1]}, report[0])
