"""The batches of a training: what is drawn, and what is done to it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import info_for, small

from undertone import samples
from undertone.emotions import EMOTIONS
from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import network_input
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.voice import (
    MOST_FRAMES,
    Reference,
    frames_for_voice,
    learn,
    reference,
)
from undertone.recognition.windows import WindowConfig
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import fit_normalization, windows_of
from undertone_training.lazy import Lazy, joined
from undertone_training.learning import dataset
from undertone_training.learning.dataset import TrainingBatches, _mix_styles, _reorder
from undertone_training.learning.distillation import targets_of
from undertone_training.recipe import Recipe, Regularization, Schedule

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


def test_a_window_takes_the_style_of_another_as_far_as_its_voice_is_unknown() -> None:
    generator = np.random.default_rng(0)
    styles = generator.uniform(1, 2, (2, 40, 1, 3))
    windows = (generator.normal(size=(40, 64, 3)) * styles[0] + styles[1]).astype(np.float32)
    share = np.repeat([0.0, 0.5, 1.0, 0.0], 10)
    mixed = windows.copy()
    _mix_styles(mixed, 1.0, Reference(np.zeros((40, 3)), share), generator)
    # what happens within a window stays, however it is placed and stretched
    for one, other in zip(windows, mixed, strict=True):
        for before, after in zip(one.T, other.T, strict=True):
            assert np.corrcoef(before, after)[0, 1] > 0.9999
    mean, deviation = windows.mean(axis=1), windows.std(axis=1)
    moved = np.abs(mixed.mean(axis=1) - mean).max(axis=1)
    assert moved[share == 1] == pytest.approx(0, abs=1e-5)
    assert moved[share == 0.5].mean() < moved[share == 0].mean()
    assert np.abs(mixed.std(axis=1) - deviation)[share == 0].max() > 0.2
    # between those of two windows: never beyond the most extreme ones
    assert (mixed.mean(axis=1) <= mean.max(axis=0) + 1e-5).all()
    assert (mixed.std(axis=1) >= deviation.min(axis=0) - 1e-2).all()


@settings(max_examples=50)
@given(frames=st.integers(1, 120), seed=st.integers(0, 1000))
def test_a_reordered_window_has_the_same_frames_in_pieces(frames: int, seed: int) -> None:
    windows = np.tile(np.arange(frames, dtype=np.float32)[:, np.newaxis], (20, 1, 3))
    _reorder(windows, 1.0, np.random.default_rng(seed))
    for window in windows:
        numbers = window[:, 0]
        assert (window == numbers[:, np.newaxis]).all()
        assert sorted(numbers) == list(range(frames))
        pieces = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
        short = [piece for piece in pieces if len(piece) < 8 and piece[-1] != frames - 1]
        assert not short  # all but the end of the window


def test_windows_are_reordered_as_often_as_the_recipe_says(clips: list[ClipFeatures]) -> None:
    plain, *_ = batches(clips)[0]
    again, *_ = batches(clips, reordered=0.0)[0]
    assert (plain == again).all()
    # the masks, which are drawn later, have no part in it
    without_masks = {"time_masks": 0, "coefficient_masks": 0, "mixup": 0.0}
    before = np.concatenate([batches(clips, seed, **without_masks)[0][0] for seed in range(20)])
    after = np.concatenate(
        [batches(clips, seed, reordered=0.5, **without_masks)[0][0] for seed in range(20)]
    )
    assert 0.3 < (before != after).any(axis=(1, 2)).mean() < 0.6


def test_styles_are_mixed_where_the_recipe_says_so(clips: list[ClipFeatures]) -> None:
    plain, *_ = batches(clips)[0]
    again, *_ = batches(clips, style_mixing=0.0)[0]
    mixed, *_ = batches(clips, style_mixing=0.3)[0]
    assert (plain == again).all()
    assert (plain != mixed).any()


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


N = MfccConfig().n_coefficients
PLAIN = Regularization(
    own=0.3, mixup=0.0, tempo=0.0, vocal_tract=0.0, time_masks=0, coefficient_masks=0, background=0
)
WINDOW = WindowConfig(frames=24, hop=8)
UNIT = Normalization("energy-mean", (0.0,) * N, (1.0,) * N, voice_prior_frames=200.0)
"""Leaves frames as they are."""


def knowing(*known: int, prior_frames: float = 200.0, **changes: object) -> Recipe:
    """A recipe that changes nothing but what is known of the voice."""
    return Recipe(
        "mine",
        voice_prior_frames=prior_frames if max(known) else 0.0,
        window=WINDOW,
        regularization=msgspec.structs.replace(PLAIN, known_clips=known, **changes),
        schedule=Schedule(batch_size=32, epoch_windows=320),
    )


def made(
    speaker: str, number: int, frames: np.ndarray, *copies: np.ndarray, corpus: str = "one"
) -> ClipFeatures:
    clip = Clip(
        corpus=corpus,
        clip_id=f"{corpus}-{speaker}-{number}",
        speaker=speaker,
        emotion=EMOTIONS[number % len(EMOTIONS)],
        source=AudioRef(Path("x.wav")),
    )
    return ClipFeatures(clip, (frames.astype(np.float32),), copies)


def drawn(
    features: Sequence[ClipFeatures],
    recipe: Recipe,
    normalization: Normalization = UNIT,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Windows and targets of one epoch."""
    targets = targets_of(info_for(features, recipe), features, (), ())
    one = TrainingBatches(features, targets, normalization, recipe, seed)
    parts = [one[index] for index in range(len(one))]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


