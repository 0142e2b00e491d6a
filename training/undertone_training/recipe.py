"""A recipe: one frozen configuration that makes a model, saved beside every result.

Recipes are TOML files in ``recipes/``; every key has a default here, unknown keys and wrong
types are errors that name the key.
"""

import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from undertone.errors import ConfigError
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.windows import WindowConfig
from undertone_training.references.features import SHAPES, ReferenceFeatures

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen dataclass whose unknown keys and wrong types are errors."""


class Augmentation(_Strict, frozen=True):
    """Copies of each training clip, made once from the waveform and kept in the cache.

    Every copy is cut by the device's speech gate after all else, as the device would cut it.

    copies: augmented copies beside the clip itself.
    speed: largest relative change of speed (tempo and pitch together).
    pitch_semitones, stretch: largest change of pitch alone and of tempo alone.
    equalizer_db: largest gain of a band; other microphones.
    reverberation: share of the copies that are heard from afar, in one of the ``rooms``.
    noise: share of the copies that get noise, of rooms where recordings are at hand, and
        white; snr_db: range of its signal-to-noise ratio over the whole clip, pauses and all.
    level_dbfs: range of the level over the whole clip.
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


class Regularization(_Strict, frozen=True):
    """What is done to the batches and the loss.

    own: share of the windows that are of the clip itself; the copies have the others.
    tempo: largest relative change of tempo, by interpolation between frames.
    vocal_tract: largest relative change of the vocal tract's length (see
        ``undertone.recognition.vocal_tract``).
    background: share of the windows that get noise of a room (see ``background``), whatever noise
        a copy has already; background_snr_db: range of its signal-to-noise ratio.
    time_masks, coefficient_masks: number of SpecAugment masks; the longest in frames and
        coefficients (Park et al. 2019).
    mixup: alpha of its Beta distribution, 0 for none (Zhang et al. 2018).
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
    label_smoothing: Share = 0.1
    dropout: Share = 0.3
    weight_decay: Annotated[float, Meta(ge=0)] = 0.02


class Distillation(_Strict, frozen=True):
    """What trained networks teach this one beside the labels (Hinton et al. 2015).

    teachers: recipes whose finished runs on the same split teach, all seeds together, by the
        mean of their probabilities for each copy of a clip.
    weight: share of the teachers' word in the target of a labelled clip.
    corpora: others, whose clips have no label here: only the teachers say what they are.
    copies: augmented copies of each of their clips.
    turn: how many of their clips an epoch has, as a share of the labelled ones.
    """

    teachers: tuple[str, ...] = ()
    weight: Share = 0.7
    corpora: tuple[str, ...] = ()
    copies: Count = 1
    turn: Annotated[float, Meta(ge=0)] = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for pupils without a teacher."""
        if self.corpora and not self.teachers:
            raise ValueError("distillation.corpora have no labels: name distillation.teachers")


