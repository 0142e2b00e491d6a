"""The commands fit-detector and measure-gate, on miniature corpora."""

import shutil
from pathlib import Path

import msgspec
import pytest
from miniature import TrainedDetector, train

from undertone_training.corpora.random_sounds import MAKERS
from undertone_training.detection import measure
from undertone_training.detection.measure import GateReport
from undertone_training.evaluation import false_alarms
from undertone_training.features.gate import packaged_sha256

pytestmark = pytest.mark.xdist_group("detector")


@pytest.fixture
def few_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the protocol noise: all of them are 36 minutes."""
    monkeypatch.setattr(false_alarms, "NAMES", ("white noise", "drums"))


def test_fit_detector_says_what_it_used_and_wrote(trained: TrainedDetector) -> None:
    nemo, cremad, noise, mixtures, *_, held_out, config, network = trained.printed.splitlines()
    assert nemo == "nemo: 5 clips of 1 speaker"
    assert cremad == "cremad: 5 clips of 1 speaker"
    assert noise == "noise: 2 recordings of brook"
    assert mixtures.startswith("mixtures: 50 of 12 s, 0 of which are made; ")
    assert "% of the frames are right" in held_out
    assert config == f"{trained.folder / 'detector.json'}: written"
    assert network.startswith(f"{trained.folder / 'speech.tflite'}: ")


def test_a_dry_run_says_what_is_there_and_writes_nothing(
    trained: TrainedDetector, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("fit-detector", "--data", corpora, "--mixtures", 90, "--dry-run")
    assert train(*args, "--runs", trained.runs) == 0
    assert "mixtures: 100 of 12 s, 50 of which are made; all of them need 3 MB" in (
        capsys.readouterr().out
    )
    assert train(*args, "--runs", tmp_path) == 0
    assert "0 of which are made" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_noise_is_optional(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cremad", "nemo"):
        shutil.copytree(corpora / name, tmp_path / name)
    assert train("fit-detector", "--data", tmp_path, "--runs", tmp_path, "--dry-run") == 0
    assert "noise: 0 recordings\n" in capsys.readouterr().out


@pytest.mark.usefixtures("few_sounds")
def test_measure_gate_measures_the_detector_in_a_folder(
    trained: TrainedDetector, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gate.json"
    args = ("--data", corpora, "--detector", trained.folder, "--clips", 4, "--minutes", 1)
    assert train("measure-gate", *args, "--output", output) == 0
    assert capsys.readouterr().out == f"{output}: written\n"
    report = msgspec.json.decode(output.read_bytes(), type=GateReport)
    assert report.detector_sha256 != packaged_sha256()
    assert report.corpus == "choosing"
    assert [each.condition for each in report.found] == [
        "quiet", "noise at 20 dB SNR", "noise at 10 dB SNR", "noise at 5 dB SNR",
        "4 voices at 10 dB SNR",
    ]  # fmt: skip
    assert {each.clips for each in report.found} == {4}
    kinds = [each.kind for each in report.mistaken]
    assert kinds.count("generated sounds") == len(MAKERS)
    assert kinds.count("recorded noise") == 3 * 3
    assert report.notes == ()


@pytest.mark.usefixtures("few_sounds")
def test_measure_gate_prints_what_the_packaged_gate_does(
    corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(corpora / "ravdess", tmp_path / "ravdess")
    args = ("measure-gate", "--data", tmp_path, "--corpus", "ravdess", "--minutes", 0)
    assert train(*args) == 0
    said = capsys.readouterr()
    (quiet,) = (line.split() for line in said.out.splitlines() if line.startswith("quiet"))
    assert quiet[1:3] == ["8", "0"]  # clips, and those missed
    assert "made sounds" in said.out
    assert "generated sounds" not in said.out
    assert "no recordings to play in" in said.err
    assert "no clips of cremad or nemo" in said.err
    monkeypatch.setattr(measure, "mistake_recorded", lambda *args: ())  # for want of patience
    assert train(*args, "--format", "json") == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=GateReport)
    assert report.detector_sha256 == packaged_sha256()
    assert len(report.notes) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("fit-detector", "--data", "nowhere"), 1, "There is no folder nowhere"),
        (("fit-detector", "--data", "corpora/ravdess"), 1, "There are no clips of cremad in"),
        (("fit-detector", "--output", "/dev/null/x"), 1, "name another folder with --output"),
        (("fit-detector", "--runs", "/dev/null/x"), 1, "name another folder with --runs"),
        (("fit-detector", "--mixtures", 0), 2, "--mixtures"),
        (("measure-gate", "--data", "corpora/ravdess"), 1, "no clips of cremad or nemo"),
        (("measure-gate", "--data", "corpora/nemo", "--corpus", "ravdess"), 1, "clips of ravdess"),
        (("measure-gate", "--detector", "corpora"), 1, "The speech detector in corpora can't be"),
        (("measure-gate", "--corpus", "tess"), 2, "--corpus"),
        (("measure-gate", "--clips", 0), 2, "--clips"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[object, ...],
    status: int,
    says: str,
    corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora").symlink_to(corpora)
    monkeypatch.setenv("UNDERTONE_DATA", "corpora")
    assert train(*arguments) == status
    error = capsys.readouterr().err
    assert says in error
    assert status == 2 or error.count("\n") == 1
    assert not (tmp_path / "runs/speech-detector/detector").exists() or "--runs" in says


@pytest.mark.parametrize("command", ["fit-detector", "measure-gate"])
def test_a_clip_that_is_not_audio_is_one_sentence(
    command: str, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cremad", "nemo"):
        shutil.copytree(corpora / name, tmp_path / name)
        for path in (tmp_path / name).iterdir():
            path.write_bytes(b"no sound")
    more = ("--runs", tmp_path, "--jobs", 1) if command == "fit-detector" else ()
    assert train(command, "--data", tmp_path, *more) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if "undertone-train" in line]
    assert len(error) == 1
    assert "is not audio that can be read" in error[0]
    assert not list(tmp_path.glob("speech-detector/*/*"))
