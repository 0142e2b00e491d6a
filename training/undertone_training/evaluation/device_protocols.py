"""The protocols whose clips go through the device path, under one or several conditions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from undertone.events import UNCERTAIN, Verdict
from undertone.recognition.classifier import Classifier
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.clips import with_labels
from undertone_training.corpora.splits import LEAVE_ONE_CORPUS_OUT
from undertone_training.evaluation import degraded, known_voice
from undertone_training.evaluation.conditions import ACTIVATION, ConditionPredictions
from undertone_training.evaluation.inference import through_device, verdicts_of
from undertone_training.evaluation.test_clips import (
    RunTest,
    sampled,
    unlisted_speakers,
    unseen_corpora,
)
from undertone_training.export.bundle import classifier_of
from undertone_training.progress import Progress, silent
from undertone_training.recipe import EVALUATED_CORPUS

ZERO_SHOT = "zero-shot"
"""The condition of a corpus that the recipe does not train on."""


@dataclass(frozen=True)
class CorpusResults:
    """What a model predicted for ``clips`` of one corpus under each condition.

    notes: what a reader must know about it, such as what could not be tested.
    """

    clips: Sequence[Clip]
    results: Sequence[ConditionPredictions]
    notes: Sequence[str]


def run_on_device(
    protocol: str, test: RunTest, all_clips: Sequence[Clip], progress: Progress = silent
) -> CorpusResults:
    """The int8 model of a run under the conditions of a protocol of ``_under_conditions``.

    all_clips: all that are available, of which those by the tested speakers can become known.
    """
    left_out = {clip.clip_id for clip in test.clips} & {*test.run.info.test}
    return _under_conditions(
        protocol,
        classifier_of(test.run),
        test.clips,
        all_clips,
        progress,
        LEAVE_ONE_CORPUS_OUT if left_out else ZERO_SHOT,
    )


def bundle_on_device(
    protocol: str,
    classifier: Classifier,
    all_clips: Sequence[Clip],
    corpora: Sequence[str] = (),
    sample: int | None = None,
    progress: Progress = silent,
) -> Iterator[CorpusResults]:
    """A bundle under the conditions of a protocol of ``_under_conditions``.

    corpora, sample: only these, and at most so many clips of each.  Raises SplitError where the
    bundle was trained on what is left.
    """
    manifest = classifier.manifest
    if protocol == "degraded":
        by_corpus = unlisted_speakers(manifest, all_clips, corpora or (EVALUATED_CORPUS,))
    else:
        by_corpus = unseen_corpora(all_clips, manifest.training.corpora, manifest.labels, corpora)
    for whole in by_corpus.values():
        clips, notes = sampled(whole, sample)
        found = _under_conditions(protocol, classifier, clips, all_clips, progress)
        yield CorpusResults(clips, found.results, [*notes, *found.notes])


def _under_conditions(
    protocol: str,
    classifier: Classifier,
    clips: Sequence[Clip],
    all_clips: Sequence[Clip],
    progress: Progress,
    unseen: str = ZERO_SHOT,
) -> CorpusResults:
    """``cross-corpus``, whose only condition is ``unseen``, ``degraded`` or ``known-voice``."""
    left_out = _without_label(clips[0].corpus, classifier.manifest.labels, all_clips)
    notes = [_note_on(left_out)] if left_out else []
    if protocol == "cross-corpus":
        drawn, _ = sampled(left_out, len(clips))
        with progress(f"cross-corpus ({clips[0].corpus})", len(clips) + len(drawn)) as step:
            results = [through_device(clips, classifier, step, unseen)]
            verdicts = verdicts_of(drawn, classifier, step)
        notes = [f"{note}; {_heard_in(drawn, verdicts)}" for note in notes]
        return CorpusResults(clips, results, notes)
    if protocol == "degraded":
        notes += [] if degraded.enough_voices(clips) else [degraded.NO_BABBLE]
        return CorpusResults(clips, list(degraded.degraded(clips, classifier, progress)), notes)
    results = list(known_voice.known_voice(clips, all_clips, classifier, progress))
    return CorpusResults(clips, results, [*notes, *known_voice.notes_on(results)])


def _without_label(corpus: str, labels: Sequence[str], all_clips: Sequence[Clip]) -> Sequence[Clip]:
    """The spoken clips of a corpus that can't be tested, because no label is theirs."""
    own = [clip for clip in all_clips if (clip.corpus, clip.channel) == (corpus, "speech")]
    usable = {clip.clip_id for clip in with_labels(own, labels)}
    return [clip for clip in own if clip.clip_id not in usable]


def _note_on(left_out: Sequence[Clip]) -> str:
    lacking = Counter(clip.emotion for clip in left_out)
    emotions = " and ".join(f"{number:,} {emotion}" for emotion, number in lacking.items())
    return (
        f"clips of {left_out[0].corpus} whose emotion the model has no label for are left out: "
        f"{emotions}"
    )


def _heard_in(left_out: Sequence[Clip], verdicts: Sequence[Verdict | None]) -> str:
    """How many clips without a label got a verdict, and how many the right activation."""
    given = [each is not None and each.verdict != UNCERTAIN for each in verdicts]
    heard = f"{_share(given)} got a verdict, which can only be wrong"
    right = [
        verdict is not None
        and verdict.activation is not None
        and (verdict.activation >= 0.5) == (ACTIVATION[clip.emotion] == "high")
        for clip, verdict in zip(left_out, verdicts, strict=True)
        if clip.emotion in ACTIVATION
    ]
    return f"{heard}, and {_share(right)} the right activation" if right else heard


def _share(found: Sequence[bool]) -> str:
    return f"{sum(found):,} of {len(found):,} ({100 * sum(found) / len(found):.1f} %)"
