"""The batches of a training: what is drawn, and what is done to it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from miniature import info_for, small

from undertone.recognition.bundle import Normalization
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import fit_normalization, windows_of
from undertone_training.learning.dataset import TrainingBatches
from undertone_training.learning.distillation import targets_of

pytestmark = pytest.mark.xdist_group("tensorflow")


def batches(clips: list[ClipFeatures], seed: int = 0, **changes: object) -> TrainingBatches:
    recipe = small(**changes)
    targets = targets_of(info_for(clips, recipe), clips, (), ())
    return TrainingBatches(clips, targets, fit_normalization(clips, recipe), recipe, seed)


def test_the_batches_depend_on_seed_and_epoch_alone(clips: list[ClipFeatures]) -> None:
    continued, resumed, other = batches(clips), batches(clips), batches(clips, seed=1)
    for _ in range(3):
        continued.on_epoch_end()
    resumed.start_at(3)
    other.start_at(3)
    assert len(continued) == len(clips) // 8
    for index in range(len(continued)):
        for one, same in zip(continued[index], resumed[index], strict=True):
            np.testing.assert_array_equal(one, same)
    assert not np.array_equal(continued[0][0], other[0][0])
    continued.on_epoch_end()
    assert not np.array_equal(continued[0][0], resumed[0][0])


def test_masks_mixup_and_class_weights_do_what_they_say(clips: list[ClipFeatures]) -> None:
    plain = {
        "tempo": 0.0,
        "vocal_tract": 0.0,
        "time_masks": 0,
        "coefficient_masks": 0,
        "mixup": 0.0,
        "class_weights": False,
    }
    windows, targets, weights = batches(clips, **plain)[0]
    assert (windows != 0).all()
    assert set(np.unique(targets)) == {0.0, 1.0}
    assert (weights == 1).all()

    masked, *_ = batches(clips, **plain | {"time_masks": 1, "longest_time_mask": 30})[0]
    frames = (masked == 0).all(axis=2)
    assert frames.any(axis=1).sum() > 4
    assert frames.sum(axis=1).max() <= 30
    masked, *_ = batches(clips, **plain | {"coefficient_masks": 1})[0]
    assert (masked == 0).all(axis=1).any()

    _, mixed, _ = batches(clips, **plain | {"mixup": 1.0})[0]
    assert ((mixed > 0.01) & (mixed < 0.99)).any()
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)

    few = [each for each in clips if each.clip.emotion != "calm" or each.clip.speaker == "01"]
    _, targets, weights = batches(few, **plain | {"class_weights": True, "batch_size": len(few)})[0]
    (calm,) = weights[targets[:, 1] == 1]
    (other,) = set(weights[targets[:, 1] == 0].tolist())
    assert calm == pytest.approx(10 * other)


def test_a_batch_without_changes_has_the_windows_of_the_device(
    clips: list[ClipFeatures],
) -> None:
    plain = {"tempo": 0.0, "vocal_tract": 0.0, "time_masks": 0, "coefficient_masks": 0}
    # each shorter than a window, and so repeated; half of them from their first frame
    own = [replace(each, copies=()) for each in clips if len(each.segments) == 1]
    own = [each for each in own if len(each.segments[0]) <= 64]
    recipe = small(**plain)
    normalization = fit_normalization(own, recipe)
    device = [windows_of(each, recipe, normalization)[0] for each in own]
    drawn = [windows for index in range(6) for windows in batches(own, seed=index, **plain)[0][0]]
    same = [any(np.allclose(one, other, atol=1e-3) for other in device) for one in drawn]
    assert 0.3 < np.mean(same) < 0.75


def test_the_normalization_of_a_coefficient_that_never_changes_can_be_stored(
    clips: list[ClipFeatures],
) -> None:
    def flat(frames: np.ndarray) -> np.ndarray:
        return np.concatenate([frames[:, :-1], np.ones_like(frames[:, -1:])], axis=1)

    same = [replace(each, segments=tuple(map(flat, each.segments))) for each in clips]
    found = fit_normalization(same, small())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Normalization) == found


def test_tempo_and_vocal_tract_change_the_windows_and_not_their_size(
    clips: list[ClipFeatures],
) -> None:
    plain = {"tempo": 0.0, "vocal_tract": 0.0, "time_masks": 0, "coefficient_masks": 0}
    before, targets, _ = batches(clips, **plain)[0]
    for change in ({"tempo": 0.2}, {"vocal_tract": 0.1}):
        after, same_targets, _ = batches(clips, **plain | change)[0]
        assert after.shape == before.shape
        assert np.isfinite(after).all()
        assert not np.allclose(after, before)
        if "vocal_tract" in change:  # drawn after the excerpts
            np.testing.assert_array_equal(targets, same_targets)
            np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-4)
