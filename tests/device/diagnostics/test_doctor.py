"""Each check of the doctor on made machines, and the command on this one."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from undertone.audio.portaudio import InputDevice
from undertone.cli.doctor import command
from undertone.diagnostics import doctor
from undertone.diagnostics.doctor import Finding
from undertone.errors import AudioSourceError, BundleError, RuntimeMissingError
from undertone.recognition import bundle
from undertone.recognition.speech_gate import GateConfig


def device(rates_hz: tuple[int, ...] = (16_000, 48_000), name: str = "Webcam") -> InputDevice:
    return InputDevice(0, name, "ALSA", 1, 48_000, True, rates_hz)


def answers(text: str | None) -> Callable[[Sequence[str]], str | None]:
    return lambda command: text


def raises(error: Exception) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10), "problem"), ((3, 11), "ok"), ((3, 14), "problem")]
)
def test_python(version: tuple[int, int], status: str) -> None:
    assert doctor.check_python(version).status == status


@pytest.mark.parametrize(
    ("runtimes", "numpy", "status", "remedy"),
    [
        ([], "1.26.4", "problem", " -m pip install "),
        (["tflite-runtime"], "2.1.0", "problem", " -m pip install 'numpy<2'"),
        (["tflite-runtime"], "1.26.4", "ok", ""),
        (["litert", "tflite-runtime"], "2.1.0", "ok", ""),
    ],
)
def test_runtime(runtimes: list[str], numpy: str, status: str, remedy: str) -> None:
    finding = doctor.check_runtime(runtimes, numpy)
    assert finding.status == status
    assert remedy in (finding.remedy or "")


def test_model() -> None:
    assert doctor.check_model(lambda: "litert", "small").status == "ok"
    told = doctor.check_model(raises(BundleError("It is damaged.")), "small")  # type: ignore[arg-type]
    assert (told.status, told.sentence) == ("problem", "It is damaged.")
    assert told.remedy == "undertone doctor --model ravdess8-compact"
    broken = doctor.check_model(raises(ImportError("no such thing")), "small")  # type: ignore[arg-type]
    assert broken.status == "problem"
    assert broken.remedy


def test_a_speech_gate_like_this_programs_is_fine() -> None:
    for gate in (GateConfig(), GateConfig(lead_s=0.5, tail_s=0.2)):  # the network's own ends
        finding = doctor.check_gate(gate, "small")
        assert (finding.status, "small" in finding.sentence) == ("ok", True)


def test_a_speech_gate_of_another_version_of_the_program_is_told_with_what_differs() -> None:
    usual = GateConfig()
    gate = replace(usual, pause_s=usual.pause_s + 1, sure=usual.sure / 2)
    finding = doctor.check_gate(gate, "small")
    assert finding.status == "warning"
    assert f"sure is {gate.sure}, not {usual.sure}, " in finding.sentence
    assert f"pause_s is {gate.pause_s}, not {usual.pause_s}." in finding.sentence
    assert finding.sentence.startswith("small ")
    assert finding.sentence.count(" is ") == 2  # and no other setting
    assert finding.remedy == "install a bundle and a program of the same version"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The packaged bundle with another pause in its gate."""
    shutil.copytree(bundle.load().folder, tmp_path / "older")
    path = tmp_path / "older" / bundle.MANIFEST_FILE
    manifest = json.loads(path.read_bytes())
    manifest["gate"]["pause_s"] = GateConfig().pause_s + 1
    path.write_text(json.dumps(manifest))
    return path.parent


def test_the_command_warns_of_another_speech_gate_and_the_model_works(older: Path) -> None:
    arguments = ["--format", "json", "--microphone", "no such microphone", "--model"]
    findings = {}
    for model in (bundle.DEFAULT_BUNDLE, str(older)):
        result = CliRunner().invoke(command, [*arguments, model])
        findings[model] = {
            finding["name"]: finding for finding in map(json.loads, result.stdout.splitlines())
        }
    assert [found["model"]["status"] for found in findings.values()] == ["ok", "ok"]
    assert [found["speech gate"]["status"] for found in findings.values()] == ["ok", "warning"]
    assert "pause_s" in findings[str(older)]["speech gate"]["sentence"]


def test_portaudio() -> None:
    assert doctor.check_portaudio(lambda: [device()])[0].status == "ok"
    finding, devices = doctor.check_portaudio(
        raises(RuntimeMissingError("It is gone: run sudo apt install libportaudio2."))
    )  # type: ignore[arg-type]
    assert finding.status == "problem"
    assert finding.sentence == "It is gone."
    assert finding.remedy == "sudo apt install libportaudio2"
    assert not devices


def test_microphone() -> None:
    assert doctor.check_microphone([device()], None).status == "ok"
    assert doctor.check_microphone([], None).status == "problem"
    unknown = doctor.check_microphone([device()], "piano")
    assert unknown.status == "problem"
    assert "Webcam" in unknown.sentence


@pytest.mark.parametrize(
    ("rates_hz", "status", "words"),
    [
        ((16_000, 48_000), "ok", "16 kHz"),
        ((44_100, 48_000), "ok", "48 kHz"),
        ((8_000,), "warning", "only at 8 kHz"),
        ((), "warning", "in use"),
    ],
)
def test_sample_rate(rates_hz: tuple[int, ...], status: str, words: str) -> None:
    finding = doctor.check_rate(device(rates_hz))
    assert finding.status == status
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("samples", "status", "words"),
    [
        (np.arange(-100, 100), "ok", "dBFS"),
        (np.zeros(100), "warning", "muted"),
        (np.zeros(0), "problem", "no samples"),
        (np.full(100, 32767), "warning", "clipped"),
    ],
)
def test_level(samples: np.ndarray, status: str, words: str) -> None:
    finding = doctor.check_level("Webcam", lambda: samples.astype(np.int16))
    assert finding.status == status
    assert words in finding.sentence


