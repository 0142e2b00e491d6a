"""Selects the clips that a run or a bundle is tested on: only those it was not trained on."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from undertone.recognition.bundle import Manifest, Training
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.clips import with_labels
from undertone_training.corpora.splits import (
    DEVELOPMENT_FOLDS,
    PRE_TRAINING,
    PUBLISHED_FOLDS,
    SPEAKER_DEPENDENT,
    TEST_ACTORS,
    no_clip_of,
)
from undertone_training.errors import SplitError
from undertone_training.learning.runs import Run, RunInfo, clips_of
from undertone_training.recipe import EVALUATED_CORPUS

FINAL = "speaker-independent, final"
"""The protocol of models that were trained on actors 01-20 and are tested on the others."""

SAMPLE_SEED = 0
"""Of ``sampled``."""

_FOLDS = {"speaker-independent": DEVELOPMENT_FOLDS, "published-folds": PUBLISHED_FOLDS}


@dataclass(frozen=True)
class RunTest:
    """The clips that one run is tested on; ``report``: the name of its report's folder."""

    run: Run
    clips: Sequence[Clip]
    protocol: str
    report: str


def select_tests(
    protocol: str,
    runs: Sequence[Run],
    clips: Mapping[str, Clip],
    side: str = "test",
    corpora: Sequence[str] = (),
    most: int | None = None,
) -> tuple[list[RunTest], list[str], list[str]]:
    """What ``runs`` are tested on, a note for each test, and why others are left out.

    protocol: one of ``undertone-train evaluate``.  clips: all that are available, by their ids.
    side, corpora, most: see ``held_out_tests``, ``unseen_corpora`` and ``sampled``.
    Raises SplitError if there is nothing to test.
    """
    left_out: list[str] = []
    if protocol == "cross-corpus":
        tests, notes = sampled_tests(cross_corpus_tests(runs, clips.values(), corpora), most)
        for run in runs if not corpora else ():
            left_out += corpora_left_out(clips.values(), run.info.corpora, run.info.labels)
        return tests, notes, [*dict.fromkeys(left_out)]
    if corpora:
        tests = new_speaker_tests(runs, clips, corpora)
    else:
        tests, left_out = held_out_tests(runs, clips, side)
    tests, notes = sampled_tests(tests, most)
    if protocol in ("degraded", "known-voice"):
        tests, reasons = with_new_speakers(tests)
        left_out += reasons
        if corpora:
            notes += [f"all tested speakers are new to the model ({', '.join(corpora)})"]
        else:
            notes += [f"these are the clips that {test.protocol} held out" for test in tests]
    return tests, notes, left_out


def held_out_tests(
    runs: Iterable[Run], clips: Mapping[str, Clip], side: str = "test"
) -> tuple[list[RunTest], list[str]]:
    """The tests of ``runs`` on the clips that each held out, and a sentence for each run without.

    clips: all that are available, by their ids.
    side: ``test``, or ``validation`` for the validation clips.
    Raises SplitError if no run can be tested, for example without actors 21-24.
    """
    tests: list[RunTest] = []
    reasons: list[str] = []
    for run in runs:
        try:
            if side == "test":
                found, protocol = held_out(run.info, clips)
            else:
                validation = clips_of(clips, run.info.validation)
                found = with_labels(validation, run.info.labels)
                protocol = f"{run.info.protocol} (validation actors)"
                if not found:
                    raise SplitError(
                        "Nobody validated this training: test it on what it held out, with "
                        "--split test."
                    )
        except SplitError as error:
            failure = error
            reasons.append(f"{run.folder} is left out: {error}")
        else:
            tests.append(RunTest(run, found, protocol, side))
    if not tests:
        raise failure
    return tests, reasons


def with_new_speakers(tests: Sequence[RunTest]) -> tuple[list[RunTest], list[str]]:
    """The tests by speakers that the run was not trained on, and why others are left out.

    Raises SplitError if there are none.
    """
    kept = [each for each in tests if not each.protocol.startswith(SPEAKER_DEPENDENT)]
    reasons = [
        f"{each.run.folder} is left out: it was trained on the speakers that it is tested on"
        for each in tests
        if each not in kept
    ]
    if not kept:
        raise SplitError(f"There is nothing to test: {reasons[0]}.")
    return kept, reasons


