"""The only module that uses sounddevice: lists the inputs and opens one."""

import atexit
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from undertone.audio.pulse import RecordedSource
from undertone.audio.rate import SAMPLE_RATE_HZ
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError
from undertone.support.native_output import mute_c_stderr

PROBED_RATES_HZ = (8_000, 16_000, 32_000, 44_100, 48_000)
CHUNK_S = 0.1
"""Length of what the sound card delivers per callback; also the minimum delay of the live view."""

# PortAudio's error codes (portaudio.h)
_DEVICE_UNAVAILABLE = -9985
_TRY_OTHER_SETTINGS = (-9998, -9997)  # invalid channel count, invalid sample rate

Deliver = Callable[[bytes, int, bool], None]
"""Takes interleaved int16 bytes, the number of frames, and whether the driver lost some before."""


class InputDevice(NamedTuple):
    """A sound input as PortAudio lists it; rates in Hz, empty if they were not probed.

    No data class: importing ``dataclasses`` takes 1 MB in each process that reads a microphone.
    """

    index: int  # type: ignore[assignment]  # not that of a tuple
    name: str
    host_api: str
    channels: int
    default_rate_hz: int
    is_default: bool
    supported_rates_hz: tuple[int, ...] = ()


class Identity(NamedTuple):
    """The microphone that was opened first, so that no other takes its place after a loss.

    alone: whether it was the only one of its kind.
    source: what a sound server delivered; None if none says so.
    """

    device: InputDevice
    alone: bool
    source: str | None = None


class Stream(Protocol):
    """An open input that delivers from its own thread until it is closed or fails."""

    sample_rate_hz: int
    channels: int

    @property
    def active(self) -> bool:
        """Whether it still runs."""

    def close(self) -> None:
        """Stop it; never raises, and does nothing the second time."""


def list_inputs() -> list[InputDevice]:
    """The sound inputs of this machine, each with those of ``PROBED_RATES_HZ`` that it supports.

    A device in use elsewhere may have no rates.  Raises RuntimeMissingError without PortAudio, or
    if ALSA can't be used.
    """
    sounddevice = _sounddevice()

    def supports(device: InputDevice, rate_hz: int) -> bool:
        try:
            sounddevice.check_input_settings(
                device=device.index, channels=1, dtype="int16", samplerate=rate_hz
            )
        except sounddevice.PortAudioError:
            return False
        return True

    return [
        device._replace(
            supported_rates_hz=tuple(r for r in PROBED_RATES_HZ if supports(device, r)),
        )
        for device in _inputs(sounddevice)
    ]


def choose_device(devices: Sequence[InputDevice], wanted: str | None) -> InputDevice:
    """The default device, or the one whose name is or contains ``wanted`` (any case).

    Raises NoMicrophoneError if ``devices`` is empty and AudioSourceError if no name, or more than
    one, matches.
    """
    if not devices:
        raise NoMicrophoneError
    if wanted is None:
        return next((device for device in devices if device.is_default), devices[0])
    exact = [device for device in devices if device.name == wanted]
    part = [device for device in devices if wanted.casefold() in device.name.casefold()]
    found = exact or part
    if not found:
        names = ", ".join(device.name for device in devices)
        raise AudioSourceError(
            f"No microphone has {wanted!r} in its name: choose one of these ({names})."
        )
    if len({device.name for device in found}) > 1:
        names = ", ".join(device.name for device in found)
        raise AudioSourceError(
            f"Several microphones have {wanted!r} in their names: give more of the name ({names})."
        )
    return found[0]


def same_device(devices: Sequence[InputDevice], lost: InputDevice, alone: bool) -> InputDevice:
    """``lost`` in a later list of devices; raises AudioSourceError if it is not there.

    ALSA includes the card's number, ``(hw:1,0)``, in the name and may assign another one after
    the device was plugged in again.  The number is ignored only if the device was the only one
    of its kind from the start (``alone``): of two identical devices, the other is another
    microphone.
    """
    for device in devices:
        if device.name == lost.name:
            return device
    for device in devices:
        if alone and _kind(device) == _kind(lost):
            return device
    raise AudioSourceError(f"The microphone {lost.name} is missing: plug it in again.")


