"""The charts of the pages: the values that they show, and in which colours, places and scales."""

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("altair", reason="no altair: pip install -e '.[web]'")

from undertone.emotions import EMOTIONS, NO_SPEECH, colour
from undertone.events import UNCERTAIN, SegmentEnded, Verdict
from undertone.journal.plot import ACTIVATION_COLOUR
from undertone.recognition import bundle
from undertone.recognition.pipeline import ClassifiedSegment
from undertone.web import charts
from undertone.web.preview import Preview

SAD = Verdict.of({"happy": 0.25, "sad": 0.75})
UNSURE = Verdict.of({"happy": 0.5, "sad": 0.5}, threshold=0.9)


def drawn(chart: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a chart and how they are encoded."""
    return chart.data["values"], chart.to_dict()["encoding"]


def scale_of(encoding: dict[str, Any]) -> dict[str, str]:
    """The colour of each value."""
    scale = encoding["color"]["scale"]
    return dict(zip(scale["domain"], scale["range"], strict=True))


def segment(time_s: float, duration_s: float, verdict: Verdict, *windows: Any) -> ClassifiedSegment:
    return ClassifiedSegment(time_s, duration_s, -20.0, verdict, windows)


def test_each_probability_has_a_bar_from_0_to_1() -> None:
    rows, encoding = drawn(charts.probabilities(SAD.scores))
    assert rows == [
        {"emotion": "happy", "probability": 0.25},
        {"emotion": "sad", "probability": 0.75},
    ]
    assert encoding["x"]["field"] == "probability"
    assert encoding["x"]["scale"]["domain"] == [0, 1]
    assert (encoding["y"]["field"], encoding["y"]["sort"]) == ("emotion", ["happy", "sad"])
    assert scale_of(encoding) == {name: colour(name) for name in ("happy", "sad")}


def test_the_waveform_has_the_colours_of_its_segments() -> None:
    preview = Preview(10.0, np.linspace(0.1, 0.5, 10), np.zeros((1, 1)))
    segments = [segment(2.0, 3.0, SAD), segment(7.0, 1.0, UNSURE)]
    rows, encoding = drawn(charts.waveform(preview, segments))
    silent = NO_SPEECH
    assert [row["verdict"] for row in rows] == [
        silent, silent, "sad", "sad", "sad", silent, silent, "uncertain", silent, silent,
    ]  # fmt: skip
    assert [row["from"] for row in rows] == list(range(10))
    assert all(1 < row["to"] - row["from"] < 2 for row in rows)  # no gap between the columns
    assert [row["high"] for row in rows] == pytest.approx(preview.peaks)
    assert [row["low"] for row in rows] == pytest.approx(-preview.peaks)
    assert encoding["x"]["scale"]["domain"] == [0, 10.0]
    assert encoding["y"]["scale"]["domain"] == [-0.5, 0.5]
    assert (encoding["y"]["field"], encoding["y2"]["field"]) == ("low", "high")
    assert scale_of(encoding) == {name: colour(name) for name in ("sad", silent, "uncertain")}


def test_the_windows_of_a_segment_are_in_order_and_fill_it() -> None:
    manifest = bundle.load().manifest
    chance = np.random.default_rng(0)
    logs = [np.log(chance.dirichlet(np.ones(8))) for _ in range(3)]
    rows, encoding = drawn(charts.windows([segment(2.0, 4.9, SAD, *logs)], manifest, 10.0))
    spans = [(row["from"], row["to"]) for row in rows[::8]]
    assert spans[0][0] == pytest.approx(2.0)
    assert spans[-1][1] == pytest.approx(6.9)
    assert all(one[1] == other[0] > one[0] for one, other in pairwise(spans))
    for number, shares in enumerate(np.exp(logs)):
        own = rows[8 * number : 8 * number + 8]
        assert [row["emotion"] for row in own] == list(EMOTIONS)
        assert [row["probability"] for row in own] == pytest.approx(list(shares))
    assert encoding["opacity"]["field"] == "probability"
    assert encoding["x"]["scale"]["domain"] == [0, 10.0]
    assert scale_of(encoding) == {name: colour(name) for name in EMOTIONS}


def test_the_mfcc_are_dark_below_the_mean_with_the_first_at_the_bottom() -> None:
    mfcc = np.zeros((2, 3))
    mfcc[0, 0], mfcc[1, 2] = 9.0, -9.0
    picture = charts.mfcc_picture(mfcc).astype(int).sum(axis=2)
    height, width = picture.shape
    (top, bottom), (left, right) = (0, height - 1), (0, width - 1)
    assert picture[bottom, left] > picture[bottom, right] > picture[top, right]
    assert picture[bottom, right] == picture[top, left]  # both at the mean


def test_counts_over_time_are_stacked_in_order() -> None:
    bars = {"2026-11-21T18": {"sad": 2, "uncertain": 1}, "2026-11-21T19": {}}
    rows, encoding = drawn(charts.over_time(bars))
    assert [(row["when"], row["verdict"], row["segments"]) for row in rows] == [
        ("21. 18h", "sad", 2), ("21. 18h", "uncertain", 1),
        ("21. 19h", "sad", 0), ("21. 19h", "uncertain", 0),
    ]  # fmt: skip
    assert encoding["x"]["sort"] == ["21. 18h", "21. 19h"]
    assert encoding["y"]["field"] == "segments"
    assert "stack" not in encoding["y"]
    assert scale_of(encoding) == {name: colour(name) for name in ("sad", "uncertain")}


def test_every_hour_of_the_day_shows_shares() -> None:
    rows, encoding = drawn(charts.by_hour({3: {"sad": 2}, 23: {"sad": 5}}))
    assert {row["when"]: row["segments"] for row in rows} == {
        f"{hour:02}": {3: 2, 23: 5}.get(hour, 0) for hour in range(24)
    }
    assert encoding["y"]["stack"] == "normalize"
    assert encoding["x"]["title"] == "hour of the day"


def test_a_day_has_a_tick_for_each_segment_at_its_own_time() -> None:
    time = datetime(2026, 11, 21, 18, 30, 5, tzinfo=UTC)
    ended = SegmentEnded.of(time.timestamp() - 2, 2.0, -30.0, SAD, "m", "0" * 64)
    since, until = datetime(2026, 11, 21), datetime(2026, 11, 22)
    rows, encoding = drawn(charts.strip([ended], since, until))
    assert rows == [
        {
            "time": "2026-11-21T18:30:05",
            "verdict": "sad",
            "confidence": 0.75,
            "activation": None,
            "seconds": 2.0,
        }
    ]
    assert encoding["x"]["scale"]["domain"] == ["2026-11-21T00:00:00", "2026-11-22T00:00:00"]
    assert (encoding["y"]["field"], scale_of(encoding)) == ("verdict", {"sad": colour("sad")})


def test_uncertain_and_no_speech_have_colours_of_their_own() -> None:
    colours = [colour(name) for name in (*EMOTIONS, UNCERTAIN, NO_SPEECH)]
    assert len(set(colours)) == len(colours)


def test_activation_is_a_line_of_each_series_that_stops_where_there_is_none() -> None:
    series = {"today": {"08": 0.25, "09": None}, "mean": {"08": 0.5, "09": 0.75}}
    rows, encoding = drawn(charts.activation(series, "hour of the day"))
    assert [(row["mean of"], row["when"], row["activation"]) for row in rows] == [
        ("today", "08", 0.25), ("today", "09", None), ("mean", "08", 0.5), ("mean", "09", 0.75),
    ]  # fmt: skip
    assert encoding["y"]["scale"]["domain"] == [0, 1]
    assert encoding["x"]["sort"] == ["08", "09"]
    ours, grey = encoding["color"]["scale"]["range"]
    assert ours == ACTIVATION_COLOUR != grey


@pytest.mark.parametrize("of_activation", [False, True])
def test_the_heat_map_has_a_square_for_each_hour_with_a_value(of_activation: bool) -> None:
    days = [date(2026, 11, 22), date(2026, 11, 21)]
    hours = {"2026-11-21T08": 0.5, "2026-11-22T23": 1.0, "2026-11-20T08": 0.25}
    rows, encoding = drawn(charts.heat_map(hours, days, of_activation))
    assert [(row["day"], row["hour"], row["value"]) for row in rows] == [
        ("Sun 11-22", "23", 1.0),
        ("Sat 11-21", "08", 0.5),
    ]
    assert encoding["y"]["scale"]["domain"] == ["Sun 11-22", "Sat 11-21"]
    assert encoding["x"]["scale"]["domain"] == [f"{hour:02}" for hour in range(24)]
    assert (encoding["color"]["scale"].get("domain") == [0, 0.5, 1]) == of_activation


def test_charts_below_each_other_have_the_same_margins() -> None:
    preview = Preview(10.0, np.full(10, 0.5), np.zeros((1, 1)))
    manifest = bundle.load().manifest
    found = [segment(2.0, 4.9, SAD, np.log(np.full(8, 1 / 8)))]
    axes = [
        drawn(chart)[1]
        for chart in (
            charts.waveform(preview, found),
            charts.windows(found, manifest, preview.duration_s),
            charts.mfcc(preview),
        )
    ]
    assert len({str(each["x"]["scale"]) for each in axes}) == 1
    assert len({str(each["x"]["axis"]) for each in axes}) == 1
    margins = {(each["y"]["axis"]["minExtent"], each["y"]["axis"]["maxExtent"]) for each in axes}
    assert len(margins) == 1
