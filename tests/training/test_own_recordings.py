"""The commands of docs/your-own-recordings.md, as they stand there, on a few recordings."""

import hashlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from miniature import ACTORS, train, voice, write, write_ravdess

from undertone import samples
from undertone.emotions import EMOTIONS
from undertone_training.evaluation.conditions import load_reports
from undertone_training.evaluation.results import pooled_in
from undertone_training.learning.runs import Run

pytestmark = [
    pytest.mark.xdist_group("own-recordings"),
    pytest.mark.usefixtures("_eager_training", "_conversion_here", "_without_pictures"),
]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/your-own-recordings.md").read_text()
COMMANDS = re.findall(r"^    (undertone-train .*)$", PAGE, re.M)
QUICK = """
width = 0.25
convolutions = [[64, 5, 2], [96, 5, 2]]
[window]
frames = 64
[augmentation]
copies = 1
"""
"""What makes the page's recipes train in seconds."""


def test_the_commands_of_the_page_do_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERTONE_DATA", str(tmp_path / "corpora"))
    monkeypatch.setenv("UNDERTONE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "models").symlink_to(ROOT / "models")
    for speaker, actor in (("anna", 3), ("bo", 14)):
        for index, emotion in enumerate(EMOTIONS):
            path = tmp_path / "corpora/own/family" / speaker / emotion / "1.wav"
            write(path, voice(samples.clips()[index], actor))
    write_ravdess(tmp_path / "corpora/ravdess", ACTORS)
    for name, recipe in zip(
        re.findall(r"`(\w+\.toml)`", PAGE),
        re.findall(r"```toml\n(.*?)```", PAGE, re.S),
        strict=True,
    ):
        (tmp_path / name).write_text(
            recipe.replace("[schedule]\nepochs = 60", f"{QUICK}[schedule]\nepochs = 1")
        )
    assert len(COMMANDS) == 7
    for line in COMMANDS:
        once = ("--fold", "1") if "home.toml" in line else ()
        assert train(*shlex.split(line)[1:], *once) == 0, line
    printed = capsys.readouterr().out
    assert "family speech: 16 clips of 2 speakers" in printed
    assert re.search(r"^family +zero-shot +16 +2 ", printed, re.M)
    assert Run(tmp_path / "runs/home/development-1/seed0").info.corpora == ("family", "ravdess")
    assert pooled_in(tmp_path / "runs/home")


def test_a_corpus_is_left_out_and_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for number, (corpus, emotions) in enumerate((("family", 2), ("guests", 8))):
        for speaker, actor in (("anna", 3 + number), ("bo", 14 + number)):
            for emotion, clip in list(zip(EMOTIONS, samples.clips(), strict=True))[-emotions:]:
                write(data / "own" / corpus / speaker / emotion / "1.wav", voice(clip, actor))
    recipe = tmp_path / "quick.toml"
    recipe.write_text(
        f"validation_speakers = 0\nsong = false\n{QUICK}[schedule]\nepochs = 1\nbatch_size = 8\n"
    )
    common = ("--data", data, "--cache", tmp_path / "cache", "--jobs", 1)
    runs = tmp_path / "runs"
    fit = ("fit", "--recipe", recipe, "--runs", runs, "--protocol", "leave-one-corpus-out")
    assert train(*fit, *common) == 0
    assert train("quantize", runs, *common) == 0
    assert train("evaluate", runs / "quick", "--protocol", "cross-corpus", *common) == 0
    found = {}
    for left_out in ("family", "guests"):
        run = Run(runs / "quick" / f"without-{left_out}" / "seed0")
        sha256 = hashlib.sha256(run.tflite.read_bytes()).hexdigest()
        (found[left_out],) = load_reports(run.report, sha256)["cross-corpus"].conditions
        assert (found[left_out].corpus, found[left_out].condition) == (
            left_out, "leave-one-corpus-out",
        )  # fmt: skip
    # without guests, the network knows the two emotions of the family only
    assert (found["family"].n_clips, found["guests"].n_clips) == (4, 4)
    assert "has no temperature or threshold" in capsys.readouterr().err


def test_the_table_of_the_page_is_one_that_is_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"```csv\n(.*?)```", PAGE, re.S)
    (tmp_path / "corpora/own").mkdir(parents=True)
    (tmp_path / "corpora/own/family.csv").write_text(text)
    for number in (1, 2, 3):
        write(tmp_path / f"memos/000{number}.wav", voice(samples.clips()[2], number))
    command = ("-m", "undertone_training.cli", "prepare", "--dry-run", "--data", "corpora")
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "family speech: 3 clips of 2 speakers\n", done.stderr
