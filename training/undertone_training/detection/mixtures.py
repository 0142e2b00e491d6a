"""Recordings with known speech for the detector: voices in noise, rooms, music and babble.

Each mixture is 12 s long.  Three fifths of them contain speech.  Where it is follows from the clip
before anything is added to it, so noise does not move the labels.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_opening
from scipy.signal import butter, oaconvolve, sosfilt
from threadpoolctl import threadpool_limits

from undertone.audio.block import SAMPLE_RATE_HZ, Samples, to_int16
from undertone.errors import WorkerError
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.random_sounds import Sound, coloured_noise, random_sound
from undertone_training.features.reverberation import impulse_responses
from undertone_training.progress import Progress, silent

FORMAT = 6
"""Increased when this module or ``random_sounds`` makes other mixtures."""

DURATION_S = 12.0
PIECE = 50
"""Mixtures in one file."""

WITH_SPEECH = 0.62
LEVEL_DBFS = (-50.0, -12.0)
"""Range of the level of speech, or of a sound where nobody speaks."""

SNR_DB = (-3.0, 30.0)
"""Range of the ratio of the level of speech, while there is any, to that of the background."""

ROOM_DBFS = (-85.0, -60.0)
"""Range of the level of a quiet room, which is in every mixture."""

SPEED = 0.15
LIVELY = ("angry", "fearful", "happy", "surprised")
HIGHEST_SPEED = 2.2
BRIGHTEST = 0.9
"""Lively voices are also played up to this much faster and higher, and with more of their high
frequencies, up to this pre-emphasis: the corpora have few shouts, and no screams.  Without this,
the screams of RAVDESS passed for music."""

CREMAD_HZ = 5500.0
"""The published copies of CREMA-D contain nothing above.  A share of everything else is cut there
too, or a missing band would become a sign of speech, and its presence one of noise."""

TELEPHONE_HZ = 3600.0

_LENGTH = round(DURATION_S * SAMPLE_RATE_HZ)
_ACTIVE_RANGE_DB = 30.0
_ABOVE_FLOOR_DB = 8.0
_LABEL_FRAME = 160
_BRIDGED_FRAMES = 15
_SHORTEST_FRAMES = 5


@dataclass(frozen=True)
class Material:
    """What mixtures are made of: clips by corpus, and recordings of noise."""

    clips: Mapping[str, Sequence[Clip]]
    noise: Sequence[Path] = field(default_factory=tuple)


@dataclass(frozen=True)
class Mixture:
    """One recording: ``samples`` int16, and for each frame of its MFCC whether it is speech."""

    samples: Samples
    speech: NDArray[np.bool_]


def mixture(material: Material, config: MfccConfig, seed: Sequence[int]) -> Mixture:
    """The mixture of this seed; raises AudioSourceError for a recording that can't be read."""
    generator = np.random.default_rng(seed)
    level_db = generator.uniform(*LEVEL_DBFS)
    if generator.random() < WITH_SPEECH:
        voices, active = _voices(material, generator)
        sound = voices + _background(material, generator) * _gain(-generator.uniform(*SNR_DB))
    else:
        active = np.zeros(_LENGTH, np.bool_)
        sound = _background(material, generator)
    sound = _through_microphone(generator, sound) * _gain(level_db)
    sound += coloured_noise(generator, DURATION_S) * _gain(generator.uniform(*ROOM_DBFS))
    if generator.random() < 0.05:  # overdriven
        sound *= _gain(generator.uniform(6, 20) - level_db - 15)
    return Mixture(to_int16(sound.astype(np.float32)), _labels(active, config))


def _labels(active: NDArray[np.bool_], config: MfccConfig) -> NDArray[np.bool_]:
    """Of each MFCC frame, by the majority of the hop in its middle."""
    hop, length = config.hop_length, config.frame_length
    first = (length - hop) // 2
    count = (len(active) - length) // hop + 1
    middles = active[first : first + count * hop].reshape(count, hop)
    labels: NDArray[np.bool_] = middles.mean(axis=1) > 0.5
    return labels


def _voices(material: Material, generator: np.random.Generator) -> tuple[Sound, NDArray[np.bool_]]:
    """Clips one after another with pauses, and where each speaks; an RMS of 1 while it does."""
    sound, active = np.zeros(_LENGTH), np.zeros(_LENGTH, np.bool_)
    responses = impulse_responses()
    room = responses[generator.integers(len(responses))] if generator.random() < 0.45 else None
    at = round(generator.uniform(0, 2.5) * SAMPLE_RATE_HZ)
    while at < _LENGTH:
        corpus = list(material.clips)[generator.integers(len(material.clips))]
        clips = material.clips[corpus]
        voice, speaks = _voice(clips[generator.integers(len(clips))], generator)
        if corpus != "cremad" and generator.random() < 0.3:
            voice = _low_pass(voice, CREMAD_HZ)
        if room is not None:
            voice = oaconvolve(voice, room)[: len(voice)]
        voice, speaks = voice[: _LENGTH - at], speaks[: _LENGTH - at]
        sound[at : at + len(voice)] += voice * _gain(generator.normal(0, 3))
        active[at : at + len(voice)] |= speaks
        at += len(voice) + round((0.2 + generator.exponential(1.0)) * SAMPLE_RATE_HZ)
    return sound, active


