"""``undertone-train prepare``: find the corpora, compute and cache their features."""

from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common
from undertone_training.errors import CorpusError

if TYPE_CHECKING:
    from undertone_training.features.cache import Estimate


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train prepare --data ~/corpora --dry-run
  undertone-train prepare --data ~/corpora --corpus ravdess --csv clips.csv
""",
)
@common.data
@common.cache
@common.recipe
@common.jobs
@common.scheduler
@click.option("--corpus", "corpora", multiple=True, help="Only this corpus; may be repeated.")
@click.option("--csv", type=click.Path(path_type=Path), help="Write a table of the clips.")
@click.option("--dry-run", is_flag=True, help="Only print what was found.")
def command(
    data: Path,
    cache: Path,
    recipe_name: str,
    jobs: int | None,
    scheduler: str | None,
    corpora: tuple[str, ...],
    csv: Path | None,
    dry_run: bool,
) -> None:
    """Find the clips of every corpus, cut out the speech, compute its MFCCs and keep them."""
    from undertone_training import recipe as recipes
    from undertone_training.corpora import scan, table
    from undertone_training.corpora.noise import for_training

    recipe = recipes.load(recipe_name)
    found = scan(data, corpora or None)
    counts = Counter((clip.corpus, clip.channel, clip.speaker) for clip in found.clips)
    for (corpus, channel), group in groupby(sorted(counts), key=lambda each: each[:2]):
        speakers = list(group)
        count = sum(counts[each] for each in speakers)
        click.echo(
            f"{corpus} {channel}: {count} clip{'s' * (count > 1)} of {len(speakers)} "
            f"speaker{'s' * (len(speakers) > 1)}"
        )
    for complaint in found.complaints():
        common.say(f"left out: {complaint}")
    if csv:
        try:
            table(found.clips).to_csv(csv, index=False)
        except OSError as error:
            raise CorpusError(
                f"{csv} can't be written ({error.strerror}): name another file with --csv."
            ) from error
    if dry_run:
        return

    def announce(work: "Estimate") -> None:
        common.echo(
            f"{work.n_clips} clips, about {_rounded(work.duration_s)} of sound: about "
            f"{_rounded(work.wait_s)} and {work.size_bytes / 1e6:.0f} MB in {cache}"
        )

    features = common.feature_cache(cache, jobs, scheduler).compute(
        found.clips, recipe, noise=for_training(data), on_estimate=announce
    )
    silent = [each.clip.clip_id for each in features if not each.segments]
    common.echo(f"{len(features)} clips prepared in {cache}")
    if silent:
        click.echo(f"no speech detected in {len(silent)}: {', '.join(silent[:10])}", err=True)


def _rounded(duration_s: float) -> str:
    """The duration in a suitable unit."""
    for unit, length_s in (("h", 3600), ("min", 60)):
        if duration_s >= 2 * length_s:
            return f"{duration_s / length_s:.0f} {unit}"
    return f"{duration_s:.0f} s"
