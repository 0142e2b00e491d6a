"""TurEV-DB: Turkish speakers say 82 words in four emotions (Canpolat et al. 2020, SLTU-CCURL).

Names are speaker, emotion and word, as in github.com/Xeonen/TurEV-DB:
``Sound Source/Angry/1157_kz_beste.wav``.  CC BY-NC-ND 4.0, which allows no derived works.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, UnusableNameError, known

_NAME = re.compile(r"([0-9]{4})_([a-z]{2})_([a-z0-9]+)")
_FILTERED = "Model Output for Test Data"
"""The repository's folder of copies without the low or the high frequencies, under their names."""
_EMOTIONS = {
    "sk": "calm",  # sakin
    "mt": "happy",  # mutlu
    "hl": "sad",
    "kz": "angry",  # kızgın
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    speaker, emotion, word = match.groups()
    if _FILTERED in source.name.parts:
        raise UnusableNameError("a filtered copy of a TurEV-DB recording")
    return Clip(
        source=source,
        corpus="turev",
        clip_id=match[0],
        speaker=speaker,
        emotion=known(_EMOTIONS, emotion, "TurEV-DB has no emotion"),
        statement=word,
    )


CORPUS = Corpus("turev", _NAME, _clip)
