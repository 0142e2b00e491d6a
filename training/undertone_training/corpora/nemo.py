"""nEMO: nine Polish actors, 90 sentences, six emotions (Christop 2024, LREC-COLING).

Names are speaker, emotion and sentence: ``EB0_anger_12.wav``. They say everything that
``data.tsv`` says about a clip, except the speaker's sex, which is given here, and the text.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, Sex, UnusableNameError

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


def _parse(source: AudioRef) -> Clip | None:
    match = _NAME.fullmatch(source.name.stem)
    if not match:
        return None
    speaker, emotion, sentence = match.groups()
    if speaker not in _SEXES:
        raise UnusableNameError(f"nEMO has no speaker {speaker}")
    if emotion not in _EMOTIONS:
        raise UnusableNameError(f"nEMO has no emotion {emotion}")
    return Clip(
        corpus="nemo",
        clip_id=match[0],
        speaker=speaker,
        sex=_SEXES[speaker],
        emotion=_EMOTIONS[emotion],
        channel="speech",
        intensity=None,
        statement=sentence,
        repetition=None,
        source=source,
    )


CORPUS = Corpus("nemo", _parse, frozenset({"data.tsv"}))
