"""The charts of the pages: values in, an Altair chart out, in the colours of the emotions."""

import io
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undertone.emotions import NO_SPEECH, colour
from undertone.events import SegmentEnded
from undertone.journal.plot import ACTIVATION_COLOUR, in_order, short_name
from undertone.journal.summary import Counts
from undertone.recognition.bundle import Manifest
from undertone.recognition.decision import combine
from undertone.recognition.pipeline import ClassifiedSegment
from undertone.web.preview import Preview, Rows

_AXIS, _LEGEND = 40, 90
"""Pixels of a chart's height that they use."""

_LEFT: dict[str, Any] = {"minExtent": 64, "maxExtent": 64, "labelLimit": 56}
"""Pixels to the left of a plot: the same in all charts, so that their seconds are aligned."""

_MOST_WINDOWS = 300
_PICTURE_WIDTH = 800
_DEVIATIONS = 2.5
"""Standard deviations from the mean of the training windows to either end of the colour scale."""

_FLAT = alt.Axis(labelAngle=0, labelOverlap=True)
_EVERY_LABEL = alt.Axis(title=None, labelOverlap=False, labelFlush=False, **_LEFT)
_NO_LABEL = alt.Axis(title=None, labels=False, ticks=False, grid=False, domain=False, **_LEFT)

_COLD_TO_WARM = ((0.0, (13, 42, 99)), (0.5, (140, 140, 150)), (1.0, (253, 213, 84)))
"""Dark blue, grey, yellow: distinguishable by brightness alone."""

_QUIET_TO_EXCITED = ["#3B78C2", "#B9B9B9", "#D9480F"]
_FEW_TO_MANY = ["#9CC9E8", "#0B5A94"]
"""Visible on white and on black, by their brightness too."""


def probabilities(shares: Mapping[str, float]) -> alt.Chart:
    """A bar for the probability of each emotion."""
    labels = in_order(shares)
    return _chart(
        [{"emotion": label, "probability": shares[label]} for label in labels],
        alt.MarkDef("bar"),
        26 * len(labels) + _AXIS,
        y=alt.Y("emotion:N", sort=labels, axis=_EVERY_LABEL),
        x=alt.X(
            "probability:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=5),
            title=None,
        ),
        color=_colours("emotion", labels, legend=False),
        tooltip=["emotion:N", _share("probability")],
    )


def waveform(preview: Preview, segments: Sequence[ClassifiedSegment]) -> alt.Chart:
    """The amplitude of a recording over time, with its segments in the colours of their verdicts.

    The columns overlap a little, so that the page does not show between them.
    """
    pitch_s = preview.duration_s / len(preview.peaks)
    verdicts = _verdicts_at(segments, (np.arange(len(preview.peaks)) + 0.5) * pitch_s)
    rows = [
        {
            "from": i * pitch_s,
            "to": (i + 1.3) * pitch_s,
            "high": peak,
            "low": -peak,
            "verdict": verdict,
        }
        for i, (peak, verdict) in enumerate(zip(preview.peaks.tolist(), verdicts, strict=True))
    ]
    loudest = max(float(preview.peaks.max()), 0.01)
    return _chart(
        rows,
        alt.MarkDef("rect", opacity=1),
        160 + _LEGEND,
        x=_seconds(preview.duration_s),
        x2="to:Q",
        y=alt.Y("low:Q", axis=_NO_LABEL, scale=alt.Scale(domain=[-loudest, loudest])),
        y2="high:Q",
        color=_colours("verdict", verdicts),
        tooltip=["verdict:N", alt.Tooltip("from:Q", format=".2f", title="second")],
    )