@dataclass(frozen=True)
class Marked:
    """Clips of whose frames one coefficient says which variant they are of."""

    features: tuple[ClipFeatures, ...]
    places: dict[int, tuple[str, str, int, int]]
    """Corpus, speaker, clip and number of the variant by coefficient."""
    lengths: dict[int, int]
    """Frames of the variant."""

    def own_and_known(self, window: np.ndarray, prior: float) -> tuple[int, dict[int, float]]:
        """The variant of a window, and how often each other one was known to it.

        Nothing of its own is in what was subtracted, or else its coefficient would not be 1.
        """
        frame = window[0]
        assert (window == frame).all()
        (own,) = np.flatnonzero(frame > 0)
        assert frame[own] == pytest.approx(1, abs=1e-5)
        subtracted = -np.delete(frame, own)
        share = subtracted.sum()  # each frame of a voice has a single 1
        frames = prior * share / (1 - share)
        others = np.delete(np.arange(N), own)
        return int(own), {
            int(place): float(part * frames / share / self.lengths[int(place)])
            for place, part in zip(others, subtracted, strict=True)
            if part > 1e-6
        }


def marked() -> Marked:
    features, places, lengths = [], {}, {}
    speakers = {("one", "s"): 4, ("one", "t"): 3, ("two", "s"): 3, ("two", "alone"): 1}
    for (corpus, speaker), count in speakers.items():
        for clip in range(count):
            variants = []
            for number in range(3):
                if (corpus, clip, number) == ("one", 1, 1):  # a copy without speech
                    variants.append(np.zeros((0, N), np.float32))
                    continue
                place, length = 1 + len(places), 5 + len(places)
                frames = np.zeros((length, N), np.float32)
                frames[:, place] = 1
                variants.append(frames)
                places[place] = (corpus, speaker, clip, number)
                lengths[place] = length
            features.append(made(speaker, clip, *variants, corpus=corpus))
    return Marked(tuple(features), places, lengths)


def test_a_window_knows_only_other_clips_of_its_speaker_that_were_changed_as_it_was() -> None:
    """Never its own clip, nor more clips than the recipe says."""
    clips, amounts = marked(), (0, 1, 3)
    counts: Counter[float] = Counter()
    seen = set()
    for seed in range(4):
        windows, _ = drawn(clips.features, knowing(*amounts), seed=seed)
        for window in windows:
            own, known = clips.own_and_known(window, 200.0)
            corpus, speaker, clip, number = clips.places[own]
            for place, times in known.items():
                assert times == pytest.approx(round(times), abs=1e-2)  # whole clips, all frames
                other_corpus, other_speaker, other_clip, other_number = clips.places[place]
                assert (other_corpus, other_speaker) == (corpus, speaker)
                assert other_number == number
                assert other_clip != clip
                seen.add((own, place))
            amount = round(sum(known.values()))
            assert amount in ((0,) if speaker == "alone" else amounts)
            if speaker != "alone":
                counts[amount] += 1
    assert all(count > 0.2 * counts.total() for count in counts.values())  # each as often
    assert set(counts) == set(amounts)
    for own, (corpus, speaker, clip, number) in clips.places.items():  # each other one comes
        assert {other for window, other in seen if window == own} == {
            place
            for place, (c, s, other, n) in clips.places.items()
            if (c, s, n) == (corpus, speaker, number) and other != clip
        }


