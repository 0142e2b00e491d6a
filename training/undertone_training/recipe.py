"""A recipe: the frozen configuration of a model, saved with every result.

Recipes are TOML files in ``recipes/``. Every key has a default here; unknown keys and wrong
types are errors that name the key.
"""

import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.emotions import EMOTIONS
from undertone.errors import ConfigError
from undertone.recognition.bandwidth import NEEDED_SHARE
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_gate import GateConfig
from undertone.recognition.windows import WindowConfig
from undertone.support.strict import Strict
from undertone.support.suggestion import suggestion

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]

EVALUATED_CORPUS = "ravdess"
"""The corpus that every protocol splits into training and test speakers."""


_SHARE_BELOW_SLOPE = 0.94
"""Share of a band in which there is still sound: the filters of a resampler have a slope."""


class FeatureExtractor(Protocol):
    """Features other than the device's: turns a whole clip into one array of a fixed shape."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of frames and coefficients for every clip."""

    @property
    def key(self) -> Mapping[str, str]:
        """Everything that determines the values, as the key of a cache."""

    def compute(self, samples: Samples) -> NDArray[np.float32]:
        """Features of int16 mono sound at 16 kHz, of shape ``shape``."""


EXTRACTORS: dict[str, Callable[[str, str], FeatureExtractor]] = {}
"""The features that a recipe may name beside "device", each made from its name and the recipe's
``vggish``. ``references.features`` adds those of the reference systems when it is imported."""


class Augmentation(Strict, frozen=True):
    """Copies of each training clip, made once from the waveform and kept in the cache.

    The device's speech gate cuts every copy after all other steps, as it would on the device.

    copies: augmented copies in addition to the clip itself.
    speed: largest relative change of speed (tempo and pitch together).
    pitch_semitones, stretch: largest change of pitch alone and of tempo alone.
    equalizer_db: largest gain of a band, for other microphones.
    reverberation: share of the copies that are recorded from a distance, in a simulated room.
    noise: share of the copies with added noise: white noise, or recordings if there are any;
        snr_db: range of its signal-to-noise ratio over the whole clip, including pauses.
    level_dbfs: range of the level over the whole clip.
    narrow: share of the copies whose band ends below 8 kHz; band_hz: range of the frequency at
        which it ends.
    coded: share of the copies after Opus at 12 kbit/s.
    alike: what has the same changes: each copy of a "clip" has its own; of all clips of a
        "speaker" the first copies have the same, and so on, as of one voice in one room. Then the
        level is not set, but changed by a gain in the range gain_db, so that quiet speech remains
        quieter than loud speech.
    """

    copies: Count = 6
    speed: Share = 0.15
    pitch_semitones: float = 2.5
    stretch: Share = 0.2
    equalizer_db: float = 6.0
    reverberation: Share = 0.3
    noise: Share = 0.6
    snr_db: tuple[float, float] = (0.0, 30.0)
    level_dbfs: tuple[float, float] = (-45.0, -13.0)
    narrow: Share = 0.0
    band_hz: tuple[Positive, Positive] = (3400.0, 8000.0)
    coded: Share = 0.0
    alike: Literal["clip", "speaker"] = "clip"
    gain_db: tuple[float, float] = (-20.0, 10.0)

    def __post_init__(self) -> None:
        """Raise ValueError for an impossible band."""
        if not self.band_hz[0] <= self.band_hz[1] <= SAMPLE_RATE_HZ / 2:
            raise ValueError("band_hz must be two frequencies up to 8000, the lower one first")


