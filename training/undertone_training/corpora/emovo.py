"""EMOVO: six Italian actors, 14 sentences, seven emotions (Costantini et al. 2014, LREC).

Names are emotion, speaker and sentence in a folder of the speaker: ``f1/dis-f1-b1.wav``, as in the
description that is published with the corpus, without a licence for derived works.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, known

_NAME = re.compile(r"([a-z]{3})-([fm][1-3])-([a-z][0-9])")
_EMOTIONS = {
    "neu": "neutral",
    "gio": "happy",  # gioia
    "tri": "sad",  # tristezza
    "rab": "angry",  # rabbia
    "pau": "fearful",  # paura
    "dis": "disgust",  # disgusto
    "sor": "surprised",  # sorpresa
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    emotion, speaker, sentence = match.groups()
    return Clip(
        source=source,
        corpus="emovo",
        clip_id=match[0],
        speaker=speaker,
        emotion=known(_EMOTIONS, emotion, "EMOVO has no emotion"),
        sex="female" if speaker.startswith("f") else "male",
        statement=sentence,
    )


CORPUS = Corpus("emovo", _NAME, _clip)
