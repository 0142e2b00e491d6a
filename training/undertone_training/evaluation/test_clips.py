"""Selects the clips that a run or a bundle is tested on: only those it was not trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from undertone.recognition.bundle import Manifest, Training
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS, PUBLISHED_FOLDS, TEST_ACTORS
from undertone_training.errors import SplitError
from undertone_training.learning.runs import Run, RunInfo, clips_of
from undertone_training.recipe import EVALUATED_CORPUS

FINAL = "speaker-independent, final"
"""The protocol of models that were trained on actors 01-20 and are tested on the others."""

_FOLDS = {"speaker-independent": DEVELOPMENT_FOLDS, "published-folds": PUBLISHED_FOLDS}


@dataclass(frozen=True)
class RunTest:
    """The clips that one run is tested on; ``report``: the name of its report's folder."""

    run: Run
    clips: Sequence[Clip]
    protocol: str
    report: str


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
                found = clips_of(clips, run.info.validation)
                protocol = f"{run.info.protocol} (validation actors)"
        except SplitError as error:
            failure = error
            reasons.append(f"{run.folder} is left out: {error}")
        else:
            tests.append(RunTest(run, found, protocol, side))
    if not tests:
        raise failure
    return tests, reasons


def cross_corpus_tests(runs: Iterable[Run], clips: Iterable[Clip]) -> list[RunTest]:
    """The tests of ``runs`` on every corpus that each was not trained on; raises SplitError."""
    clips = list(clips)
    return [
        RunTest(run, found, f"cross-corpus ({corpus})", f"cross-corpus-{corpus}")
        for run in runs
        for corpus, found in foreign(clips, run.info.corpora, run.info.labels).items()
    ]


def bundle_tests(
    manifest: Manifest, clips: Iterable[Clip], cross_corpus: bool = False
) -> dict[str, list[Clip]]:
    """The clips that a bundle is tested on, by protocol: the test actors', or other corpora's.

    Raises SplitError if there are none, or if it was trained on one of the test actors.
    """
    training = manifest.training
    if cross_corpus:
        found = foreign(clips, training.corpora, manifest.labels)
        return {f"cross-corpus ({corpus})": test for corpus, test in found.items()}
    test, protocol = final_test(clips, manifest.labels)
    require_held_out(test, training)
    return {protocol: test}


def held_out(info: RunInfo, clips: Mapping[str, Clip]) -> tuple[list[Clip], str]:
    """The test clips of a run and the name of its protocol.

    clips: all that are available, by their ids. Raises RunError and SplitError if those of the
    run are not among them.
    """
    if info.protocol == "final":
        return final_test(clips.values(), info.labels)
    return clips_of(clips, info.test), info.protocol


def final_test(clips: Iterable[Clip], labels: Sequence[str]) -> tuple[list[Clip], str]:
    """RAVDESS speech of the test actors, on whom nothing was chosen, and the protocol's name.

    They are found by actor, because the machine that trained may not have had their clips.
    """
    actors = {f"{actor:02}" for actor in TEST_ACTORS}
    found = [
        clip
        for clip in clips
        if (clip.corpus, clip.channel) == (EVALUATED_CORPUS, "speech")
        and clip.speaker in actors
        and clip.emotion in labels
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


def foreign(
    clips: Iterable[Clip], corpora: Sequence[str], labels: Sequence[str]
) -> dict[str, list[Clip]]:
    """By corpus, the clips with known labels of every corpus except ``corpora``, the trained ones.

    Raises SplitError if there are none.
    """
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.corpus not in corpora and clip.emotion in labels:
            found.setdefault(clip.corpus, []).append(clip)
    if not found:
        raise SplitError(
            f"There is no corpus besides {', '.join(corpora)} in the data folder: add one to test "
            "on, such as TESS or nEMO."
        )
    return found


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
            f"The bundle was trained on the speakers {', '.join(shared)}: a test on them would "
            "flatter it; test it with --protocol cross-corpus."
        )
