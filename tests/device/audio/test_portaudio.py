"""Which device is opened and how, on a made ``sounddevice``."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undertone.audio.portaudio import (
    InputDevice,
    PortAudioInput,
    choose_device,
    list_inputs,
    same_device,
)
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError


class MadePortAudioError(Exception):
    """Shaped like sounddevice's: a sentence and PortAudio's code."""


class MadeSoundDevice(SimpleNamespace):
    """The part of sounddevice that Undertone uses, over a list of made devices."""

    PortAudioError = MadePortAudioError

    def __init__(self) -> None:
        super().__init__(default=SimpleNamespace(device=[1, -1]), restarts=0, opened=[])
        self.devices = [made("Loudspeaker", 0), made("Webcam: Mic (hw:1,0)", 2), made("Headset", 1)]
        self.accepts = {(16_000, 1), (16_000, 2), (48_000, 1), (48_000, 2)}
        self.error: MadePortAudioError | None = None

    def query_devices(self) -> list[dict[str, Any]]:
        return [device | {"index": index} for index, device in enumerate(self.devices)]

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}]

    def check_input_settings(self, samplerate: int, channels: int, **_: object) -> None:
        if self.error:
            raise self.error
        if (samplerate, channels) not in self.accepts:
            raise MadePortAudioError("Invalid sample rate", -9997)

    def RawInputStream(self, **options: Any) -> SimpleNamespace:  # noqa: N802
        self.check_input_settings(options["samplerate"], options["channels"])
        self.opened.append(options)
        return SimpleNamespace(start=bool, abort=bool, close=bool, active=True)

    def _terminate(self) -> None:
        self.restarts += 1

    def _initialize(self) -> None:
        """Nothing to make."""


def made(name: str, channels: int) -> dict[str, Any]:
    return {
        "name": name,
        "hostapi": 0,
        "max_input_channels": channels,
        "default_samplerate": 48_000.0,
    }


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> MadeSoundDevice:
    module = MadeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", module)  # type: ignore[arg-type]
    return module


def ignore(data: bytes, frames: int, overflowed: bool) -> None:
    """A reader that wants nothing."""


def device(name: str, index: int = 0, is_default: bool = False) -> InputDevice:
    return InputDevice(index, name, "ALSA", 1, 48_000, is_default)


def test_inputs_are_listed_with_the_rates_they_take(sound: MadeSoundDevice) -> None:
    webcam, headset = list_inputs()
    assert (webcam.index, webcam.name, webcam.channels) == (1, "Webcam: Mic (hw:1,0)", 2)
    assert webcam.supported_rates_hz == (16_000, 48_000)
    assert webcam.is_default
    assert not headset.is_default


def test_the_default_is_opened_at_our_rate_in_mono(sound: MadeSoundDevice) -> None:
    microphone = PortAudioInput()
    stream = microphone.open(ignore)
    assert microphone.name == "Webcam: Mic (hw:1,0)"
    assert (stream.sample_rate_hz, stream.channels, stream.active) == (16_000, 1, True)
    assert (sound.opened[0]["device"], sound.opened[0]["blocksize"]) == (1, 1_600)


@pytest.mark.parametrize(
    ("accepts", "channel", "expected"),
    [
        ({(48_000, 1)}, None, (48_000, 1)),
        ({(16_000, 2), (48_000, 1)}, None, (16_000, 2)),
        ({(48_000, 2)}, None, (48_000, 2)),
        ({(16_000, 1), (16_000, 2)}, 1, (16_000, 2)),
    ],
)
def test_a_device_is_opened_as_it_can(
    sound: MadeSoundDevice,
    accepts: set[tuple[int, int]],
    channel: int | None,
    expected: tuple[int, int],
) -> None:
    sound.accepts = accepts
    stream = PortAudioInput("webcam", channel).open(ignore)
    assert (stream.sample_rate_hz, stream.channels) == expected


def test_the_callback_hands_on_a_copy_and_the_overflow_flag(sound: MadeSoundDevice) -> None:
    got: list[tuple[bytes, int, bool]] = []
    PortAudioInput().open(lambda *chunk: got.append(chunk))
    data = bytearray(b"\1\0\2\0")
    sound.opened[0]["callback"](data, 2, None, SimpleNamespace(input_overflow=True))
    data[:] = b"\0\0\0\0"
    assert got == [(b"\1\0\2\0", 2, True)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MadePortAudioError("Device unavailable", -9985), "is busy"),
        (MadePortAudioError("Device or resource busy", -9999), "is busy"),
        (MadePortAudioError("Internal PortAudio error", -9986), "can't be opened"),
    ],
)
def test_a_device_that_fails_says_why(
    sound: MadeSoundDevice, error: MadePortAudioError, words: str
) -> None:
    sound.error = error
    with pytest.raises(AudioSourceError, match=words) as caught:
        PortAudioInput().open(ignore)
    assert "Webcam" in str(caught.value)


def test_a_device_that_takes_no_setting_says_so(sound: MadeSoundDevice) -> None:
    sound.accepts = set()
    with pytest.raises(AudioSourceError, match="can't be opened"):
        PortAudioInput().open(ignore)


def test_a_missing_channel_is_reported(sound: MadeSoundDevice) -> None:
    with pytest.raises(AudioSourceError, match="no channel 4"):
        PortAudioInput("webcam", channel=4).open(ignore)


def test_a_machine_without_microphone_is_reported(sound: MadeSoundDevice) -> None:
    sound.devices = [made("Loudspeaker", 0)]
    assert list_inputs() == []
    with pytest.raises(NoMicrophoneError, match="plug one in"):
        PortAudioInput().open(ignore)


def test_a_machine_without_portaudio_gets_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RuntimeMissingError, match="sudo apt install libportaudio2"):
        list_inputs()


def test_a_refresh_restarts_portaudio(sound: MadeSoundDevice) -> None:
    PortAudioInput().refresh()
    assert sound.restarts == 1


def test_a_replugged_device_is_found_under_its_new_number(sound: MadeSoundDevice) -> None:
    microphone = PortAudioInput("webcam")
    microphone.open(ignore)
    sound.devices = [made("Headset", 1), made("Webcam: Mic (hw:3,0)", 2)]
    microphone.open(ignore)
    assert sound.opened[-1]["device"] == 1
    assert microphone.name == "Webcam: Mic (hw:3,0)"


def test_no_other_device_ever_takes_the_place_of_a_lost_one(sound: MadeSoundDevice) -> None:
    microphone = PortAudioInput()  # the default, which then moves
    microphone.open(ignore)
    sound.devices = [made("Headset", 1)]
    sound.default = SimpleNamespace(device=[0, -1])
    with pytest.raises(AudioSourceError, match="plug it in again"):
        microphone.open(ignore)


def test_not_even_an_identical_device_does() -> None:
    lost, twin = device("USB Mic (hw:1,0)"), device("USB Mic (hw:2,0)")
    assert same_device([twin], lost, alone=True) == twin
    assert same_device([twin, lost], lost, alone=False) == lost
    with pytest.raises(AudioSourceError):
        same_device([twin], lost, alone=False)


def test_a_name_may_be_a_part_in_any_case() -> None:
    devices = [device("Webcam Mic", 0), device("Headset Mic", 1, is_default=True)]
    assert choose_device(devices, "webcam").index == 0
    assert choose_device(devices, None).index == 1
    assert choose_device([*devices, device("Webcam", 2)], "Webcam").index == 2


@pytest.mark.parametrize("wanted", ["mic", "piano"])
def test_an_ambiguous_or_unknown_name_is_reported_with_the_known_names(wanted: str) -> None:
    with pytest.raises(AudioSourceError) as caught:
        choose_device([device("Webcam Mic"), device("Headset Mic")], wanted)
    assert "Webcam Mic, Headset Mic" in str(caught.value)
