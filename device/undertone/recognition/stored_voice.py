"""What is known of a voice, kept across restarts: numbers, in one file for each source."""

import fcntl
import hashlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.errors import UndertoneError
from undertone.events import Event, LiveStatus, Time, moment
from undertone.paths import state_dir
from undertone.recognition.bundle import Manifest
from undertone.recognition.fields import Sha256
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.voice import Voice
from undertone.support.printable import printable
from undertone.support.regular_file import open_regular, regular_descriptor
from undertone.support.strict import Strict

SCHEMA_VERSION: Final = 1

CHECKED_FRAMES = 320
"""After so much speech, 10 s, a voice from before the restart is compared with what is heard."""

WRITE_INTERVAL_S = 30.0
"""At most so often is the file written."""

CHECK_INTERVAL_S = 1.0
"""So soon is a deleted file noticed."""

_LARGEST_BYTES = 2**20
_MOST_LETTERS = 40
"""Of a source, in the name of its file."""

_log = logging.getLogger(__name__)


class VoiceError(UndertoneError):
    """A stored voice that can't be read or deleted."""


class Origin(Strict, frozen=True):
    """What a voice was learnt from, and how.

    source: the name of the microphone or stream.  gain_db, channel: as for a Microphone.
    mfcc, steady_noise, model_sha256: as in the manifest.
    """

    source: str
    gain_db: float
    channel: int | None
    mfcc: MfccConfig
    steady_noise: Literal["kept", "subtracted"]
    model_sha256: Sha256

    @classmethod
    def of(cls, manifest: Manifest, source: str, gain_db: float, channel: int | None) -> "Origin":
        """The origin of what a pipeline with the bundle of ``manifest`` learns from ``source``."""
        steady_noise = manifest.normalization.steady_noise
        return cls(source, gain_db, channel, manifest.mfcc, steady_noise, manifest.model_sha256)

    def difference(self, other: "Origin") -> str | None:
        """In words, why what was learnt from ``other`` is not of use here; None if it is."""
        if self.source != other.source:
            names = printable(other.source), printable(self.source)
            return "it was learnt from {}, and this is {}".format(*names)
        if self.gain_db != other.gain_db:
            return f"it was learnt at a gain of {other.gain_db:g} dB, and this is {self.gain_db:g}"
        if self.channel != other.channel:
            return f"it was learnt from {other.channel_name}, and this is {self.channel_name}"
        if self != other:
            return "it was learnt for another model"
        return None

    @property
    def channel_name(self) -> str:
        """``channel 0``, or ``the mean of all channels``."""
        return "the mean of all channels" if self.channel is None else f"channel {self.channel}"


class StoredVoice(Strict, frozen=True):
    """The content of the file; since, updated: when the learning began, and the last write."""

    schema_version: Literal[1]
    since: Time
    updated: Time
    origin: Origin
    voice: Voice

    def __post_init__(self) -> None:
        """Raises ValueError if the voice has not the number of values that mfcc states."""
        n = self.origin.mfcc.width
        if len(self.voice.mean) != n or len(self.voice.deviation) not in (0, n):
            raise ValueError(f"voice.mean and voice.deviation must have {n} numbers")

    @property
    def known_s(self) -> float:
        """The length of the speech behind the voice."""
        return self.voice.frames * self.origin.mfcc.hop_length / SAMPLE_RATE_HZ

    @property
    def level_db(self) -> float:
        """The mean level of the frames, after pre-emphasis, against a frame of the largest samples.

        Coefficient 0 is the logarithm of a frame's energy: half of the sum of its squared samples.
        """
        full_scale = self.origin.mfcc.frame_length * 2**30 / 2
        return 10 * (self.voice.mean[0] - math.log(full_scale)) / math.log(10)


class _SchemaVersion(msgspec.Struct):
    schema_version: int


def voices_dir() -> Path:
    """The folder of the files."""
    return state_dir() / "voices"


def voice_path(source: str) -> Path:
    """Where the voice is kept that is learnt from ``source``, a name as in the journal."""
    words = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")
    digest = hashlib.sha256(source.encode(errors="surrogatepass")).hexdigest()
    return voices_dir() / f"{words[:_MOST_LETTERS]}-{digest[:8]}.json".removeprefix("-")


