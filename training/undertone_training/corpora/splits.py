"""Splits into training, validation and test: the protocols of the evaluation.

A protocol is named beside every figure. All but ``speaker-dependent`` test on speakers that are
not in the training; validation actors (for early stopping, temperature and threshold) are taken
from the training actors, as many women as men.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, combinations

from undertone_training.corpora.clip import Clip
from undertone_training.corpora.licences import licence_of, unlicensed
from undertone_training.corpora.scan import CORPORA, unknown_corpus
from undertone_training.errors import SplitError
from undertone_training.lazy import joined, ordered, where

TRAINING_ACTORS = range(1, 21)
"""RAVDESS actors for development: everything is chosen on these."""

TEST_ACTORS = range(21, 25)
"""RAVDESS actors for the final test; nothing may be chosen on them."""

DEVELOPMENT_FOLDS = (range(1, 6), range(6, 11), range(11, 16), range(16, 21))
"""Test actors of each development fold."""

PUBLISHED_FOLDS = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)
"""Test actors of each of the five subject-wise folds of Luna-Jiménez et al. (2021, Sensors)."""

FIVE_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry")
"""The classes of the smallest reference system."""

SPEAKER_DEPENDENT = "speaker-dependent"

LEAVE_ONE_CORPUS_OUT = "leave-one-corpus-out"

PRE_TRAINING = "pre-training"
"""The split and protocol of ``whole``, which is not evaluated: other recipes begin with it."""


@dataclass(frozen=True)
class Split:
    """The three sides of one training.

    name: unique among the splits of all protocols; names the run's folder.
    protocol: what must be written beside every figure of the split.
    test: empty only in the ``final`` split without the clips of the test actors.
    missing: RAVDESS actors that the protocol requires and that are not in the data folder.

    Raises SplitError for a clip on two sides, for a speaker on two sides of a speaker-independent
    protocol, and for validation or test clips that are song or of an emotion without training.
    """

    name: str
    protocol: str
    train: Sequence[Clip]
    validation: Sequence[Clip]
    test: Sequence[Clip]
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would make the figures of this split wrong."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        for (one, first), (other, second) in combinations(sides.items(), 2):
            self._refuse("clip", one, other, _shared(first, second, lambda clip: clip.clip_id))
            if self.speaker_independent:
                self._refuse("speaker", one, other, _shared(first, second, lambda c: c.speaker))
        if self.speaker_independent and any(
            clip.channel == "song" for clip in chain(self.validation, self.test)
        ):
            raise SplitError(
                f"The split {self.name} validates or tests on song: only speech may be there."
            )
        trained = {clip.emotion for clip in self.train}
        for clip in chain(self.validation, self.test):
            if clip.emotion not in trained:
                raise SplitError(
                    f"The split {self.name} has no training clip that is {clip.emotion}, and "
                    f"validates or tests on {clip.clip_id}: add more of {clip.corpus} to the data "
                    "folder."
                )

    @property
    def untested(self) -> tuple[str, ...]:
        """Emotions of the training of which the test has no clip; none without a test."""
        trained, tested = ({clip.emotion for clip in side} for side in (self.train, self.test))
        return tuple(sorted(trained - tested)) if tested else ()

    def shortcomings(self) -> list[str]:
        """What is missing from the split, a sentence for each kind."""
        found = []
        if self.missing:
            found.append(f"{self.name}: the data folder lacks the actors {', '.join(self.missing)}")
        if self.untested:
            found.append(
                f"{self.name}: no test clip is {', '.join(self.untested)}, which its figures leave "
                "out"
            )
        return found

    def _refuse(self, what: str, one: str, other: str, shared: set[tuple[str, str]]) -> None:
        if shared:
            corpus, name = min(shared)
            raise SplitError(
                f"The split {self.name} has the {what} {name} of {corpus} on two sides, {one} and "
                f"{other}: each may be on one only."
            )

    @property
    def speaker_independent(self) -> bool:
        """Whether no speaker may be on two sides; so in all protocols but one."""
        return not self.protocol.startswith(SPEAKER_DEPENDENT)


def splits(
    clips: Sequence[Clip],
    protocol: str,
    song: bool = False,
    n_validation_actors: int = 2,
    seed: int = 0,
    beside: Collection[str] = (),
) -> list[Split]:
    """The splits of a protocol, in order.

    protocol: ``speaker-independent`` (the four development folds), ``final``,
        ``leave-one-corpus-out`` (one for each corpus that weights may be trained on),
        ``published-folds`` or ``speaker-dependent`` (its three variants).
    song: adds the training actors' RAVDESS song to their speech; in ``speaker-dependent`` the
        variants decide.
    n_validation_actors: an even number, half of them women; 0 for no validation.
    seed: decides which actors validate; in ``speaker-dependent``, which clips are on which side.
    beside: other corpora that are trained on too; each of several folds lacks some of their
        speakers. ``leave-one-corpus-out`` takes these and RAVDESS alone.

    Actors without clips are left out and listed in ``Split.missing``. Raises SplitError for an
    unknown protocol, and if a side has no clips (but see ``Split.test``).
    """
    if protocol not in _PROTOCOLS:
        raise SplitError(f"There is no protocol {protocol!r}: known are {', '.join(_PROTOCOLS)}.")
    if n_validation_actors < 0 or n_validation_actors % 2:
        raise SplitError(
            f"The validation takes as many women as men: {n_validation_actors} validation actors "
            f"are not possible, choose an even number."
        )
    # sorted, so that neither the layout of a folder nor the order of a scan changes the split
    usable = ordered(clips, lambda clip: (clip.corpus, clip.clip_id))
    if not beside:
        return _PROTOCOLS[protocol](usable, song, n_validation_actors, seed)
    there = {clip.corpus for clip in usable}
    for corpus in beside:
        if corpus not in there:
            raise no_clip_of(corpus, there)
    if protocol == LEAVE_ONE_CORPUS_OUT and (barred := unlicensed(beside)):
        raise SplitError(
            f"The recipe learns from {', '.join(barred)}, whose terms give no licence for weights "
            f"that are passed on, as {protocol} requires: leave it out of the recipe."
        )
    usable = where(usable, lambda clip: clip.corpus in ("ravdess", *beside))
    found = _PROTOCOLS[protocol](usable, song, n_validation_actors, seed)
    if protocol == LEAVE_ONE_CORPUS_OUT:
        return found
    others = where(usable, lambda clip: clip.corpus != "ravdess")
    return [
        replace(split, train=joined(split.train, _without_some(others, number, len(found))))
        for number, split in enumerate(found)
    ]


def _without_some(clips: Sequence[Clip], number: int, of: int) -> Sequence[Clip]:
    """``clips`` without every ``of``-th speaker of each corpus, from the ``number``-th on."""
    if of == 1:
        return clips
    speakers = sorted({(clip.corpus, clip.speaker) for clip in clips})
    kept = {
        one
        for corpus in {corpus for corpus, _ in speakers}
        for place, one in enumerate(each for each in speakers if each[0] == corpus)
        if place % of != number
    }
    return where(clips, lambda clip: (clip.corpus, clip.speaker) in kept)


def whole(clips: Sequence[Clip], corpus: str) -> Split:
    """A split that trains on all clips of a corpus; raises SplitError if there are none."""
    of_corpus = where(clips, lambda clip: clip.corpus == corpus)
    train = ordered(of_corpus, lambda clip: clip.clip_id)
    if not train:
        raise no_clip_of(corpus, {clip.corpus for clip in clips})
    return Split(PRE_TRAINING, PRE_TRAINING, train, (), ())


def no_clip_of(corpus: str, there: Iterable[str]) -> SplitError:
    """A SplitError for a corpus that is missing, or whose name is wrong.

    ``there``: the corpora in the data folder, among which there may be some without a loader.
    """
    if corpus in CORPORA:
        return SplitError(f"There is no clip of {corpus} in the data folder: add the corpus.")
    return SplitError(unknown_corpus(corpus, there))


def _folds(
    name: str,
    protocol: str,
    folds: Sequence[Sequence[int]],
    clips: Sequence[Clip],
    song: bool,
    n_validation: int,
    seed: int,
) -> list[Split]:
    """Each of ``folds``, the actors of one test, with all others for the training."""
    actors = sorted(actor for fold in folds for actor in fold)
    ravdess = _of_ravdess(clips)
    return [
        _by_actor(
            ravdess, f"{name}-{fold}", protocol, [actor for actor in actors if actor not in test],
            test, song, n_validation, seed + fold,
        )
        for fold, test in enumerate(folds, start=1)
    ]  # fmt: skip


def _final(clips: Sequence[Clip], song: bool, n_validation: int, seed: int) -> list[Split]:
    split = _by_actor(
        _of_ravdess(clips), "final", "final", TRAINING_ACTORS, TEST_ACTORS,
        song, n_validation, seed, test_needed=False,
    )  # fmt: skip
    return [split]


def _leave_one_corpus_out(
    clips: Sequence[Clip], song: bool, n_validation: int, seed: int
) -> list[Split]:
    """A split for each corpus that weights may be trained on: it is the test of all others.

    Of RAVDESS only the training actors; some of them validate, unless RAVDESS is the test.
    """
    actors = {f"{actor:02}" for actor in TRAINING_ACTORS}
    usable = where(
        clips,
        lambda clip: (
            bool(licence_of(clip.corpus)) and (clip.corpus != "ravdess" or clip.speaker in actors)
        ),
    )
    corpora = sorted({clip.corpus for clip in usable})
    if len(corpora) < 2:
        raise SplitError(
            "Leaving a corpus out takes two in the data folder that weights may be trained on: add "
            "another one, such as CREMA-D or nEMO."
        )
    return [
        _without_corpus(left_out, usable, actors, song, n_validation, seed + number)
        for number, left_out in enumerate(corpora)
    ]


def _without_corpus(
    left_out: str,
    clips: Sequence[Clip],
    actors: set[str],
    song: bool,
    n_validation: int,
    turn: int,
) -> Split:
    """The split that tests on one corpus; ``turn`` decides which of ``actors`` validate."""
    name = f"without-{left_out}"
    others = where(clips, lambda clip: clip.corpus != left_out)
    spoken = where(others, lambda clip: (clip.corpus, clip.channel) == ("ravdess", "speech"))
    validating = _validation_actors(name, spoken, actors, n_validation if spoken else 0, turn)
    train = where(
        others,
        lambda clip: (
            (song or clip.channel == "speech")
            and (clip.corpus != "ravdess" or clip.speaker not in validating)
        ),
    )
    trained = {clip.emotion for clip in train}
    test = where(
        clips,
        lambda clip: (
            (clip.corpus, clip.channel) == (left_out, "speech") and clip.emotion in trained
        ),
    )
    if not test:
        raise SplitError(
            f"The split {name} has nothing to test: {left_out} has none of the emotions of the "
            "other corpora."
        )
    if len(trained) < 2:
        raise SplitError(
            f"The split {name} would learn nothing: without {left_out}, all training clips are "
            f"{trained.pop()}; add recordings of another emotion."
        )
    validation = where(spoken, lambda clip: clip.speaker in validating)
    return Split(name, LEAVE_ONE_CORPUS_OUT, train, validation, test)


def _speaker_dependent(
    clips: Sequence[Clip], song: bool, n_validation: int, seed: int
) -> list[Split]:
    ravdess = _of_ravdess(clips)
    speech = where(ravdess, lambda clip: clip.channel == "speech")
    variants = {
        "speech, song, 8 emotions": ravdess,
        "speech, 8 emotions": speech,
        "speech, 5 emotions": where(speech, lambda clip: clip.emotion in FIVE_EMOTIONS),
    }
    return [_random(variant, chosen, seed) for variant, chosen in variants.items()]


def _random(variant: str, clips: Sequence[Clip], seed: int) -> Split:
    """80 % training (15 % of it validation) and 20 % test, stratified by emotion."""
    from sklearn.model_selection import train_test_split

    def parted(clips: Sequence[Clip], share: float) -> tuple[list[Clip], list[Clip]]:
        emotions = [clip.emotion for clip in clips]
        rest, part = train_test_split(
            list(clips), test_size=share, stratify=emotions, random_state=seed
        )
        return rest, part

    try:
        rest, test = parted(clips, 0.2)
        train, validation = parted(rest, 0.15)
    except ValueError as error:
        raise SplitError(
            f"{len(clips)} RAVDESS clips are too few for a random split with every emotion on each "
            f"side: add more of the corpus to the data folder."
        ) from error
    name = "-".join(variant.removesuffix(" emotions").split(", "))
    return Split(
        f"{SPEAKER_DEPENDENT}-{name}",
        f"{SPEAKER_DEPENDENT} ({variant}, split seed {seed})",
        train,
        validation,
        test,
    )


def _of_ravdess(clips: Sequence[Clip]) -> Sequence[Clip]:
    return where(clips, lambda clip: clip.corpus == "ravdess")


def _by_actor(
    ravdess: Sequence[Clip],
    name: str,
    protocol: str,
    train_actors: Iterable[int],
    test_actors: Iterable[int],
    song: bool,
    n_validation: int,
    turn: int,
    test_needed: bool = True,
) -> Split:
    """A split of RAVDESS by actor; ``turn`` decides which training actors validate."""
    speech = where(ravdess, lambda clip: clip.channel == "speech")
    at_hand = {clip.speaker for clip in speech}
    train_names, test_names = ([f"{a:02}" for a in side] for side in (train_actors, test_actors))
    for side, names, needed in (
        ("training", train_names, True),
        ("test", test_names, test_needed),
    ):
        if needed and not at_hand.intersection(names):
            raise SplitError(
                f"The {side} actors {_listed(names)} of the split {name} are not in the data "
                f"folder: add their RAVDESS speech clips, or choose another protocol."
            )
    validating = _validation_actors(
        name, speech, at_hand.intersection(train_names), n_validation, turn
    )
    training = at_hand.intersection(train_names) - validating
    return Split(
        name,
        protocol,
        where(ravdess if song else speech, lambda clip: clip.speaker in training),
        where(speech, lambda clip: clip.speaker in validating),
        where(speech, lambda clip: clip.speaker in test_names),
        tuple(sorted({*train_names, *test_names} - at_hand)),
    )


def _validation_actors(
    name: str, clips: Sequence[Clip], actors: set[str], number: int, turn: int
) -> set[str]:
    """``number`` of ``actors``, half of them of each sex, by name from the ``turn``-th on."""
    chosen: set[str] = set()
    for sex in ("female", "male"):
        candidates = sorted({c.speaker for c in clips if c.sex == sex and c.speaker in actors})
        if number and len(candidates) < number // 2 + 1:
            raise SplitError(
                f"The split {name} has {len(candidates)} {sex} training actors, and needs "
                f"{number // 2} to validate on and one more: add RAVDESS speech clips."
            )
        chosen.update(candidates[(turn + i) % len(candidates)] for i in range(number // 2))
    return chosen


def _shared(
    first: Sequence[Clip], second: Sequence[Clip], name: Callable[[Clip], str]
) -> set[tuple[str, str]]:
    """The corpora and names that are on both sides; those of the smaller one are in memory."""
    fewer, more = sorted((first, second), key=len)
    known = {(clip.corpus, name(clip)) for clip in fewer}
    return {one for clip in more if (one := (clip.corpus, name(clip))) in known} if known else set()


def _listed(actors: Sequence[str]) -> str:
    """``21-24`` for consecutive numbers, otherwise each of them."""
    numbers = sorted(map(int, actors))
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]:02}-{numbers[-1]:02}"
    return ", ".join(f"{number:02}" for number in numbers)


_PROTOCOLS: dict[str, Callable[[Sequence[Clip], bool, int, int], list[Split]]] = {
    "speaker-independent": partial(_folds, "development", "speaker-independent", DEVELOPMENT_FOLDS),
    "final": _final,
    LEAVE_ONE_CORPUS_OUT: _leave_one_corpus_out,
    "published-folds": partial(_folds, "published", "published-folds", PUBLISHED_FOLDS),
    SPEAKER_DEPENDENT: _speaker_dependent,
}

PROTOCOLS = tuple(_PROTOCOLS)
"""The protocols that ``splits`` knows."""
