"""The overview of corpora: counts that add up, pictures of whatever there is, one page."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from undertone import samples
from undertone.cli import run
from undertone.emotions import EMOTIONS
from undertone.recognition.mfcc import MfccConfig
from undertone_training.cli import undertone_train
from undertone_training.corpora import scan
from undertone_training.report import dataset
from undertone_training.report.examples import Example, chosen, examples
from undertone_training.report.overview import summary
from undertone_training.report.pictures import png

KINDS = [
    ("sex", "female"), ("sex", "male"), ("intensity", "normal"), ("intensity", "strong"),
    ("channel", "speech"),
]  # fmt: skip
PICTURES = ("emotions", "speakers", "kinds", "durations", "examples")


def overview(data: Path, output: Path, *more: object) -> int:
    args = ["overview", "--data", data, "--output", output, *more]
    return run(undertone_train, "undertone-train", [str(arg) for arg in args])


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "clips.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged clips, one of TESS, and one that is no sound."""
    folder = tmp_path_factory.mktemp("corpora")
    for path in samples.clips():
        shutil.copy(path, folder)
    tone = np.random.default_rng(0).normal(0, 0.1, 8_000)
    soundfile.write(folder / "OAF_back_sad.wav", tone, 16_000)
    (folder / "03-01-02-01-01-01-20.wav").write_bytes(b"no sound")
    (folder / "notes.txt").write_text("")
    return folder


@pytest.fixture(scope="module")
def written(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "deep"
    assert overview(corpora, folder) == 0
    return folder


def test_the_table_has_path_labels_and_duration_of_every_clip(written: Path) -> None:
    found = rows(written)
    assert [row["emotion"] for row in found] == [*EMOTIONS, "sad"]
    for row in found:
        info = soundfile.info(row["path"])
        assert float(row["duration_s"]) == pytest.approx(info.duration, abs=1e-3)
    assert found[0]["speaker"] == "03"
    assert (found[-1]["corpus"], found[-1]["intensity"]) == ("tess", "")


def test_every_corpus_has_its_pictures(written: Path) -> None:
    names = {f"{corpus}-{name}.png" for corpus in ("ravdess", "tess") for name in PICTURES}
    assert {path.name for path in written.iterdir()} == {*names, "clips.csv", "overview.html"}
    page = (Path(__file__).parents[3] / "docs" / "workbench.md").read_text()
    assert all(f"`ravdess-{name}.png`" in page for name in PICTURES)


def test_the_pictures_and_the_table_are_of_the_clips(written: Path, corpora: Path) -> None:
    clips = pd.read_csv(written / "clips.csv", dtype={"speaker": str})
    for corpus, own in clips.groupby("corpus"):
        note = f"{corpus} · {summary(own)}"
        for name in ("emotions", "speakers", "kinds", "durations"):
            drawn = getattr(dataset, name)(own, note)
            assert (written / f"{corpus}-{name}.png").read_bytes() == png(drawn), name
    spoken = [clip for clip in scan(corpora).clips if clip.corpus == "tess"]
    shown = [Example(clip, clip.source.read()) for clip in spoken]
    drawn = examples(shown, f"tess · {summary(own)}", MfccConfig())
    assert (written / "tess-examples.png").read_bytes() == png(drawn)
    page = (written / "overview.html").read_text()
    sad = clips[(clips["corpus"] == "ravdess") & (clips["emotion"] == "sad")]
    counts = [
        len(sad),
        1,
        *((sad[k] == v).sum() for k, v in KINDS),
        f"{sad['duration_s'].mean():.2f} s",
    ]
    cells = "".join(f"<td>{count}</td>" for count in counts)
    assert f"sad</td>{cells}</tr>" in page


def test_the_page_tells_what_is_there_and_what_is_not(written: Path) -> None:
    page = (written / "overview.html").read_text()
    assert "9 clips of 9 speakers" in page
    assert "No clips of neutral, calm, happy, angry, fearful, disgust, surprised." in page
    assert "There is only one speaker, so nothing can be tested on a new one." in page
    assert "03-01-02-01-01-01-20.wav is not audio that can be read" in page
    assert "notes.txt: not an audio file" in page
    assert page.count('src="data:image/png;base64,') == len(PICTURES) * 2
    assert "http" not in page


def test_one_corpus_alone(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert overview(corpora, tmp_path, "--corpus", "tess") == 0
    assert {row["corpus"] for row in rows(tmp_path)} == {"tess"}
    assert "tess: 1 clip of 1 speaker, 0.0 min" in capsys.readouterr().out


def test_the_examples_are_alike(tmp_path: Path) -> None:
    names = ("03-02-03-01-01-01-01", "03-01-03-01-01-01-02", "03-01-03-02-01-01-02")
    for name in (*names, "03-02-04-01-01-01-02"):
        (tmp_path / f"{name}.wav").touch()
    shown = [clip.clip_id for clip in chosen(scan(tmp_path).clips)]
    assert shown == ["03-01-03-01-01-01-02", "03-02-04-01-01-01-02"]


def test_what_can_not_be_read_or_written_is_one_sentence(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "03-01-01-01-01-01-01.wav").write_bytes(b"no sound")
    (tmp_path / "file").touch()
    for args, says in (
        ((tmp_path, tmp_path / "out"), "None of the 1 clips can be read: "),
        (
            (corpora, tmp_path / "file" / "x", "--corpus", "tess"),
            "name another folder with --output",
        ),
        ((corpora, tmp_path / "out", "--corpus", "savee"), "There are no clips of savee"),
        ((tmp_path / "nowhere", tmp_path / "out"), "There is no folder"),
    ):
        assert overview(*args) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("undertone-train: ")
        assert says in error
    assert not (tmp_path / "out").exists()
