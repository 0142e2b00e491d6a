from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.ravdess import CORPUS as RAVDESS
from undertone_training.corpora.splits import (
    DEVELOPMENT_FOLDS,
    PROTOCOLS,
    PUBLISHED_FOLDS,
    TEST_ACTORS,
    Split,
    splits,
    whole,
)
from undertone_training.errors import SplitError

BY_ACTOR = [name for name in PROTOCOLS if name not in ("speaker-dependent", "leave-one-corpus-out")]


def ravdess(actors=range(1, 25), song=True, repetitions=(1, 2)):
    """Every emotion of each actor, spoken and sung, as RAVDESS has them."""
    clips = []
    for actor in actors:
        for channel in (1, 2) if song else (1,):
            for emotion in range(1, 9 if channel == 1 else 7):
                for repetition in repetitions:
                    stem = f"03-{channel:02}-{emotion:02}-01-01-{repetition:02}-{actor:02}"
                    clips.append(RAVDESS.parse(AudioRef(Path(f"{stem}.wav"))))
    return clips


def other(corpus, speaker, n=5):
    return [
        Clip(corpus=corpus, clip_id=f"{corpus}_{speaker}_{i}", speaker=speaker,
             emotion=("happy", "sad")[i % 2], source=AudioRef(Path(f"{i}.wav")))
        for i in range(n)
    ]  # fmt: skip


def actors(clips):
    return {int(clip.speaker) for clip in clips}


def everyone(split):
    return (*split.train, *split.validation, *split.test)


def test_the_development_folds_test_each_of_twenty_actors_once():
    folds = splits(ravdess(), "speaker-independent")
    assert [split.name for split in folds] == [f"development-{fold}" for fold in range(1, 5)]
    for split, expected in zip(folds, DEVELOPMENT_FOLDS, strict=True):
        assert split.protocol == "speaker-independent"
        assert actors(split.test) == set(expected)
        assert actors(everyone(split)) == set(range(1, 21))
        assert not split.missing


@pytest.mark.parametrize("song", [False, True])
def test_nobody_touches_the_test_actors_in_development(song):
    for split in splits(ravdess(), "speaker-independent", song):
        assert not actors(everyone(split)) & set(TEST_ACTORS)


def test_the_final_split_tests_actors_21_to_24():
    (split,) = splits(ravdess(), "final")
    assert split.name == "final"
    assert actors(split.test) == set(TEST_ACTORS)
    assert actors((*split.train, *split.validation)) == set(range(1, 21))


def test_the_final_split_trains_without_test_actors_and_says_so():
    (split,) = splits(ravdess(range(1, 21)), "final")
    assert not split.test
    assert split.missing == ("21", "22", "23", "24")


def test_the_published_folds_test_each_actor_once():
    folds = splits(ravdess(), "published-folds")
    tested = [actor for split in folds for actor in sorted(actors(split.test))]
    assert sorted(tested) == list(range(1, 25))
    assert [actors(split.test) for split in folds] == [set(fold) for fold in PUBLISHED_FOLDS]
    for split in folds:
        assert actors(everyone(split)) == set(range(1, 25))


def test_actors_that_are_not_at_hand_are_reported():
    fourth = splits(ravdess(range(1, 21)), "published-folds")[3]
    assert actors(fourth.test) == {8, 17}
    assert fourth.missing == ("21", "22", "23", "24")


def test_other_corpora_stay_out_of_the_splits_of_ravdess():
    clips = [*ravdess(), *other("tess", "OAF")]
    for protocol in ("speaker-independent", "final", "published-folds", "speaker-dependent"):
        for split in splits(clips, protocol):
            assert {clip.corpus for clip in everyone(split)} == {"ravdess"}


def test_another_corpus_is_learnt_from_as_a_whole_and_never_tested_on():
    clips = [*ravdess(), *other("tess", "OAF")]
    split = whole(clips, "tess")
    assert {clip.corpus for clip in everyone(split)} == {"tess"}
    assert len(split.train) == len(clips) - len(ravdess())
    assert not split.validation
    assert not split.test
    with pytest.raises(SplitError, match="no clip of nemo in the data folder"):
        whole(clips, "nemo")


@pytest.mark.parametrize("protocol", BY_ACTOR)
def test_as_many_women_as_men_validate(protocol):
    for number in (2, 4):
        for split in splits([*ravdess(), *other("tess", "OAF")], protocol, False, number):
            sexes = Counter(clip.sex for clip in split.validation)
            assert sexes["male"] == sexes["female"]
            assert len(actors(split.validation)) == number
    for split in splits([*ravdess(), *other("tess", "OAF")], protocol, False, 0):
        assert not split.validation


