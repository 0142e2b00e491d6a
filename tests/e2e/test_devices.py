"""``undertone devices`` and ``doctor`` on a microphone, and on a machine without one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.microphone


class VirtualMicrophone(Protocol):
    env: dict[str, str]

    def play(self, path: Path) -> None: ...


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "undertone.cli", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def no_microphone(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine whose sound server does not run."""
    env = virtual_microphone.env
    config = Path(env["ALSA_CONFIG_PATH"]).read_text()
    (tmp_path / "asound.conf").write_text(config.replace("/native", "/nothing"))
    return env | {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}


def test_the_microphone_is_listed(virtual_microphone: VirtualMicrophone) -> None:
    plain = run(virtual_microphone.env, "devices")
    assert plain.stdout == "default\tdefault\tALSA\t32\t8, 16, 32, 44.1, 48 kHz\n"
    (device,) = map(
        json.loads, run(virtual_microphone.env, "devices", "--format", "json").stdout.splitlines()
    )
    assert device["supported_rates_hz"] == [8_000, 16_000, 32_000, 44_100, 48_000]


@pytest.mark.parametrize("content", [None, ""])
def test_a_configuration_with_which_portaudio_aborts_is_named(
    content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "asound.conf"
    if content is not None:
        path.write_text(content)
    env = os.environ | {"ALSA_CONFIG_PATH": str(path)}
    said = f"ALSA can't use the file that ALSA_CONFIG_PATH names ({path})"
    plain = run(env, "devices")
    assert plain.stderr == f"undertone: {said}: correct that variable, or unset it.\n"
    assert plain.returncode == 1
    found = map(json.loads, run(env, "doctor", "--format", "json").stdout.splitlines())
    assert [one["sentence"] for one in found if one["name"] == "portaudio"] == [f"{said}."]


def test_the_meter_shows_the_level_and_clipping(
    virtual_microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    square = np.where(np.arange(64_000) // 20 % 2, 32767, -32768).astype(np.int16)
    soundfile.write(tmp_path / "loud.wav", square, 16_000)
    with subprocess.Popen(
        [sys.executable, "-m", "undertone.cli", "devices", "--seconds", "3"],
        env=virtual_microphone.env,
        stdout=subprocess.PIPE,
        text=True,
    ) as meter:
        virtual_microphone.play(tmp_path / "loud.wav")
        output = meter.communicate(timeout=30)[0]
    assert meter.returncode == 0
    assert len(output.splitlines()) == 3
    assert "clipping" in output


def test_a_machine_without_microphone_gets_one_sentence(no_microphone: dict[str, str]) -> None:
    result = run(no_microphone, "devices")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("undertone: No microphone was found")
    assert result.stderr.count("\n") == 1
    assert run(no_microphone, "devices", "--format", "json").stdout == ""


def test_an_unknown_microphone_is_reported_with_the_known_ones(
    virtual_microphone: VirtualMicrophone,
) -> None:
    result = run(virtual_microphone.env, "devices", "--meter", "--microphone", "piano")
    assert result.returncode == 1
    assert "(default)" in result.stderr


def test_the_doctor_listens(
    virtual_microphone: VirtualMicrophone, no_microphone: dict[str, str]
) -> None:
    def findings(env: dict[str, str]) -> dict[str, str]:
        lines = run(env, "doctor", "--format", "json").stdout.splitlines()
        return {finding["name"]: finding["status"] for finding in map(json.loads, lines)}

    healthy = findings(virtual_microphone.env)
    assert (healthy["microphone"], healthy["sample rate"]) == ("ok", "ok")
    assert healthy["level"] == "warning"  # nobody speaks into a virtual microphone
    without = findings(no_microphone)
    assert without["microphone"] == "problem"
    assert "level" not in without