class PortAudioInput:
    """Opens one microphone, and reopens the same one after a loss."""

    def __init__(
        self,
        wanted: str | None = None,
        channel: int | None = None,
        identity: Identity | None = None,
    ) -> None:
        """``wanted``: part of the device's name, None for the default; ``channel`` from 0.

        identity: the only microphone that may be opened; None until the first one is.
        """
        self._wanted = wanted
        self._channel = channel
        self.identity = identity
        """The microphone that was opened first, with what is known of it by now."""
        self._recorded: RecordedSource | None = None

    @property
    def name(self) -> str:
        """The device's name, once it has been opened."""
        return self.identity.device.name if self.identity else self._wanted or "default"

    def open(self, deliver: Deliver) -> Stream:
        """Start the device; ``deliver`` is called from the audio thread for every chunk.

        Raises NoMicrophoneError if there is none, RuntimeMissingError without PortAudio, and
        AudioSourceError if the device is missing, busy or can't be opened, or if a sound server
        delivers another microphone than the first time.
        """
        sounddevice = _sounddevice()
        devices = _inputs(sounddevice)
        known = self.identity
        if known is None:
            device = choose_device(devices, self._wanted)
            alone = sum(_kind(other) == _kind(device) for other in devices) == 1
            known = Identity(device, alone)
        else:
            device = same_device(devices, known.device, known.alone)
        stream = _open(sounddevice, device, self._channel, deliver)
        stream.recorded = self._recorded = RecordedSource()
        source = self.source
        if source and known.source and source != known.source:
            stream.close()
            raise AudioSourceError(
                f"The microphone {known.source} is missing, and the sound server delivers {source} "
                "instead: plug it in again."
            )
        self.identity = Identity(device, known.alone, known.source or source)
        return stream

    @property
    def source(self) -> str | None:
        """The name of what a sound server delivers now; None if no server says so."""
        return self._recorded.name if self._recorded else None

    def moved_to(self) -> str | None:
        """The name of another microphone that a sound server now delivers instead, or None."""
        source = self.source
        if source and self.identity and self.identity.source is None:  # it answered late
            self.identity = self.identity._replace(source=source)
        return source if self.identity and source != self.identity.source else None

    def refresh(self) -> None:
        """Restart PortAudio, the only way for it to see devices that were added or removed.

        Every stream must be closed.
        """
        sounddevice = _sounddevice()
        for step in (sounddevice._terminate, sounddevice._initialize):
            try:
                step()
            except sounddevice.PortAudioError:  # reported by the next open()
                continue

    def abandon(self) -> None:
        """Let the program exit although a call hangs: make no more calls at exit."""
        atexit.unregister(_sounddevice()._exit_handler)


class _PortAudioStream:
    """A ``Stream`` around sounddevice's, whose callback only copies."""

    def __init__(
        self,
        sounddevice: Any,
        device: InputDevice,
        sample_rate_hz: int,
        channels: int,
        deliver: Deliver,
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.recorded: RecordedSource | None = None
        self._errors = sounddevice.PortAudioError
        self._closed = False

        def callback(data: Any, frames: int, _time: Any, status: Any) -> None:
            deliver(bytes(data), frames, status.input_overflow)

        self._stream = sounddevice.RawInputStream(
            samplerate=sample_rate_hz,
            blocksize=round(sample_rate_hz * CHUNK_S),
            device=device.index,
            channels=channels,
            dtype="int16",
            latency="high",
            callback=callback,
        )
        try:
            self._stream.start()
        except self._errors:
            self._stream.close()
            raise

    @property
    def active(self) -> bool:
        try:
            return bool(self._stream.active)
        except self._errors:
            return False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self.recorded:
                self.recorded.close()
            self._stream.abort()
            self._stream.close()


def _open(
    sounddevice: Any, device: InputDevice, channel: int | None, deliver: Deliver
) -> _PortAudioStream:
    """Open in mono at our sample rate if the device can, else at its own rate and channels."""
    fewest = 1 if channel is None else channel + 1
    if fewest > device.channels:
        raise AudioSourceError(
            f"The microphone {device.name} has no channel {channel}: it has channels 0 to "
            f"{device.channels - 1}."
        )
    problem: Exception | None = None
    for rate_hz in dict.fromkeys((SAMPLE_RATE_HZ, device.default_rate_hz)):
        for channels in dict.fromkeys((fewest, device.channels)):
            try:
                return _PortAudioStream(sounddevice, device, rate_hz, channels, deliver)
            except sounddevice.PortAudioError as error:
                problem = error
                if _code(error) not in _TRY_OTHER_SETTINGS:
                    raise _opening_error(device, error) from error
    assert problem is not None
    raise _opening_error(device, problem) from problem


def _opening_error(device: InputDevice, error: Exception) -> AudioSourceError:
    if _code(error) == _DEVICE_UNAVAILABLE or "busy" in str(error).lower():
        return AudioSourceError(
            f"The microphone {device.name} is busy: close the program that is using it."
        )
    return AudioSourceError(
        f"The microphone {device.name} can't be opened ({error}): run undertone doctor."
    )


def _code(error: Exception) -> int | None:
    return error.args[1] if len(error.args) > 1 else None


def _kind(device: InputDevice) -> tuple[str, str]:
    return device.host_api, re.sub(r"\s*\(hw:\d+,\d+\)", "", device.name)


def _inputs(sounddevice: Any) -> list[InputDevice]:
    try:
        devices = list(sounddevice.query_devices())
        apis = sounddevice.query_hostapis()
        default = sounddevice.default.device[0]
    except sounddevice.PortAudioError:  # PortAudio could not start, so nothing can be opened
        return []
    return [
        InputDevice(
            index=device["index"],
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            channels=device["max_input_channels"],
            default_rate_hz=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in devices
        if device["max_input_channels"] > 0
    ]


def _sounddevice() -> Any:
    mute_c_stderr()  # ALSA and PortAudio print from their threads too; errors are exceptions
    if "ALSA_CONFIG_PATH" in os.environ and "sounddevice" not in sys.modules:
        from undertone.support.sandbox import crash_of

        if crash_of(lambda: import_module("sounddevice")):  # PortAudio aborts
            raise RuntimeMissingError(
                "ALSA can't use the file that ALSA_CONFIG_PATH names "
                f"({os.environ['ALSA_CONFIG_PATH']}): correct that variable, or unset it."
            )
    try:
        import sounddevice
    except OSError:
        raise RuntimeMissingError(
            "PortAudio, which reads the microphone, is missing: run sudo apt install libportaudio2."
        ) from None
    return sounddevice
