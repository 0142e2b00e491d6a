"""The errors of the training program: one sentence each, with what to do about it."""

from undertone.errors import UndertoneError


class CorpusError(UndertoneError):
    """A data folder that is missing or holds no corpus."""


class SplitError(UndertoneError):
    """Sides of a split that overlap, or that the clips at hand can't fill."""


class FetchError(UndertoneError):
    """A download that failed or brought the wrong bytes."""


class RunError(UndertoneError):
    """A training run that is missing, unfinished or damaged."""


class PromotionError(UndertoneError):
    """A model that is not good enough to become a bundle."""


class TrialError(UndertoneError):
    """A recipe that can't be trained: a search goes on with the next."""
