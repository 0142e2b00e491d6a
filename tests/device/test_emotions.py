"""The colours of the emotions, to every kind of eye."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from undertone.emotions import COLOURS, NO_SPEECH, colour
from undertone.events import UNCERTAIN

Colour = NDArray[np.float64]

EYES = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado, Oliveira & Fernandes (2009), severity 1: on linear RGB."""

XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1, 1.08883])

SHOWN = {label: colour(label) for label in (*COLOURS, UNCERTAIN, NO_SPEECH)}


def linear(colour: str) -> Colour:
    share = np.array(list(bytes.fromhex(colour[1:]))) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb: Colour) -> Colour:
    """CIELAB of linear RGB."""
    ratio = XYZ @ rgb / WHITE
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", EYES)
def test_any_two_are_far_apart(eye: str) -> None:
    seen = {
        name: lab(np.clip(np.array(EYES[eye]) @ linear(colour), 0, 1))
        for name, colour in SHOWN.items()
    }
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert np.linalg.norm(first - second) >= 22, (one, other)


@pytest.mark.parametrize("colour", SHOWN.values())
def test_each_shows_on_white_and_on_black(colour: str) -> None:
    lightness = lab(linear(colour))[0]
    assert 15 < lightness < 88
