"""A chart of accuracy against latency for all bundles and runtimes, drawn as SVG.

It is written with :mod:`undertone.support.svg`, because matplotlib must not be needed on a Pi.
"""

import math
from collections.abc import Sequence

from undertone.bench.result import Benchmark, Measurement, Model
from undertone.support.printable import printable
from undertone.support.svg import Element, add, picture, written

WIDTH, HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 200, 56, 56
_RADIUS_OF_100_KB = 22.0
_CHANCE_UAR = 1 / 8
_COLOURS = {"litert": "#4C78A8", "litert-builtin": "#F58518", "tflite-runtime": "#54A24B"}


def svg(benchmark: Benchmark) -> str:
    """A circle for each measurement, its area proportional to the size of the model's file.

    The horizontal axis is the latency of one invoke (logarithmic), the vertical axis the UAR; a
    bundle without figures is drawn at chance level.
    """
    root = picture(WIDTH, HEIGHT)
    shown = [(benchmark.model(one), one) for one in benchmark.measurements]
    title = "UAR (int8) against latency of one invoke (p50); area: size of the model's file"
    add(root, "text", title, x=_LEFT, y=28, font_weight="bold")
    horizontal = _Logarithmic([one.stages.invoke.p50_ms for _, one in shown])
    heights = [_uar(model) for model, _ in shown]
    low, high = min(_CHANCE_UAR, *heights), max(heights) + 0.05
    _axes(root, horizontal, low, high)
    for model, one in sorted(shown, key=lambda pair: -pair[0].file_bytes):
        x = horizontal.x(one.stages.invoke.p50_ms)
        _circle(root, x, _y(_uar(model), low, high), model, one)
    _legend(root, shown)
    return written(root)


class _Logarithmic:
    """The horizontal axis, from the decade below the least latency to that above the greatest."""

    def __init__(self, values_ms: Sequence[float]) -> None:
        above = [max(value, 1e-4) for value in values_ms]
        self.first = math.floor(math.log10(min(above)))
        self.last = max(self.first + 1, math.ceil(math.log10(max(above))))

    def x(self, value_ms: float) -> float:
        share = (math.log10(max(value_ms, 1e-4)) - self.first) / (self.last - self.first)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)


def _y(uar: float, low: float, high: float) -> float:
    return round(HEIGHT - _BOTTOM - (uar - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)


def _uar(model: Model) -> float:
    return model.accuracy.uar if model.accuracy else _CHANCE_UAR


def _accuracy(model: Model) -> str:
    return f"{100 * model.accuracy.uar:.1f} % UAR" if model.accuracy else "not evaluated"


def _axes(root: Element, horizontal: _Logarithmic, low: float, high: float) -> None:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for decade in range(horizontal.first, horizontal.last + 1):
        for step in (1, 2, 5):
            x = horizontal.x(step * 10.0**decade)
            if x > right:
                break
            add(root, "line", x1=x, x2=x, y1=_TOP, y2=bottom, stroke="#DDDDDD")
            name = f"{step * 10.0**decade:g}"
            add(root, "text", name, x=x, y=bottom + 20, text_anchor="middle")
    middle = (_LEFT + right) / 2
    add(root, "text", "ms per invoke", x=middle, y=bottom + 42, text_anchor="middle")
    for tenth in range(math.ceil(low * 10), math.floor(high * 10) + 1):
        y = _y(tenth / 10, low, high)
        add(root, "line", x1=_LEFT, x2=right, y1=y, y2=y, stroke="#DDDDDD")
        add(root, "text", f"{tenth * 10} %", x=_LEFT - 8, y=y + 4, text_anchor="end")


def _circle(root: Element, x: float, y: float, model: Model, one: Measurement) -> None:
    radius = round(_RADIUS_OF_100_KB * math.sqrt(model.file_bytes / 102_400), 1)
    group = add(root, "g")
    figures = f"{one.stages.invoke.p50_ms:.3f} ms, {_accuracy(model)}"
    size = f"{model.file_bytes / 1024:.1f} KB"
    add(group, "title", printable(f"{one.title}: {figures}, {size}"))
    colour = _COLOURS[one.runtime]
    add(group, "circle", cx=x, cy=y, r=radius, fill=colour, fill_opacity=0.55, stroke=colour)
    if one.threads > 1:
        add(group, "text", str(one.threads), x=x, y=y + 4, text_anchor="middle", font_size=11)


def _legend(root: Element, shown: Sequence[tuple[Model, Measurement]]) -> None:
    x, y = WIDTH - _RIGHT + 24, _TOP
    for runtime in dict.fromkeys(one.runtime for _, one in shown):
        add(root, "circle", cx=x, cy=y, r=7, fill=_COLOURS[runtime])
        add(root, "text", runtime, x=x + 16, y=y + 4)
        y += 24
    if any(one.threads > 1 for _, one in shown):
        add(root, "text", "number: threads", x=x - 7, y=y + 4, font_size=11)
        y += 24
    for model in dict.fromkeys(model for model, _ in shown):
        y += 24
        add(root, "text", printable(model.bundle), x=x - 7, y=y, font_size=11, font_weight="bold")
        size = f"{model.file_bytes / 1024:.0f} KB, {_accuracy(model)}"
        add(root, "text", size, x=x - 7, y=y + 16, font_size=11)
        y += 16
