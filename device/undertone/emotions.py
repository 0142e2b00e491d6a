"""The eight emotions of RAVDESS and the colour of each, for every screen and picture."""

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The emotions in the order of RAVDESS's codes, 01 to 08."""

HIGH_ACTIVATION = ("happy", "angry", "fearful", "surprised")
LOW_ACTIVATION = ("neutral", "calm", "sad")
"""The emotions of an excited voice and of a quiet one; disgust is neither."""

COLOURS = {
    "neutral": "#AAAAAA",
    "calm": "#64CAFF",
    "happy": "#E8D261",
    "sad": "#0064B7",
    "angry": "#C74303",
    "fearful": "#AF7BB5",
    "disgust": "#06A164",
    "surprised": "#EE8400",
}
"""The palette of Okabe and Ito (2008) with grey instead of black and each hue shifted a little.
Any two colours are at least 22 apart in CIELAB for normal and dichromatic vision (Machado et al.
2009), where the original with grey falls to 7, and all are visible on white and on black."""

NO_SPEECH = "no-speech"
"""The verdict on a recording without speech."""

OTHER_COLOUR = "#676767"
"""For ``uncertain`` and labels of other models; as far from the colour of every emotion."""

NO_SPEECH_COLOUR = "#BEE6B9"
"""As far from all of the others, which a third grey would not be."""


def colour(label: str) -> str:
    """The colour of ``label``, an emotion or a verdict, as ``#RRGGBB``."""
    return NO_SPEECH_COLOUR if label == NO_SPEECH else COLOURS.get(label, OTHER_COLOUR)
