"""The charts: each shows the data that it was given, and its file contains what was drawn."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from example_report import BY_FORM, CLIPS, EMBEDDED, EXTRA, HISTORY, MAP, predictions
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from msgspec.structs import replace

from undertone.emotions import EMOTIONS, colour
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.samples import clips as packaged
from undertone_training.corpora.table import table
from undertone_training.evaluation.conditions import ConditionFigures
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


def colours(axes: Axes) -> list[str]:
    """Of the bars, group by group."""
    return [to_hex(bar.get_facecolor()) for container in axes.containers for bar in container]


def legend(picture: Figure) -> list[str]:
    """The texts of the one legend."""
    (found,) = [
        *picture.legends,
        *(each.get_legend() for each in picture.axes if each.get_legend()),
    ]
    return [text.get_text() for text in found.get_texts()]


def contrast(one: object, other: object) -> float:
    """Of two colours, as WCAG 2.2 defines it: 1 to 21."""
    linear = [
        np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        for rgb in (np.array(to_rgb(one)), np.array(to_rgb(other)))
    ]
    low, high = sorted(float(rgb @ (0.2126, 0.7152, 0.0722)) + 0.05 for rgb in linear)
    return high / low


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
    assert axes.images[0].get_clim() == (0, 1)  # so that matrices can be compared
    written = {(round(x), round(y)): [] for x, y in np.ndindex(3, 3)}
    for text in axes.texts:
        column, row = map(round, text.get_position())
        written[column, row].append(text.get_text())
        if row != 1:
            below = axes.images[0].to_rgba(shares[row, column])
            assert contrast(text.get_color(), below[:3]) > 4.5
    bold = [
        tuple(map(round, each.get_position())) for each in axes.texts if each.get_weight() == "bold"
    ]
    assert bold == [(0, 0), (2, 2)]
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
    picture = pictures.recalls(FIGURES, "note", listeners=0.62)
    (axes,) = picture.axes
    int8 = FIGURES["int8"]
    assert tick_labels(axes, "y") == list(EMOTIONS)
    assert (axes.get_xlim(), axes.yaxis_inverted()) == ((0, 1), True)  # the first is on top
    assert widths(axes) == [row.recall for row in int8.per_class]
    assert line(axes, "float") == ([row.recall for row in FIGURES["float"].per_class], [*range(8)])
    beside = [text.get_text() for text in axes.texts]
    assert beside == [f"{row.recall:.0%} of {row.support}" for row in int8.per_class]
    assert line(axes, f"UAR {int8.uar:.1%}")[0] == [int8.uar] * 2
    assert line(axes, "human listeners, about 62%")[0] == [0.62] * 2
    assert colours(axes) == [colour(label).lower() for label in EMOTIONS]
    assert {"float", "int8", f"UAR {int8.uar:.1%}"} <= set(legend(picture))


def test_the_curves_are_the_history_with_validation_if_there_was_one() -> None:
    loss, accuracy = pictures.curves(HISTORY, "note").axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        assert line(axes, "training") == ([1, 2, 3], HISTORY[name])
        assert line(axes, "validation") == ([1, 2, 3], HISTORY[f"val_{name}"])
        assert axes.get_xlabel() == "epoch"
        assert len({each.get_color() for each in axes.lines}) == 2
        assert len({each.get_linestyle() for each in axes.lines}) == 2  # printed in grey, too
    assert accuracy.get_ylim() == (0, 1)
    (single,) = pictures.curves({"loss": [0.5]}, "note").axes
    assert single.lines[0].get_marker() == "o"
    alone = pictures.curves({"loss": HISTORY["loss"], "uar": [0.1, 0.2, 0.3]}, "note")
    assert [axes.get_title() for axes in alone.axes] == ["loss", "UAR"]
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["training"]


def test_the_coverage_has_each_forms_curve_and_the_threshold() -> None:
    picture = pictures.coverage(BY_FORM, "note", threshold=0.5)
    (axes,) = picture.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("clips with a verdict", "correct verdicts")
    styles = [(each.get_color(), each.get_linestyle()) for each in axes.lines[:2]]
    assert (len({*styles}), styles[1]) == (2, (pictures.VERMILION, "-"))  # as the threshold
    for form, given in BY_FORM.items():
        curve = coverage_curve(given)
        assert line(axes, form) == (list(curve.coverage), list(curve.accuracy))
    verdict = INT8.confidence >= 0.5
    point = axes.lines[-1]
    assert list(point.get_xdata()) == [verdict.mean()]
    assert list(point.get_ydata()) == [INT8.correct[verdict].mean()]
    assert "threshold 0.50" in str(point.get_label())


def test_each_corpus_has_its_curve_and_its_point_at_the_threshold() -> None:
    corpora = [
        ConditionFigures("casia", "zero-shot", 40, 4, None, None, None, 0, 10, 6, 0.1, (0.9, 0.5)),
        ConditionFigures(
            "nemo", "leave-one-corpus-out", 50, 9, None, None, None, 0, 0, 0, 0.1, (0.8, 0.7, 0.6)
        ),
    ]
    (axes,) = pictures.coverage_by_corpus(corpora).axes
    assert line(axes, "casia, zero-shot") == ([0.1, 0.2], [0.9, 0.5])
    assert line(axes, "nemo, leave-one-corpus-out") == (
        pytest.approx([0.1, 0.2, 0.3]),
        [0.8, 0.7, 0.6],
    )
    casia, point, nemo, *rest = axes.lines
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([0.25], [0.6])
    assert point.get_color() == casia.get_color() != nemo.get_color()
    assert (casia.get_linestyle(), nemo.get_linestyle()) == ("-", "--")
    assert [list(each.get_xdata()) for each in rest] == [[]]  # no verdict, no point


def test_the_reliability_has_every_bin() -> None:
    bins = reliability(INT8)
    picture = pictures.reliability_diagram(INT8, 0.123, "title", "note")
    upper, lower = picture.axes
    assert {"title", "note · ECE 0.123"} <= {text.get_text().strip() for text in picture.texts}
    assert (lower.get_xlabel(), lower.get_ylabel()) == ("confidence", "clips")
    bars = {bar.get_x(): bar.get_height() for container in upper.containers for bar in container}
    filled = bins.count > 0
    assert bars == dict(zip(bins.edges[:-1][filled], bins.accuracy[filled], strict=True))
    few = {bar.get_x() for bar in upper.containers[-1]}
    assert few == set(bins.edges[:-1][filled & (bins.count < 10)])
    assert colours(upper)[0] != colours(upper)[-1]
    for bar in [bar for axes in (upper, lower) for group in axes.containers for bar in group]:
        assert bar.get_x() + bar.get_width() == pytest.approx(
            bins.edges[bins.edges > bar.get_x() + 1e-9][0]
        )
    assert line(upper, "perfectly calibrated") == ([0, 1], [0, 1])
    assert line(upper, "at the mean confidence") == (
        list(bins.confidence[filled]),
        list(bins.accuracy[filled]),
    )
    assert heights(lower) == list(bins.count)


def test_the_breakdown_has_a_bar_and_a_mark_for_each_part() -> None:
    rows = breakdown(INT8, {clip.clip_id: clip for clip in CLIPS})
    picture = clip_charts.breakdown(rows, 0.5, "note")
    (axes,) = picture.axes
    assert heights(axes) == list(rows["uar"])
    assert axes.get_ylim() == (0, 1)
    assert "UAR" in picture.get_suptitle()
    assert {*legend(picture)} == {"UAR", "accuracy", "UAR of all clips, 50.0%"}
    assert line(axes, "accuracy")[1] == list(rows["accuracy"])
    assert line(axes, "UAR of all clips, 50.0%")[1] == [0.5] * 2
    # a gap between the speakers, the sexes and the intensities
    assert line(axes, "accuracy")[0] == [0, 1, 2, 3, 5, 6, 8, 9]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert middles == pytest.approx([0, 1, 2, 3, 5, 6, 8, 9])
    assert axes.get_xticks().tolist() == [0, 1, 2, 3, 5, 6, 8, 9]
    names = [f"{value} ({n})" for value, n in zip(rows["value"], rows["clips"], strict=True)]
    assert tick_labels(axes, "x") == names


def test_the_embeddings_are_coloured_by_emotion_a_panel_for_each_network() -> None:
    emotions = tuple([*EMOTIONS, *EMOTIONS][: len(EMBEDDED)])
    one = EmbeddingMap("one", emotions, EMBEDDED[:, :2])
    other = dataclasses.replace(one, title="other", points=-EMBEDDED[:, :2])
    picture = clip_charts.embedding([one, other, one], "note")
    panels = picture.axes
    assert [axes.get_title() for axes in panels if axes.get_visible()] == ["one", "other", "one"]
    for axes, given in zip(panels, (one, other, one), strict=False):
        for group, label in zip(axes.collections, EMOTIONS, strict=True):
            members = [emotion == label for emotion in emotions]
            np.testing.assert_array_equal(group.get_offsets(), given.points[members])
            assert to_hex(group.get_facecolor()[0]) == colour(label).lower()
    shapes = {group.get_paths()[0].vertices.tobytes() for group in panels[0].collections}
    assert len(shapes) == len(EMOTIONS)  # for readers and printers without colours
    assert legend(picture) == list(EMOTIONS)
    handles = [to_hex(each.get_color()) for each in picture.legends[0].get_lines()]
    assert handles == [colour(label).lower() for label in EMOTIONS]


def test_the_search_shows_each_trial_and_the_best_so_far() -> None:
    uars, complete = [0.3, None, 0.5, 0.6, 0.4], [True, False, True, False, True]
    (axes,) = search.history(uars, complete, "note").axes
    finished, others = (group.get_offsets().tolist() for group in axes.collections)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("trial", "UAR, mean of the folds")
    shades = {to_hex(group.get_facecolor()[0]) for group in axes.collections}
    assert len(shades) == 2
    assert finished == [[0, 0.3], [2, 0.5], [4, 0.4]]
    assert others == [[3, 0.6]]
    assert line(axes, "best") == ([0, 1, 2, 3, 4], [0.3, 0.3, 0.5, 0.5, 0.5])
    (axes,) = search.importance({"dropout": 0.75, "width": 0.25}, "note").axes
    assert tick_labels(axes, "y") == ["width", "dropout"]
    assert widths(axes) == [0.25, 0.75]
    assert [text.get_text() for text in axes.texts] == ["25%", "75%"]


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
    happy, sad = colour("happy").lower(), colour("sad").lower()
    (axes,) = dataset.emotions(clips, "note").axes
    assert tick_labels(axes, "y") == ["happy", "sad"]
    assert axes.get_xlabel() == "clips; hatched: strong intensity"
    plain, strong = ([(bar.get_x(), bar.get_width()) for bar in group] for group in axes.containers)
    assert (plain, strong) == ([(0, 2), (0, 2)], [(2, 0), (2, 2)])
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, False, True, True]
    assert colours(axes) == [happy, sad] * 2
    assert [text.get_text() for text in axes.texts] == ["2", "4"]

    picture = dataset.speakers(clips, "note")
    (axes,) = picture.axes
    assert [(bar.get_y(), bar.get_height()) for bar in axes.patches] == [
        (0, 1),
        (0, 1),
        (1, 2),
        (1, 2),
    ]
    assert colours(axes) == [happy, happy, sad, sad]
    assert legend(picture) == ["happy", "sad"]
    assert tick_labels(axes, "x") == ["01", "02"]
    assert axes.get_ylabel() == "clips"

    (axes,) = dataset.kinds(clips, "note").axes
    shown = dict(zip(tick_labels(axes, "y"), widths(axes), strict=True))
    assert shown == {"female": 6, "normal": 3, "strong": 2, "speech": 6}
    assert [text.get_text() for text in axes.texts] == ["6", "3", "2", "6"]

    (axes,) = dataset.durations(clips, "note").axes
    medians = [each.get_xdata()[0] for each in axes.lines if each.get_color() == pictures.INK]
    assert medians == [4.5, 3.0]
    assert [to_hex(box.get_facecolor()) for box in axes.patches] == [happy, sad]
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlabel().startswith("seconds")


def test_the_names_of_many_speakers_are_small(clips: pd.DataFrame) -> None:
    many = pd.concat([clips.assign(speaker=f"{number:02}") for number in range(50)])
    few_names, many_names = (
        dataset.speakers(each, "note").axes[0].get_xticklabels() for each in (clips, many)
    )
    assert len(many_names) == 50
    assert many_names[0].get_size() < few_names[0].get_size()


def test_the_examples_show_the_sound_its_mfcc_and_its_speech() -> None:
    config = MfccConfig()
    clip, samples = (
        replace(CLIPS[0], emotion="angry"),
        soundfile.read(packaged()[4], dtype="int16")[0],
    )
    sound, quiet = examples.Example(clip, samples), examples.Example(clip, samples // 2)
    wave, mfcc, mel, *_, quiet_mel = examples.examples([sound, quiet], "note", config).axes
    assert [axes.get_title() for axes in (wave, mfcc, mel)] == [
        "waveform", "40 MFCC, standardised", "64 mel bands, 60 dB",
    ]  # fmt: skip
    lowest, highest = sound.samples.min() / 32768, sound.samples.max() / 32768
    outline = wave.collections[-1].get_paths()[0].vertices[:, 1]
    assert (outline.min(), outline.max()) == pytest.approx((lowest, highest))
    assert wave.get_ylabel() == "angry"

    length_s = len(sound.samples) / 16_000
    (span,) = wave.patches  # the speech gate lets one segment of it through
    assert 0.2 < span.get_x() < 1.5 < span.get_x() + span.get_width() < length_s - 0.2
    assert to_hex(span.get_facecolor()) == colour("angry").lower()

    cepstra = Mfcc(config).compute(sound.samples)
    standard = (cepstra - cepstra.mean(axis=0)) / cepstra.std(axis=0)
    (image,) = mfcc.images
    np.testing.assert_allclose(image.get_array(), standard.T, rtol=1e-6, atol=1e-6)
    assert image.get_clim() == (-3, 3)
    (image,) = mel.images
    assert image.get_array().shape == (config.n_filters, len(cepstra))
    low, high = image.get_clim()
    assert (high, high - low) == (image.get_array().max(), 60)
    assert high - quiet_mel.images[0].get_array().max() == pytest.approx(6, abs=0.1)  # decibels
    assert quiet_mel.get_xlabel() == "seconds"
    for axes in (mfcc, mel):
        assert axes.images[0].get_extent()[:2] == [0, length_s]
        assert axes.images[0].origin == "lower"


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
