"""The charts: each shows the data that it was given, and its file contains what was drawn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_report import BY_FORM, CLIPS, EMBEDDED, EXTRA, HISTORY, MAP, predictions
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from undertone.emotions import EMOTIONS, colour
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone_training.corpora.table import table
from undertone_training.evaluation.embeddings import EmbeddingMap
from undertone_training.metrics import coverage_curve, figures, reliability
from undertone_training.report import clip_charts, dataset, examples, pictures, search
from undertone_training.report.breakdown import breakdown

INT8 = BY_FORM["int8"]
FIGURES = {form: figures(given) for form, given in BY_FORM.items()}


def heights(axes: Axes) -> list[float]:
    """Of the bars."""
    return [bar.get_height() for bar in axes.patches]


def widths(axes: Axes) -> list[float]:
    """Of the horizontal bars."""
    return [bar.get_width() for container in axes.containers for bar in container]


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """The points of the line with this label."""
    (found,) = [each for each in axes.lines if each.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def tick_labels(axes: Axes, name: str) -> list[str]:
    """The labels of the x or the y axis."""
    return [label.get_text() for label in getattr(axes, f"get_{name}ticklabels")()]


def test_the_confusion_matrix_has_every_count_and_share() -> None:
    given = figures(predictions(labels=("calm", "happy", "sad"), without=1))
    picture = pictures.confusion(given, "title", "note")
    (axes,) = picture.axes
    counts = np.array(given.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = axes.images[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(shown, np.nan)[[0, 2]], shares[[0, 2]])
    assert np.isnan(np.ma.filled(shown, np.nan)[1]).all()
    written = {(round(x), round(y)): [] for x, y in np.ndindex(3, 3)}
    for text in axes.texts:
        x, y = text.get_position()
        written[round(x), round(y)].append(text.get_text())
    for row, column in np.ndindex(3, 3):
        wanted = [f"{shares[row, column]:.0%}", str(counts[row, column])]
        assert written[column, row] == (["–"] if row == 1 else wanted)
    assert tick_labels(axes, "x") == ["calm", "happy", "sad"]
    assert tick_labels(axes, "y") == [
        f"calm ({counts[0].sum()})",
        "happy (0)",
        f"sad ({counts[2].sum()})",
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true emotion (clips)")
    assert {"title", "note"} <= {text.get_text().strip() for text in picture.texts}


def test_the_recalls_are_those_of_each_emotion_and_form() -> None:
    (axes,) = pictures.recalls(FIGURES, "note", listeners=0.62).axes
    int8 = FIGURES["int8"]
    assert tick_labels(axes, "y") == list(EMOTIONS)
    assert widths(axes) == [row.recall for row in int8.per_class]
    assert line(axes, "float")[0] == [row.recall for row in FIGURES["float"].per_class]
    assert line(axes, f"UAR {int8.uar:.1%}")[0] == [int8.uar] * 2
    assert line(axes, "human listeners, about 62%")[0] == [0.62] * 2
    bars = [to_hex(bar.get_facecolor()) for bar in axes.containers[0]]
    assert bars == [colour(label).lower() for label in EMOTIONS]


def test_the_curves_are_the_history_with_validation_if_there_was_one() -> None:
    loss, accuracy = pictures.curves(HISTORY, "note").axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        assert line(axes, "training") == ([1, 2, 3], HISTORY[name])
        assert line(axes, "validation") == ([1, 2, 3], HISTORY[f"val_{name}"])
    alone = pictures.curves({"loss": HISTORY["loss"], "uar": [0.1, 0.2, 0.3]}, "note")
    assert [axes.get_title() for axes in alone.axes] == ["loss", "UAR"]
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["training"]


def test_the_coverage_has_each_forms_curve_and_the_threshold() -> None:
    (axes,) = pictures.coverage(BY_FORM, "note", threshold=0.5).axes
    for form, given in BY_FORM.items():
        curve = coverage_curve(given)
        assert line(axes, form) == (list(curve.coverage), list(curve.accuracy))
    verdict = INT8.confidence >= 0.5
    point = axes.lines[-1]
    assert list(point.get_xdata()) == [verdict.mean()]
    assert list(point.get_ydata()) == [INT8.correct[verdict].mean()]
    assert "threshold 0.50" in str(point.get_label())


def test_the_reliability_has_every_bin() -> None:
    bins = reliability(INT8)
    upper, lower = pictures.reliability_diagram(INT8, 0.123, "title", "note").axes
    bars = {bar.get_x(): bar.get_height() for container in upper.containers for bar in container}
    filled = bins.count > 0
    assert bars == dict(zip(bins.edges[:-1][filled], bins.accuracy[filled], strict=True))
    assert line(upper, "at the mean confidence") == (
        list(bins.confidence[filled]),
        list(bins.accuracy[filled]),
    )
    assert heights(lower) == list(bins.count)


def test_the_breakdown_has_a_bar_and_a_mark_for_each_part() -> None:
    rows = breakdown(INT8, {clip.clip_id: clip for clip in CLIPS})
    (axes,) = clip_charts.breakdown(rows, 0.5, "note").axes
    assert heights(axes) == list(rows["uar"])
    assert line(axes, "accuracy")[1] == list(rows["accuracy"])
    assert line(axes, "UAR of all clips, 50.0%")[1] == [0.5] * 2
    # a gap between the speakers, the sexes and the intensities
    assert line(axes, "accuracy")[0] == [0, 1, 2, 3, 5, 6, 8, 9]
    names = [f"{value} ({n})" for value, n in zip(rows["value"], rows["clips"], strict=True)]
    assert tick_labels(axes, "x") == names


def test_the_embeddings_are_coloured_by_emotion_a_panel_for_each_network() -> None:
    emotions = tuple([*EMOTIONS, *EMOTIONS][: len(EMBEDDED)])
    one = EmbeddingMap("one", emotions, EMBEDDED[:, :2])
    other = replace(one, title="other", points=-EMBEDDED[:, :2])
    panels = clip_charts.embedding([one, other, one], "note").axes
    assert [axes.get_title() for axes in panels if axes.get_visible()] == ["one", "other", "one"]
    for axes, given in zip(panels, (one, other, one), strict=False):
        for group, label in zip(axes.collections, EMOTIONS, strict=True):
            members = [emotion == label for emotion in emotions]
            np.testing.assert_array_equal(group.get_offsets(), given.points[members])
            assert to_hex(group.get_facecolor()[0]) == colour(label).lower()


def test_the_search_shows_each_trial_and_the_best_so_far() -> None:
    uars, complete = [0.3, None, 0.5, 0.6, 0.4], [True, False, True, False, True]
    (axes,) = search.history(uars, complete, "note").axes
    finished, others = (group.get_offsets().tolist() for group in axes.collections)
    assert finished == [[0, 0.3], [2, 0.5], [4, 0.4]]
    assert others == [[3, 0.6]]
    assert line(axes, "best") == ([0, 1, 2, 3, 4], [0.3, 0.3, 0.5, 0.5, 0.5])
    (axes,) = search.importance({"dropout": 0.75, "width": 0.25}, "note").axes
    assert tick_labels(axes, "y") == ["width", "dropout"]
    assert widths(axes) == [0.25, 0.75]


@pytest.fixture
def clips() -> pd.DataFrame:
    """Six clips of two emotions and two speakers."""
    rows = [
        replace(CLIPS[0], clip_id=str(i), speaker=speaker, emotion=emotion, intensity=intensity)
        for i, (speaker, emotion, intensity) in enumerate(
            [
                ("01", "sad", "normal"), ("01", "sad", "strong"), ("01", "happy", "normal"),
                ("02", "sad", "strong"), ("02", "sad", None), ("02", "happy", "normal"),
            ]
        )
    ]  # fmt: skip
    return table(rows).assign(duration_s=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def test_the_charts_of_a_corpus_count_its_clips(clips: pd.DataFrame) -> None:
    (axes,) = dataset.emotions(clips, "note").axes
    assert tick_labels(axes, "y") == ["happy", "sad"]
    plain, strong = ([bar.get_width() for bar in group] for group in axes.containers)
    assert (plain, strong) == ([2, 2], [0, 2])
    (axes,) = dataset.speakers(clips, "note").axes
    happy, sad = ([bar.get_height() for bar in group] for group in axes.containers)
    assert (happy, sad) == ([1, 1], [2, 2])
    assert tick_labels(axes, "x") == ["01", "02"]
    (axes,) = dataset.kinds(clips, "note").axes
    shown = dict(zip(tick_labels(axes, "y"), widths(axes), strict=True))
    assert shown == {"female": 6, "normal": 3, "strong": 2, "speech": 6}
    (axes,) = dataset.durations(clips, "note").axes
    medians = [each.get_xdata()[0] for each in axes.lines if each.get_color() == pictures.INK]
    assert medians == [4.5, 3.0]


def test_the_examples_show_the_sound_its_mfcc_and_its_speech() -> None:
    rng = np.random.default_rng(0)
    sound = (3000 * rng.normal(size=16_000)).astype(np.int16)
    config = MfccConfig()
    shown = [examples.Example(replace(CLIPS[0], emotion="sad"), sound)]
    wave, mfcc, mel = examples.examples(shown, "note", config).axes
    lowest, highest = sound.min() / 32768, sound.max() / 32768
    outline = wave.collections[-1].get_paths()[0].vertices[:, 1]
    assert (outline.min(), outline.max()) == pytest.approx((lowest, highest))
    assert wave.get_ylabel() == "sad"
    cepstra = Mfcc(config).compute(sound)
    standard = (cepstra - cepstra.mean(axis=0)) / cepstra.std(axis=0)
    np.testing.assert_allclose(mfcc.images[0].get_array(), standard.T, rtol=1e-6, atol=1e-6)
    assert mel.images[0].get_array().shape == (config.n_filters, len(cepstra))


NOTE = "speaker-independent · 160 clips of 4 speakers"
TRAINING_NOTE = "speaker-independent · validation on held-out training speakers"


def draw_again() -> dict[str, Figure]:
    """The charts of the example report."""
    rows = breakdown(INT8, {clip.clip_id: clip for clip in CLIPS})
    int8 = FIGURES["int8"]
    return {
        **{
            f"confusion-{form}.png": pictures.confusion(
                each, f"Confusion matrix, {form} model", NOTE
            )
            for form, each in FIGURES.items()
        },
        "recall.png": pictures.recalls(FIGURES, NOTE, 0.62),
        "coverage.png": pictures.coverage(BY_FORM, NOTE, EXTRA["confidence_threshold"]),
        "reliability.png": pictures.reliability_diagram(
            INT8, int8.ece, "Reliability, int8 model", NOTE
        ),
        "breakdown.png": clip_charts.breakdown(rows, int8.uar, NOTE),
        "embedding.png": clip_charts.embedding([MAP], NOTE),
        "training.png": pictures.curves(HISTORY, TRAINING_NOTE),
    }


def test_the_reports_files_are_these_charts_of_its_data(
    report: tuple[Path, dict[str, Any]],
) -> None:
    charts = draw_again()
    assert {path.name for path in report[0].glob("*.png")} == charts.keys()
    for name, chart in charts.items():
        assert (report[0] / name).read_bytes() == pictures.png(chart), name
        image = imread(report[0] / name)
        height, width = image.shape[:2]
        inches = (width / chart.dpi, height / chart.dpi)
        assert inches == pytest.approx(tuple(chart.get_size_inches()), abs=0.01)
        assert (image[..., :3].min(axis=2) < 0.8).mean() > 0.01, name  # something is drawn