def windows(
    segments: Sequence[ClassifiedSegment], manifest: Manifest, length_s: float
) -> alt.Chart:
    """The probabilities of each window: the stronger the colour, the more probable the emotion.

    Where windows overlap, each is drawn around its middle; together they cover their segment.
    """
    found = [
        (*span, logs)
        for segment in segments
        for span, logs in zip(_spans(segment, manifest), segment.windows, strict=True)
    ]
    together = -(-len(found) // _MOST_WINDOWS)
    rows = []
    for first in range(0, len(found), together):
        some = found[first : first + together]
        shares = np.exp(combine([logs for _, _, logs in some]))
        rows += [
            {"from": some[0][0], "to": some[-1][1], "emotion": label, "probability": share}
            for label, share in zip(manifest.labels, shares.tolist(), strict=True)
        ]
    return _chart(
        rows,
        alt.MarkDef("rect"),
        22 * len(manifest.labels) + _AXIS,
        x=_seconds(length_s),
        x2="to:Q",
        y=alt.Y("emotion:N", sort=list(manifest.labels), axis=_EVERY_LABEL),
        color=_colours("emotion", manifest.labels, legend=False),
        opacity=alt.Opacity(
            "probability:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 1]), legend=None
        ),
        tooltip=[
            "emotion:N",
            _share("probability"),
            alt.Tooltip("from:Q", format=".1f", title="second"),
        ],
    )


def _spans(segment: ClassifiedSegment, manifest: Manifest) -> Iterable[tuple[float, float]]:
    """From when to when each window of ``segment`` is drawn, in seconds of the recording."""
    frame_s = manifest.mfcc.hop_length / manifest.mfcc.sample_rate_hz
    window_s, hop_s = manifest.window.frames * frame_s, manifest.window.hop * frame_s
    last_s = max(0.0, segment.duration_s - window_s)
    starts = [min(i * hop_s, last_s) for i in range(len(segment.windows))]
    between = [(one + other + window_s) / 2 for one, other in pairwise(starts)]
    return pairwise(segment.time_s + edge for edge in (0.0, *between, segment.duration_s))


def mfcc(preview: Preview) -> alt.Chart:
    """The MFCC over time, as :func:`mfcc_picture` colours them."""
    png = io.BytesIO()
    Image.fromarray(mfcc_picture(preview.mfcc)).save(png, "png")
    url = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
    return _chart(
        [{"from": 0, "to": preview.duration_s, "low": 0, "high": 1, "url": url}],
        alt.MarkDef("image", aspect=False),
        120 + _AXIS,
        x=_seconds(preview.duration_s),
        x2="to:Q",
        y=alt.Y("low:Q", axis=_NO_LABEL),
        y2="high:Q",
        url="url:N",
    )


def mfcc_picture(mfcc: Rows) -> NDArray[np.uint8]:
    """MFCC as pixels, shape (height, width, 3): time to the right, coefficient 1 at the bottom."""
    share = np.clip(mfcc.T[::-1] / (2 * _DEVIATIONS) + 0.5, 0, 1)
    stops = [stop for stop, _ in _COLD_TO_WARM]
    channels = [np.interp(share, stops, [rgb[i] for _, rgb in _COLD_TO_WARM]) for i in range(3)]
    pixels: NDArray[np.uint8] = np.stack(channels, axis=-1).astype(np.uint8)
    return pixels.repeat(4, axis=0).repeat(-(-_PICTURE_WIDTH // pixels.shape[1]), axis=1)


def over_time(bars: Mapping[str, Counts]) -> alt.Chart:
    """Segments in each hour or day, stacked; ``bars`` from :func:`journal.plot.over_time`."""
    names = {short_name(when): counts for when, counts in bars.items()}
    x = alt.X("when:O", title=None, sort=list(names), axis=_FLAT)
    return _stacked(names, x, alt.Y("segments:Q", axis=alt.Axis(tickMinStep=1)))


def by_hour(hours: Mapping[int, Counts]) -> alt.Chart:
    """The share of each verdict in the segments of each hour of the day."""
    bars = {f"{hour:02}": hours.get(hour, {}) for hour in range(24)}
    x = alt.X("when:O", title="hour of the day", axis=_FLAT)
    y = alt.Y("segments:Q", stack="normalize", axis=alt.Axis(format="%"), title=None)
    return _stacked(bars, x, y)


def activation(series: Mapping[str, Mapping[str, float | None]], title: str | None) -> alt.Chart:
    """The mean activation over time: a line for each of ``series``, the first in colour.

    All series have the same names, in order; a line has a gap where there is no value.
    """
    names = [short_name(name) for name in next(iter(series.values()))]
    colours = [ACTIVATION_COLOUR, *["#8A8A8A"] * (len(series) - 1)]
    return _chart(
        [
            {"when": short_name(when), "mean of": name, "activation": mean}
            for name, means in series.items()
            for when, mean in means.items()
        ],
        alt.MarkDef("line", point=True),
        180 + _AXIS + _LEGEND,
        x=alt.X("when:O", title=title, sort=names, axis=_FLAT),
        y=alt.Y(
            "activation:Q",
            title=None,
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=5, **_LEFT),
        ),
        color=alt.Color(
            "mean of:N",
            scale=alt.Scale(domain=list(series), range=colours),
            legend=alt.Legend(orient="bottom", title=None) if len(series) > 1 else None,
        ),
        tooltip=["when:O", "mean of:N", _share("activation")],
    )


def heat_map(hours: Mapping[str, float], days: Sequence[date], of_activation: bool) -> alt.Chart:
    """A square for each hour of ``days`` that has a value: the number of segments, or activation.

    hours: values by hour, ``2026-11-21T18``.
    """
    rows = [
        {"day": f"{day:%a %m-%d}", "hour": f"{hour:02}", "value": value}
        for day in days
        for hour in range(24)
        if (value := hours.get(f"{day}T{hour:02}")) is not None
    ]
    if of_activation:
        detail = alt.Tooltip("value:Q", format=".0%", title="mean activation")
        scale = alt.Scale(domain=[0, 0.5, 1], range=_QUIET_TO_EXCITED)
        legend = alt.Legend(orient="bottom", title=None, format="%")
    else:
        detail = alt.Tooltip("value:Q", format="d", title="segments")
        scale = alt.Scale(domainMin=0, range=_FEW_TO_MANY)
        legend = alt.Legend(orient="bottom", title=None, tickMinStep=1)
    return _chart(
        rows,
        alt.MarkDef("rect", cornerRadius=2),
        20 * len(days) + _AXIS + _LEGEND,
        x=alt.X(
            "hour:O",
            title="hour of the day",
            scale=alt.Scale(domain=[f"{hour:02}" for hour in range(24)], paddingInner=0.1),
            axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False, domain=False),
        ),
        y=alt.Y(
            "day:O",
            title=None,
            scale=alt.Scale(domain=[f"{day:%a %m-%d}" for day in days], paddingInner=0.1),
            axis=alt.Axis(labelOverlap=False, labelFlush=False, ticks=False, domain=False, **_LEFT),
        ),
        color=alt.Color("value:Q", scale=scale, legend=legend),
        tooltip=["day:O", "hour:O", detail],
    )


def strip(segments: Iterable[SegmentEnded], since: datetime, until: datetime) -> alt.Chart:
    """Every segment at its local time, in a row for each verdict; times without a time zone."""
    rows: list[dict[str, Any]] = [
        {
            "time": segment.time.replace(tzinfo=None).isoformat(timespec="seconds"),
            "verdict": segment.verdict,
            "confidence": segment.confidence,
            "activation": segment.activation,
            "seconds": segment.duration_s,
        }
        for segment in segments
    ]
    verdicts = in_order(row["verdict"] for row in rows)
    return _chart(
        rows,
        alt.MarkDef("tick", thickness=2, opacity=1),
        24 * len(verdicts) + _AXIS,
        x=alt.X(
            "time:T",
            title=None,
            scale=alt.Scale(domain=[each.isoformat() for each in (since, until)]),
            axis=alt.Axis(format="%H:%M", labelOverlap=True),
        ),
        y=alt.Y("verdict:N", sort=verdicts, axis=_EVERY_LABEL),
        color=_colours("verdict", verdicts, legend=False),
        tooltip=[
            alt.Tooltip("time:T", format="%H:%M:%S"),
            "verdict:N",
            _share("confidence"),
            _share("activation"),
            alt.Tooltip("seconds:Q", format=".1f"),
        ],
    )


def _stacked(bars: Mapping[str, Counts], x: alt.X, y: alt.Y) -> alt.Chart:
    verdicts = in_order({verdict for counts in bars.values() for verdict in counts})
    rows = [
        {"when": when, "verdict": verdict, "segments": counts.get(verdict, 0), "order": number}
        for when, counts in bars.items()
        for number, verdict in enumerate(verdicts)
    ]
    return _chart(
        rows,
        alt.MarkDef("bar"),
        220 + _LEGEND,
        x=x,
        y=y,
        color=_colours("verdict", verdicts),
        order="order:Q",
        tooltip=["when:O", "verdict:N", "segments:Q"],
    )


def _verdicts_at(segments: Sequence[ClassifiedSegment], times_s: NDArray[np.float64]) -> list[str]:
    """The verdict on the segment at each of ``times_s``."""
    starts = np.array([segment.time_s for segment in segments])
    places = np.searchsorted(starts, times_s, side="right") - 1
    return [
        segments[place].verdict.verdict
        if place >= 0 and time_s < segments[place].time_s + segments[place].duration_s
        else NO_SPEECH
        for place, time_s in zip(places.tolist(), times_s.tolist(), strict=True)
    ]


def _share(field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", format=".0%")


def _seconds(length_s: float) -> alt.X:
    scale = alt.Scale(domain=[0, length_s], nice=False)
    return alt.X("from:Q", scale=scale, axis=alt.Axis(grid=False), title="seconds")


def _colours(field: str, verdicts: Iterable[str], legend: bool = True) -> alt.Color:
    names = in_order(verdicts)
    return alt.Color(
        f"{field}:N",
        scale=alt.Scale(domain=names, range=[colour(name) for name in names]),
        legend=alt.Legend(orient="bottom", title=None, columns=3) if legend else None,
    )


def _chart(
    rows: list[dict[str, Any]], mark: alt.MarkDef, height: int, **channels: Any
) -> alt.Chart:
    chart: alt.Chart = alt.Chart(alt.InlineData(values=rows), mark=mark, height=height).encode(
        **channels
    )
    return chart
