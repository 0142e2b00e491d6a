"""The errors that a user may see: one sentence each, with what to do about it.

The command line prints the sentence on stderr and ends with ``exit_status``; anything
that is not an :class:`UndertoneError` is a bug and keeps its traceback.
"""


class UndertoneError(Exception):
    """Base of every error that is shown to the user."""

    exit_status = 1


class AudioSourceError(UndertoneError):
    """A microphone, file or stream that can't be opened or read."""


class NoMicrophoneError(AudioSourceError):
    """A machine without any microphone."""

    def __init__(self) -> None:
        super().__init__(
            "No microphone was found: plug one in, then run `undertone doctor` if it does not show."
        )


class BundleError(UndertoneError):
    """A model bundle that is missing, damaged, or does not fit this program."""


class RuntimeMissingError(UndertoneError):
    """A library that is missing on this machine, or has an unusable version."""


class JournalError(UndertoneError):
    """A journal that can't be opened, locked or read."""


class OutputError(UndertoneError):
    """A file or stream that can't be written."""


class ServiceError(UndertoneError):
    """The service can't be installed, removed or queried, or its manager does not respond."""


class PublishError(UndertoneError):
    """Events or alerts that can't be published, or a cursor that can't be read."""


class WebError(UndertoneError):
    """A page that can't be served."""


class WorkerError(UndertoneError):
    """A worker process was killed."""

    def __init__(self) -> None:
        """Create it with its only message: only the system knows which process it was, and why."""
        super().__init__(
            "A worker process was killed, probably because memory ran out: check with `dmesg`, or "
            "use fewer of them."
        )


class BenchmarkError(UndertoneError):
    """A benchmark that can't be run, read or written, or that breaks its limits."""


class ConfigError(UndertoneError):
    """A setting that is unknown or has a wrong value."""

    exit_status = 2
