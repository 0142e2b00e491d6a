"""Cross-entropy over the labels that a clip's corpus has."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("undertone")
class MaskedCrossentropy(keras.losses.Loss):  # type: ignore[misc]
    """Categorical cross-entropy with logits, without the labels whose target is negative.

    A corpus without disgust says nothing about disgust: the softmax is over the other labels, and
    over these goes the label smoothing.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "masked_crossentropy") -> None:
        """``label_smoothing``: share of the target that is spread equally over the labels."""
        super().__init__(name=name)
        self._label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each clip, shape (batch,); both arguments (batch, labels)."""
        present = ops.cast(y_true >= 0, y_pred.dtype)
        share = present / ops.sum(present, axis=-1, keepdims=True)
        target = ops.relu(y_true) * (1 - self._label_smoothing) + share * self._label_smoothing
        logs = ops.log_softmax(y_pred - (1 - present) * _FAR_BELOW, axis=-1)
        return -ops.sum(target * logs * present, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """What a saved network needs to make it again."""
        return {"label_smoothing": self._label_smoothing, "name": self.name}


_FAR_BELOW = 1e9
"""What is subtracted from a logit that must have no probability."""
