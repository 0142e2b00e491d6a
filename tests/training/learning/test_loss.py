"""The loss over the labels that a clip's corpus has."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone_training.learning.distillation import ABSENT
from undertone_training.learning.loss import MaskedCrossentropy

pytestmark = pytest.mark.xdist_group("tensorflow")

LABELS = 7

seeds = st.integers(0, 10_000)
smoothings = st.sampled_from([0.0, 0.05, 0.3, 1.0])
present_labels = st.sets(st.integers(0, LABELS - 1), min_size=2).map(sorted)


def batch(seed: int, present: list[int], n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Targets without the other labels, and logits."""
    generator = np.random.default_rng(seed)
    targets = np.full((n, LABELS), ABSENT, np.float32)
    soft = generator.dirichlet(np.ones(len(present)), n)
    hard = np.eye(len(present))[generator.integers(len(present), size=n)]
    targets[:, present] = np.where(generator.random((n, 1)) < 0.5, soft, hard)
    return targets, generator.normal(0, 4, (n, LABELS)).astype(np.float32)


def with_gradient(
    loss: keras.losses.Loss, targets: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(targets, variable)
    return value.numpy(), tape.gradient(value, variable).numpy()


@settings(max_examples=40)
@given(seed=seeds, smoothing=smoothings, present=present_labels)
def test_it_is_the_cross_entropy_of_a_network_that_has_only_the_labels_of_the_corpus(
    seed: int, smoothing: float, present: list[int]
) -> None:
    """With all of them, it is that of Keras."""
    targets, logits = batch(seed, present)
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    expected, expected_gradient = with_gradient(keras_loss, targets[:, present], logits[:, present])
    found, gradient = with_gradient(MaskedCrossentropy(smoothing), targets, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient[:, present], expected_gradient, rtol=1e-4, atol=1e-6)


@settings(max_examples=40)
@given(seed=seeds, smoothing=smoothings, present=present_labels, far=st.floats(-1e4, 1e4))
def test_what_the_network_says_of_an_absent_label_makes_no_difference(
    seed: int, smoothing: float, present: list[int], far: float
) -> None:
    targets, logits = batch(seed, present)
    changed = np.where(targets == ABSENT, np.float32(far), logits)
    loss = MaskedCrossentropy(smoothing)
    before, gradient = with_gradient(loss, targets, logits)
    after, same = with_gradient(loss, targets, changed)
    assert np.isfinite(before)
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(same, gradient)
    assert not gradient[targets == ABSENT].any()


def test_each_clip_of_a_batch_has_the_labels_of_its_own_corpus() -> None:
    loss = MaskedCrossentropy(0.1)
    sides = [batch(1, [0, 1, 2]), batch(2, list(range(LABELS))), batch(3, [4, 6])]
    targets, logits = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    alone = [loss.call(tf.constant(t), tf.constant(x)).numpy() for t, x in sides]
    together = loss.call(tf.constant(targets), tf.constant(logits)).numpy()
    assert together.shape == (15,)
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-6)
    weights = np.arange(15, dtype=np.float32)
    weighted = loss(targets, logits, sample_weight=weights)
    np.testing.assert_allclose(weighted, (together * weights).mean(), rtol=1e-5)


def test_a_checkpoint_goes_on_with_the_same_loss(tmp_path: Path) -> None:
    """As an interrupted training is continued: the compiled network is read from its file."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(LABELS)])
    model.compile(keras.optimizers.SGD(0.1), MaskedCrossentropy(0.2))
    targets, _ = batch(0, [1, 3, 4])
    windows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    before = model.test_on_batch(windows, targets)
    model.save(tmp_path / "checkpoint.keras")
    loaded = keras.models.load_model(tmp_path / "checkpoint.keras")
    assert loaded.test_on_batch(windows, targets) == pytest.approx(before)
    loaded.train_on_batch(windows, targets)
    model.train_on_batch(windows, targets)
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    # the smoothing is part of what was saved
    rows = model.predict_on_batch(windows)
    smooth, plain = (float(MaskedCrossentropy(share)(targets, rows)) for share in (0.2, 0.0))
    assert float(loaded.loss(targets, rows)) == pytest.approx(smooth)
    assert abs(smooth - plain) > 0.01
