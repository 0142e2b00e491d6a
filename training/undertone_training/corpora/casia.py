"""CASIA: four Chinese actors say 50 sentences in six emotions (Institute of Automation, CAS).

The distributed part has a folder for each speaker and in it one for each emotion; the file's number
names the sentence: ``liuchanhg/angry/201.wav``.  No licence is stated: for tests only.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, Sex, known

_NAME = re.compile(r"[0-9]{3}")
_SEXES: dict[str, Sex] = {
    "liuchanhg": "female",
    "wangzhe": "male",
    "zhaoquanyin": "female",
    "ZhaoZuoxiang": "male",
}
_EMOTIONS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fearful",
    "surprise": "surprised",
}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip | None:
    number, emotion = match[0], source.name.parent.name
    speaker = source.name.parent.parent.name
    if speaker not in _SEXES:
        return None
    return Clip(
        source=source,
        corpus="casia",
        clip_id=f"{speaker}_{emotion}_{number}",
        speaker=speaker,
        emotion=known(_EMOTIONS, emotion, "CASIA has no emotion"),
        sex=_SEXES[speaker],
        statement=number,
    )


CORPUS = Corpus("casia", _NAME, _clip)
