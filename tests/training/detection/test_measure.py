"""How the gate is measured, with gates whose segments are known."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from undertone import samples
from undertone.audio.block import Block
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_gate import SpeechPart
from undertone_training.corpora import scan
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.random_sounds import MAKERS
from undertone_training.detection import clips as voices
from undertone_training.detection import measure
from undertone_training.detection.measure import Condition, Shift
from undertone_training.evaluation.false_alarms import LEVELS_DBFS, sounds
from undertone_training.evaluation.streaming import Span, recording_of

SEED = 4
MS = 16
"""Samples in a millisecond."""


class FakeGate:
    """Finds the segments that it was made with; those of ``doubtful`` without enough evidence."""

    mfcc = MfccConfig()

    def __init__(self, spans: Sequence[Span], doubtful: Sequence[Span] = ()) -> None:
        self._spans = [(span, True) for span in spans] + [(span, False) for span in doubtful]
        self.heard = 0

    def process(self, block: Block) -> list[SpeechPart]:
        assert block.time_s == pytest.approx(self.heard / 16_000)
        self.heard += len(block.samples)
        return []

    def flush(self) -> list[SpeechPart]:
        return [
            SpeechPart(
                np.zeros(end - start, np.int16), np.empty((0, 40)), np.empty(0), start / 16_000,
                first=True, last=True, is_speech=is_speech,
            )
            for (start, end), is_speech in self._spans
        ]  # fmt: skip


def gates(*made: FakeGate) -> Callable[[], FakeGate]:
    return iter(made).__next__


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [
        Clip(corpus="x", clip_id=path.stem, speaker="1", emotion="sad", source=AudioRef(path))
        for path in samples.clips()[:4]
    ]


@pytest.fixture(scope="module")
def spans(clips: list[Clip]) -> list[Span]:
    """Where the clips are in the recording that ``find`` plays."""
    return recording_of(clips, np.random.default_rng(SEED))[1]


NOISY = (Condition("quiet"), Condition("noise", np.ones(100), 10.0))


def test_a_gate_that_cuts_exactly_makes_no_mistake(clips: list[Clip], spans: list[Span]) -> None:
    quiet, noisy = measure.find(gates(FakeGate(spans), FakeGate(spans)), clips, NOISY, SEED)
    assert (quiet.condition, quiet.start, quiet.end) == ("quiet", None, None)
    assert (noisy.condition, noisy.start, noisy.end) == ("noise", Shift(0, 0), Shift(0, 0))
    for found in (quiet, noisy):
        assert (found.clips, found.missed, found.merged) == (4, 0, 0)
        assert (found.pieces, found.false_segments) == (1.0, 0)


def test_what_noise_does_to_the_segments_is_counted(clips: list[Clip], spans: list[Span]) -> None:
    first, second, third, _ = spans
    before = (0, min(start for start, _ in spans))  # a pause
    noisy = FakeGate(
        [
            (first[0] + 30 * MS, first[1] - 50 * MS),
            (second[0] - 10 * MS, second[0] + 400 * MS),
            (second[1] - 400 * MS, second[1]),
            before,
        ],
        doubtful=[third],
    )
    quiet, found = measure.find(gates(FakeGate(spans[:3]), noisy), clips, NOISY, SEED)
    assert (quiet.missed, quiet.pieces) == (1, 0.75)
    assert found.missed == 2  # the third for want of evidence
    assert found.false_segments == 1
    assert found.pieces == 0.75
    assert found.start == Shift(20.0, 28.0)  # 30 and 10 ms
    assert found.end == Shift(25.0, 45.0)  # 50 and 0 ms


def test_a_segment_over_several_clips_is_told_from_one_for_each(
    clips: list[Clip], spans: list[Span]
) -> None:
    ordered = sorted(spans)
    (found,) = measure.find(
        gates(FakeGate([(ordered[0][0], ordered[2][1])])), clips, NOISY[:1], SEED
    )
    assert (found.missed, found.merged, found.pieces) == (1, 3, 0.75)


def test_nothing_found_in_quiet_leaves_nothing_to_compare(
    clips: list[Clip], spans: list[Span]
) -> None:
    quiet, noisy = measure.find(gates(FakeGate([]), FakeGate(spans)), clips, NOISY, SEED)
    assert quiet.missed == 4
    assert (noisy.missed, noisy.start, noisy.end) == (0, None, None)


def test_generated_sounds_of_every_kind_are_played_and_every_segment_counts() -> None:
    class Counting(FakeGate):
        def flush(self) -> list[SpeechPart]:
            played.append(self.heard)
            return FakeGate([(0, 100)] * len(played), doubtful=[(0, 100)]).flush()

    played: list[int] = []
    found = list(measure.mistake(lambda: Counting([]), 2, seed=0))
    assert [each.sound for each in found] == list(MAKERS)
    assert [each.segments for each in found] == [*range(1, len(MAKERS) + 1)]
    assert {each.kind for each in found} == {"generated sounds"}
    assert set(played) == {2 * 11 * 16_000}  # each of 10 s, after 1 s of a quiet room
    assert {each.minutes for each in found} == {round(22 / 60, 3)}


def test_the_sounds_of_the_protocol_noise_are_played_at_each_level(corpora: Path) -> None:
    found = list(measure.mistake_recorded(lambda: FakeGate([(0, 100)]), corpora))
    names = [name for name, *_ in sounds(corpora)]
    assert [(each.sound, each.dbfs) for each in found] == [
        (name, dbfs) for name in names for dbfs in LEVELS_DBFS
    ]
    assert [each.sound for each in found if each.trained_with] == ["brook_0"] * 3 + ["brook_1"] * 3
    assert {each.segments for each in found} == {1}
    assert found[0].minutes == round(4 / 60, 3)


def test_conditions_are_quiet_noise_and_babble_as_far_as_there_is_any(
    corpora: Path, clips: list[Clip]
) -> None:
    noise = [corpora / "noise" / "fan_0.flac"]
    made = measure.conditions(noise, clips, np.random.default_rng(0))
    assert [each.name for each in made] == [
        "quiet", "noise at 20 dB SNR", "noise at 10 dB SNR", "noise at 5 dB SNR",
        "4 voices at 10 dB SNR",
    ]  # fmt: skip
    assert [each.snr_db for each in made] == [None, 20.0, 10.0, 5.0, 10.0]
    assert [each.name for each in measure.conditions([], [], np.random.default_rng(0))] == ["quiet"]


def test_clips_are_drawn_evenly_from_the_corpora_without_silent_ones(corpora: Path) -> None:
    choosing = voices.for_choosing(scan(corpora).clips)
    assert len(choosing["cremad"]) == 6
    for seed in range(3):
        found = measure.drawn(choosing, 4, np.random.default_rng(seed))
        assert [clip.corpus for clip in found] == [*["nemo"] * 2, *["cremad"] * 2]
    whole = measure.drawn(choosing, 100, np.random.default_rng(0))
    assert len(whole) == len(set(whole)) == 10
    assert "1061_MTI_SAD_XX" not in {clip.clip_id for clip in whole}
    chosen = [measure.drawn(choosing, 4, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
