"""The voices that the speech detector learns from, and those that its gate is chosen on.

RAVDESS is in neither: the accuracy of a model is measured on it, behind this very gate.
"""

from collections.abc import Iterable
from typing import Literal

from undertone_training.corpora.clip import Clip
from undertone_training.errors import CorpusError

CORPORA = ("cremad", "nemo")
"""Corpora whose licences allow weights to be passed on, RAVDESS apart."""

_CHOSEN_ON = frozenset({("nemo", "TP0"), ("nemo", "WR0")}) | {
    ("cremad", str(speaker)) for speaker in range(1061, 1077)
}
"""Speakers whose clips choose the gate's thresholds and train nothing."""


Measured = Literal["choosing", "ravdess"]
"""Whose clips the gate is measured with: the speakers of ``for_choosing``, or another corpus."""


def for_training(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """The clips that the detector learns from, by corpus; raises CorpusError if there are none."""
    return _required(_by_corpus(clips, chosen_on=False), CORPORA)


def for_choosing(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips of other speakers, to choose thresholds on; raises CorpusError if there are none."""
    return _required(_by_corpus(clips, chosen_on=True), CORPORA)


def for_measuring(clips: Iterable[Clip], corpus: Measured) -> dict[str, list[Clip]]:
    """The speech that the gate is measured with, by corpus; raises CorpusError if there is none."""
    if corpus == "choosing":
        return for_choosing(clips)
    spoken = [clip for clip in clips if clip.corpus == corpus and clip.channel == "speech"]
    return _required({corpus: spoken} if spoken else {}, (corpus,))


def for_babble(clips: Iterable[Clip]) -> list[Clip]:
    """Voices in the background, none of which the detector learnt from; there may be none."""
    return [clip for each in _by_corpus(clips, chosen_on=True).values() for clip in each]


def _by_corpus(clips: Iterable[Clip], chosen_on: bool) -> dict[str, list[Clip]]:
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        chosen = (clip.corpus, clip.speaker) in _CHOSEN_ON
        if clip.corpus in CORPORA and chosen == chosen_on:
            found.setdefault(clip.corpus, []).append(clip)
    return found


def _required(found: dict[str, list[Clip]], corpora: Iterable[str]) -> dict[str, list[Clip]]:
    if not found:
        raise CorpusError(
            f"There are no clips of {' or '.join(corpora)} for the speech detector: name the "
            "folder that contains them with --data."
        )
    return found
