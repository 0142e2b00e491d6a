"""The ``known-voice`` protocol: a clip is tested after other speech of the same speaker was heard.

The other speech is drawn at random from all clips of the speaker, without their labels, and never
contains the tested clip.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import voice_in
from undertone.recognition.voice import Voice, together
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.conditions import FOUR_EMOTIONS, ConditionPredictions
from undertone_training.evaluation.inference import through_device
from undertone_training.evaluation.levels import clipped
from undertone_training.progress import Progress, silent

AMOUNTS_S = (0.0, 5.0, 15.0, 60.0)
"""Seconds of other recordings that are known, with their pauses."""

VOICES = 4
"""People in a home of several, the tested speaker among them."""

NEUTRAL_SHARE = 0.8
"""Least share of the known speech, as at home, where few sentences are emotional."""

LOUDER_DB = 10.0

SEED = 0
"""Of the draws."""

MOSTLY_NEUTRAL = f"{AMOUNTS_S[-1]:.0f} s known, mostly neutral"
SEVERAL_VOICES = f"{AMOUNTS_S[-1]:.0f} s of {VOICES} voices known"


def known_voice(
    clips: Sequence[Clip],
    all_clips: Iterable[Clip],
    classifier: Classifier,
    progress: Progress = silent,
) -> Iterator[ConditionPredictions]:
    """``clips``, of one corpus, after each of ``AMOUNTS_S``; only after 0 s if the bundle keeps no
    knowledge of a voice.

    Then after speech that was mostly neutral; as in a home of several people, after as much speech
    by the speaker and by others; and after speech that was recorded louder, as before somebody
    moved the microphone.
    all_clips: all that are available, of which those by the tested speakers can become known.
    """
    by_speaker: dict[tuple[str, str], list[Clip]] = {}
    for clip in all_clips:
        if clip.channel == "speech":
            by_speaker.setdefault((clip.corpus, clip.speaker), []).append(clip)
    tested = sorted({(clip.corpus, clip.speaker) for clip in clips})

    def of_speaker(clip: Clip) -> Sequence[Clip]:
        return by_speaker.get((clip.corpus, clip.speaker), ())

    def alone(clip: Clip, seconds: float) -> list[Clip]:
        return drawn(clip, of_speaker(clip), seconds)

    def among_others(clip: Clip) -> list[Clip]:
        own = (clip.corpus, clip.speaker)
        first = tested.index(own)
        around = [tested[(first + step) % len(tested)] for step in range(VOICES)]
        parts = [drawn(clip, by_speaker.get(one, ()), AMOUNTS_S[-1] / VOICES) for one in around]
        return [other for part in parts for other in part]

    def as_at_home(clip: Clip) -> list[Clip]:
        return mostly_neutral(clip, of_speaker(clip))

    @cache
    def heard(clip: Clip, gain_db: float) -> Voice | None:
        recording = clipped(clip.source.read() * 10 ** (gain_db / 20))
        return voice_in([Block(recording, 0.0)], classifier)

    conditions: dict[str, tuple[Callable[[Clip], list[Clip]], float]] = {
        f"{seconds:.0f} s known": (partial(alone, seconds=seconds), 0.0) for seconds in AMOUNTS_S
    }
    with_neutral = [
        clip for clip in clips if any(map(_is_neutral, _others(clip, of_speaker(clip))))
    ]
    if with_neutral:
        conditions[MOSTLY_NEUTRAL] = as_at_home, 0.0
    if len(tested) >= VOICES:
        conditions[SEVERAL_VOICES] = among_others, 0.0
    loud = f"{AMOUNTS_S[-1]:.0f} s known, {LOUDER_DB:.0f} dB louder"
    conditions[loud] = partial(alone, seconds=AMOUNTS_S[-1]), LOUDER_DB
    for name, (known, gain_db) in [*conditions.items()][: None if classifier.knows_voices else 1]:

        def voice_of(
            clip: Clip, known: Callable[[Clip], list[Clip]] = known, gain_db: float = gain_db
        ) -> Voice | None:
            found = (heard(other, gain_db) for other in known(clip))
            return together([voice for voice in found if voice])

        some = with_neutral if name == MOSTLY_NEUTRAL else clips
        with progress(f"{clips[0].corpus}, {name}", len(some)) as step:
            yield through_device(some, classifier, step, name, voice_for=voice_of)


def notes_on(results: Sequence[ConditionPredictions]) -> list[str]:
    """What is missing from the results of ``known_voice``, and why."""
    if len(results) == 1:
        return ["this model does not use a known voice, so there are only the figures for 0 s"]
    corpus, clips = results[0].corpus, len(results[0].given)
    tested = {each.condition: len(each.given) for each in results}
    notes = []
    if without := clips - tested.get(MOSTLY_NEUTRAL, 0):
        notes.append(
            f"{corpus}, {MOSTLY_NEUTRAL}: {without:,} of {clips:,} clips are left out, because "
            "their speakers have no other neutral recording"
        )
    if SEVERAL_VOICES not in tested:
        notes.append(
            f"{corpus}, {SEVERAL_VOICES}: left out, because there are fewer than {VOICES} speakers"
        )
    return notes


def mostly_neutral(clip: Clip, others: Sequence[Clip]) -> list[Clip]:
    """Some of ``others``, at least ``NEUTRAL_SHARE`` of which is neutral, by duration.

    Neutral ones until there is that share of the last of ``AMOUNTS_S``, or no more; see ``drawn``.
    """
    neutral = drawn(clip, [*filter(_is_neutral, others)], AMOUNTS_S[-1] * NEUTRAL_SHARE)
    neutral_s = sum(map(_duration_s, neutral))
    most_s = neutral_s / NEUTRAL_SHARE - neutral_s
    rest = drawn(clip, [other for other in others if not _is_neutral(other)], most_s)
    if sum(map(_duration_s, rest)) > most_s:
        rest.pop()
    return neutral + rest


def drawn(clip: Clip, others: Sequence[Clip], seconds: float) -> list[Clip]:
    """Some of ``others`` until there are ``seconds`` of them, or no more; never ``clip``.

    The same for the same clip and the same others, in whatever order.
    """
    others = sorted(_others(clip, others), key=lambda other: other.clip_id)
    generator = np.random.default_rng([SEED, zlib.crc32(clip.clip_id.encode())])
    found: list[Clip] = []
    left_s = seconds
    for index in generator.permutation(len(others)):
        if left_s <= 0:
            break
        found.append(others[index])
        left_s -= _duration_s(found[-1])
    return found


def _others(clip: Clip, clips: Sequence[Clip]) -> list[Clip]:
    return [other for other in clips if other.source != clip.source and other != clip]


def _is_neutral(clip: Clip) -> bool:
    return FOUR_EMOTIONS.get(clip.emotion) == "neutral"


@cache
def _duration_s(clip: Clip) -> float:
    return len(clip.source.read()) / SAMPLE_RATE_HZ
