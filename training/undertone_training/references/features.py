"""The features of the reference systems, by librosa; one array of a fixed shape a clip.

They use the whole clip, with its pauses, without the device's speech gate.  The sound is the
device's, mono at 16 kHz; all but LIGHT-SERNet's are computed at librosa's own rate.
"""

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.errors import RuntimeMissingError
from undertone.support.installation import add_extra
from undertone_training.recipe import EXTRACTORS
from undertone_training.references import vggish

Array = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]

RATE_HZ = 22_050
"""librosa's own."""

SPAN_S = 3.0
"""Duration for systems that do not use the whole clip; shorter sound is padded with silence."""

STRETCHES = 12
"""Number of quarter-second sections that ``five-kinds-in-stretches`` averages over."""

_CHROMA, _MEL, _CONTRAST, _TONNETZ = 12, 128, 7, 6
_FIVE_KINDS = 40 + _CHROMA + _MEL + _CONTRAST + _TONNETZ

SHAPES = {
    "mfcc-mean": (1, 40),
    "mfcc-chroma-mel": (1, 40 + _CHROMA + _MEL),
    "mfcc-sequence": (130, 40),
    "five-kinds": (1, _FIVE_KINDS),
    "five-kinds-in-stretches": (STRETCHES, _FIVE_KINDS),
    "zcr-chroma-mfcc-rms-mel": (1, 1 + _CHROMA + 20 + 1 + _MEL),
    "mfcc-64ms": (62, 40),
}
"""Frames and coefficients of each feature set; a single frame is a mean over time."""