def _voice(clip: Clip, generator: np.random.Generator) -> tuple[Sound, NDArray[np.bool_]]:
    """One clip, perhaps faster or slower, and where it speaks."""
    samples = clip.source.read().astype(np.float64)
    if clip.emotion in LIVELY and generator.random() < 0.6:
        speed = HIGHEST_SPEED ** generator.random()
        samples[1:] -= generator.uniform(0, BRIGHTEST) * samples[:-1]
    else:
        speed = generator.uniform(1 - SPEED, 1 + SPEED)
    samples = soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
    speaks = speaking(samples)
    level = np.sqrt(np.square(samples[speaks]).mean()) if speaks.any() else 1.0
    return samples / max(level, 1e-9), speaks


def speaking(samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which samples of a clean clip are speech, by its level in 10 ms."""
    whole = len(samples) // _LABEL_FRAME
    framed = samples[: whole * _LABEL_FRAME].reshape(whole, _LABEL_FRAME)
    levels = 10 * np.log10(np.maximum(np.square(framed).mean(axis=1), 1e-9))
    loud, quiet = np.percentile(levels, [95, 5]) if whole else (0.0, 0.0)
    if loud <= 0:  # silence: less than one step of int16
        return np.zeros(len(samples), np.bool_)
    limit = max(loud - _ACTIVE_RANGE_DB, min(quiet + _ABOVE_FLOOR_DB, loud - 12))
    padded = np.pad(levels > limit, _BRIDGED_FRAMES)
    loud_frames = binary_opening(binary_closing(padded, np.ones(_BRIDGED_FRAMES)),
                                 np.ones(_SHORTEST_FRAMES))  # fmt: skip
    speaks = np.repeat(loud_frames[_BRIDGED_FRAMES:-_BRIDGED_FRAMES], _LABEL_FRAME)
    return np.pad(speaks, (0, len(samples) - len(speaks)))


def _background(material: Material, generator: np.random.Generator) -> Sound:
    """One or two sounds without speech, with an RMS of 1; perhaps from some moment on."""
    sound = _one_sound(material, generator)
    if generator.random() < 0.2:
        sound = sound + _one_sound(material, generator) * generator.uniform(0.2, 1)
    if generator.random() < 0.35:
        responses = impulse_responses()
        sound = oaconvolve(sound, responses[generator.integers(len(responses))])[:_LENGTH]
    if generator.random() < 0.4:
        sound = _low_pass(sound, CREMAD_HZ)
    scaled: Sound = sound / max(float(np.sqrt(np.square(sound).mean())), 1e-9)
    if generator.random() < 0.3:  # it begins, or ends, abruptly
        moment = generator.integers(_LENGTH // 8, _LENGTH)
        silenced = slice(None, moment) if generator.random() < 0.7 else slice(moment, None)
        scaled[silenced] = 0
    return scaled


def _one_sound(material: Material, generator: np.random.Generator) -> Sound:
    kind = generator.random()
    if kind < 0.25 and material.noise:
        return _recorded(material.noise[generator.integers(len(material.noise))], generator)
    if kind < 0.4:
        return _babble(material, generator)
    return random_sound(generator, DURATION_S)


def _recorded(path: Path, generator: np.random.Generator) -> Sound:
    """A stretch of a recording, perhaps at another speed."""
    samples = _read(path)
    start = generator.integers(len(samples))
    stretch = np.resize(np.roll(samples, -start), 2 * _LENGTH)
    rate_hz = SAMPLE_RATE_HZ * generator.uniform(0.8, 1.25)
    changed: Sound = soxr.resample(stretch, rate_hz, SAMPLE_RATE_HZ)[:_LENGTH]
    return changed


@lru_cache(maxsize=64)
def _read(path: Path) -> Sound:
    return AudioRef(path).read().astype(np.float64)


def _babble(material: Material, generator: np.random.Generator) -> Sound:
    """Three to eight voices at once, none of which can be followed: no speech for the detector."""
    everyone = [clip for clips in material.clips.values() for clip in clips][::_BABBLERS]
    sound = np.zeros(_LENGTH)
    for _ in range(generator.integers(3, 9)):
        track = np.zeros(0)
        while len(track) < _LENGTH:
            voice = _babbling(everyone[generator.integers(len(everyone))].source)
            track = np.concatenate([track, voice])
        sound += np.roll(track, generator.integers(len(track)))[:_LENGTH] * _gain(
            generator.normal(0, 3)
        )
    if generator.random() < 0.3:
        return sound
    responses = impulse_responses()
    heard: Sound = oaconvolve(sound, responses[generator.integers(len(responses))])[:_LENGTH]
    return heard


_BABBLERS = 8
"""One in so many clips may be in a babble; few enough to keep them in memory."""


@lru_cache(maxsize=2000)
def _babbling(source: AudioRef) -> Sound:
    """The speech of a clip without its silence, with an RMS of 1."""
    samples = source.read().astype(np.float64)
    samples = samples[speaking(samples)]
    return samples / max(float(np.sqrt(np.square(samples).mean())) if len(samples) else 0.0, 1e-9)


def _through_microphone(generator: np.random.Generator, sound: Sound) -> Sound:
    """``sound`` with a random frequency response of a few decibels, sometimes of a narrow band."""
    spectrum = np.fft.rfft(sound)
    hertz = np.maximum(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ), 20.0)
    knots = np.log([20.0, 100.0, 300.0, 800.0, 2000.0, 4000.0, 8000.0])
    gains_db = np.interp(np.log(hertz), knots, generator.normal(0, 3, len(knots)))
    heard: Sound = np.fft.irfft(spectrum * _gain(gains_db), len(sound))
    if generator.random() < 0.06:
        return _low_pass(heard, TELEPHONE_HZ)
    return heard


def _low_pass(sound: Sound, hertz: float) -> Sound:
    filtered: Sound = sosfilt(butter(8, hertz, fs=SAMPLE_RATE_HZ, output="sos"), sound)
    return filtered


def _gain(decibels: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.power(10.0, np.asarray(decibels) / 20)


@dataclass(frozen=True)
class Examples:
    """Mixtures as the network gets them: ``frames`` (n, time, coefficients), ``speech`` (n, time).

    frames: float16. speech: bool.
    """

    frames: NDArray[np.float16]
    speech: NDArray[np.bool_]


def examples(
    material: Material,
    config: MfccConfig,
    count: int,
    seed: int,
    folder: Path,
    jobs: int | None = None,
    progress: Progress = silent,
) -> Examples:
    """``count`` mixtures, rounded up to whole files, made in ``jobs`` processes.

    Each of ``piece_files`` is made once, and again if it is damaged.  Raises AudioSourceError for
    a recording that can't be read, and WorkerError if a process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = piece_files(material, config, count, seed, folder)
    stored = [_stored(file) for file in files]
    missing = [number for number, piece in enumerate(stored) if piece is None]
    pieces = [(material, config, seed, number, files[number]) for number in missing]
    try:
        with (
            progress("mixtures", len(files), len(files) - len(missing)) as step,
            ProcessPoolExecutor(
                jobs,
                mp_context=get_context("spawn"),
                initializer=threadpool_limits,
                initargs=(1,),
            ) as pool,
        ):
            for _ in pool.map(_write_piece, pieces):
                step()
    except BrokenProcessPool as error:
        raise WorkerError() from error
    for number in missing:
        stored[number] = _stored(files[number])
    whole = [piece for piece in stored if piece is not None]
    return Examples(
        np.concatenate([piece.frames for piece in whole]),
        np.concatenate([piece.speech for piece in whole]),
    )


def _stored(file: Path) -> Examples | None:
    """The mixtures in a file; None if it is not there, or was damaged by a power cut."""
    try:
        with np.load(file, allow_pickle=False) as piece:
            found = Examples(piece["frames"], piece["speech"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found if len(found.frames) == len(found.speech) else None


def piece_files(
    material: Material, config: MfccConfig, count: int, seed: int, folder: Path
) -> list[Path]:
    """Where ``examples`` stores its mixtures, ``PIECE`` in each; some may not be made yet."""
    names = [clip.clip_id for clips in material.clips.values() for clip in clips]
    names += [path.name for path in material.noise]
    key = zlib.crc32(repr((FORMAT, config, names)).encode())
    return [
        folder / f"mixtures-{key:08x}-{seed}-{number}.npz" for number in range(-(-count // PIECE))
    ]


def size_bytes(config: MfccConfig) -> int:
    """Of one mixture: its frames as float16, and a label for each."""
    frames = (_LENGTH - config.frame_length) // config.hop_length + 1
    return frames * (config.n_coefficients * np.dtype(np.float16).itemsize + 1)


def _write_piece(piece: tuple[Material, MfccConfig, int, int, Path]) -> None:
    material, config, seed, number, path = piece
    mfcc = Mfcc(config)
    frames, speech = [], []
    for index in range(number * PIECE, (number + 1) * PIECE):
        made = mixture(material, config, [seed, index])
        mfcc.reset()
        frames.append(mfcc.push(made.samples).astype(np.float16))
        speech.append(made.speech)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, frames=np.stack(frames), speech=np.stack(speech))
    partial.replace(path)  # a killed process leaves no partial file under the final name
