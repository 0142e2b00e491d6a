"""Imports TensorFlow without its notices."""

import importlib
import os

from undertone.support.native_output import STDERR, silenced


def load_tensorflow(threads: int | None = None) -> None:
    """Import TensorFlow and Keras silently; call it before anything else imports them.

    threads: in which it computes, None for one per core; ``TF_NUM_INTRAOP_THREADS`` in the
        environment takes precedence.

    TensorFlow's errors are exceptions and stay visible; ``TF_CPP_MIN_LOG_LEVEL=0`` in the
    environment brings its log back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # only read during the import
    if threads:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(threads))
    with silenced(STDERR):  # TensorFlow logs a little before it reads the variable
        importlib.import_module("tensorflow")
        importlib.import_module("keras")