def test_with_nothing_known_the_windows_are_those_of_a_training_without_voices() -> None:
    generator = np.random.default_rng(0)
    # each speaker has one clip, so that no other is known
    clips = [made(f"s{number}", number, generator.normal(size=(120, N))) for number in range(8)]
    for steady_noise in ("kept", "subtracted"):
        normalization = msgspec.structs.replace(UNIT, steady_noise=steady_noise)
        without, targets = drawn(clips, knowing(0), normalization)
        alone, same = drawn(clips, knowing(4, 8), normalization)
        np.testing.assert_array_equal(alone, without)
        np.testing.assert_array_equal(same, targets)


def speech(number: int) -> np.ndarray:
    """A window of frames of a packaged clip."""
    sound, _ = soundfile.read(samples.clips()[number], dtype="int16", start=8_000)
    return Mfcc(MfccConfig()).compute(sound)[: WINDOW.frames]


@pytest.mark.parametrize("steady_noise", ["kept", "subtracted"])
def test_what_the_training_knows_of_a_voice_is_what_the_device_learns(steady_noise: str) -> None:
    one, other = (speech(number) for number in (2, 4))
    generator = np.random.default_rng(0)
    normalization = Normalization(
        "energy-mean",
        tuple(generator.normal(0, 2, N).tolist()),
        tuple(generator.uniform(1, 4, N).tolist()),
        steady_noise,
        voice_prior_frames=150.0,
    )
    recipe = knowing(1, prior_frames=150.0)
    windows, targets = drawn([made("s", 0, one), made("s", 1, other)], recipe, normalization)
    config = recipe.mfcc
    for emotion, (tested, known) in enumerate([(one, other), (other, one)]):
        voice = learn(None, frames_for_voice(known, normalization, config))
        expected = network_input(
            tested, recipe.window, normalization, config, reference(voice, normalization)
        )[0]
        for window in windows[targets[:, emotion] == 1]:
            np.testing.assert_allclose(window, expected, atol=2e-3)


def test_of_a_voice_at_most_a_minute_counts_as_on_the_device() -> None:
    frames = np.zeros((1500, N))
    frames[:, 3] = 1
    clips = [made("s", number, frames) for number in range(4)]
    windows, _ = drawn(clips, knowing(3))
    share = MOST_FRAMES / (MOST_FRAMES + 200)
    np.testing.assert_allclose(windows[..., 3], 1 - share, atol=1e-5)


def test_a_vocal_tract_changes_the_known_voice_with_the_window() -> None:
    """What all frames of a voice have in common is gone, also where the spectrum is stretched."""
    generator = np.random.default_rng(0)
    plain = [generator.normal(size=(24, N)) for _ in range(4)]
    colour = generator.normal(0, 5, N) * (np.arange(N) > 0)
    recipe = knowing(3, prior_frames=1e-9, vocal_tract=0.15)
    normalization = msgspec.structs.replace(UNIT, voice_prior_frames=1e-9)
    before, after = (
        drawn(
            [made("s", number, one + added) for number, one in enumerate(plain)],
            recipe,
            normalization,
        )[0]
        for added in (0, colour)
    )
    np.testing.assert_allclose(after, before, atol=1e-3)
    straight, _ = drawn(
        [made("s", number, one) for number, one in enumerate(plain)],
        knowing(3, prior_frames=1e-9),
        normalization,
    )
    assert np.abs(straight - before).mean() > 0.05


def test_windows_are_normalised_alike_wherever_they_are_in_an_epoch() -> None:
    """They are normalised a few at a time; each with what is known of its own voice."""
    generator = np.random.default_rng(0)
    clips = [
        made(f"s{number % 2}", number, np.tile(generator.normal(size=(1, N)), (96, 1)))
        for number in range(6)
    ]
    recipe = knowing(2)
    windows, targets = drawn(clips, recipe)
    assert len(windows) == 320
    assert np.isfinite(windows).all()
    # a window is its clip's only frame without two of the two others of its speaker
    for number in range(6):
        same = {window[0].tobytes() for window in windows[targets[:, number] == 1]}
        assert 1 < len(same) <= 3
        first, second = (each for each in range(number % 2, 6, 2) if each != number)
        expected = []
        for pair in ((first, first), (first, second), (second, second)):
            mean = np.mean([clips[each].segments[0][0] for each in pair], axis=0)
            share = 192 / (192 + 200)
            frame = clips[number].segments[0][0] - share * mean
            frame[0] = share * (clips[number].segments[0][0, 0] - mean[0])
            expected.append(frame)
        for window in windows[targets[:, number] == 1]:
            assert min(np.abs(window[0] - frame).max() for frame in expected) < 1e-4