def test_the_validation_actors_are_the_same_each_time_and_others_by_seed():
    def validating(seed):
        return [
            actors(split.validation)
            for split in splits(ravdess(), "speaker-independent", seed=seed)
        ]

    assert validating(3) == validating(3)
    assert validating(3) != validating(4)


@pytest.mark.parametrize("protocol", BY_ACTOR)
def test_song_joins_the_training_alone_and_of_training_actors_alone(protocol):
    clips = [*ravdess(), *other("tess", "OAF")]
    for split in splits(clips, protocol, song=True):
        sung = [clip for clip in split.train if clip.channel == "song"]
        spoken = [clip for clip in split.train if clip.channel == "speech"]
        assert actors(sung) == actors(spoken)
        assert all(c.channel == "speech" for c in (*split.validation, *split.test))
    for split in splits(clips, protocol, song=False):
        assert all(clip.channel == "speech" for clip in split.train)


def test_speaker_dependent_splits_are_stratified_and_state_their_seed():
    variants = {split.name: split for split in splits(ravdess(), "speaker-dependent", seed=7)}
    assert list(variants) == [
        "speaker-dependent-speech-song-8",
        "speaker-dependent-speech-8",
        "speaker-dependent-speech-5",
    ]
    for split in variants.values():
        assert "speaker-dependent" in split.protocol
        assert "split seed 7" in split.protocol
        share = len(split.test) / len(everyone(split))
        assert share == pytest.approx(0.2, abs=0.01)
        whole = Counter(clip.emotion for clip in everyone(split))
        for emotion, count in Counter(clip.emotion for clip in split.test).items():
            assert count == pytest.approx(0.2 * whole[emotion], abs=1)
    assert len({split.protocol for split in variants.values()}) == 3
    assert len(everyone(variants["speaker-dependent-speech-song-8"])) == len(ravdess())
    five = variants["speaker-dependent-speech-5"]
    assert {clip.emotion for clip in five.test} == {"neutral", "calm", "happy", "sad", "angry"}
    assert all(clip.channel == "speech" for clip in everyone(five))


def test_each_corpus_that_weights_may_learn_from_is_left_out_once():
    clips = [
        *ravdess(), *other("nemo", "EB0"), *other("family", "anna"), *other("casia", "wangzhe")
    ]  # fmt: skip
    found = {split.name: split for split in splits(clips, "leave-one-corpus-out", song=True)}
    assert list(found) == ["without-family", "without-nemo", "without-ravdess"]
    assert {clip.corpus for clip in found["without-nemo"].train} == {"ravdess", "family"}
    assert {clip.corpus for clip in found["without-nemo"].test} == {"nemo"}
    without_ravdess = found["without-ravdess"]
    assert {clip.corpus for clip in without_ravdess.train} == {"nemo", "family"}
    assert {clip.emotion for clip in without_ravdess.test} == {"happy", "sad"}
    assert actors(without_ravdess.test) == set(range(1, 21))
    assert not without_ravdess.validation
    validation = found["without-nemo"].validation
    assert Counter(clip.sex for clip in validation) == {"female": 16, "male": 16}
    assert any(clip.channel == "song" for clip in found["without-nemo"].train)
    with pytest.raises(SplitError, match="takes two in the data folder"):
        splits(ravdess(), "leave-one-corpus-out")


BESIDE = ("nemo", "family")
SEVERAL = [
    *ravdess(repetitions=(1,)),
    *(clip for number in range(9) for clip in other("nemo", f"N{number}")),
    *(clip for number in range(5) for clip in other("family", f"F{number}", 3)),
    *other("family", "01", 2),  # the name of a RAVDESS actor
    *other("tess", "OAF"),
]


def of_corpora(clips, corpora):
    return [clip for clip in clips if clip.corpus in corpora]


