"""From a recording to the frames of its segments, and of those of its augmented copies."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from undertone.audio.block import Samples
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_gate import GateConfig
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features.gate import packaged_sha256, require_fitting, speech_of
from undertone_training.features.shards import Frames
from undertone_training.features.waveform_augmentation import augmented, augmenter
from undertone_training.recipe import Augmentation, FeatureExtractor, Recipe

FORMAT = 5
"""Increased when the features change, or the files that they are kept in."""


@dataclass(frozen=True)
class Extraction:
    """What is computed of every clip; augmentation: None makes no copies."""

    front_end: MfccConfig | FeatureExtractor
    gate: GateConfig
    frame_width: int
    augmentation: Augmentation | None
    noise: NoiseRecordings

    @classmethod
    def of(cls, recipe: Recipe, noise: NoiseRecordings | None) -> "Extraction":
        """As ``recipe`` says, with copies if it makes any and there is ``noise`` for them.

        Raises RunError if the speech detector was trained with other features.
        """
        front_end = recipe.front_end
        if isinstance(front_end, MfccConfig):
            require_fitting(front_end)
        if noise is None or not recipe.augmentation.copies:
            return cls(front_end, recipe.gate, recipe.frame_width, None, NoiseRecordings(()))
        return cls(front_end, recipe.gate, recipe.frame_width, recipe.augmentation, noise)

    @property
    def parameters(self) -> Mapping[str, object]:
        """Everything that determines the frames, beside the clip; reads the noise."""
        front_end = (
            {
                "gate": msgspec.to_builtins(self.gate),
                "detector": packaged_sha256(),
                "mfcc": msgspec.to_builtins(self.front_end),
            }
            if isinstance(self.front_end, MfccConfig)
            else self.front_end.key
        )
        return {
            "format": FORMAT,
            **front_end,
            "augmentation": msgspec.to_builtins(self.augmentation),
            "noise": self.noise.digest,
        }

    def alike(self, clip: Clip) -> str:
        """What decides how the copies of a clip are changed, beside their numbers."""
        if self.augmentation is None:
            return ""
        if self.augmentation.alike == "speaker":
            return f"{clip.corpus}/{clip.speaker}"
        return clip.clip_id

    def __call__(self, clip: Clip) -> tuple[list[Frames], list[Frames]]:
        """Frames of each segment and of each copy, as in ``ClipFeatures``.

        Raises AudioSourceError for a recording that can't be read.
        """
        frames_of = self._segment_frames()
        samples = clip.source.read()
        segments = frames_of(samples)
        copies: list[Frames] = []
        if segments and self.augmentation is not None:
            transform = augmenter(self.augmentation, self.noise)
            for copy in range(self.augmentation.copies):
                seed = zlib.crc32(f"{self.alike(clip)}/{copy}".encode())
                found = frames_of(augmented(samples, transform, seed))
                copies.append(np.concatenate([segments[0][:0], *found]))
        return segments, copies

    def _segment_frames(self) -> Callable[[Samples], list[Frames]]:
        """From a recording to the frames of each of its segments."""
        front_end = self.front_end
        if not isinstance(front_end, MfccConfig):
            return lambda samples: [front_end.compute(samples)]
        return lambda samples: [
            segment.frames.astype(np.float32)
            for segment in speech_of(samples, self.gate, front_end)
        ]
