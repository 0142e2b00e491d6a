"""A chart of one clip of each emotion: waveform, MFCC and mel bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from python_speech_features import base

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.emotions import EMOTIONS, colour
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone_training.corpora.clip import Clip
from undertone_training.features.gate import speech_of
from undertone_training.report.pictures import INK, plain, sheet

_RANGE_DB = 60
"""Range of the mel bands' colours: anything further below the loudest is black."""

_COLUMNS = 1500
"""Columns in the drawing of the waveform."""


@dataclass(frozen=True, eq=False)
class Example:
    """One clip to draw; samples: int16, shape (n,)."""

    clip: Clip
    samples: Samples


def chosen(clips: Sequence[Clip]) -> list[Clip]:
    """One clip of each emotion, as similar as possible: speech, of the first speaker."""
    ordered = sorted(clips, key=lambda clip: (clip.channel != "speech", clip.speaker, clip.clip_id))
    firsts = {clip.emotion: clip for clip in ordered[::-1]}
    return [firsts[emotion] for emotion in EMOTIONS if emotion in firsts]


def examples(shown: Sequence[Example], note: str, config: MfccConfig) -> Figure:
    """A row for each example; what passes the speech gate has a coloured background."""
    picture = sheet("A clip of each emotion", note, 11.0, 1.5 + 1.35 * len(shown))
    fields = picture.subplots(len(shown), 3, squeeze=False, sharex=True)
    for axes in fields.flat:
        plain(axes)
    for (wave, mfcc, mel), each in zip(fields, shown, strict=True):
        seconds = len(each.samples) / SAMPLE_RATE_HZ
        _waveform(wave, each)
        cepstra = Mfcc(config.without_pitch).compute(each.samples)
        deviations = np.maximum(cepstra.std(axis=0), 1e-3)
        _image(mfcc, (cepstra - cepstra.mean(axis=0)) / deviations, seconds, "RdBu_r", -3, 3)
        bands_db = 10 * np.log10(np.maximum(_mel(each.samples, config), 1e-3))
        loudest_db = float(bands_db.max())
        _image(mel, bands_db, seconds, "magma", loudest_db - _RANGE_DB, loudest_db)
    mel_title = f"{config.n_filters} mel bands, {_RANGE_DB} dB"
    for axes, title in zip(
        fields[0],
        ("waveform", f"{config.n_coefficients} MFCC, standardised", mel_title),
        strict=True,
    ):
        axes.set_title(title, color=INK, size=10)
    for axes in fields[-1]:
        axes.set_xlabel("seconds")
        axes.set_xlim(0, max(len(each.samples) for each in shown) / SAMPLE_RATE_HZ)
    return picture


def _waveform(axes: Axes, example: Example) -> None:
    samples, emotion = example.samples, example.clip.emotion
    for segment in speech_of(samples):
        span = (segment.time_s, segment.time_s + segment.duration_s)
        axes.axvspan(*span, color=colour(emotion), alpha=0.35, linewidth=0)
    step = max(1, len(samples) // _COLUMNS)  # draw the lowest and highest of so many samples
    pieces = samples[: len(samples) // step * step].reshape(-1, step) / 32768
    times_s = np.arange(len(pieces)) * step / SAMPLE_RATE_HZ
    axes.fill_between(times_s, pieces.min(axis=1), pieces.max(axis=1), color=INK, linewidth=0.4)
    peak = max(0.01, 1.1 * float(np.abs(pieces).max()))
    axes.set_ylim(-peak, peak)
    axes.set_ylabel(emotion, color=INK, weight="bold")


def _image(
    axes: Axes, frames: NDArray[np.float64], seconds: float, cmap: str, low: float, high: float
) -> None:
    """Draw ``frames``, shape (frames, values), over time, with the first value lowest."""
    axes.imshow(
        frames.T, cmap=cmap, vmin=low, vmax=high, origin="lower", aspect="auto",
        extent=(0, seconds, -0.5, frames.shape[1] - 0.5), interpolation="nearest",
    )  # fmt: skip


def _mel(samples: Samples, config: MfccConfig) -> NDArray[np.float64]:
    """Energies in the mel filters that the MFCC are computed from, shape (frames, filters)."""
    arguments = config.reference_arguments
    del arguments["numcep"], arguments["ceplifter"]
    energies: NDArray[np.float64] = base.fbank(samples, **arguments)[0]
    return energies
