"""EMO-DB: ten German actors, ten sentences, seven emotions (Burkhardt et al. 2005, Interspeech).

Names are speaker, sentence, emotion's German initial and version: ``03a01Fa.wav``.
Free to download, without a licence.
"""

import re
from string import ascii_lowercase

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, Sex, UnusableNameError, known

_NAME = re.compile(r"([0-9]{2})([ab][0-9]{2})([A-Z])([a-z])")
_SEXES: dict[str, Sex] = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "12": "male",
    "13": "female",
    "14": "female",
    "15": "male",
    "16": "female",
}
_EMOTIONS = {
    "N": "neutral",
    "F": "happy",  # Freude
    "T": "sad",  # Trauer
    "W": "angry",  # Wut
    "A": "fearful",  # Angst
    "E": "disgust",  # Ekel
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    speaker, sentence, emotion, version = match.groups()
    sex = known(_SEXES, speaker, "EMO-DB has no speaker")
    if emotion == "L":  # Langeweile
        raise UnusableNameError("EMO-DB's boredom has no counterpart among the emotions")
    return Clip(
        source=source,
        corpus="emodb",
        clip_id=match[0],
        speaker=speaker,
        emotion=known(_EMOTIONS, emotion, "EMO-DB has no emotion"),
        sex=sex,
        statement=sentence,
        repetition=ascii_lowercase.index(version) + 1,
    )


CORPUS = Corpus("emodb", _NAME, _clip)
