"""The overview of the corpora: a table of their clips, charts, and a page with all of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.emotions import EMOTIONS
from undertone.errors import AudioSourceError
from undertone.recognition.mfcc import MfccConfig
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.table import table
from undertone_training.errors import CorpusError
from undertone_training.report import dataset, examples
from undertone_training.report.breakdown import KINDS
from undertone_training.report.pictures import png
from undertone_training.report.template import Picture, render


def write_overview(
    folder: Path,
    clips: Sequence[Clip],
    left_out: Sequence[str],
    config: MfccConfig,
    progress: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Write ``overview.html``, ``clips.csv`` and a PNG for each picture into ``folder``.

    left_out: a sentence for each kind of file that is not a clip.  config: for the examples' MFCC.
    ``progress`` is called after each clip.  Returns the table: ``corpora.table`` and
    ``duration_s``.  A recording that can't be read is left out, and the page says so.
    Raises CorpusError if none can be read, or the folder can't be written.
    """
    durations_s, unreadable = _measure(clips, progress)
    readable = [clip for clip in clips if clip.clip_id in durations_s]
    if not readable:
        raise CorpusError(f"None of the {len(clips)} clips can be read: {unreadable[0]}")
    frame = table(readable)
    frame["duration_s"] = [round(durations_s[clip.clip_id], 3) for clip in readable]
    corpora = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_csv(folder / "clips.csv", index=False)
        for corpus, part in frame.groupby("corpus", sort=False):
            own = [clip for clip in readable if clip.corpus == corpus]
            drawn = _draw(own, part, config)
            for picture in drawn:
                (folder / f"{corpus}-{picture.name}.png").write_bytes(picture.png)
            corpora.append(_section(str(corpus), part, drawn))
        left_out = [*unreadable, *left_out]
        page = render("overview.html", summary=summary(frame), corpora=corpora, left_out=left_out)
        (folder / "overview.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise CorpusError(
            f"{folder} can't be written ({error.strerror}): name another folder with --output."
        ) from error
    return frame


def _measure(
    clips: Sequence[Clip], progress: Callable[[], None]
) -> tuple[dict[str, float], list[str]]:
    """Seconds of each recording, by clip_id, and what is wrong with the unreadable ones."""
    durations_s, unreadable = {}, []
    for clip in clips:
        try:
            durations_s[clip.clip_id] = len(clip.source.read()) / SAMPLE_RATE_HZ
        except AudioSourceError as error:
            unreadable.append(str(error))
        progress()
    return durations_s, unreadable


def _draw(clips: Sequence[Clip], frame: pd.DataFrame, config: MfccConfig) -> list[Picture]:
    note = f"{clips[0].corpus} · {summary(frame)}"
    shown = [examples.Example(clip, clip.source.read()) for clip in examples.chosen(clips)]
    ids = ", ".join(each.clip.clip_id for each in shown)
    drawn = {
        "emotions": ("Clips of each emotion.", dataset.emotions(frame, note)),
        "speakers": ("Clips of each speaker, by emotion.", dataset.speakers(frame, note)),
        "kinds": ("Clips by sex, intensity and channel.", dataset.kinds(frame, note)),
        "durations": (
            "Durations: the box is the middle half, its line the median.",
            dataset.durations(frame, note),
        ),
        "examples": (
            "Waveform, Undertone's MFCC and the mel bands that they are computed from; coloured: "
            f"what the speech gate lets through. Clips: {ids}.",
            examples.examples(shown, note, config),
        ),
    }
    return [Picture(name, caption, png(picture)) for name, (caption, picture) in drawn.items()]


def summary(frame: pd.DataFrame) -> str:
    """Number of clips and speakers in the table, and the total duration."""
    speakers = len(frame[["corpus", "speaker"]].drop_duplicates())
    minutes = frame["duration_s"].sum() / 60
    return (
        f"{len(frame):,} clip{'s' * (len(frame) > 1)} of {speakers} "
        f"speaker{'s' * (speakers > 1)}, {minutes:.1f} min"
    )


def _section(corpus: str, frame: pd.DataFrame, drawn: Sequence[Picture]) -> dict[str, Any]:
    """A corpus on the page: emotions without clips, a row for each other one, the charts."""
    with_all = pd.concat([frame, frame.assign(emotion="all")]).groupby("emotion")
    columns = {"clips": with_all.size(), "speakers": with_all["speaker"].nunique()}
    for kind in KINDS:
        columns |= with_all[kind].value_counts().unstack(fill_value=0).items()
    emotions = dataset.emotions_of(frame)
    counts = pd.DataFrame(columns).loc[[*emotions, "all"]]
    return {
        "name": corpus,
        "summary": summary(frame),
        "lacking": [emotion for emotion in EMOTIONS if emotion not in emotions],
        "one_speaker": frame["speaker"].nunique() == 1,
        "columns": list(counts),
        "rows": dict(zip(counts.index, counts.to_numpy().tolist(), strict=True)),
        "mean_s": with_all["duration_s"].mean().to_dict(),
        "drawn": drawn,
    }
