"""What the authors of the reference systems report, each for a random split of the clips."""

import msgspec


class Published(msgspec.Struct, frozen=True):
    """A published figure.

    variant: of the protocol ``speaker-dependent``.  accuracy: from 0 to 1; None if there is none
    for this corpus.  words: the figure as reported.
    """

    variant: str
    accuracy: float | None
    words: str


PUBLISHED = {
    "mfcc-cnn": Published("speech, 8 emotions", 0.75, "class accuracy > 75 %, F1 > 80 %"),
    "cnn-bigru": Published("speech, song, 8 emotions", 0.80, "accuracy 80 %, macro F1 80 %"),
    "cnn-lstm-5": Published("speech, 5 emotions", 0.88, "accuracy 88 %"),
    "cnn-bilstm-multi": Published(
        "speech, song, 8 emotions", 0.59, "accuracy 59.0 %, macro F1 63 %"
    ),
    "cnn-bilstm-multi-3d": Published("speech, song, 8 emotions", None, "no figure of its own"),
    "deep-cnn-1d": Published("speech, song, 8 emotions", 0.68, "validation accuracy about 68 %"),
    "light-sernet": Published("speech, 8 emotions", None, "other corpora only"),
}
"""By recipe."""