@pytest.mark.parametrize("protocol", ["speaker-independent", "published-folds"])
def test_each_fold_lacks_some_speakers_of_the_corpora_beside(protocol):
    """What is measured beside RAVDESS is then measured on speakers whom the network never heard."""
    folds = splits(SEVERAL, protocol, song=True, beside=BESIDE)
    alone = splits(SEVERAL, protocol, song=True)
    for split, plain in zip(folds, alone, strict=True):
        assert (split.name, split.protocol) == (plain.name, plain.protocol)
        assert (split.validation, split.test) == (plain.validation, plain.test)
        assert of_corpora(split.train, ["ravdess"]) == list(plain.train)
        assert {clip.corpus for clip in split.train} == {"ravdess", *BESIDE}
        for corpus in BESIDE:  # all clips of a speaker, or none
            trained = {clip.speaker for clip in of_corpora(split.train, [corpus])}
            assert len(of_corpora(split.train, [corpus])) == sum(
                clip.speaker in trained for clip in of_corpora(SEVERAL, [corpus])
            )
    for corpus in BESIDE:
        speakers = {clip.speaker for clip in SEVERAL if clip.corpus == corpus}
        lacking = Counter(
            speaker
            for split in folds
            for speaker in speakers - {c.speaker for c in split.train if c.corpus == corpus}
        )
        assert lacking == dict.fromkeys(speakers, 1)  # each is new to one fold
        for split in folds:
            left_out = speakers - {c.speaker for c in split.train if c.corpus == corpus}
            assert abs(len(left_out) - len(speakers) / len(folds)) < 1


def test_the_final_split_has_everybody_of_the_corpora_beside():
    (split,) = splits(SEVERAL, "final", beside=BESIDE)
    assert of_corpora(split.train, BESIDE) == sorted(
        of_corpora(SEVERAL, BESIDE), key=lambda clip: (clip.corpus, clip.clip_id)
    )
    assert actors(of_corpora(split.train, ["ravdess"])) < set(range(1, 21))
    assert actors(split.test) == set(TEST_ACTORS)


def test_of_several_corpora_only_those_of_the_recipe_are_left_out():
    assert {split.name for split in splits(SEVERAL, "leave-one-corpus-out")} == {
        "without-family", "without-nemo", "without-ravdess",
    }  # fmt: skip
    two = splits(SEVERAL, "leave-one-corpus-out", beside=["nemo"])
    assert [split.name for split in two] == ["without-nemo", "without-ravdess"]
    for split in two:
        assert {clip.corpus for clip in everyone(split)} == {"nemo", "ravdess"}
        # the corpora that are trained on have all of their speakers
        assert {c.speaker for c in everyone(split) if c.corpus == "nemo"} == {
            f"N{number}" for number in range(9)
        }


def test_a_corpus_beside_whose_weights_may_not_be_passed_on_is_named_before_it_is_left_out():
    with pytest.raises(SplitError, match="learns from casia, whose terms give no licence"):
        splits(
            [*SEVERAL, *other("casia", "liuchanhg")],
            "leave-one-corpus-out",
            beside=["casia", "nemo"],
        )


def test_a_single_emotion_can_not_be_learnt():
    clips = [*ravdess(song=False), *other("family", "anna", 1)]
    with pytest.raises(SplitError, match="without ravdess, all training clips are happy"):
        splits(clips, "leave-one-corpus-out", beside=["family"])


@settings(deadline=None)
@given(
    protocol=st.sampled_from(PROTOCOLS),
    beside=st.sets(st.sampled_from(["emodb", "nemo", "family"]), min_size=1),
    speakers=st.integers(1, 6),
    song=st.booleans(),
    seed=st.integers(0, 100),
)
def test_corpora_beside_are_never_tested_on_and_change_no_test(
    protocol, beside, speakers, song, seed
):
    clips = [
        *ravdess(repetitions=(1,), song=False),
        *(clip for corpus in ("emodb", "nemo", "family") for number in range(speakers)
          for clip in other(corpus, f"{number:02}", 2)),
    ]  # fmt: skip
    try:
        found = splits(clips, protocol, song, seed=seed, beside=sorted(beside))
    except SplitError:
        assert protocol == "leave-one-corpus-out"  # of a corpus without a licence
        assert "emodb" in beside
        return
    for split in found:
        assert {clip.corpus for clip in everyone(split)} <= {"ravdess", *beside}
        if protocol != "leave-one-corpus-out":
            assert {clip.corpus for clip in (*split.validation, *split.test)} == {"ravdess"}
    assert found == splits(clips[::-1], protocol, song, seed=seed, beside=sorted(beside))


