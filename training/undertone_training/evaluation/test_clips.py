"""Which clips a run or a bundle is tested on: only such as it never saw, by name or by actor."""

from collections.abc import Iterable, Mapping, Sequence

from undertone.recognition.bundle import Training
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS, PUBLISHED_FOLDS, TEST_ACTORS
from undertone_training.errors import RunError, SplitError
from undertone_training.learning.runs import RunInfo

FINAL = "speaker-independent, final"
"""The protocol of what was trained on actors 01-20 and is tested on the others."""

_FOLDS = {"speaker-independent": DEVELOPMENT_FOLDS, "published-folds": PUBLISHED_FOLDS}


def held_out(info: RunInfo, clips: Mapping[str, Clip]) -> tuple[list[Clip], str]:
    """The test clips of a run and the name of its protocol.

    clips: all that are at hand, by their ids.  Raises RunError and SplitError where those of
    the run are not among them.
    """
    if info.protocol == "final":
        return final_test(clips.values(), info.labels)
    return chosen(clips, info.test), info.protocol


def final_test(clips: Iterable[Clip], labels: Sequence[str]) -> tuple[list[Clip], str]:
    """RAVDESS speech of the test actors, whom nothing was chosen by, and the protocol's name.

    They are found by actor: the machine that trained need not have had them.
    """
    actors = {f"{actor:02}" for actor in TEST_ACTORS}
    found = [
        clip
        for clip in clips
        if (clip.corpus, clip.channel) == ("ravdess", "speech")
        and clip.speaker in actors
        and clip.emotion in labels
    ]
    first, last = min(actors), max(actors)
    if not found:
        raise SplitError(
            f"The test actors {first}-{last} are not in the data folder: add their RAVDESS speech "
            "clips (`undertone-train fetch ravdess` downloads all)."
        )
    at_hand = {clip.speaker for clip in found}
    who = f"{first}-{last}" if at_hand == actors else ", ".join(sorted(at_hand)) + " only"
    return found, f"{FINAL} (actors {who})"


def foreign(
    clips: Iterable[Clip], corpora: Sequence[str], labels: Sequence[str]
) -> dict[str, list[Clip]]:
    """By corpus, the clips of every one but ``corpora``, the trained ones, with known labels.

    Raises SplitError where there is none.
    """
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.corpus not in corpora and clip.emotion in labels:
            found.setdefault(clip.corpus, []).append(clip)
    if not found:
        raise SplitError(
            f"There is no corpus beside {', '.join(corpora)} in the data folder: add one to test "
            "on, such as TESS or nEMO."
        )
    return found


def chosen(clips: Mapping[str, Clip], ids: Sequence[str]) -> list[Clip]:
    """The clips with these ids, in their order; raises RunError where one is not at hand."""
    missing = [clip_id for clip_id in ids if clip_id not in clips]
    if missing:
        raise RunError(
            f"{len(missing)} clips of the run are not in the data folder (the first is "
            f"{missing[0]}): name the folder that it was trained from with --data."
        )
    return [clips[clip_id] for clip_id in ids]


def shortfall(protocol: str, splits: int, speakers: int) -> str:
    """What must stand after a protocol's name where folds or actors of it are missing, or ""."""
    folds = _FOLDS.get(protocol, ())
    actors = sum(map(len, folds))
    if splits < len(folds):
        return f" ({splits} of {len(folds)} folds)"
    return f" ({speakers} of {actors} actors)" if speakers < actors else ""


def require_unheard(clips: Iterable[Clip], training: Training) -> None:
    """Raise SplitError where a model was trained on a speaker of ``clips``."""
    known = {*training.train_speakers, *training.validation_speakers}
    heard = sorted(
        {
            clip.speaker
            for clip in clips
            if clip.corpus in training.corpora and clip.speaker in known
        }
    )
    if heard:
        raise SplitError(
            f"The bundle was trained on the speakers {', '.join(heard)}: a test on them would "
            "flatter it; test it with --protocol cross-corpus."
        )
