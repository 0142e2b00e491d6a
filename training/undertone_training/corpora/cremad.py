"""CREMA-D: 91 actors, twelve sentences, six emotions (Cao et al. 2014, IEEE Trans. Affective C.).

Names are actor, sentence, emotion and intensity: ``1001_DFA_ANG_XX.wav``.
"""

import re

from undertone_training.corpora.clip import (
    AudioRef,
    Clip,
    Corpus,
    Intensity,
    UnusableNameError,
    known,
)

_NAME = re.compile(r"([0-9]{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})")
_ACTORS = range(1001, 1092)
# fmt: off
_WOMEN = frozenset({  # VideoDemographics.csv, which is published with the clips
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025,
    1028, 1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060,
    1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
})
# fmt: on
_EMOTIONS = {
    "NEU": "neutral",
    "HAP": "happy",
    "SAD": "sad",
    "ANG": "angry",
    "FEA": "fearful",
    "DIS": "disgust",
}
_INTENSITIES: dict[str, Intensity | None] = {
    "LO": "normal",
    "MD": "normal",
    "HI": "strong",
    "XX": None,  # not asked of the actor
    "X": None,  # one published name is truncated: 1040_ITH_SAD_X.wav
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    actor, sentence, emotion, intensity = match.groups()
    if int(actor) not in _ACTORS:
        raise UnusableNameError(f"CREMA-D has no actor {actor}")
    return Clip(
        source=source,
        corpus="cremad",
        clip_id=match[0],
        speaker=actor,
        emotion=known(_EMOTIONS, emotion, "CREMA-D has no emotion"),
        sex="female" if int(actor) in _WOMEN else "male",
        intensity=known(_INTENSITIES, intensity, "CREMA-D has no intensity"),
        statement=sentence,
    )


CORPUS = Corpus(
    "cremad",
    _NAME,
    _clip,
    frozenset({"VideoDemographics.csv", "SentenceFilenames.csv"}),
    "ODbL 1.0",
)
