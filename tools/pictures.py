"""Draw the README's pictures: the live view in the middle of the packaged sample, and the page.

``make pictures`` runs it; the confusion matrix is in the bundle's report.
"""

import io
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
from rich.console import Console, RenderableType

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.cli.view import LiveView
from undertone.emotions import EMOTIONS
from undertone.events import SegmentEnded, Verdict
from undertone.journal.writer import JournalWriter
from undertone.listener import Listener
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline
from undertone.samples import demonstration
from web_page import PageServer, chromium

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "live-view.svg"
SHOWN_AT_S = 22.4
"""In the middle of the fifth clip, an angry voice."""

STARTED_S = datetime(2026, 11, 21, 18, 30).timestamp()
"""A fixed time, so that the picture is always the same."""

_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts that rich's SVG loads from the network, which a picture must not need."""


def live_view() -> RenderableType:
    """Listen to the sample until ``SHOWN_AT_S``, and return what the screen then shows."""
    loaded = bundle.load()
    console = Console(file=io.StringIO(), force_terminal=True)
    name = "packaged sample"
    view = LiveView(console, name)
    shown: list[RenderableType] = []

    def blocks() -> Iterator[tuple[str, Block]]:
        for block in demonstration():
            if block.time_s >= SHOWN_AT_S:
                shown.append(view.render())
                return
            yield name, replace(block, time_s=STARTED_S + block.time_s)

    pipelines = {name: Pipeline(Classifier(loaded))}
    Listener(pipelines, loaded.manifest, [view], lambda: STARTED_S).run(blocks())
    return shown[0]


def pages() -> None:
    """Screenshots of the page: a file on a desktop, the journal on a phone in dark mode."""
    with TemporaryDirectory() as folder, chromium() as browser, ExitStack() as stack:
        _write_journal(Path(folder))
        server = stack.enter_context(PageServer("--journal", folder))
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.goto(f"{server.url}/classify")
        sound = np.concatenate([block.samples for block in demonstration()])
        file = io.BytesIO()
        soundfile.write(file, sound, SAMPLE_RATE_HZ, format="FLAC")
        page.locator("input[type=file]").set_input_files(
            {"name": "clips.flac", "mimeType": "audio/flac", "buffer": file.getvalue()}
        )
        _picture(page, "MFCC over time", "web-classify.png")
        page = browser.new_page(
            viewport={"width": 390, "height": 1000}, color_scheme="dark", device_scale_factor=1.5
        )
        page.goto(f"{server.url}/journal")
        _picture(page, "Share by hour", "web-journal.png")


def _picture(page: Any, last: str, name: str) -> None:
    """A screenshot of ``page`` once it shows the text ``last`` and its charts, and is complete."""
    page.get_by_text(last).wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-testid=stVegaLiteChart]')]"
        ".every(chart => chart.querySelector('svg, canvas'))"
    )
    page.screenshot(path=PICTURE.with_name(name))


def _write_journal(folder: Path) -> None:
    """An invented day, so that no real journal is shown."""
    chance = random.Random(5)
    day = datetime(2026, 11, 21, 7)
    likely = dict(zip(EMOTIONS, (4, 5, 3, 1, 1, 0.5, 0.5, 1), strict=True))
    writer = JournalWriter(folder)
    for minute in sorted(chance.sample(range(14 * 60), 150)):
        weights = {label: likely[label] * chance.random() ** 3 for label in EMOTIONS}
        scores = {name: weight / sum(weights.values()) for name, weight in weights.items()}
        time_s = (day + timedelta(minutes=minute)).timestamp()
        duration_s = chance.uniform(1, 6)
        event = SegmentEnded.of(
            time_s, duration_s, -35.0, Verdict.of(scores, threshold=0.4), "m", "0" * 64
        )
        writer.write(event)
    writer.close()


def main() -> None:
    """Write the pictures into docs/pictures."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    console = Console(file=io.StringIO(), record=True, width=78)
    console.print(live_view())
    PICTURE.write_text(_WEB_FONT.sub("", console.export_svg(title="undertone listen")))
    pages()


if __name__ == "__main__":
    main()
