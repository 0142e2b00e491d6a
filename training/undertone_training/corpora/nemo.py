"""nEMO: nine Polish actors, 90 sentences, six emotions (Christop 2024, LREC-COLING).

Names are speaker, emotion and sentence: ``EB0_anger_12.wav``. They say everything that
``data.tsv`` says about a clip, except the speaker's sex, which is given here, and the text.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, Sex, known

_NAME = re.compile(r"([A-Z]{2}[0-9])_([a-z]+)_([0-9]{1,3})")
_SEXES: dict[str, Sex] = {
    "EB0": "female",
    "IC0": "female",
    "KD0": "female",
    "KS0": "male",
    "MK0": "female",
    "MP0": "male",
    "SM0": "male",
    "TP0": "male",
    "WR0": "male",
}
_EMOTIONS = {
    "neutral": "neutral",
    "happiness": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "surprised": "surprised",
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    speaker, emotion, sentence = match.groups()
    return Clip(
        source=source,
        corpus="nemo",
        clip_id=match[0],
        speaker=speaker,
        sex=known(_SEXES, speaker, "nEMO has no speaker"),
        emotion=known(_EMOTIONS, emotion, "nEMO has no emotion"),
        statement=sentence,
    )


CORPUS = Corpus("nemo", _NAME, _clip, frozenset({"data.tsv"}), "CC BY-NC-SA 4.0")