class Schedule(_Strict, frozen=True):
    """How long and how fast to learn.

    warmup: share of the steps in which the learning rate rises to its peak; it then falls to
        zero along a cosine, or stays, or is halved when the validation stands still.
    early_stopping: epochs without a better validation before the training ends and the best
        weights come back; 0 trains all epochs.
    watched: which figure of the validation tells better from worse.  The loss of a network that
        grows sure of itself rises from its first epochs on, while it still learns.
    weight_averaging: decay of the moving average of the weights that is kept; 0 for none.
    precision: of the computing; weights are float32 in any case.  With bfloat16 a processor that
        knows it trains nearly twice as fast.
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

    @property
    def needs_validation(self) -> bool:
        """Whether the validation steers the training."""
        return self.shape == "plateau" or self.early_stopping > 0

    def __post_init__(self) -> None:
        """Raise ValueError for settings that exclude each other."""
        if self.early_stopping and self.weight_averaging:
            raise ValueError(
                "early_stopping keeps the best epoch's weights and weight_averaging an average: "
                "set one of them to 0"
            )


class Recipe(_Strict, frozen=True):
    """Everything that makes a model, but the data and the seed.

    network: a builder in ``networks``; ``width`` scales the channels of ours.
    convolutions: channels, kernel in frames and pooling of each of its convolutions.
    pooling: what is taken over time at their end.
    begins_with: another recipe of the same network, whose finished run with the same seed, on the
        same split or on another corpus, has the weights to begin with; "" begins with new ones.
    corpus: what it learns from: RAVDESS, split by a protocol, or all of another corpus, so that
        other recipes can begin with it.
    song: RAVDESS song of the training actors joins their speech.
    level, steady_noise: see ``undertone.recognition.bundle.Normalization``.
    features: "device" for the device's own, or those of a reference system (``references``),
        which have windows and coefficients of their own: ``mfcc`` and ``window`` say nothing then.
    vggish: for those, a file of VGGish weights whose embeddings join them; "" goes without.
    validation_speakers: training actors held out for the curves, early stopping, the
        temperature and the threshold; 0 trains on all, and ``evaluate`` then takes temperature
        and threshold of each fold from what the other folds said of its training actors.
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
    corpus: str = "ravdess"
    song: bool = True
    level: Literal["energy-mean", "none"] = "energy-mean"
    steady_noise: Literal["kept", "subtracted"] = "kept"
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
        """Raise ValueError for features that there are not, and what these can't go through."""
        if self.features == "device":
            if self.vggish:
                raise ValueError("vggish joins the features of a reference system only")
            return
        if self.features not in SHAPES:
            raise ValueError(f"features must be device or one of {', '.join(SHAPES)}")
        changed = self.regularization
        if changed.vocal_tract or changed.tempo or changed.background or self.level != "none":
            raise ValueError(
                "vocal_tract, tempo, background and level change the device's MFCC: with features "
                f'= "{self.features}" set them to 0, and level to "none"'
            )
        if self.steady_noise != "kept":
            raise ValueError(
                "steady_noise is subtracted from the device's MFCC only: with features = "
                f'"{self.features}" leave it out'
            )

    @property
    def scaled_convolutions(self) -> tuple[tuple[int, int, int], ...]:
        """``convolutions`` with the channels of ``width``, in eights, as kernels like them."""
        return tuple(
            (max(8, round(channels * self.width / 8) * 8), kernel, pooling)
            for channels, kernel, pooling in self.convolutions
        )

    @property
    def front(self) -> MfccConfig | ReferenceFeatures:
        """What makes frames of sound."""
        return (
            self.mfcc
            if self.features == "device"
            else ReferenceFeatures(self.features, self.vggish)
        )

    @property
    def learnt(self) -> "Recipe":
        """It without the vocal tracts that the trained network is heard with: as it trains."""
        plain = msgspec.structs.replace(self.window, vocal_tracts=(1.0,))
        return msgspec.structs.replace(self, window=plain)

    @property
    def cut(self) -> WindowConfig:
        """How the frames of a segment become windows."""
        if isinstance(self.front, MfccConfig):
            return self.window
        frames, _ = self.front.shape
        return WindowConfig(frames, frames)

    @property
    def coefficients(self) -> int:
        """Of each frame."""
        front = self.front
        return front.n_coefficients if isinstance(front, MfccConfig) else front.shape[1]


def names() -> list[str]:
    """Names of the recipes that come with the program."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load(name_or_path: str | Path) -> Recipe:
    """Read a recipe by name, or from a TOML file; raises ConfigError naming what is wrong."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = _folder() / f"{name_or_path}.toml"
        if not path.is_file():
            near = difflib.get_close_matches(str(name_or_path), names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names())}."
            raise ConfigError(f"There is no recipe called {name_or_path}: {hint}")
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"The recipe {path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {path} is not valid TOML: {error}.") from error
    try:
        return msgspec.convert({"name": path.stem, **table}, Recipe)
    except msgspec.ValidationError as error:
        raise ConfigError(f"The recipe {path} is not valid: {error}.") from error


def _folder() -> Path:
    return Path(str(resources.files("undertone_training"))) / "recipes"