def cross_corpus_tests(
    runs: Iterable[Run], clips: Iterable[Clip], corpora: Sequence[str] = ()
) -> list[RunTest]:
    """The tests of ``runs`` on the corpora that each was not trained on: ``unseen_corpora``."""
    clips = list(clips)
    return [
        RunTest(run, found, f"cross-corpus ({corpus})", f"cross-corpus-{corpus}")
        for run in runs
        for corpus, found in unseen_corpora(
            clips, run.info.corpora, run.info.labels, corpora
        ).items()
    ]


def new_speaker_tests(
    runs: Iterable[Run], clips: Mapping[str, Clip], corpora: Sequence[str]
) -> list[RunTest]:
    """The tests of ``runs`` on the speech of all speakers of ``corpora`` that each did not hear.

    clips: all that are available, by their ids.  Raises SplitError for a corpus without any.
    """
    tests = []
    for run in runs:
        known = {
            (clips[one].corpus, clips[one].speaker)
            for one in (*run.info.train, *run.info.validation)
            if one in clips
        }
        for corpus in corpora:
            own = _spoken(clips.values(), corpus, run.info.labels)
            new = [clip for clip in own if (corpus, clip.speaker) not in known]
            if not new:
                raise SplitError(
                    f"{run.folder} was trained on every speaker of {corpus} in the data folder: "
                    "name another corpus with --corpus."
                )
            tests.append(RunTest(run, new, f"new speakers ({corpus})", f"new-speakers-{corpus}"))
    return tests


def bundle_test(manifest: Manifest, clips: Iterable[Clip]) -> tuple[list[Clip], str]:
    """The test actors' clips for a bundle, and the protocol's name.

    Raises SplitError if there are none, or if it was trained on one of these actors.
    """
    test, protocol = final_test(clips, manifest.labels)
    require_held_out(test, manifest.training)
    return test, protocol


def unlisted_speakers(
    manifest: Manifest, clips: Iterable[Clip], corpora: Sequence[str] = (EVALUATED_CORPUS,)
) -> dict[str, Sequence[Clip]]:
    """By corpus, the speech of all speakers whom a bundle's manifest does not list.

    A corpus that the weights learnt from without listing its speakers, before the training proper,
    has none.  Raises SplitError for a corpus without such clips.
    """
    training = manifest.training
    listed = {*training.train_speakers, *training.validation_speakers}
    clips = tuple(clips)
    found: dict[str, Sequence[Clip]] = {}
    for corpus in corpora:
        own = _spoken(clips, corpus, manifest.labels)
        if corpus in training.corpora:
            trained = corpus == EVALUATED_CORPUS or any(clip.speaker in listed for clip in own)
            own = [clip for clip in own if trained and clip.speaker not in listed]
        if not own:
            raise SplitError(
                f"The bundle learnt from every speaker of {corpus} in the data folder: figures on "
                "their clips would be too good: add other speakers (of RAVDESS, actors 21-24), or "
                "name another corpus with --corpus."
            )
        found[corpus] = own
    return found


def sampled(clips: Sequence[Clip], most: int | None) -> tuple[list[Clip], list[str]]:
    """At most so many of ``clips``, drawn at random with ``SAMPLE_SEED``, in their order.

    And a note for the reader, unless all of them are tested.
    """
    if most is None or len(clips) <= most:
        return list(clips), []
    drawn = random.Random(SAMPLE_SEED).sample(range(len(clips)), most)
    of_all = f"{most:,} of {len(clips):,} clips"
    note = f"a sample of {clips[0].corpus}: {of_all}, drawn with seed {SAMPLE_SEED}"
    return [clips[index] for index in sorted(drawn)], [note]


def sampled_tests(tests: Iterable[RunTest], most: int | None) -> tuple[list[RunTest], list[str]]:
    """The tests on ``sampled`` clips, and the notes."""
    found, notes = [], []
    for test in tests:
        clips, note = sampled(test.clips, most)
        found.append(replace(test, clips=clips))
        notes += note
    return found, notes


def held_out(info: RunInfo, clips: Mapping[str, Clip]) -> tuple[Sequence[Clip], str]:
    """The test clips of a run and the name of its protocol.

    clips: all that are available, by their ids. Raises RunError and SplitError if those of the
    run are not among them, or if it held none out.
    """
    if info.protocol == PRE_TRAINING:
        raise SplitError(
            f"A first stage learns from all of {info.recipe.corpus} and holds no clip out: test "
            "the runs that begin with it, or test it with --protocol cross-corpus."
        )
    if info.protocol == "final":
        return final_test(clips.values(), info.labels)
    return with_labels(clips_of(clips, info.test), info.labels), info.protocol