def test_a_corpus_beside_that_is_not_there_is_named():
    with pytest.raises(SplitError, match="no clip of cremad in the data folder: add the corpus"):
        splits(SEVERAL, "final", beside=["nemo", "cremad"])
    with pytest.raises(SplitError, match=r"no corpus called nemmo: known are ravdess, .*nemo"):
        splits(SEVERAL, "final", beside=["nemmo"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_order_of_the_clips_makes_no_difference(protocol):
    clips = [*ravdess(), *other("tess", "OAF"), *other("nemo", "EB0")]
    assert splits(clips, protocol, True, seed=1) == splits(clips[::-1], protocol, True, seed=1)


@settings(deadline=None)
@given(
    protocol=st.sampled_from(PROTOCOLS),
    present=st.sets(st.integers(1, 24)),
    song=st.booleans(),
    number=st.integers(-1, 6),
    seed=st.integers(0, 1000),
    others=st.sets(
        st.tuples(
            st.sampled_from(["emodb", "family", "nemo", "tess"]),
            st.sampled_from(["03", "11", "OAF"]),
        )
    ),
)
def test_no_split_has_an_actor_or_a_clip_on_two_sides(
    protocol, present, song, number, seed, others
):
    clips = [
        *ravdess(sorted(present), repetitions=(1,)),
        *(clip for corpus, speaker in sorted(others) for clip in other(corpus, speaker)),
    ]
    try:
        found = splits(clips, protocol, song, number, seed)
    except SplitError:
        return
    for split in found:
        sides = (split.train, split.validation, split.test)
        ids = [clip.clip_id for side in sides for clip in side]
        assert len(ids) == len(set(ids))
        assert split.train
        assert split.test or split.name == "final"
        if split.speaker_independent:
            speakers = [{(clip.corpus, clip.speaker) for clip in side} for side in sides]
            assert sum(map(len, speakers)) == len(set().union(*speakers))
        if split.protocol != "published-folds" and split.speaker_independent:
            # what is chosen, and what ships
            used = [*split.train, *split.validation]
            assert not actors(c for c in used if c.corpus == "ravdess") & set(TEST_ACTORS)
        if split.protocol == "leave-one-corpus-out":
            assert not {c.corpus for c in split.train} & {c.corpus for c in split.test}
            assert not {c.corpus for c in everyone(split)} & {"emodb", "tess"}  # no licence


def split_of(protocol, train, validation, test):
    return Split("mine", protocol, tuple(train), tuple(validation), tuple(test))


def test_a_speaker_on_two_sides_is_refused():
    one, two, three = (ravdess([actor], song=False) for actor in (1, 2, 3))
    split_of("speaker-independent", one, two, three)
    for sides in (
        (one[1:], one[:1], two),
        (one[1:], two, one[:1]),
        (one, two[1:], two[:1]),
    ):
        with pytest.raises(SplitError, match=r"the speaker 0. of ravdess on two sides"):
            split_of("speaker-independent", *sides)
        split_of("speaker-dependent (by hand)", *sides)


def test_a_clip_on_two_sides_is_refused_in_every_protocol():
    clips = ravdess([1], song=False)
    for protocol in PROTOCOLS:
        with pytest.raises(SplitError, match=r"the clip 03-01-01-01-01-01-01 .* on two sides"):
            split_of(protocol, clips, [], clips[:1])


def test_speakers_of_two_corpora_may_have_the_same_name():
    split_of("cross-corpus", ravdess([3], song=False), [], other("emodb", "03"))


def test_an_emotion_that_nobody_trains_is_refused():
    calm = [clip for clip in ravdess([1], song=False) if clip.emotion == "calm"]
    for sides in ((calm, ravdess([2], song=False), []), (calm, [], ravdess([2], song=False))):
        with pytest.raises(SplitError, match="has no training clip that is neutral"):
            split_of("speaker-independent", *sides)


def test_testing_on_song_is_refused():
    sung = [clip for clip in ravdess([2]) if clip.channel == "song"]
    with pytest.raises(SplitError, match="song"):
        split_of("speaker-independent", ravdess([1]), [], sung)


@pytest.mark.parametrize(
    ("clips", "arguments", "sentence"),
    [
        (ravdess(range(1, 6)), ["speaker-independent"], "The training actors 06-20"),
        (ravdess(range(6, 21)), ["speaker-independent"], "The test actors 01-05"),
        (ravdess(range(21, 25)), ["final"], "The training actors 01-20"),
        ([], ["published-folds"], "The training actors 01, 03"),
        ([], ["speaker-dependent"], "0 RAVDESS clips are too few"),
        (ravdess([1], repetitions=(1,)), ["speaker-dependent"], "too few"),
        (ravdess(), ["leave-one-out"], "no protocol 'leave-one-out'"),
        (ravdess(), ["final", False, 3], "even number"),
        (ravdess(range(1, 21, 2)), ["final"], "0 female training actors"),
        (ravdess(), ["final", False, 20], "10 female training actors"),
    ],
)
def test_what_can_not_be_split_is_reported_in_one_sentence(clips, arguments, sentence):
    with pytest.raises(SplitError, match=sentence):
        splits(clips, *arguments)
