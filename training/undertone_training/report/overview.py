"""The overview of corpora: a table of their clips, pictures, and one page of all."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.emotions import EMOTIONS
from undertone.errors import AudioSourceError
from undertone.recognition.mfcc import MfccConfig
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.table import table
from undertone_training.errors import CorpusError
from undertone_training.report import dataset, document, examples
from undertone_training.report.breakdown import KINDS
from undertone_training.report.pictures import png


def write_overview(
    folder: Path,
    clips: Sequence[Clip],
    left_out: Sequence[str],
    config: MfccConfig,
    progress: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Write ``overview.html``, ``clips.csv`` and a PNG for each picture into ``folder``.

    left_out: a sentence for each kind of file that is no clip.  config: of the examples' MFCC.
    ``progress`` is called after each clip.  Returns the table: ``corpora.table`` and
    ``duration_s``.  A recording that can't be read is told on the page and left out; raises
    CorpusError where none can, or the folder can't be written.
    """
    durations_s, unreadable = _measure(clips, progress)
    readable = [clip for clip in clips if clip.clip_id in durations_s]
    if not readable:
        raise CorpusError(f"None of the {len(clips)} clips can be read: {unreadable[0]}")
    frame = table(readable)
    frame["duration_s"] = [round(durations_s[clip.clip_id], 3) for clip in readable]
    sections = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_csv(folder / "clips.csv", index=False)
        for corpus, part in frame.groupby("corpus", sort=False):
            own = [clip for clip in readable if clip.corpus == corpus]
            drawn = _draw(own, part, config)
            for name, (_, content) in drawn.items():
                (folder / f"{corpus}-{name}.png").write_bytes(content)
            sections.append(_section(str(corpus), part, list(drawn.values())))
        sections.append(_missing([*unreadable, *left_out]))
        page = document.document("The clips at hand", summary(frame), "\n".join(sections))
        (folder / "overview.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise CorpusError(
            f"{folder} can't be written ({error.strerror}): name another folder with --output."
        ) from error
    return frame


def _measure(
    clips: Sequence[Clip], progress: Callable[[], None]
) -> tuple[dict[str, float], list[str]]:
    """Seconds of each recording, by clip_id, and what is wrong with those that can't be read."""
    durations_s, unreadable = {}, []
    for clip in clips:
        try:
            durations_s[clip.clip_id] = len(clip.source.read()) / SAMPLE_RATE_HZ
        except AudioSourceError as error:
            unreadable.append(str(error))
        progress()
    return durations_s, unreadable


def _draw(
    clips: Sequence[Clip], frame: pd.DataFrame, config: MfccConfig
) -> Mapping[str, tuple[str, bytes]]:
    """Caption and PNG of each picture by its name."""
    note = f"{clips[0].corpus} · {summary(frame)}"
    shown = [examples.Example(clip, clip.source.read()) for clip in examples.chosen(clips)]
    ids = ", ".join(each.clip.clip_id for each in shown)
    drawn = {
        "emotions": ("Clips of each emotion.", dataset.emotions(frame, note)),
        "speakers": ("Clips of each speaker, by emotion.", dataset.speakers(frame, note)),
        "kinds": ("Clips by sex, intensity and channel.", dataset.kinds(frame, note)),
        "durations": (
            "Durations: the middle half in the box, the median its line.",
            dataset.durations(frame, note),
        ),
        "examples": (
            "Waveform, Undertone's MFCC and the mel bands that they are made of; on colour is "
            f"what the speech gate lets through. Clips: {ids}.",
            examples.examples(shown, note, config),
        ),
    }
    return {name: (caption, png(picture)) for name, (caption, picture) in drawn.items()}


def summary(frame: pd.DataFrame) -> str:
    """How many clips the table has, of how many speakers, and how long they are."""
    speakers = len(frame[["corpus", "speaker"]].drop_duplicates())
    minutes = frame["duration_s"].sum() / 60
    return (
        f"{len(frame):,} clip{'s' * (len(frame) > 1)} of {speakers} "
        f"speaker{'s' * (speakers > 1)}, {minutes:.1f} min"
    )


def _section(corpus: str, frame: pd.DataFrame, drawn: Sequence[tuple[str, bytes]]) -> str:
    """A corpus on the page: what it lacks, a row for each emotion, the pictures."""
    remarks = []
    lacking = [emotion for emotion in EMOTIONS if emotion not in set(frame["emotion"])]
    if lacking:
        remarks.append(f"No clips of: {', '.join(lacking)}.")
    if frame["speaker"].nunique() == 1:
        remarks.append("One speaker alone: nothing can be tested on a stranger.")
    return "\n".join(
        [
            f"<h2>{escape(corpus)}</h2>",
            f"<p>{escape(summary(frame))}. {escape(' '.join(remarks))}</p>",
            _counts(frame),
            f"<h2>Pictures of {escape(corpus)}</h2>",
            document.pictures(drawn),
        ]
    )


def _counts(frame: pd.DataFrame) -> str:
    """Clips of each emotion, by sex, intensity and channel, and how long they are."""
    kinds = [(kind, value) for kind in KINDS for value in sorted(frame[kind].dropna().unique())]

    def row(name: str, part: pd.DataFrame) -> list[str]:
        counts = [f"{(part[kind] == value).sum():,}" for kind, value in kinds]
        mean_s = f"{part['duration_s'].mean():.2f} s"
        return [name, f"{len(part):,}", str(part["speaker"].nunique()), *counts, mean_s]

    rows = [
        row(document.emotion(emotion), frame[frame["emotion"] == emotion])
        for emotion in dataset.emotions_of(frame)
    ]
    head = ["", "clips", "speakers", *(escape(str(value)) for _, value in kinds), "mean duration"]
    return document.table(head, [*rows, row("all", frame)])


def _missing(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    lines = "\n".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f"<h2>Left out</h2>\n<ul>\n{lines}\n</ul>"