def several() -> list[ClipFeatures]:
    """Two corpora, one of them 16 times as large, with emotions of different numbers."""
    clips = []
    for corpus, emotions in (
        ("large", {"neutral": 120, "happy": 30, "sad": 10}),
        ("small", {"neutral": 2, "angry": 8}),
    ):
        for emotion, count in emotions.items():
            for number in range(count):
                each = made("s", number, np.ones((24, N)), corpus=corpus)
                named = msgspec.structs.replace(
                    each.clip, emotion=emotion, clip_id=f"{corpus}{emotion}{number}"
                )
                clips.append(replace(each, clip=named))
    return clips


def test_an_epoch_has_as_many_windows_of_each_corpus_and_in_it_of_each_emotion() -> None:
    recipe = Recipe(
        "mine",
        window=WINDOW,
        regularization=PLAIN,
        schedule=Schedule(batch_size=50, epoch_windows=2025),
        beside=("small",),
    )
    _, targets = drawn(several(), recipe)
    assert len(targets) == 2000  # whole batches
    found = np.array([[row.argmax(), (row < 0).sum()] for row in targets])
    large = found[:, 1] == len(EMOTIONS) - 3  # the emotions that it lacks
    for corpus, emotions in ((large, 3), (~large, 2)):
        assert corpus.mean() == pytest.approx(1 / 2, abs=0.05)
        shares = np.unique(found[corpus, 0], return_counts=True)[1] / corpus.sum()
        assert len(shares) == emotions
        np.testing.assert_allclose(shares, 1 / emotions, atol=0.06)


def test_without_a_number_of_windows_each_clip_is_in_every_epoch_once() -> None:
    clips = several()
    recipe = Recipe("mine", window=WINDOW, regularization=PLAIN, schedule=Schedule(batch_size=10))
    _, targets = drawn(clips, recipe)
    expected = Counter(EMOTIONS.index(each.clip.emotion) for each in clips)
    assert Counter(targets.argmax(axis=1).tolist()) == expected


def test_an_epoch_in_parts_has_every_clip_once_whatever_is_asked_for_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataset, "_TOGETHER", 45)
    clips = several()
    recipe = Recipe("mine", window=WINDOW, regularization=PLAIN, schedule=Schedule(batch_size=10))
    targets = targets_of(info_for(clips, recipe), clips, (), ())
    one, other = (TrainingBatches(clips, targets, UNIT, recipe, 0) for _ in range(2))
    assert one.in_parts
    forwards = [one[index] for index in range(len(one))]
    backwards = [other[index] for index in reversed(range(len(other)))]
    for batch, same in zip(forwards, reversed(backwards), strict=True):
        for array, equal in zip(batch, same, strict=True):
            np.testing.assert_array_equal(array, equal)
    found = Counter(np.concatenate([batch[1] for batch in forwards]).argmax(axis=1).tolist())
    assert found == Counter(EMOTIONS.index(each.clip.emotion) for each in clips)


def test_the_parts_of_an_epoch_are_drawn_from_different_random_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = np.random.default_rng(0).normal(size=(500, N))
    clips = [made(f"s{number}", 0, frames) for number in range(24)]
    recipe = Recipe("mine", window=WINDOW, regularization=PLAIN, schedule=Schedule(batch_size=8))
    together, _ = drawn(clips, recipe)
    monkeypatch.setattr(dataset, "_TOGETHER", 8)
    in_parts, _ = drawn(clips, recipe)
    for windows in (together, in_parts):
        starts = {window.tobytes() for window in windows}
        assert len(starts) > 20  # excerpts of one recording: hardly any is drawn twice


def test_clips_that_are_read_when_they_are_asked_for_give_the_same_batches() -> None:
    clips = marked().features
    lazy = joined(clips[:4], Lazy(lambda number: clips[number], range(4, len(clips))))
    for one, same in zip(drawn(lazy, knowing(0, 2)), drawn(clips, knowing(0, 2)), strict=True):
        np.testing.assert_array_equal(one, same)
