"""Keep what native libraries print about themselves off the user's screen."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

STDOUT, STDERR = 1, 2


@contextmanager
def silenced(*descriptors: int) -> Iterator[None]:
    """Send these file descriptors, and Python's streams on them, nowhere for a while.

    Exceptions are unaffected.  What is suppressed is of no use to anybody: notices that C++ code
    prints regardless of settings ("Created XNNPACK delegate").
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
    """Send what C code prints to its ``stderr`` nowhere from now on; Python's is another stream.

    For libraries that print from threads of their own, at a time that no one can foresee.
    """
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    with suppress(ValueError):  # a C library without this name: its notices stay
        ctypes.c_void_p.in_dll(libc, "stderr").value = libc.fopen(os.devnull.encode(), b"we")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
