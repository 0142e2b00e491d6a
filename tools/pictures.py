"""Make the README's picture: the live view as it looks in the middle of the packaged sample.

``make pictures`` runs it; the confusion matrix stands in the bundle's report already.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console, RenderableType

from undertone import bundle
from undertone.audio.block import Block
from undertone.classifier import Classifier
from undertone.cli.view import LiveView
from undertone.listener import Listener
from undertone.pipeline import Pipeline
from undertone.samples import demonstration

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "live-view.svg"
SHOWN_AT_S = 22.4
"""In the middle of the fifth clip, an angry voice."""

STARTED_S = datetime(2026, 11, 21, 18, 30).timestamp()
"""Any time of day, so that the picture is the same whenever and wherever it is made."""

_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""What rich would have the viewer fetch: a picture must show without a network."""


def live_view() -> RenderableType:
    """Listen to the sample until ``SHOWN_AT_S`` and return what the screen shows then."""
    loaded = bundle.load()
    console = Console(file=io.StringIO(), force_terminal=True)
    view = LiveView(console, "packaged sample")
    shown: list[RenderableType] = []

    def blocks() -> Iterator[Block]:
        for block in demonstration():
            if block.time_s >= SHOWN_AT_S:
                shown.append(view.render())
                return
            yield replace(block, time_s=STARTED_S + block.time_s)

    listener = Listener(Pipeline(Classifier(loaded)), loaded.manifest, [view], lambda: STARTED_S)
    listener.run(blocks(), "packaged sample")
    return shown[0]


def main() -> None:
    """Write the picture into docs/pictures."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    console = Console(file=io.StringIO(), record=True, width=78)
    console.print(live_view())
    PICTURE.write_text(_WEB_FONT.sub("", console.export_svg(title="undertone listen")))


if __name__ == "__main__":
    main()