class Regularization(Strict, frozen=True):
    """Augmentation in each batch, and the loss.

    own: share of the windows taken from the original clip; the others come from its copies.
    tempo: largest relative change of tempo, by interpolation between frames.
    vocal_tract: largest relative change of the vocal tract length.
    background: share of the windows with noise added in the mel domain (``learning.mel_noise``),
        whether or not the copy has noise already; background_snr_db: range of its
        signal-to-noise ratio.
    time_masks, coefficient_masks: number of SpecAugment masks; the longest in frames and
        coefficients (Park et al. 2019).
    mixup: alpha of its Beta distribution, 0 for none (Zhang et al. 2018).
    style_mixing: alpha of the Beta distribution of MixStyle, 0 for none (Zhou et al. 2021): each
        window takes a random share of another one's mean and deviation over time, of every
        coefficient, as far as its voice is not known.
    reordered: share of the windows that are cut into pieces of a quarter of a second to a second,
        put together in a random order, so that the actors' few sentences are not learnt by heart.
    known_clips: of how many other clips of its speaker the voice is known; each window takes one
        of these numbers at random.
    """

    own: Share = 0.2
    tempo: Share = 0.15
    vocal_tract: Share = 0.1
    background: Share = 0.0
    background_snr_db: tuple[float, float] = (0.0, 30.0)
    time_masks: Count = 2
    longest_time_mask: Count = 12
    coefficient_masks: Count = 1
    longest_coefficient_mask: Count = 8
    mixup: Annotated[float, Meta(ge=0)] = 0.3
    style_mixing: Annotated[float, Meta(ge=0)] = 0.0
    reordered: Share = 0.0
    label_smoothing: Share = 0.1
    dropout: Share = 0.3
    weight_decay: Annotated[float, Meta(ge=0)] = 0.02
    known_clips: Annotated[tuple[Count, ...], Meta(min_length=1)] = (0,)


