"""How far a voice is from another: in the directions of the bundle, whatever the level."""

import numpy as np
import pytest
from msgspec import ValidationError, convert, structs

from undertone.recognition import bundle
from undertone.recognition.voice_distance import VoiceDistance

DISTANCE = VoiceDistance(((2.0, 0.0, 0.0), (0.0, 1.0, -1.0)), far=1.0)


def test_it_is_the_root_mean_square_over_the_directions() -> None:
    one, other = (10.0, 1.0, 5.0, 2.0), (10.0, 0.0, 3.0, 2.0)
    assert DISTANCE.between(one, other) == pytest.approx(np.sqrt((2.0**2 + 2.0**2) / 2))
    assert DISTANCE.between(other, one) == DISTANCE.between(one, other)


def test_level_and_what_no_direction_has_do_not_count() -> None:
    assert DISTANCE.between((10.0, 1.0, 5.0, 2.0), (-30.0, 1.0, 8.0, 5.0)) == 0


def test_a_manifest_with_directions_of_another_width_is_refused() -> None:
    manifest = bundle.load("everyday-tiny").manifest
    width = manifest.mfcc.width
    fitting = VoiceDistance(((0.5,) * (width - 1),), 1.0)
    assert structs.replace(manifest, voice_distance=fitting).voice_distance == fitting
    for wrong in (((0.5,) * width,), ((0.5,) * (width - 1), (0.5,))):
        with pytest.raises(ValueError, match=f"directions must have {width - 1} numbers"):
            structs.replace(manifest, voice_distance=VoiceDistance(wrong, 1.0))


@pytest.mark.parametrize(
    "wrong", [{"directions": [], "far": 1.0}, {"directions": [[1.0]], "far": 0.0}]
)
def test_no_direction_and_no_limit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        convert(wrong, VoiceDistance)