class ReferenceFeatures(msgspec.Struct, frozen=True, dict=True):
    """A feature set by its name; ``weights``: a file of VGGish weights, "" for none."""

    name: str
    weights: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and coefficients of every clip."""
        frames, coefficients = SHAPES[self.name]
        return frames, coefficients + (vggish.SIZE if self.weights else 0)

    @cached_property
    def key(self) -> dict[str, str]:
        """Everything that determines the values, as the key of a cache."""
        return {
            "features": self.name,
            "librosa": str(_librosa().__version__),
            "weights": vggish.digest(Path(self.weights)) if self.weights else "",
        }

    def compute(self, samples: Samples) -> Array:
        """Features of int16 sound at 16 kHz, of shape ``shape``.

        Raises RuntimeMissingError without librosa, RunError for unusable VGGish weights.
        """
        sound = samples.astype(np.float32) / 32768
        frames = _COMPUTE[self.name](_librosa(), sound)
        if self.weights:
            said = vggish.embedding(Path(self.weights), fixed(sound, SAMPLE_RATE_HZ))
            frames = np.hstack([frames, np.repeat(said[np.newaxis], len(frames), axis=0)])
        return np.ascontiguousarray(frames, np.float32)


EXTRACTORS |= dict.fromkeys(SHAPES, ReferenceFeatures)


def fixed(sound: Floats, rate_hz: int, offset_s: float = 0.0) -> Floats:
    """``SPAN_S`` of the sound from ``offset_s`` on, padded with zeros at its end."""
    length, start = round(SPAN_S * rate_hz), round(offset_s * rate_hz)
    piece: Floats = sound[start : start + length]
    return np.pad(piece, (0, length - len(piece)))


def _librosa() -> ModuleType:
    try:
        import librosa
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(
            "librosa, which computes the features of the reference systems, is not installed: "
            f"{add_extra('training,reference')}."
        ) from error
    return librosa


def _resampled(librosa: Any, sound: Floats) -> Floats:
    changed: Floats = librosa.resample(sound, orig_sr=SAMPLE_RATE_HZ, target_sr=RATE_HZ)
    return changed


def _spectral(librosa: Any, sound: Floats, *kinds: str) -> list[Floats]:
    """These kinds of features, computed from one short-time spectrum, each (rows, frames)."""
    of = librosa.feature
    magnitude = np.abs(librosa.stft(sound))
    mel = of.melspectrogram(S=magnitude**2, sr=RATE_HZ)
    chroma = cache(lambda: of.chroma_stft(S=magnitude**2, sr=RATE_HZ))
    compute: dict[str, Callable[[], Floats]] = {
        "40 mfcc": lambda: of.mfcc(S=librosa.power_to_db(mel), sr=RATE_HZ, n_mfcc=40),
        "20 mfcc": lambda: of.mfcc(S=librosa.power_to_db(mel), sr=RATE_HZ, n_mfcc=20),
        "chroma": chroma,
        "mel": lambda: mel,
        "contrast": lambda: of.spectral_contrast(S=magnitude, sr=RATE_HZ),
        "tonnetz": lambda: of.tonnetz(chroma=chroma(), sr=RATE_HZ),
        "zero crossings": lambda: of.zero_crossing_rate(y=sound),
        "rms": lambda: of.rms(y=sound),
    }
    return [compute[kind]() for kind in kinds]


def _means(kinds: Sequence[Floats]) -> Floats:
    """The features averaged over time and concatenated, shape (1, rows)."""
    vector: Floats = np.concatenate([kind.mean(axis=1) for kind in kinds])
    return vector[np.newaxis]


def _mfcc_mean(librosa: Any, sound: Floats) -> Floats:
    return _means(_spectral(librosa, _resampled(librosa, sound), "40 mfcc"))


def _mfcc_chroma_mel(librosa: Any, sound: Floats) -> Floats:
    piece = fixed(_resampled(librosa, sound), RATE_HZ, offset_s=0.5)
    return _means(_spectral(librosa, piece, "40 mfcc", "chroma", "mel"))


def _mfcc_sequence(librosa: Any, sound: Floats) -> Floats:
    piece = fixed(_resampled(librosa, sound), RATE_HZ, offset_s=0.5)
    (mfcc,) = _spectral(librosa, piece, "40 mfcc")
    return mfcc.T


def _kinds(librosa: Any, sound: Floats) -> list[Floats]:
    piece = fixed(_resampled(librosa, sound), RATE_HZ)
    return _spectral(librosa, piece, "40 mfcc", "chroma", "mel", "contrast", "tonnetz")


def _five_kinds(librosa: Any, sound: Floats) -> Floats:
    return _means(_kinds(librosa, sound))


def _five_kinds_in_stretches(librosa: Any, sound: Floats) -> Floats:
    """The same features, averaged over each of ``STRETCHES`` sections of the clip."""
    frames = np.concatenate(_kinds(librosa, sound))
    return np.stack([part.mean(axis=1) for part in np.array_split(frames, STRETCHES, axis=1)])


def _zcr_chroma_mfcc_rms_mel(librosa: Any, sound: Floats) -> Floats:
    kinds = ("zero crossings", "chroma", "20 mfcc", "rms", "mel")
    return _means(_spectral(librosa, _resampled(librosa, sound), *kinds))


def _mfcc_64ms(librosa: Any, sound: Floats) -> Floats:
    """Frames of 64 ms that overlap by 16 ms, from 80 Hz to 7.6 kHz (Aftab et al. 2022)."""
    taken: Floats = librosa.feature.mfcc(
        y=fixed(sound, SAMPLE_RATE_HZ), sr=SAMPLE_RATE_HZ, n_mfcc=40, n_fft=1024, hop_length=768,
        center=False, window="hamming", fmin=80, fmax=7600,
    )  # fmt: skip
    return taken.T


_COMPUTE: dict[str, Callable[[Any, Floats], Floats]] = {
    "mfcc-mean": _mfcc_mean,
    "mfcc-chroma-mel": _mfcc_chroma_mel,
    "mfcc-sequence": _mfcc_sequence,
    "five-kinds": _five_kinds,
    "five-kinds-in-stretches": _five_kinds_in_stretches,
    "zcr-chroma-mfcc-rms-mel": _zcr_chroma_mfcc_rms_mel,
    "mfcc-64ms": _mfcc_64ms,
}
