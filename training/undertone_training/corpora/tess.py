"""TESS: two actresses say 200 words in seven emotions (Dupuis & Pichora-Fuller 2010).

Names are speaker, word and emotion: ``OAF_back_angry.wav``; ``ps`` is pleasant surprise. The
names of the folders (``OAF_angry``, ``YAF_pleasant_surprised``) add nothing.  CC BY-NC-ND 4.0,
which allows no derived works.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, known

_NAME = re.compile(r"(OAF?|YAF)_([a-z]+)_([a-z]+)")
_EMOTIONS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fearful",
    "disgust": "disgust",
    "ps": "surprised",
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    speaker, word, emotion = match.groups()
    if speaker == "OA":  # one published name is misspelt: OA_bite_neutral.wav
        speaker = "OAF"
    return Clip(
        source=source,
        corpus="tess",
        clip_id=f"{speaker}_{word}_{emotion}",
        speaker=speaker,
        emotion=known(_EMOTIONS, emotion, "TESS has no emotion"),
        sex="female",
        statement=word,
    )


CORPUS = Corpus("tess", _NAME, _clip)
