"""Keeps what native libraries print off the user's screen."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

STDOUT, STDERR = 1, 2


@contextmanager
def silenced(*descriptors: int) -> Iterator[None]:
    """Discard what is written to these file descriptors, and to Python's streams on them.

    Exceptions are unaffected.  What is discarded is of no use: notices that C++ code prints
    whatever its settings ("Created XNNPACK delegate").
    """
    _flush()
    saved = {}
    for descriptor in descriptors:
        with suppress(OSError):  # closed: nothing to silence
            saved[descriptor] = os.dup(descriptor)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in saved:
            os.dup2(sink, descriptor)
        yield
    finally:
        _flush()
        for descriptor, kept in saved.items():
            os.dup2(kept, descriptor)
            os.close(kept)
        os.close(sink)


@cache
def mute_c_stderr() -> None:
    """Discard what C code prints to its ``stderr`` from now on, but not what Python prints.

    For libraries that print from their own threads, at unpredictable times.
    """
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with suppress(ValueError):  # a C library without this name: its notices are printed
        ctypes.c_void_p.in_dll(libc, "stderr").value = libc.fopen(os.devnull.encode(), b"we")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
