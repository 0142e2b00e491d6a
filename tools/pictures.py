"""Make the README's pictures: the live view as it looks in the middle of the packaged sample."""

import io
import shutil
from pathlib import Path

from rich.console import Console

from undertone import bundle
from undertone.classifier import Classifier
from undertone.cli.view import LiveView
from undertone.listener import Listener
from undertone.pipeline import Pipeline
from undertone.samples import demonstration

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SHOWN_AT_S = 24.5


def live_view(path: Path) -> None:
    """Listen to the sample until ``SHOWN_AT_S`` and draw what the screen shows then."""
    loaded = bundle.load()
    console = Console(file=io.StringIO(), record=True, width=80, force_terminal=True)
    view = LiveView(console, "packaged sample")
    blocks = (block for block in demonstration() if block.time_s < SHOWN_AT_S)
    classifier = Classifier(loaded)
    Listener(Pipeline(classifier), loaded.manifest, [view], lambda: 0.0).run(blocks, "sample")
    console = Console(file=io.StringIO(), record=True, width=80)
    console.print(view.render())
    console.save_svg(str(path), title="undertone listen")


def main() -> None:
    """Write every picture into docs/pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    live_view(PICTURES / "live-view.svg")
    report = bundle.load().folder / "report"
    shutil.copy(report / "confusion-int8.png", PICTURES / "confusion.png")


if __name__ == "__main__":
    main()
