"""What the options of ``undertone listen`` make of several sources."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from undertone.audio.address import NetworkAddress
from undertone.cli import options
from undertone.cli.listen import _live_sources
from undertone.sources import LiveSource

RADIO, CAMERA = "http://radio/live", "rtsp://me:secret@camera/live"


def live(
    *arguments: str, file: dict[str, object] | None = None, **environment: str
) -> list[LiveSource]:
    """What is listened to, from flags, variables and the settings file."""
    found = []

    @click.command()
    @options.sources
    @options.microphones
    @options.channels
    @options.gains_db
    def command(**values: tuple[str, ...]) -> None:
        found.extend(_live_sources(**values))  # type: ignore[arg-type]

    done = CliRunner().invoke(command, arguments, env=environment, default_map=file)
    if done.exit_code:
        assert done.exit_code == 2
        raise click.UsageError(done.output)
    return found


def test_without_options_it_is_the_default_microphone() -> None:
    assert live() == live("--source", "mic") == [LiveSource(None)]


def test_several_microphones_have_a_gain_and_a_channel_each_or_all_the_same() -> None:
    both = ["--microphone", "A", "--microphone", "B"]
    assert live(*both) == [LiveSource("A"), LiveSource("B")]
    assert live(*both, "--gain-db", "6", "--channel", "1") == [
        LiveSource("A", 1, 6.0),
        LiveSource("B", 1, 6.0),
    ]
    assert live(
        *both, *("--gain-db", "6", "--gain-db", "-3", "--channel", "1", "--channel", "0")
    ) == [
        LiveSource("A", 1, 6.0),
        LiveSource("B", 0, -3.0),
    ]


def test_a_variable_has_one_a_line_and_the_file_one_or_a_list() -> None:
    expected = [LiveSource("USB: Audio, 1", None, 1.0), LiveSource("B", None, 2.0)]
    variables: dict[str, Any] = {
        "UNDERTONE_MICROPHONE": "USB: Audio, 1\nB",
        "UNDERTONE_GAIN_DB": "1\n2",
    }
    assert live(**variables) == expected
    assert live(file={"microphone": ["USB: Audio, 1", "B"], "gain_db": [1, 2]}) == expected
    assert live(file={"microphone": "B", "gain_db": 2}) == expected[1:]


def test_streams_are_listened_to_beside_microphones_that_are_asked_for() -> None:
    streams = ["--source", RADIO, "--source", CAMERA]
    radio, camera = LiveSource(NetworkAddress(RADIO)), LiveSource(NetworkAddress(CAMERA))
    assert live(*streams) == [radio, camera]
    assert live(*streams, UNDERTONE_MICROPHONE="A") == [radio, camera]
    assert live(*streams, "--source", "mic") == [LiveSource(None), radio, camera]
    assert live(*streams, "--microphone", "A") == [LiveSource("A"), radio, camera]
    assert live("--source", CAMERA, "--gain-db", "3") == [
        LiveSource(NetworkAddress(CAMERA), None, 3.0)
    ]
    assert [each.name for each in (radio, camera)] == [RADIO, "rtsp://camera/live"]


@pytest.mark.parametrize("source", ["-", "talk.wav"])
def test_a_file_or_a_pipe_is_no_live_source(source: str) -> None:
    assert live("--source", source, file={"microphone": ["A", "B"], "gain_db": [6, 0]}) == []


def test_a_stream_is_listened_to_whatever_microphones_the_settings_have() -> None:
    settings: dict[str, object] = {"microphone": ["A", "B"], "gain_db": [6, 0], "channel": [0, 1]}
    assert live("--source", RADIO, file=settings) == [LiveSource(NetworkAddress(RADIO))]
    assert live("--source", RADIO, "--source", "mic", file=settings)[:2] == [
        LiveSource("A", 0, 6.0),
        LiveSource("B", 1, 0.0),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "mic", "--source", "talk.wav"], "as the only source"),
        (["--source", "-", "--source", RADIO], "as the only source"),
        (["--microphone", "A", "--gain-db", "1", "--gain-db", "2"], "2 times, for 1 microphone:"),
        (["--source", RADIO, "--channel", "1", "--channel", "2"], "2 times, for 0 microphones:"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(click.UsageError, match=words):
        live(*arguments)


def test_it_is_refused_by_the_program_too(tmp_path: Path) -> None:
    from undertone.cli import run, undertone

    arguments = ["--microphone", "A", "--microphone", "B", "--began", "2h"]
    assert run(undertone, "undertone", ["listen", *arguments, "--journal", str(tmp_path)]) == 2