class Distillation(Strict, frozen=True):
    """Soft targets from trained networks, in addition to the labels (Hinton et al. 2015).

    teachers: recipes whose finished runs on the same split give the soft targets: the mean of
        their probabilities, over all seeds, for each copy of a clip.
    weight: share of the soft target in the target of a labelled clip.
    corpora: corpora that are used without their labels: the target of their clips is the soft
        target alone.
    copies: augmented copies of each of their clips.
    turn: how many of their clips are in an epoch, as a share of the labelled ones.
    """

    teachers: tuple[str, ...] = ()
    weight: Share = 0.7
    corpora: tuple[str, ...] = ()
    copies: Count = 1
    turn: Annotated[float, Meta(ge=0)] = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for unlabelled clips without a teacher."""
        if self.corpora and not self.teachers:
            raise ValueError("distillation.corpora have no labels: name distillation.teachers")


class Schedule(Strict, frozen=True):
    """How long and how fast to train.

    shape: after a warm-up, the learning rate falls to zero along a cosine, stays constant, or is
        halved whenever the validation figure stops improving (plateau).
    warmup: share of the steps in which the learning rate rises to its peak.
    early_stopping: epochs without improvement before the training ends and the best weights are
        restored; 0 trains all epochs.
    watched: the validation figure that decides. The loss of a network that becomes overconfident
        rises from its first epochs on, while its accuracy still improves.
    weight_averaging: decay of the moving average of the weights that is kept; 0 for none.
    precision: of the computation; weights are always float32. With bfloat16 a processor that
        supports it trains nearly twice as fast.
    epoch_windows: windows in an epoch; 0 for one of each clip. Otherwise they are drawn: each
        corpus as ``Recipe.drawn`` says, its speech and its song by their numbers of clips, in
        either each emotion equally.
    """

    epochs: AtLeastOne = 60
    batch_size: AtLeastOne = 64
    learning_rate: Positive = 2e-3
    shape: Literal["cosine", "constant", "plateau"] = "cosine"
    warmup: Share = 0.05
    early_stopping: Count = 0
    watched: Literal["loss", "accuracy"] = "loss"
    weight_averaging: Share = 0.99
    class_weights: bool = True
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    epoch_windows: Count = 0

    @property
    def needs_validation(self) -> bool:
        """Whether validation figures control the training."""
        return self.shape == "plateau" or self.early_stopping > 0

    def __post_init__(self) -> None:
        """Raise ValueError for settings that exclude each other."""
        if self.early_stopping and self.weight_averaging:
            raise ValueError(
                "early_stopping keeps the best epoch's weights and weight_averaging an average: "
                "set one of them to 0"
            )


class Recipe(Strict, frozen=True):
    """Everything that determines a model, except the data and the seed.

    network: a builder in ``networks``; ``width`` scales the channels of our own.
    convolutions: channels, kernel in frames and pooling of each convolution.
    pooling: the statistics over time after the last convolution.
    begins_with: another recipe with the same network. Training starts from the weights of its
        finished run with the same seed, on the same split or on another corpus; "" starts from
        random weights.
    corpus: the training corpus: RAVDESS, which a protocol splits, or all of another corpus, as a
        first stage for other recipes.
    beside: other corpora that are trained on with their labels, at the same time. The loss leaves
        out what a corpus has no clips of.
    drawn: how often windows of corpus, and of each of beside, are drawn in relation to each other;
        all alike if it is empty.
    labels: what the network tells apart. Clips of another emotion are left out, but calm ones count
        as neutral where calm is no label.
    voice_prior_frames: see ``undertone.recognition.bundle.Normalization``.
    song: adds the training actors' RAVDESS song to their speech.
    level, steady_noise: see ``undertone.recognition.bundle.Normalization``.
    lead_s, tail_s: see ``undertone.recognition.speech_gate.GateConfig``.
    features: "device", or those of a reference system (``EXTRACTORS``), which have windows and
        coefficients of their own: ``mfcc`` and ``window`` are then ignored.
    vggish: for these, a file of VGGish weights whose embeddings are appended; "" for none.
    validation_speakers: training actors held out for the curves, early stopping, the temperature
        and the threshold. 0 trains on all of them; ``evaluate`` then derives temperature and
        threshold of each fold from the other folds' predictions.
    """

    name: str
    network: str = "compact"
    width: Positive = 1.0
    convolutions: tuple[tuple[AtLeastOne, AtLeastOne, AtLeastOne], ...] = (
        (64, 5, 1),
        (64, 5, 2),
        (96, 5, 2),
        (96, 3, 1),
    )
    pooling: Literal["average-max", "statistics", "attention"] = "average-max"
    begins_with: str = ""
    corpus: str = EVALUATED_CORPUS
    beside: tuple[str, ...] = ()
    drawn: tuple[Positive, ...] = ()
    labels: Annotated[tuple[str, ...], Meta(min_length=2)] = EMOTIONS
    voice_prior_frames: Annotated[float, Meta(ge=0)] = 0.0
    song: bool = True
    level: Literal["energy-mean", "none"] = "energy-mean"
    steady_noise: Literal["kept", "subtracted"] = "kept"
    lead_s: Annotated[float, Meta(ge=0, le=1)] = GateConfig().lead_s
    tail_s: Annotated[float, Meta(ge=0, le=1)] = GateConfig().tail_s
    features: str = "device"
    vggish: str = ""
    validation_speakers: Count = 2
    mfcc: MfccConfig = MfccConfig()
    window: WindowConfig = WindowConfig()
    augmentation: Augmentation = Augmentation()
    regularization: Regularization = Regularization()
    distillation: Distillation = Distillation()
    schedule: Schedule = Schedule()

    def __post_init__(self) -> None:
        """Raise ValueError for settings that exclude each other, and for unknown names."""
        _ = self.gate  # which refuses what is impossible
        if unknown := set(self.labels) - set(EMOTIONS):
            raise ValueError(f"labels must be among {', '.join(EMOTIONS)}, not {min(unknown)}")
        if self.beside and (self.regularization.mixup or not self.schedule.epoch_windows):
            raise ValueError(
                "beside needs schedule.epoch_windows, and regularization.mixup = 0: clips of "
                "corpora with other emotions can't be mixed"
            )
        if self.drawn and len(self.drawn) != 1 + len(self.beside):
            raise ValueError("drawn needs one number for corpus and one for each of beside")
        if self.beside and (self.distillation.teachers or self.distillation.corpora):
            raise ValueError("beside and distillation exclude each other")
        if self.beside and self.corpus != EVALUATED_CORPUS:
            raise ValueError(f"beside goes with corpus = {EVALUATED_CORPUS} only")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        if self.schedule.epoch_windows and self.distillation.corpora:
            raise ValueError("schedule.epoch_windows and distillation.corpora exclude each other")
        if (max(self.regularization.known_clips) > 0) != (self.voice_prior_frames > 0):
            raise ValueError(
                "regularization.known_clips and voice_prior_frames go together: set both, or none"
            )
        if self.voice_prior_frames and self.level != "energy-mean":
            raise ValueError('voice_prior_frames needs level = "energy-mean"')
        for corpus, use in ((EVALUATED_CORPUS, "tested"), (self.corpus, "trained")):
            if corpus in self.distillation.corpora:
                raise ValueError(
                    f"distillation.corpora must not contain {corpus}, which the model is {use} on"
                )
        if self.mfcc.pitch and self.network == "spectral":
            raise ValueError('mfcc.pitch is no part of a spectrum: network can\'t be "spectral"')
        if self.features == "device":
            if self.vggish:
                raise ValueError("vggish can only be used with the features of a reference system")
            return
        if self.features not in EXTRACTORS:
            raise ValueError(f"features must be one of {', '.join(['device', *EXTRACTORS])}")
        changed = self.regularization
        if changed.vocal_tract or changed.tempo or changed.background or self.level != "none":
            raise ValueError(
                "vocal_tract, tempo, background and level change the device's MFCC: with features "
                f'= "{self.features}" set them to 0, and level to "none"'
            )
        if self.steady_noise != "kept":
            raise ValueError(
                "steady_noise is subtracted from the device's MFCC only: with features = "
                f'"{self.features}", leave it out'
            )

    @property
    def gate(self) -> GateConfig:
        """The speech gate that cuts the segments."""
        return GateConfig(lead_s=self.lead_s, tail_s=self.tail_s)

    @property
    def needed_share(self) -> float:
        """See ``undertone.recognition.bundle.Manifest``: what the narrowest copies have."""
        if not self.augmentation.narrow:
            return NEEDED_SHARE
        narrowest = self.augmentation.band_hz[0] / self.mfcc.high_hz
        return min(NEEDED_SHARE, round(_SHARE_BELOW_SLOPE * narrowest, 2))

    @property
    def scaled_convolutions(self) -> tuple[tuple[int, int, int], ...]:
        """``convolutions`` with channels scaled by ``width``, in multiples of 8 for the kernels."""
        return tuple(
            (max(8, round(channels * self.width / 8) * 8), kernel, pooling)
            for channels, kernel, pooling in self.convolutions
        )

    @property
    def front_end(self) -> MfccConfig | FeatureExtractor:
        """What turns samples into frames."""
        if self.features == "device":
            return self.mfcc
        return EXTRACTORS[self.features](self.features, self.vggish)

    @property
    def without_vocal_tracts(self) -> "Recipe":
        """The recipe without test-time augmentation, which plays no part in training."""
        plain = msgspec.structs.replace(self.window, vocal_tracts=(1.0,))
        return msgspec.structs.replace(self, window=plain)

    @property
    def windowing(self) -> WindowConfig:
        """How the frames of a segment become windows."""
        if isinstance(self.front_end, MfccConfig):
            return self.window
        frames, _ = self.front_end.shape
        return WindowConfig(frames, frames)

    @property
    def frame_width(self) -> int:
        """Number of values in each frame."""
        front_end = self.front_end
        if isinstance(front_end, MfccConfig):
            return front_end.width
        return front_end.shape[1]


def names(folder: str = "recipes") -> list[str]:
    """Names of the packaged recipes, or of the TOML files in another packaged folder."""
    return sorted(path.stem for path in _packaged(folder).glob("*.toml"))


def load(name_or_path: str | Path) -> Recipe:
    """Read a recipe by name, or from a TOML file; raises ConfigError naming what is wrong."""
    path, table = read_toml(name_or_path, "recipe", "recipes")
    try:
        return msgspec.convert({"name": path.stem, **table}, Recipe)
    except msgspec.ValidationError as error:
        raise ConfigError(f"The recipe {path} is not valid: {error}.") from error


def read_toml(name_or_path: str | Path, what: str, folder: str) -> tuple[Path, dict[str, Any]]:
    """The path and the content of a packaged TOML file by name, or of any other by its path.

    what: the kind of file in words.  Raises ConfigError.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = _packaged(folder) / f"{name_or_path}.toml"
        if not path.is_file():
            known = names(folder)
            near = suggestion(str(name_or_path), known, f"there are: {', '.join(known)}.")
            raise ConfigError(f"There is no {what} called {name_or_path}: {near}")
    try:
        return path, tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"The {what} {path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The {what} {path} is not valid TOML: {error}.") from error


def _packaged(folder: str) -> Path:
    return Path(str(resources.files("undertone_training"))) / folder
