"""The ``known-voice`` protocol: a clip is tested after other speech of the same speaker was heard.

The other speech is drawn at random from all clips of the speaker, without their labels, and never
contains the tested clip.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.classifier import Classifier
from undertone.recognition.voice import Voice
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.conditions import ConditionPredictions
from undertone_training.evaluation.inference import through_device
from undertone_training.progress import Progress, silent

AMOUNTS_S = (0.0, 5.0, 15.0, 60.0)
"""Seconds of other recordings that are known, with their pauses."""

SEED = 0
"""Of the draws."""

UNKNOWING = (
    "the bundle keeps no knowledge of a voice, so that only the figures with 0 s known exist"
)


def known_voice(
    clips: Sequence[Clip],
    everyone: Iterable[Clip],
    classifier: Classifier,
    progress: Progress = silent,
) -> Iterator[ConditionPredictions]:
    """``clips``, of one corpus, after each of ``AMOUNTS_S``; only after 0 s if the bundle keeps no
    knowledge of a voice.

    everyone: all clips at hand, of which those by the tested speakers can become known.
    """
    by_speaker: dict[tuple[str, str], list[Clip]] = {}
    for clip in everyone:
        if clip.channel == "speech":
            by_speaker.setdefault((clip.corpus, clip.speaker), []).append(clip)
    for seconds in AMOUNTS_S if classifier.knows_voices else AMOUNTS_S[:1]:

        def voice_of(clip: Clip, seconds: float = seconds) -> Voice | None:
            voice = None
            for known in drawn(clip, by_speaker.get((clip.corpus, clip.speaker), ()), seconds):
                voice = classifier.voice_in([Block(known, 0.0)], voice)
            return voice

        name = f"{seconds:.0f} s known"
        with progress(f"{clips[0].corpus}, {name}", len(clips)) as step:
            yield through_device(clips, classifier, step, name, voice_for=voice_of)


def drawn(clip: Clip, others: Sequence[Clip], seconds: float) -> list[Samples]:
    """Recordings of ``others`` until there are ``seconds`` of them, or no more; without ``clip``.

    The same for the same clip and the same others, in whatever order.
    """
    others = sorted(
        (other for other in others if other.source != clip.source and other != clip),
        key=lambda other: other.clip_id,
    )
    generator = np.random.default_rng([SEED, zlib.crc32(clip.clip_id.encode())])
    found: list[Samples] = []
    left_s = seconds
    for index in generator.permutation(len(others)):
        if left_s <= 0:
            break
        found.append(others[index].source.read())
        left_s -= len(found[-1]) / SAMPLE_RATE_HZ
    return found