def final_test(clips: Iterable[Clip], labels: Sequence[str]) -> tuple[list[Clip], str]:
    """RAVDESS speech of the test actors, on whom nothing was chosen, and the protocol's name.

    They are found by actor, because the machine that trained may not have had their clips.
    """
    actors = {f"{actor:02}" for actor in TEST_ACTORS}
    found = [
        clip
        for clip in with_labels(tuple(clips), labels)
        if (clip.corpus, clip.channel) == (EVALUATED_CORPUS, "speech") and clip.speaker in actors
    ]
    first, last = min(actors), max(actors)
    if not found:
        raise SplitError(
            f"The test actors {first}-{last} are not in the data folder: add their RAVDESS speech "
            "clips (`undertone-train fetch ravdess` downloads all)."
        )
    available = {clip.speaker for clip in found}
    who = f"{first}-{last}" if available == actors else ", ".join(sorted(available)) + " only"
    return found, f"{FINAL} (actors {who})"


def unseen_corpora(
    clips: Iterable[Clip],
    trained: Sequence[str],
    labels: Sequence[str],
    corpora: Sequence[str] = (),
) -> dict[str, Sequence[Clip]]:
    """By corpus, the clips with known labels of every corpus except the ``trained`` ones.

    corpora: only these; by default all.  Raises SplitError if there are none, or if one of
    ``corpora`` was trained on, is not available, or shares no label.
    """
    by_corpus: dict[str, list[Clip]] = {}
    for clip in clips:
        by_corpus.setdefault(clip.corpus, []).append(clip)
    for corpus in corpora:
        if corpus not in by_corpus:
            raise no_clip_of(corpus, by_corpus)
        if corpus in trained:
            raise SplitError(
                f"The weights learnt from {corpus}, if only at first or from a teacher: a test on "
                "it would be no cross-corpus test."
            )
    found = {
        corpus: with_labels(own, labels)
        for corpus, own in by_corpus.items()
        if corpus not in trained and (not corpora or corpus in corpora)
    }
    if not found:
        raise SplitError(
            f"There is no corpus besides {', '.join(trained)} in the data folder: add one to test "
            "on, such as TESS or nEMO."
        )
    unknown = [corpus for corpus, own in found.items() if not own]
    if unknown and (corpora or len(unknown) == len(found)):
        raise _no_label_of(unknown[0], labels)
    return {corpus: own for corpus, own in found.items() if own}


def corpora_left_out(
    clips: Iterable[Clip], trained: Sequence[str], labels: Sequence[str]
) -> list[str]:
    """A sentence for each corpus besides ``trained`` that has none of a model's labels."""
    others = [clip for clip in clips if clip.corpus not in trained]
    known = {clip.corpus for clip in with_labels(others, labels)}
    return [
        f"{corpus} is left out: the model has no label for any of its emotions"
        for corpus in dict.fromkeys(clip.corpus for clip in others)
        if corpus not in known
    ]


def _spoken(clips: Iterable[Clip], corpus: str, labels: Sequence[str]) -> Sequence[Clip]:
    """The spoken clips of a corpus with known labels; raises SplitError if there are none."""
    speech = [clip for clip in clips if clip.channel == "speech"]
    own = [clip for clip in speech if clip.corpus == corpus]
    if not own:
        raise no_clip_of(corpus, {clip.corpus for clip in speech})
    found = with_labels(own, labels)
    if not found:
        raise _no_label_of(corpus, labels)
    return found


def _no_label_of(corpus: str, labels: Sequence[str]) -> SplitError:
    return SplitError(
        f"{corpus} has none of the labels of this model ({', '.join(labels)}): test it on another "
        "corpus."
    )


def shortfall(protocol: str, splits: int, speakers: int) -> str:
    """A suffix for the protocol's name if some of its folds or actors are missing, else ""."""
    folds = _FOLDS.get(protocol, ())
    actors = sum(map(len, folds))
    if splits < len(folds):
        return f" ({splits} of {len(folds)} folds)"
    return f" ({speakers} of {actors} actors)" if speakers < actors else ""


def require_held_out(clips: Iterable[Clip], training: Training) -> None:
    """Raise SplitError if a model was trained on a speaker of ``clips``."""
    known = {*training.train_speakers, *training.validation_speakers}
    shared = sorted(
        {
            clip.speaker
            for clip in clips
            if clip.corpus in training.corpora and clip.speaker in known
        }
    )
    if shared:
        raise SplitError(
            f"The bundle was trained on the speakers {', '.join(shared)}: figures on their clips "
            "would be too good: test it with --protocol cross-corpus."
        )
