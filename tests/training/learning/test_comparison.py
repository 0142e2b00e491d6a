"""The comparison with a voice, fitted on made voices that differ in what is usual for them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from miniature import info_for

from undertone.recognition.bundle import Normalization
from undertone.recognition.comparison import Comparison, statistics
from undertone.recognition.voice import learn
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import classes_of
from undertone_training.learning import comparison as fitting
from undertone_training.learning.comparison import fit_comparison
from undertone_training.learning.distillation import ABSENT, Targets, targets_of
from undertone_training.recipe import Recipe, Regularization

N = 40
QUIET, LIVELY = "sad", "angry"
NORMALIZATION = Normalization("energy-mean", (0.0,) * N, (1.0,) * N, voice_prior_frames=200.0)
RECIPE = Recipe(
    "mine",
    voice_prior_frames=200.0,
    labels=(QUIET, LIVELY),
    regularization=Regularization(known_clips=(0, 8, 16)),
)

pytestmark = pytest.mark.xdist_group("tensorflow")


def clip(
    voice: int, number: int, emotion: str, corpus: str = "one", copies: int = 0
) -> ClipFeatures:
    """Frames that vary half as much again in a lively voice as in a quiet one.

    How much they vary in a quiet one differs fourfold between voices.
    """
    generator = np.random.default_rng([voice, number])
    usual = 2.0 ** np.random.default_rng(voice).uniform(0, 2)
    spread = usual * (1.5 if emotion == LIVELY else 1.0)
    made, *others = generator.normal(0, spread, (1 + copies, 80, N)).astype(np.float32)
    name = f"{corpus}-{voice}-{number}"
    source = Clip(
        corpus=corpus,
        clip_id=name,
        speaker=f"v{voice}",
        emotion=emotion,
        source=AudioRef(Path("x.wav")),
    )
    return ClipFeatures(source, (made,), tuple(others))


def clips(voices: Sequence[int], **changes: object) -> list[ClipFeatures]:
    return [
        clip(voice, number, (QUIET, LIVELY)[number % 2], **changes)
        for voice in voices
        for number in range(12)
    ]


def fitted(features: Sequence[ClipFeatures], seed: int = 0) -> Comparison:
    targets = targets_of(info_for(features, RECIPE), features, (), ())
    return fit_comparison(features, targets, NORMALIZATION, RECIPE, seed)


def right(comparison: Comparison, features: Sequence[ClipFeatures], known: int) -> float:
    """How many clips of new voices it recognises when ``known`` others of theirs are known."""
    labels = info_for(features, RECIPE).labels
    found = []
    for each in features:
        others = [
            other
            for other in features
            if other.clip.speaker == each.clip.speaker and other is not each
        ][:known]
        voice = None
        for other in others:
            voice = learn(voice, other.segments[0].astype(float))
        own = statistics(each.segments[0].mean(axis=0), each.segments[0].std(axis=0))
        usual, share = np.zeros_like(own), 0.0
        if voice is not None:
            usual = statistics(np.array(voice.mean), np.array(voice.deviation))
            share = voice.frames / (voice.frames + 200)
        best = int(comparison.logits(own, usual, share).argmax())
        found.append(labels[best] == each.clip.emotion)
    return float(np.mean(found))


def test_it_recognises_in_a_new_voice_what_is_lively_for_that_voice() -> None:
    comparison = fitted(clips(range(40), copies=1))
    new = clips(range(100, 120))
    assert right(comparison, new, known=10) > 0.85
    assert right(comparison, new, known=0) < 0.75


def test_it_depends_on_the_clips_and_the_seed_alone() -> None:
    features = clips(range(4), copies=1)
    assert fitted(features) == fitted(features)
    assert fitted(features) != fitted(features, seed=1)


def test_it_is_as_good_if_fewer_known_clips_are_in_memory_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = clips(range(40))
    usual = fitted(features).usual
    monkeypatch.setattr(fitting, "_AT_A_TIME", 50)
    in_parts = fitted(features)
    assert in_parts.usual == usual
    assert right(in_parts, clips(range(100, 120)), known=10) > 0.85


def test_clips_without_speech_are_left_out() -> None:
    features = clips(range(4))
    silent = ClipFeatures(features[0].clip, (), ())
    assert fitted([*features, silent]).usual == fitted(features).usual


def test_a_corpus_says_nothing_about_labels_that_it_lacks() -> None:
    """Its clips make such a label neither more nor less probable."""
    features = clips(range(6))
    labels = (QUIET, LIVELY, "disgust")
    rows = np.eye(3, dtype=np.float32)[classes_of(features, labels)]
    rows[:, 2] = ABSENT
    every = np.ones(len(features), np.float32)
    targets = Targets(rows, every, every, len(features))
    comparison = fit_comparison(features, targets, NORMALIZATION, RECIPE, 0)
    assert comparison.weights[2] == (0.0,) * (2 * N - 1)
    assert comparison.offsets[2] == 0
    assert any(comparison.weights[1])
