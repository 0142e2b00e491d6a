"""Soft targets: from which runs they may come, and what they are."""

import keras
import msgspec
import numpy as np
import pytest
from miniature import Pipeline, info_for, small

from undertone.emotions import EMOTIONS
from undertone_training import recipe as recipes
from undertone_training.corpora.splits import splits
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import classes_of, fit_normalization, variants_of
from undertone_training.learning.dataset import TrainingBatches
from undertone_training.learning.distillation import targets_of
from undertone_training.learning.predict import predict
from undertone_training.learning.runs import describe
from undertone_training.networks import keras_logits

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_teachers_give_the_targets_of_labelled_and_of_unlabelled_clips(
    pipeline: Pipeline, clips: list[ClipFeatures]
) -> None:
    recipe = small(mixup=0.0)
    taught = msgspec.structs.replace(
        recipe, distillation=recipes.Distillation(teachers=("quick",), weight=0.4)
    )
    trained = [each for each in clips if each.clip.clip_id in pipeline.final.info.train]
    labelled, unlabelled = trained[:-8], trained[-8:]
    soft = targets_of(info_for(trained, taught), labelled, unlabelled, [pipeline.final])
    hard = targets_of(info_for(trained, recipe), labelled, (), ())
    assert [len(each) for each in soft.probabilities] == [len(variants_of(x)) for x in trained]
    label = classes_of(labelled, EMOTIONS)[0]
    np.testing.assert_allclose(soft.probabilities[0].sum(axis=1), 1, rtol=1e-5)
    assert (soft.probabilities[0][:, label] >= 0.6 - 1e-6).all()
    assert (hard.probabilities[0][:, label] == 1).all()
    assert (soft.n_labelled, soft.n_unlabelled) == (len(labelled), len(labelled) // 2)
    predicted = predict(
        unlabelled, EMOTIONS, pipeline.final.info.recipe, pipeline.final.calibration.normalization,
        keras_logits(keras.models.load_model(pipeline.final.model, compile=False)), 1.0,
    )  # fmt: skip
    ours = np.array([each[0] for each in soft.probabilities[-8:]])
    np.testing.assert_allclose(ours, predicted.probabilities, atol=1e-4)
    batches = TrainingBatches(trained, soft, fit_normalization(labelled, taught), taught, 0)
    assert len(batches) == (len(labelled) + len(unlabelled)) // 8


def test_a_teacher_that_was_trained_on_test_speakers_is_refused(
    pipeline: Pipeline, clips: list[ClipFeatures]
) -> None:
    distillation = recipes.Distillation(teachers=("quick",))
    recipe = msgspec.structs.replace(small(), distillation=distillation)
    info = describe(recipe, splits([each.clip for each in clips], "speaker-independent")[0], 0)
    with pytest.raises(RunError, match="can't be used here: it was trained on speakers"):
        targets_of(info, clips, (), [pipeline.final])
    other = msgspec.structs.replace(info_for(clips, recipe), labels=EMOTIONS[:5])
    with pytest.raises(RunError, match="labels are not those"):
        targets_of(other, clips, (), [pipeline.final])
