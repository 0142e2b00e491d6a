"""What is known about the shipped weights beyond their measured figures: models/facts.toml."""

from pathlib import Path

import msgspec

from undertone.support.strict import Strict


class Development(Strict, frozen=True):
    """How the weights were made.

    model_sha256: the models that this holds for.
    variants_judged: about how many variants were tested before the best was kept; judged_on: on
        what, which is also what figures are reported for.
    not_reproducible: why the command and the commit on the card give different weights, each
        reason in a sentence or more; empty if they give these weights.
    """

    model_sha256: tuple[str, ...]
    variants_judged: int
    judged_on: str
    not_reproducible: tuple[str, ...] = ()


class Corpus(Strict, frozen=True):
    """UAR on a corpus, from 0 to 1; None where it was not computed.

    emotions: labels that the corpus and the model share; uar: of all of them.
    four_emotions: of angry, happy, sad, and neutral with calm.
    activation: of angry, happy, fearful and surprised against neutral, calm and sad.
    """

    name: str
    emotions: int
    uar: float
    four_emotions: float | None = None
    activation: float | None = None


class Condition(Strict, frozen=True):
    """UAR of the eight emotions of RAVDESS under a condition, from 0 to 1."""

    name: str
    uar: float


class IndependentTest(Strict, frozen=True):
    """Figures measured independently of development, on clips that the developers do not have.

    version: of the program that was tested.
    verdicts_right: share of the verdicts on actors 21-24 that are right;
        verdicts_right_elsewhere: lowest and highest share on the other corpora.
    missed_clips, false_segments (fewest, most): in the recordings of 20 minutes.
    held_out: actors 21-24 of RAVDESS; corpora: others than RAVDESS.
    conditions: of the held-out actors' clips.
    """

    model_sha256: str
    version: str
    verdicts_right: float
    verdicts_right_elsewhere: tuple[float, float]
    missed_clips: int
    false_segments: tuple[int, int]
    held_out: Corpus
    corpora: tuple[Corpus, ...]
    conditions: tuple[Condition, ...]


class Facts(Strict, frozen=True):
    """What is known about one model; None: nothing."""

    development: Development | None = None
    independent: IndependentTest | None = None


class KnownFacts(Strict, frozen=True):
    """What is known about several models: the content of the file."""

    development: tuple[Development, ...] = ()
    independent: tuple[IndependentTest, ...] = ()

    def of(self, model_sha256: str) -> Facts:
        """What is true of the model with this SHA-256."""
        made = (each for each in self.development if model_sha256 in each.model_sha256)
        tested = (each for each in self.independent if model_sha256 == each.model_sha256)
        return Facts(next(made, None), next(tested, None))


def load(path: Path) -> KnownFacts:
    """Read the file; raises OSError, and msgspec.DecodeError for what does not fit."""
    return msgspec.toml.decode(path.read_bytes(), type=KnownFacts)
