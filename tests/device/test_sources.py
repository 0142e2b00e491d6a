"""Several sources at once: made microphones in processes of their own, and a real radio."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_microphones import MadeMicrophones, readers
from stream_servers import Radio
from undertone.audio.address import NetworkAddress
from undertone.audio.block import Block, SourceItem
from undertone.errors import AudioSourceError, ConfigError, NoMicrophoneError, RuntimeMissingError
from undertone.events import CaughtUp, Idle, SourceBack, SourceLost
from undertone.sources import LiveSource, Source, open_several

LIMIT_S = 60.0


def items_of(sources: Source) -> Iterator[tuple[str, SourceItem]]:
    """What they yield but for CaughtUp and Idle; a wait in vain fails the test."""
    end_s = time.monotonic() + LIMIT_S
    for name, item in sources.items:
        assert time.monotonic() < end_s, "nothing came"
        if not isinstance(item, CaughtUp | Idle):
            yield name, item


def until_all_give_sound(sources: Source) -> list[tuple[str, SourceItem]]:
    """What they yield until each has given some blocks."""
    taken = []
    missing = dict.fromkeys(sources.names, 3)
    for name, item in items_of(sources):
        taken.append((name, item))
        missing[name] -= isinstance(item, Block)
        if all(number <= 0 for number in missing.values()):
            break
    return taken


def test_two_microphones_are_listened_to_with_a_gain_each(made: MadeMicrophones) -> None:
    sources = open_several([LiveSource("USB", gain_db=0.0), LiveSource("webcam", gain_db=-60.0)])
    assert sources.names == ("USB", "webcam")
    items = until_all_give_sound(sources)
    loudest = {name: np.abs(item.samples).max() for name, item in items if isinstance(item, Block)}
    assert loudest["webcam"] <= 3 < loudest["USB"]


def test_all_processes_end_with_the_listening(made: MadeMicrophones) -> None:
    items = items_of(open_several([LiveSource("USB"), LiveSource("Webcam")]))
    next(items)
    assert len(readers()) == 2
    items.close()  # type: ignore[attr-defined]
    assert readers() == []


def test_one_that_is_absent_is_waited_for_and_the_others_are_listened_to(
    made: MadeMicrophones, caplog: pytest.LogCaptureFixture
) -> None:
    sources = open_several([LiveSource("piano"), LiveSource("USB")])
    (message,) = caplog.messages
    assert message.startswith("No microphone has 'piano' in its name: choose one of these")
    assert message.endswith("The others are listened to until it is there.")
    made.set(devices=["Piano", "USB (hw:1,0)"])
    items = until_all_give_sound(sources)
    events = [type(item) for name, item in items if name == "piano" and not isinstance(item, Block)]
    assert events == [SourceLost, SourceBack]


def test_if_all_are_absent_the_first_one_s_error_is_raised(made: MadeMicrophones) -> None:
    with pytest.raises(AudioSourceError, match="No microphone has 'piano' in its name"):
        open_several([LiveSource("piano"), LiveSource("organ")])
    made.set(devices=[])
    with pytest.raises(NoMicrophoneError):
        open_several([LiveSource("USB"), LiveSource("webcam")])
    assert readers() == []


def test_without_portaudio_nothing_is_waited_for(made: MadeMicrophones) -> None:
    made.set(missing=True)
    with pytest.raises(RuntimeMissingError, match="libportaudio2"):
        open_several([LiveSource("USB"), LiveSource("webcam")])


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="USB is named twice"):
        open_several([LiveSource("USB"), LiveSource("USB", channel=1)])


def test_two_names_of_the_same_microphone_are_refused(made: MadeMicrophones) -> None:
    with pytest.raises(ConfigError, match=r"usb and hw:1 are the same microphone \(USB \(hw:1,0\)"):
        open_several([LiveSource("usb"), LiveSource("hw:1")])
    assert readers() == []


def test_a_stream_is_listened_to_beside_a_microphone(made: MadeMicrophones, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="no PyAV: pip install -e '.[formats]'")
    sound = np.random.default_rng(3).integers(-3000, 3000, 80_000, np.int16)
    soundfile.write(tmp_path / "sound.wav", sound, 16_000)
    with Radio((tmp_path / "sound.wav").read_bytes(), login="me:secret") as radio:
        address = NetworkAddress(radio.url(login="me:secret@"))
        sources = open_several([LiveSource(address), LiveSource("USB")])
        assert sources.names == (radio.url(), "USB")
        items = until_all_give_sound(sources)
    assert {name for name, item in items if isinstance(item, Block)} == {*sources.names}
    assert "secret" not in repr(items)