def test_level_of_a_busy_microphone() -> None:
    finding = doctor.check_level("Webcam", raises(AudioSourceError("It is busy.")))  # type: ignore[arg-type]
    assert (finding.status, finding.sentence) == ("problem", "It is busy.")
    assert finding.remedy and "fuser" in finding.remedy


@pytest.mark.parametrize(
    ("groups", "sees_inputs", "status"),
    [({"audio"}, False, "ok"), ({"users"}, False, "warning"), ({"users"}, True, None)],
)
def test_audio_group(groups: set[str], sees_inputs: bool, status: str | None) -> None:
    finding = doctor.check_audio_group(groups, sees_inputs)
    assert (finding.status if finding else None) == status


def test_journal_folder(tmp_path: Path) -> None:
    assert doctor.check_journal_folder(tmp_path / "not" / "yet").status == "ok"
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").touch()
    in_the_way = doctor.check_journal_folder(tmp_path / "file")
    assert in_the_way.status == "problem"
    assert str(tmp_path / "file") in in_the_way.sentence


def test_journal_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    assert doctor.check_journal_folder(tmp_path).status == "problem"


def test_journal_folder_on_a_disk_that_is_full_or_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", 2**80)
    full = doctor.check_journal_folder(tmp_path)
    assert (full.status, "almost full" in full.sentence) == ("warning", True)
    monkeypatch.setattr(os, "ST_RDONLY", -1)  # any flag will do
    read_only = doctor.check_journal_folder(tmp_path)
    assert (read_only.status, "read-only" in read_only.sentence) == ("problem", True)
    assert read_only.remedy and str(tmp_path) in read_only.remedy


@pytest.mark.parametrize(
    ("answer", "status"),
    [("yes\n", "ok"), ("no\n", "warning"), (None, None), ("Failed to connect", None)],
)
def test_clock(answer: str | None, status: str | None) -> None:
    finding = doctor.check_clock(answers(answer))
    assert (finding.status if finding else None) == status


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("throttled=0x0\n", "ok", "fine"),
        ("throttled=0x50005\n", "warning", "Now: the supply voltage"),
        ("throttled=0x80000\n", "warning", "Earlier since boot"),
        (None, None, ""),
        ("VCHI initialization failed", None, ""),
    ],
)
def test_power(answer: str | None, status: str | None, words: str) -> None:
    finding = doctor.check_power(answers(answer))
    assert (finding.status if finding else None) == status
    assert not finding or words in finding.sentence


def test_a_command_that_is_not_there_or_fails_has_no_output() -> None:
    assert doctor.run(["undertone-has-no-such-command"]) is None
    assert doctor.run(["false"]) is None
    assert doctor.run([sys.executable, "-c", "print('yes')"]) == "yes\n"


def test_the_command_finds_something_and_says_it_in_json(tmp_path: Path) -> None:
    arguments = ["--format", "json", "--model", str(tmp_path), "--microphone", "no such microphone"]
    result = CliRunner().invoke(command, arguments, env={"UNDERTONE_STATE": str(tmp_path)})
    assert result.exit_code == 1
    findings = {finding["name"]: finding for finding in map(json.loads, result.stdout.splitlines())}
    assert findings["model"]["status"] == "problem"
    assert "speech gate" not in findings
    assert str(tmp_path) in findings["journal"]["sentence"]


def test_the_command_writes_a_line_for_each_finding_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [Finding("python", "ok", "Fine."), Finding("level", "warning", "Muted.", "alsamixer")]
    monkeypatch.setattr(doctor, "diagnose", lambda *_: iter(made))
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "ok       python: Fine.",
        "warning  level: Muted. To fix it: alsamixer",
    ]


def test_whatever_is_found_comes_with_its_remedy(tmp_path: Path) -> None:
    error = AudioSourceError("It is busy.")
    found = [
        doctor.check_python((3, 10)),
        doctor.check_runtime([], "1.26.4"),
        doctor.check_model(raises(BundleError("It is damaged.")), "small"),  # type: ignore[arg-type]
        doctor.check_gate(GateConfig(pause_s=9.0), "small"),
        doctor.check_portaudio(
            raises(RuntimeMissingError("It is gone: run sudo apt install libportaudio2."))
        )[0],  # type: ignore[arg-type]
        doctor.check_microphone([], None),
        doctor.check_microphone([device()], "piano"),
        doctor.check_rate(device(())),
        doctor.check_rate(device((8_000,))),
        doctor.check_level("Webcam", raises(error)),  # type: ignore[arg-type]
        doctor.check_level("Webcam", lambda: np.zeros(0, np.int16)),
        doctor.check_level("Webcam", lambda: np.zeros(9, np.int16)),
        doctor.check_level("Webcam", lambda: np.full(9, 32767, np.int16)),
        doctor.check_audio_group({"users"}, False),
        doctor.check_clock(answers("no")),
        doctor.check_power(answers("throttled=0x50005")),
    ]
    for finding in found:
        assert finding and finding.status != "ok"
        assert finding.remedy, finding.name
