"""URDU: 400 utterances of 38 speakers in talk shows, four emotions (Latif et al. 2018, FIT).

Names are speaker, the number of the clip among the speaker's, and the emotion's initial with its
number, as in github.com/siddiquelatif/URDU-Dataset: ``Angry/SM1_F10_A010.wav``.  Its README allows
use for research only.
"""

import re

from undertone_training.corpora.clip import AudioRef, Clip, Corpus, known

_NAME = re.compile(r"(S[FM][0-9]{1,2})_F[0-9]{1,2}_([A-Z])0[0-9]{1,3}")
_EMOTIONS = {"N": "neutral", "H": "happy", "S": "sad", "A": "angry"}


def _clip(source: AudioRef, match: re.Match[str]) -> Clip:
    speaker, emotion = match.groups()
    return Clip(
        source=source,
        corpus="urdu",
        clip_id=match[0],
        speaker=speaker,
        emotion=known(_EMOTIONS, emotion, "URDU has no emotion"),
        sex="female" if speaker.startswith("SF") else "male",
    )


CORPUS = Corpus("urdu", _NAME, _clip)
