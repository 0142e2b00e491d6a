"""Which clips a model is tested on, and what its protocol is called."""

from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest
from miniature import Pipeline

from undertone.recognition import bundle
from undertone_training.corpora import AudioRef, Clip, scan
from undertone_training.errors import SplitError
from undertone_training.evaluation.test_clips import (
    RunTest,
    held_out_tests,
    new_speaker_tests,
    require_held_out,
    shortfall,
    unlisted_speakers,
    with_new_speakers,
)

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_a_bundle_is_never_tested_on_speakers_of_its_training(
    pipeline: Pipeline, promoted: Path
) -> None:
    training = bundle.load(promoted).manifest.training
    test = [clip for clip in scan(pipeline.everyone).clips if clip.speaker in ("21", "22")]
    require_held_out(test, training)
    knowing = msgspec.structs.replace(training, train_speakers=("03", "21"))
    with pytest.raises(SplitError, match="trained on the speakers 21:"):
        require_held_out(test, knowing)


def test_speakers_of_a_first_stage_are_not_held_out_though_no_list_has_them() -> None:
    manifest = bundle.load("ravdess8-tiny").manifest
    clips = [
        Clip(corpus=corpus, clip_id=f"{corpus}{speaker}", speaker=speaker, emotion="sad",
             source=AudioRef(Path(f"{speaker}.wav")))
        for corpus, speaker in (("nemo", "EB0"), ("nemo", "KS0"), ("ravdess", "21"), ("casia", "x"))
    ]  # fmt: skip
    assert list(unlisted_speakers(manifest, clips)["ravdess"]) == [clips[2]]
    assert unlisted_speakers(manifest, clips, ("nemo", "casia"))["nemo"] == clips[:2]
    training = msgspec.structs.replace(manifest.training, corpora=("nemo", "ravdess"))
    with pytest.raises(SplitError, match="learnt from every speaker of nemo"):
        unlisted_speakers(msgspec.structs.replace(manifest, training=training), clips, ("nemo",))
    listing = msgspec.structs.replace(training, train_speakers=("01", "EB0"))
    found = unlisted_speakers(msgspec.structs.replace(manifest, training=listing), clips, ("nemo",))
    assert found["nemo"] == clips[1:2]


def test_conditions_are_tested_on_new_speakers_only() -> None:
    run = Mock(folder=Path("runs/x"))
    fold = RunTest(run, (), "speaker-independent", "test")
    inflated = RunTest(run, (), "speaker-dependent (speech, 8 emotions, split seed 0)", "test")
    kept, (reason,) = with_new_speakers([fold, inflated])
    assert kept == [fold]
    assert reason == "runs/x is left out: it was trained on the speakers that it is tested on"
    with pytest.raises(SplitError, match="nothing to test: runs/x is left out"):
        with_new_speakers([inflated])


@pytest.mark.parametrize(
    ("protocol", "side", "reason"),
    [
        ("pre-training", "test", "A first stage learns from all of family and holds no clip out"),
        ("speaker-independent", "validation", "Nobody validated this training"),
    ],
)
def test_a_run_that_held_no_clip_out_says_so(protocol: str, side: str, reason: str) -> None:
    info = Mock(protocol=protocol, validation=(), test=(), labels=("sad", "happy"))
    info.recipe.corpus = "family"
    with pytest.raises(SplitError, match=reason):
        held_out_tests([Mock(info=info)], {}, side)


@pytest.mark.parametrize(
    ("protocol", "folds", "speakers", "addition"),
    [
        ("speaker-independent", 4, 20, ""),
        ("speaker-independent", 1, 5, " (1 of 4 folds)"),
        ("speaker-independent", 4, 19, " (19 of 20 actors)"),
        ("published-folds", 5, 20, " (20 of 24 actors)"),
        ("final", 1, 4, ""),
    ],
)
def test_an_incomplete_protocol_says_so(
    protocol: str, folds: int, speakers: int, addition: str
) -> None:
    assert shortfall(protocol, folds, speakers) == addition


def test_new_speakers_are_those_that_a_run_did_not_hear(tmp_path: Path) -> None:
    """Of a corpus that was trained on, too; the name of a speaker is its own in each corpus."""

    def known(*train: str) -> Mock:
        return Mock(folder="runs/x", info=Mock(train=train, validation=(), labels=("sad", "happy")))

    clips = {
        f"{corpus}-{speaker}-{number}": Clip(
            corpus=corpus,
            clip_id=f"{corpus}-{speaker}-{number}",
            speaker=speaker,
            emotion="sad",
            source=AudioRef(tmp_path / "x.wav"),
        )
        for corpus in ("cremad", "nemo")
        for speaker in ("1", "2")
        for number in range(2)
    }
    run = known("cremad-1-0")
    (found,) = new_speaker_tests([run], clips, ["cremad"])
    assert {clip.clip_id for clip in found.clips} == {"cremad-2-0", "cremad-2-1"}
    (other,) = new_speaker_tests([run], clips, ["nemo"])
    assert {clip.speaker for clip in other.clips} == {"1", "2"}
    run = known("cremad-1-0", "cremad-2-1")
    with pytest.raises(SplitError, match="trained on every speaker of cremad"):
        new_speaker_tests([run], clips, ["cremad"])
