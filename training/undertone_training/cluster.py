"""A connection to the scheduler of a Dask cluster, whose workers have the same program."""

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from undertone.errors import RuntimeMissingError, WorkerError
from undertone.support.installation import add_extra
from undertone_training.errors import RunError

_TIMEOUT_S = 5
"""After what time without an answer there is no scheduler."""

_ALIKE = {"undertone": "Undertone", "python": "Python", "distributed": "Dask"}
"""What every machine must have in the same version: what is sent are pickles."""


class Cluster:
    """The workers of a scheduler.

    executor: runs functions on them.  at_once: how many at the same time, as last checked.
    """

    def __init__(self, address: str, client: Any, say: Callable[[str], None]) -> None:
        """Raises RunError as ``check`` does."""
        self._address, self._client, self._say = address, client, say
        self._checked: frozenset[str] | None = None
        self.at_once = 0
        self.check()
        self.executor: Executor = client.get_executor(pure=False)

    def check(self) -> None:
        """Find out which workers there are, and say so if there are none.

        Raises RunError if one, or the scheduler, has other versions than this process.
        """
        if self._client.status != "running":
            return  # its futures are cancelled
        try:
            threads = self._client.nthreads()
            if threads.keys() == self._checked:
                return
            versions = self._client.get_versions(packages=["undertone"])
        except OSError:  # likewise
            return
        self.at_once = sum(threads.values())
        self._checked = frozenset(threads)
        here = versions["client"]
        self._require_same("scheduler", versions["scheduler"], here)
        for worker, found in versions["workers"].items():
            self._require_same(f"worker {worker}", found, here)
        if not threads:
            self._say(
                f"the scheduler {self._address} has no worker: waiting for one, as `dask worker "
                f"{self._address} --nthreads 1` starts it"
            )

    def _require_same(self, who: str, found: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        for package, title in _ALIKE.items():
            there, ours = (_short(package, each["packages"].get(package)) for each in (found, here))
            if there == ours:
                continue
            what = f"has {title} {there}" if there else f"does not have {title}"
            raise RunError(
                f"The {who} {what}, and this is {ours}: install the same version "
                "on every machine, and start it again."
            )


@contextmanager
def connected(
    address: str, say: Callable[[str], None], patience_s: float = 0.0
) -> Iterator[Cluster]:
    """A connection to the scheduler at ``address``.

    patience_s: how long one that has gone away is waited for.
    Raises RunError if it is not there, RuntimeMissingError without Dask.
    """
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise RuntimeMissingError(
            f"distributed, which speaks to the scheduler, is not installed: {add_extra('cluster')}."
        ) from error
    if not re.fullmatch(r"((tcp|tls)://)?[^/\s]+:[0-9]{1,5}", address):
        raise RunError(_absent(address))
    _require_fitting_tls(distributed.Security, address)
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said in words
    warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
    if patience_s:
        say(
            f"the scheduler {address} has gone away; waiting for it, for up to "
            f"{patience_s / 60:g} minutes"
        )
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            client = distributed.Client(address, timeout=_TIMEOUT_S, set_as_default=False)
            break
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline_s:
                raise RunError(_absent(address, patience_s)) from error
        time.sleep(1)
    try:
        yield Cluster(address, client, say)
    except distributed.KilledWorker as error:  # several, one after another
        raise WorkerError from error
    finally:
        # Dask's own, where it was just connecting again; it would hide why the work ended
        with suppress(RuntimeError):
            client.close()


def _require_fitting_tls(security: Callable[[], Any], address: str) -> None:
    """Raise RunError where Dask's own errors would be obscure."""
    encrypted = address.startswith("tls://")
    try:
        settings = security()
        has_certificate = settings.get_connection_args("client")["ssl_context"] is not None
    except OSError as error:
        raise RunError(
            f"The certificate or key of Dask's settings can't be read ({error.strerror})."
        ) from error
    if encrypted and not has_certificate:
        raise RunError(
            f"{address} needs a certificate: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "…__CLIENT__CERT and …__CLIENT__KEY."
        )
    if settings.require_encryption and not encrypted:
        raise RunError(
            f"Dask's settings require encryption: give an address that begins with tls://, not "
            f"{address}."
        )


def _absent(address: str, waited_s: float = 0.0) -> str:
    if waited_s:
        return (
            f"The scheduler {address} has not answered for {waited_s / 60:g} minutes: the same "
            "command continues when it does."
        )
    return (
        f"There is no Dask scheduler at {address}: start one with `dask scheduler`, and give the "
        "address that it prints to --scheduler."
    )


def _short(package: str, version: str | None) -> str:
    """What decides; pickles are alike in Python 3.11.2 and 3.11.9."""
    return ".".join((version or "").split(".")[: 2 if package == "python" else None])
