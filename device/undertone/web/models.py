"""The models of the page: every installed bundle and the one that was asked for, ready to use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from undertone.errors import BundleError
from undertone.journal import JournalLimits
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.interpreter import RuntimeName


@dataclass(frozen=True)
class Settings:
    """What the command was asked for."""

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
    """A bundle, and its network ready to be asked from any thread."""

    bundle: Bundle
    classifier: Classifier


@dataclass(frozen=True)
class Models:
    """By name, the one that was asked for first; ``broken`` says why others can't be used."""

    usable: Mapping[str, Model]
    broken: Mapping[str, str]


def open_models(settings: Settings) -> Models:
    """Open all of them, before there are threads: each is tried out in a forked process.

    Raises BundleError and RuntimeMissingError where the one asked for can't be used.
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
