"""RAVDESS: 24 actors speak and sing two statements (Livingstone & Russo 2018, PLOS ONE 13(5)).

Names are modality-channel-emotion-intensity-statement-repetition-actor, two digits each.
"""

import re

from undertone.emotions import EMOTIONS
from undertone_training.corpora.clip import AudioRef, Channel, Clip, Corpus, UnusableNameError

_NAME = re.compile(r"[0-9]{2}(-[0-9]{2}){6}")
_CHANNELS: dict[int, Channel] = {1: "speech", 2: "song"}
_STATEMENTS = {1: "kids", 2: "dogs"}
"""Kids are talking by the door; dogs are sitting by the door."""

_UNSUNG = ("disgust", "surprised")


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    codes = map(int, match[0].split("-"))
    modality, channel, emotion, intensity, statement, repetition, actor = codes
    if modality != 3:
        raise UnusableNameError("a RAVDESS recording that is not audio-only (its name begins 03)")
    for what, code, last in (
        ("channel", channel, 2),
        ("emotion", emotion, len(EMOTIONS)),
        ("intensity", intensity, 2),
        ("statement", statement, 2),
        ("repetition", repetition, 2),
        ("actor", actor, 24),
    ):
        if not 1 <= code <= last:
            raise UnusableNameError(f"RAVDESS has no {what} {code:02}")
    label = EMOTIONS[emotion - 1]
    if label == "neutral" and intensity == 2:
        raise UnusableNameError("RAVDESS has no strong neutral")
    if channel == 2 and label in _UNSUNG:
        raise UnusableNameError(f"RAVDESS has no {label} song")
    return Clip(
        source=source,
        corpus="ravdess",
        clip_id=match[0],
        speaker=f"{actor:02}",
        emotion=label,
        channel=_CHANNELS[channel],
        sex="male" if actor % 2 else "female",
        intensity="normal" if intensity == 1 else "strong",
        statement=_STATEMENTS[statement],
        repetition=repetition,
    )


CORPUS = Corpus("ravdess", _NAME, _clip, licence="CC BY-NC-SA 4.0")
