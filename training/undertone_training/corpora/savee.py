"""SAVEE: four British men, seven emotions (Haq & Jackson 2009, AVSP).

Names are emotion and sentence in a folder of the speaker, ``DC/a01.wav``; in the copies that are
in one folder, the speaker comes first: ``DC_a01.wav``.  For research only.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, known

_SPEAKERS = ("DC", "JE", "JK", "KL")
_NAME = re.compile(r"(?:([A-Z]{2})_)?([a-z]{1,2})([0-9]{2})")
_EMOTIONS = {
    "n": "neutral",
    "h": "happy",
    "sa": "sad",
    "a": "angry",
    "f": "fearful",
    "d": "disgust",
    "su": "surprised",
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip | None:
    speaker = match[1] or source.name.parent.name
    if speaker not in _SPEAKERS:
        return None
    sentence = match[2] + match[3]  # sentences are numbered within each emotion
    return Clip(
        source=source,
        corpus="savee",
        clip_id=f"{speaker}_{sentence}",
        speaker=speaker,
        emotion=known(_EMOTIONS, match[2], "SAVEE has no emotion"),
        sex="male",
        statement=sentence,
    )


CORPUS = Corpus("savee", _NAME, _clip, frozenset({"Info.txt"}))