def voice_paths() -> list[Path]:
    """All files, also those of which a killed program left only a part.

    Raises VoiceError if the folder can't be read.
    """
    folder = voices_dir()
    try:
        names = {path.name.removeprefix(".").removesuffix(".part") for path in folder.iterdir()}
        return sorted(folder / name for name in names if name.endswith(".json"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VoiceError(
            f"{folder} can't be read ({error.strerror}): run this as the user who listens."
        ) from error


def read(path: Path) -> StoredVoice | None:
    """What is kept in ``path``; None if there is no such file.

    Raises VoiceError if it can't be read, is damaged, or was written by another version.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST_BYTES)
        version = msgspec.json.decode(content, type=_SchemaVersion).schema_version
        if version == SCHEMA_VERSION:
            return msgspec.json.decode(content, type=StoredVoice)
        reason = f"it has schema version {version}, and this program reads {SCHEMA_VERSION}"
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise VoiceError(
            f"{path} can't be read ({error.strerror}): run this as the user who listens."
        ) from error
    except OSError as error:
        reason = f"it can't be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        reason = f"it is damaged: {error}"
    raise _unusable(path, reason)


def _unusable(path: Path, reason: str) -> VoiceError:
    return VoiceError(
        f"{path} holds no voice that can be used ({reason}): delete it, or all with `undertone "
        "voice forget`."
    )


def forget(path: Path) -> bool:
    """Delete ``path``; a program that is listening then forgets the voice too.

    Returns whether there was one.  Raises VoiceError if it can't be deleted.
    """
    try:
        _part(path).unlink(missing_ok=True)
        with _held(path):
            path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise VoiceError(
            f"Can't delete {path} ({error.strerror}): run this as the user who listens."
        ) from error
    return True


class VoiceSink:
    """Keeps in a file what a pipeline knows of the voice, and gives it what is in there.

    If the file is deleted while it listens, the pipeline forgets the voice; so it does if what is
    heard since the start is far from what the file told.  Nothing that goes wrong here ends the
    listening or is logged more than once.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        path: Path,
        origin: Origin,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file: the pipeline begins with its voice, if that has the same ``origin``.

        Otherwise it begins with nothing known, and the reason is logged.
        clock: POSIX seconds.  steady_clock: seconds that nobody sets.
        """
        self._pipeline = pipeline
        self._path = path
        self._origin = origin
        self._clock = clock
        self._steady_clock = steady_clock
        self._check_at_s = -math.inf
        self._write_at_s = -math.inf
        self._failing = False
        stored = self._stored()
        self._since: datetime | None = stored.since if stored else None
        self._kept: Voice | None = stored.voice if stored else None  # what is in the file
        self._before = self._kept  # may be another voice
        pipeline.voice = self._kept
        pipeline.learns_apart = self._kept is not None

    def handle(self, event: Event) -> None:
        """Nothing depends on a single event."""

    def observe(self, status: LiveStatus) -> None:
        """Look for a deleted file, and write what was learnt, each from time to time."""
        now_s = self._steady_clock()
        if now_s < self._check_at_s:
            return
        self._check_at_s = now_s + CHECK_INTERVAL_S
        self._forget_if_deleted()
        self._forget_if_far()
        if self._pipeline.voice != self._kept and now_s >= self._write_at_s:
            self._write_at_s = now_s + WRITE_INTERVAL_S
            self._write()

    def close(self) -> None:
        """Look for a deleted file once more, and write what was learnt last."""
        self._forget_if_deleted()
        if self._pipeline.voice != self._kept:
            self._write()

    def _stored(self) -> StoredVoice | None:
        n_labels = len(self._pipeline.manifest.labels)
        try:
            stored = read(self._path)
            if stored and (difference := self._origin.difference(stored.origin)):
                _log.warning("what was known of the voice is forgotten: %s", difference)
                return None
            if stored and len(stored.voice.bias) not in (0, n_labels):
                raise _unusable(
                    self._path, f"it is damaged: voice.bias must have {n_labels} numbers"
                )
        except VoiceError as error:
            _log.warning("%s  Nothing is known of the voice at first.", error)
            return None
        return stored

    def _write(self) -> None:
        voice = self._pipeline.voice
        if voice is None:
            return
        now = moment(self._clock())
        self._since = self._since or now
        stored = StoredVoice(SCHEMA_VERSION, self._since, now, self._origin, voice)
        try:
            _replace(self._path, msgspec.json.encode(stored) + b"\n", must_exist=bool(self._kept))
        except OSError as error:
            if self._kept and _is_deleted(self._path):
                self._forget()
            elif not self._failing:
                self._failing = True
                _log.warning(
                    "can't write %s (%s): after a restart, nothing that is learnt now of the voice "
                    "will be known",
                    *(self._path, error.strerror),
                )
            return
        self._failing = False
        self._kept = voice

    def _forget_if_deleted(self) -> None:
        if self._kept and _is_deleted(self._path):
            self._forget()

    def _forget_if_far(self) -> None:
        heard, distance = self._pipeline.heard, self._pipeline.manifest.voice_distance
        if not (self._pipeline.learns_apart and self._before and heard):
            return
        if heard.frames < CHECKED_FRAMES:
            return
        if distance and distance.between(heard.mean, self._before.mean) >= distance.far:
            _log.warning(
                "what was known of the voice is forgotten: what is heard now sounds unlike it, so "
                "it is probably another speaker or microphone"
            )
            self._pipeline.voice, self._since = heard, None
        self._pipeline.learns_apart = False

    def _forget(self) -> None:
        self._pipeline.learns_apart = False
        self._pipeline.voice = self._kept = self._since = None
        _log.warning("what was known of the voice is forgotten: %s was deleted", self._path)


def _is_deleted(path: Path) -> bool:
    """Whether nothing is there; a folder that may not be entered does not say so."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _replace(path: Path, content: bytes, must_exist: bool) -> None:
    """Replace ``path`` by ``content``; with ``must_exist`` raises FileNotFoundError if it is gone.

    Raises OSError.  Does not wait for the disk: the listening would wait too, and if a power cut
    leaves a damaged file, a minute of speech has to be learnt again.
    """
    part = _part(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    if not must_exist:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(regular_descriptor(part, flags, 0o600), "wb") as file:
            file.write(content)
        with _held(path) if must_exist else nullcontext():
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Until it is left, nobody else who holds ``path`` replaces or deletes it.

    Raises OSError, FileNotFoundError if nothing is there.
    """
    while True:
        with open_regular(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield
                return
