"""The models of the page: every installed bundle and the one from the command line, loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from undertone.errors import BundleError
from undertone.journal.limits import JournalLimits
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.interpreter import RuntimeName


@dataclass(frozen=True)
class Settings:
    """The settings of the command."""

    model: str
    threshold: float | None
    runtime: RuntimeName
    threads: int
    microphone: str | None
    channel: int | None
    gain_db: float
    journal: Path
    limits: JournalLimits


@dataclass(frozen=True)
class Model:
    """A bundle and its classifier, which any thread may use."""

    bundle: Bundle
    classifier: Classifier


@dataclass(frozen=True)
class Models:
    """By name, the command's first; ``broken``: why the others can't be used."""

    usable: Mapping[str, Model]
    broken: Mapping[str, str]

    @property
    def default(self) -> Model:
        """The one that the command selected."""
        return next(iter(self.usable.values()))


def open_models(settings: Settings) -> Models:
    """Open all of them before there are threads: each is first tried in a forked process.

    Raises BundleError and RuntimeMissingError if the command's can't be used.
    """
    first = _open(settings.model, settings)
    usable, broken = {first.bundle.manifest.name: first}, {}
    for name, folder in bundle.installed_bundles().items():
        try:
            if folder != first.bundle.folder:
                usable.setdefault(name, _open(name, settings))
        except BundleError as error:
            broken[name] = str(error)
    return Models(usable, broken)


def _open(name: str, settings: Settings) -> Model:
    loaded = bundle.load(name)
    return Model(loaded, Classifier(loaded, settings.runtime, settings.threads))
