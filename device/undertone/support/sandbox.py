"""Runs something in a child process, which may crash in place of this one."""

import faulthandler
import os
import resource
import select
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

MEMORY_BYTES = 256 * 2**20
"""Memory that the child may take beyond what it starts with; a shipped model takes 3 MiB."""

SECONDS = 10
"""Limit of processor time, a third of that of elapsed time; a shipped model takes 0.01 s."""


def crash_of(task: Callable[[], object]) -> str | None:
    """How ``task`` crashes a process, in a few words; None if it returns or raises an exception.

    To see an exception, call it in this process too.  The child's memory and time are limited.
    """
    ready, held = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 and later warn of threads: the task uses none
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _endure(task)
    os.close(held)
    ended, _, _ = select.select([ready], [], [], 3 * SECONDS)  # the child's end is at its end
    os.close(ready)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if not ended or code == -signal.SIGXCPU:
        return "it does not come to an end"
    if code == 0:
        return None
    return signal.strsignal(-code) if code < 0 else f"exit status {code}"


def _endure(task: Callable[[], object]) -> None:
    """The child: never returns."""
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + SECONDS
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_CPU, seconds)
        _limit(resource.RLIMIT_AS, _memory_bytes() + MEMORY_BYTES)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        faulthandler.disable()  # what the parent does about crashes is for the parent's
        task()
    finally:  # whatever was raised: no other code of this program may run in the child
        os._exit(0)


def _limit(what: int, value: int) -> None:
    """Lower a limit, unless it is already lower."""
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, hard))


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
