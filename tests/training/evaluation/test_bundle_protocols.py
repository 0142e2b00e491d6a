"""``undertone-train evaluate`` of a shipped bundle on small corpora, through the device path."""

import json
import shutil
from pathlib import Path

import pytest
from miniature import train, voice, write, write_ravdess

from undertone import samples
from undertone.audio.files import read_blocks
from undertone.emotions import EMOTIONS
from undertone.events import UNCERTAIN
from undertone.recognition.bundle import installed_bundles, load
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone_training.evaluation.conditions import ConditionsReport, load_reports

BUNDLE = "ravdess8-tiny"


def write_own(
    data: Path, corpus: str, speakers: dict[str, int], emotions: tuple[str, ...] = EMOTIONS
) -> None:
    for speaker, actor in speakers.items():
        for emotion in emotions:
            sound = voice(samples.clips()[EMOTIONS.index(emotion)], actor)
            write(data / f"own/{corpus}/{speaker}/{emotion}/1.wav", sound)


def evaluate(data: Path, protocol: str, *args: object, bundle: object = BUNDLE) -> int:
    where = ("--data", data, "--to", data / "report", "--protocol", protocol)
    return train("evaluate", bundle, *where, *args)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def read(data: Path, protocol: str, bundle: str = BUNDLE) -> ConditionsReport:
    sha256 = json.loads((installed_bundles()[bundle] / "manifest.json").read_text())["model_sha256"]
    return load_reports(data / "report", sha256)[protocol]


def test_a_bundle_is_tested_on_corpora_that_it_did_not_learn_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_own(tmp_path, "family", {"anna": 3, "bo": 14}, ("neutral", "happy", "sad", "angry"))
    write_own(tmp_path, "alone", {"cy": 9}, ("neutral", "calm"))
    write_ravdess(tmp_path, (1,))
    assert evaluate(tmp_path, "cross-corpus") == 0
    alone, family = read(tmp_path, "cross-corpus").conditions
    assert (family.corpus, family.condition, family.n_clips) == ("family", "zero-shot", 8)
    assert family.four_emotions is not None
    assert family.four_emotions.uar_interval95 is not None
    assert family.activation is not None
    assert family.verdicts >= family.right
    assert (alone.n_speakers, alone.four_emotions) == (1, None)
    assert alone.shared_labels is not None
    assert alone.shared_labels.uar_interval95 is None
    printed = capsys.readouterr().out
    assert "cross-corpus.json: written" in printed
    assert (tmp_path / "report/cross-corpus-family/report.html").is_file()


def test_a_sample_is_stated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_own(tmp_path, "family", {"anna": 3, "bo": 14}, ("happy", "sad"))
    assert evaluate(tmp_path, "cross-corpus", "--corpus", "family", "--sample", 3) == 0
    report = read(tmp_path, "cross-corpus")
    assert report.conditions[0].n_clips == 3
    assert report.notes == ("a sample of family: 3 of 4 clips, drawn with seed 0",)
    assert report.notes[0] in said(capsys)


def test_clips_whose_emotion_the_bundle_has_no_label_for_are_counted(tmp_path: Path) -> None:
    write_own(tmp_path, "family", {"anna": 3, "bo": 14}, ("calm", "happy", "surprised"))
    assert evaluate(tmp_path, "cross-corpus", bundle="everyday-tiny") == 0
    report = read(tmp_path, "cross-corpus", "everyday-tiny")
    assert report.conditions[0].n_clips == 4  # calm ones count as neutral
    classifier = Classifier(load("everyday-tiny"))
    files = (tmp_path / "own/family").glob("*/surprised/1.wav")
    heard = [classify(read_blocks(each), classifier).overall for each in files]
    given = sum(each is not None and each.verdict != UNCERTAIN for each in heard)
    left_out = "clips of family whose emotion the model has no label for are left out: 2 surprised"
    excited = sum(each is not None and (each.activation or 0) >= 0.5 for each in heard)
    told = (
        f"{given} of 2 ({50 * given}.0 %) got a verdict, which can only be wrong, and {excited} of "
        f"2 ({50 * excited}.0 %) the right activation"
    )
    assert report.notes == (f"{left_out}; {told}",)
    assert evaluate(tmp_path, "known-voice", bundle="everyday-tiny") == 0
    assert left_out in read(tmp_path, "known-voice", "everyday-tiny").notes


def test_degraded_needs_speakers_whom_the_manifest_does_not_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path, (1, 2))
    assert evaluate(tmp_path, "degraded") == 1
    assert "learnt from every speaker of ravdess in the data folder" in said(capsys)
    assert not (tmp_path / "report").exists()
    assert evaluate(tmp_path, "degraded", "--corpus", "casia") == 1
    assert "no clip of casia in the data folder" in said(capsys)


def test_degraded_has_a_row_for_each_condition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path, (1, 21))
    assert evaluate(tmp_path, "degraded", "--sample", 4) == 0
    rows = {each.condition: each for each in read(tmp_path, "degraded").conditions}
    assert {each.n_clips for each in rows.values()} == {4}
    assert rows["8 kHz, as on the telephone"].verdicts == 0  # sound that the bundle does not know
    assert len(rows) == 6
    assert "four other voices at 10 dB SNR: left out" in said(capsys)


def test_known_voice_of_a_bundle_without_such_knowledge_has_one_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_own(tmp_path, "family", {"anna": 3}, ("happy", "sad"))
    assert evaluate(tmp_path, "known-voice") == 0
    report = read(tmp_path, "known-voice")
    assert [each.condition for each in report.conditions] == ["0 s known"]
    assert "this model does not use a known voice" in said(capsys)


def test_a_corpus_that_cannot_be_tested_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path, (1,))
    write_own(tmp_path, "dull", {"anna": 3}, ("disgust",))
    other = tmp_path / "other"
    shutil.copytree(installed_bundles()[BUNDLE], other)
    manifest = json.loads((other / "manifest.json").read_text())
    labels = ["bored" if label == "disgust" else label for label in manifest["labels"]]
    (other / "manifest.json").write_text(json.dumps(manifest | {"labels": labels}))
    assert evaluate(tmp_path, "cross-corpus", bundle=other) == 1
    assert "dull has none of the labels of this model (neutral, calm," in said(capsys)
    assert evaluate(tmp_path, "degraded", "--corpus", "dull", bundle=other) == 1
    assert "dull has none of the labels of this model (neutral, calm," in said(capsys)
    for protocol in ("cross-corpus", "known-voice", "degraded"):
        assert evaluate(tmp_path, protocol, "--corpus", "bogus") == 1
        assert "no corpus called bogus: known are ravdess, nemo," in said(capsys)
    write_own(tmp_path, "glad", {"anna": 3}, ("happy",))
    assert evaluate(tmp_path, "cross-corpus", bundle=other) == 0
    assert "dull is left out: the model has no label for any of its emotions" in said(capsys)
    assert evaluate(tmp_path, "cross-corpus", "--corpus", "ravdess") == 1
    assert "The weights learnt from ravdess" in said(capsys)
    assert evaluate(tmp_path, "noise", "--corpus", "dull") == 2
    assert "--corpus and --sample go with --protocol cross-corpus" in said(capsys)
