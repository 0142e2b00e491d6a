"""The features of the reference systems, and VGGish."""

import sys
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import pytest

from undertone_training import recipe as recipes
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import fit_normalization
from undertone_training.references import vggish
from undertone_training.references.features import SHAPES, ReferenceFeatures

pytestmark = pytest.mark.xdist_group("references")


@pytest.mark.parametrize("name", SHAPES)
def test_a_clip_of_any_length_has_the_features_shape(name: str, clip: np.ndarray) -> None:
    features = ReferenceFeatures(name)
    for sound in (clip, clip[:20_000], np.tile(clip, 2)):
        found = features.compute(sound)
        assert (found.shape, found.dtype) == (features.shape, np.float32)
        assert np.isfinite(found).all()


def at_librosas_rate(clip: np.ndarray, first_s: float, last_s: float | None) -> np.ndarray:
    sound = librosa.resample(clip / np.float32(32768), orig_sr=16_000, target_sr=22_050)
    if last_s is None:
        return sound
    sound = sound[round(first_s * 22_050) :]
    return librosa.util.fix_length(sound, size=round((last_s - first_s) * 22_050))


def test_the_vectors_are_what_librosa_says_when_it_is_called_directly(clip: np.ndarray) -> None:
    of = librosa.feature
    part = at_librosas_rate(clip, 0.5, 3.5)
    wanted = [
        of.mfcc(y=part, sr=22_050, n_mfcc=40),
        of.chroma_stft(y=part, sr=22_050),
        of.melspectrogram(y=part, sr=22_050),
    ]
    found = ReferenceFeatures("mfcc-chroma-mel").compute(clip)[0]
    np.testing.assert_allclose(found, np.concatenate([w.mean(axis=1) for w in wanted]), rtol=2e-3)
    np.testing.assert_allclose(
        ReferenceFeatures("mfcc-sequence").compute(clip), wanted[0].T, atol=2e-2
    )
    whole = at_librosas_rate(clip, 0.0, None)
    wanted = [
        of.zero_crossing_rate(y=whole),
        of.chroma_stft(y=whole, sr=22_050),
        of.mfcc(y=whole, sr=22_050, n_mfcc=20),
        of.rms(y=whole),
        of.melspectrogram(y=whole, sr=22_050),
    ]
    found = ReferenceFeatures("zcr-chroma-mfcc-rms-mel").compute(clip)[0]
    np.testing.assert_allclose(found, np.concatenate([w.mean(axis=1) for w in wanted]), rtol=2e-3)
    np.testing.assert_allclose(
        ReferenceFeatures("mfcc-mean").compute(clip)[0],
        of.mfcc(y=whole, sr=22_050, n_mfcc=40).mean(axis=1),
        rtol=2e-3,
    )


def test_the_stretches_average_to_the_whole(clip: np.ndarray) -> None:
    whole = ReferenceFeatures("five-kinds").compute(clip)[0]
    parts = ReferenceFeatures("five-kinds-in-stretches").compute(clip)
    lengths = [len(part) for part in np.array_split(np.arange(130), len(parts))]
    np.testing.assert_allclose(np.average(parts, axis=0, weights=lengths), whole, rtol=1e-3)


def test_without_librosa_the_extra_is_named(
    clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(Exception, match=r"librosa.* is not installed.*\[training,reference\]"):
        ReferenceFeatures("mfcc-mean").compute(clip)


def test_scaling_is_fitted_on_the_training_clips_alone() -> None:
    recipe = recipes.load("cnn-bigru")
    generator = np.random.default_rng(0)
    shape = recipe.windowing.frames, recipe.frame_width
    train = [
        ClipFeatures(SimpleNamespace(), (generator.normal(3, 2, shape).astype(np.float32),), ())
        for _ in range(50)
    ]
    found = fit_normalization(train, recipe)
    values = np.stack([each.segments[0][0] for each in train])
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.deviation, values.std(axis=0), rtol=1e-5)


def test_vggish_weights_of_the_published_shapes_give_an_embedding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: np.ndarray
) -> None:
    small = {"fc1/fc1_1": (6 * 4 * 512, 8), "fc1/fc1_2": (8, 8), "embedding": (8, vggish.SIZE)}
    convolutions = {name: shape for name, shape in vggish.LAYERS.items() if name not in small}
    monkeypatch.setattr(vggish, "LAYERS", convolutions | small)
    monkeypatch.setattr(vggish, "_DENSE", small)
    path = tmp_path / "vggish.npz"
    generator = np.random.default_rng(0)
    arrays = {}
    for layer, shape in vggish.LAYERS.items():
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        arrays[f"{layer}/weights"] = generator.normal(0, scale, shape).astype(np.float32)
        arrays[f"{layer}/biases"] = np.zeros(shape[-1], np.float32)
    np.savez(path, **arrays)
    with_them = ReferenceFeatures("five-kinds", str(path))
    without = ReferenceFeatures("five-kinds")
    found = with_them.compute(clip)
    assert found.shape == with_them.shape == (1, without.shape[1] + 128)
    np.testing.assert_array_equal(found[:, :-128], without.compute(clip))
    assert found[:, -128:].any()
    assert with_them.key != without.key


def test_the_published_vggish_has_72_million_parameters() -> None:
    assert sum(np.prod(shape) + shape[-1] for shape in vggish.LAYERS.values()) == 72_141_184


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "can't be read"),
        (b"PK\x03\x04 half", "is not an .npz file of VGGish weights"),
        ({}, "is missing"),
    ],
)
def test_unusable_vggish_weights_are_one_sentence(
    tmp_path: Path, content: bytes | dict[str, np.ndarray] | None, sentence: str
) -> None:
    path = tmp_path / "vggish.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    elif content:
        path.write_bytes(content)
    with pytest.raises(RunError, match=sentence):
        vggish.load(path)
