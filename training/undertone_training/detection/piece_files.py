"""The files in which mixtures are stored, and how large they are, without making them."""

import zlib
from pathlib import Path

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.recognition.mfcc import MfccConfig
from undertone_training.detection.mixtures import DURATION_S, FORMAT, PIECE, Material


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
    length = round(DURATION_S * SAMPLE_RATE_HZ)
    frames = (length - config.frame_length) // config.hop_length + 1
    return frames * (config.n_coefficients * np.dtype(np.float16).itemsize + 1)
