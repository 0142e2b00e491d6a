"""The eight emotions of RAVDESS and the colour of each, for every screen and picture."""

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""In the order of RAVDESS's emotion codes, 01 to 08."""

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
"""The palette of Okabe and Ito (2008), grey for its black, each hue shifted a little: any two
are 22 or more apart in CIELAB, to normal and to dichromatic eyes (Machado et al. 2009), where
the original with grey falls to 7; and all show on a white and on a black screen."""

OTHER_COLOUR = "#676767"
"""For ``uncertain`` and for labels of other models; as far from every emotion's."""


def colour(label: str) -> str:
    """The colour of ``label`` as ``#RRGGBB``."""
    return COLOURS.get(label, OTHER_COLOUR)
