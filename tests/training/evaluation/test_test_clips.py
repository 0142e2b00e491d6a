"""Which clips a model is tested on, and what its protocol is called."""

from pathlib import Path

import msgspec
import pytest
from miniature import Pipeline

from undertone.recognition import bundle
from undertone_training.corpora import scan
from undertone_training.errors import SplitError
from undertone_training.evaluation.test_clips import require_held_out, shortfall

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
