"""Soft targets: from which runs they may come, and what they are."""

from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Pipeline, info_for, small

from undertone.emotions import EMOTIONS
from undertone_training import recipe as recipes
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.splits import splits
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import classes_of, fit_normalization, variants_of
from undertone_training.learning.dataset import TrainingBatches
from undertone_training.learning.distillation import ABSENT, Targets, targets_of
from undertone_training.learning.predict import predict
from undertone_training.learning.runs import RunInfo, describe
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
    counts = [len(variants_of(each)) for each in trained]
    assert len(soft.probabilities) == sum(counts)
    label = classes_of(labelled, EMOTIONS)[0]
    first = slice(counts[0])
    np.testing.assert_allclose(soft.probabilities[first].sum(axis=1), 1, rtol=1e-5)
    assert (soft.probabilities[first, label] >= 0.6 - 1e-6).all()
    assert (hard.probabilities[first, label] == 1).all()
    assert (soft.n_labelled, soft.n_unlabelled) == (len(labelled), len(labelled) // 2)
    predicted = predict(
        unlabelled, EMOTIONS, pipeline.final.info.recipe, pipeline.final.calibration.normalization,
        keras_logits(keras.models.load_model(pipeline.final.model, compile=False)), 1.0,
    )  # fmt: skip
    ours = soft.probabilities[(np.cumsum(counts) - counts)[-8:]]
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
    other = info_for(clips, msgspec.structs.replace(recipe, labels=EMOTIONS[:5]))
    with pytest.raises(RunError, match="labels are not those"):
        targets_of(other, clips, (), [pipeline.final])
    fewer = msgspec.structs.replace(info_for(clips, recipe), labels=EMOTIONS[:-1])
    with pytest.raises(RunError, match="one of the two trainings has clips that are surprised"):
        targets_of(fewer, clips, (), [pipeline.final])


def clip_of(part: str, speaker: str, emotion: str, number: int) -> ClipFeatures:
    """part: a corpus, or its song as "ravdess song"."""
    corpus, _, song = part.partition(" ")
    clip = Clip(
        corpus=corpus, clip_id=f"{part}{speaker}{emotion}{number}", speaker=speaker,
        emotion=emotion, source=AudioRef(Path("x.wav")), channel="song" if song else "speech",
    )  # fmt: skip
    return ClipFeatures(clip, (np.zeros((4, 40), np.float32),), (np.zeros((5, 40), np.float32),))


def several_corpora(counts: dict[str, dict[str, int]]) -> list[ClipFeatures]:
    return [
        clip_of(part, "s", emotion, number)
        for part, emotions in counts.items()
        for emotion, count in emotions.items()
        for number in range(count)
    ]


LABELS = ("neutral", "happy", "sad", "disgust")


def beside(*corpora: str) -> recipes.Recipe:
    return recipes.Recipe(
        "mine",
        labels=LABELS,
        beside=corpora,
        regularization=recipes.Regularization(mixup=0.0),
        schedule=recipes.Schedule(epoch_windows=100),
    )


@lru_cache
def described(recipe: recipes.Recipe) -> RunInfo:
    """Of any run of ``recipe``."""
    clips = several_corpora({"ravdess": dict.fromkeys(LABELS, 1)})
    return msgspec.structs.replace(info_for(clips, recipe), labels=LABELS)


def targets_for(clips: list[ClipFeatures], recipe: recipes.Recipe) -> Targets:
    return targets_of(described(recipe), clips, (), ())


def test_a_label_that_a_corpus_lacks_is_left_out_of_its_targets() -> None:
    clips = several_corpora(
        {"ravdess": dict.fromkeys(LABELS, 2), "nemo": {"neutral": 3, "happy": 1, "sad": 1}}
    )
    found = targets_for(clips, beside("nemo"))
    pairs = found.probabilities.reshape(len(clips), 2, len(LABELS))  # of the clip and of its copy
    for clip, rows in zip(clips, pairs, strict=True):
        for row in rows:
            named = dict(zip(LABELS, row.tolist(), strict=True))
            assert named.pop(clip.clip.emotion) == 1
            if clip.clip.corpus == "nemo":
                assert named.pop("disgust") == ABSENT
            assert set(named.values()) == {0}
    assert (found.weights == 1).all()  # the draw makes up for rare emotions
    # what a recipe of one corpus lacks, its network learns not to say
    alone = targets_for(clips[8:], msgspec.structs.replace(beside("nemo"), beside=()))
    assert alone.probabilities.min() == 0


@settings(max_examples=30)
@given(
    counts=st.dictionaries(
        st.sampled_from(["ravdess", "ravdess song", "nemo", "cremad"]),
        st.dictionaries(st.sampled_from(LABELS), st.integers(1, 12), min_size=1),
        min_size=1,
    ),
    drawn=st.just(()) | st.tuples(*[st.floats(0.1, 10)] * 3),
)
def test_each_corpus_is_drawn_as_asked_and_of_its_speech_and_song_each_emotion_and_each_clip(
    counts: dict[str, dict[str, int]], drawn: tuple[float, ...]
) -> None:
    clips = several_corpora(counts)
    recipe = msgspec.structs.replace(beside("nemo", "cremad"), drawn=drawn)
    found = targets_for(clips, recipe)
    often = dict(zip(("ravdess", "nemo", "cremad"), drawn or (1.0, 1.0, 1.0), strict=True))
    of_corpus: dict[str, float] = defaultdict(float)
    shares: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for each, share in zip(clips, found.drawn_by, strict=True):
        clip = each.clip
        of_corpus[clip.corpus] += float(share)
        shares[clip.corpus, clip.channel, clip.emotion].append(float(share))
    for (corpus, channel, _), of_emotion in shares.items():
        assert of_corpus[corpus] / often[corpus] == pytest.approx(1, rel=1e-5)
        same_corpus = [str(each.clip.channel) for each in clips if each.clip.corpus == corpus]
        emotions = len({key for key in shares if key[:2] == (corpus, channel)})
        expected = often[corpus] * same_corpus.count(channel) / len(same_corpus) / emotions
        np.testing.assert_allclose(of_emotion, expected / len(of_emotion), rtol=1e-5)
