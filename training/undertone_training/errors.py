"""The errors of the training program: one sentence each, with what to do about it."""

from undertone.errors import UndertoneError


class CorpusError(UndertoneError):
    """A data folder that is missing or contains no corpus."""


class SplitError(UndertoneError):
    """Sides of a split that overlap, or that the available clips cannot fill."""


class FetchError(UndertoneError):
    """A download that failed or delivered the wrong bytes."""


class RunError(UndertoneError):
    """A training run that is missing, unfinished or damaged."""


class StorageError(UndertoneError):
    """Object storage that is not there, or can't be used."""


class PromotionError(UndertoneError):
    """A model that is not good enough to become a bundle."""


class TrialError(UndertoneError):
    """A recipe that cannot be trained; a search continues with the next one."""
