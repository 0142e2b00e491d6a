"""A chart of all systems: accuracy on new speakers against file size."""

from matplotlib.figure import Figure

from undertone_training.references.table import Table
from undertone_training.report.pictures import BLUE, GRID, INK, VERMILION, canvas


def picture(found: Table) -> Figure:
    """A filled mark for an int8 file, a hollow one for a float file; sizes on a log scale."""
    note = "speaker-independent, 4 folds · filled: int8, hollow: float · red: ours"
    drawn, axes = canvas("Accuracy on new speakers and file size", note, 8.0, 5.4)
    for system in found.systems:
        if system.independent is None:
            continue
        shade = VERMILION if system.ours else BLUE
        marks = [
            (one.file_bytes / 1024, 100 * uar.mean, one.form)
            for one in system.cost
            if (uar := getattr(system.independent, f"{one.form}_uar"))
        ]
        sizes, figures, _ = zip(*marks, strict=True)
        axes.plot(sizes, figures, "-", color=shade, linewidth=0.8)
        for size, figure, form in marks:
            face = shade if form == "int8" else "white"
            axes.plot(size, figure, "o", color=face, markeredgecolor=shade, markersize=8)
        axes.annotate(
            system.recipe, max(zip(sizes, figures, strict=True)), (9, 0),
            textcoords="offset points", va="center", size=8, color=INK,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("file size, KB")
    axes.set_ylabel("UAR, %")
    axes.margins(x=0.2, y=0.12)
    axes.grid(color=GRID)
    return drawn
