"""Imports TensorFlow without its notices."""

import importlib
import os

from undertone.support.native_output import STDERR, silenced


def load_tensorflow() -> None:
    """Import TensorFlow and Keras silently; call it before anything else imports them.

    TensorFlow's errors are exceptions and stay visible; ``TF_CPP_MIN_LOG_LEVEL=0`` in the
    environment brings its log back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # only read during the import
    with silenced(STDERR):  # TensorFlow logs a little before it reads the variable
        importlib.import_module("tensorflow")
        importlib.import_module("keras")
