"""ASED: 65 Amharic speakers, 27 sentences, five emotions (Retta et al. 2023, ACM TALLIP 22(1)).

Names are emotion with its folder's number, sentence, repetition, sex and speaker, as the README of
github.com/Ethio2021/ASED_V1 says: ``a5-03-01-02-50.wav``.  No licence is stated: for tests only.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, UnusableNameError, known

_NAME = re.compile(r"([a-zA-Z][0-9])-([0-9]{2})-([0-9]{2})-(0[12])-([0-9]{2})")
_SPEAKERS = range(1, 66)
_MISPRINTED = frozenset({"09", "15", "21", "23", "25"})
"""Women, each of whom is a man in the name of one of her clips."""
_EMOTIONS = {"n1": "neutral", "f2": "fearful", "h3": "happy", "s4": "sad", "a5": "angry"}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    code, sentence, repetition, sex, speaker = match.groups()
    code = code.lower()  # one published name begins with a capital: S4-04-02-01-29.wav
    if int(speaker) not in _SPEAKERS:
        raise UnusableNameError(f"ASED has no speaker {speaker}")
    return Clip(
        source=source,
        corpus="ased",
        clip_id=match[0].lower(),
        speaker=speaker,
        emotion=known(_EMOTIONS, code, "ASED has no emotion"),
        sex="female" if sex == "01" or speaker in _MISPRINTED else "male",
        # sentences 01 and 02 are those that were said in every emotion
        statement=sentence if sentence in ("01", "02") else f"{code}-{sentence}",
        repetition=int(repetition),
    )


CORPUS = Corpus("ased", _NAME, _clip)
