"""Fixtures for every test, independent of who runs them and on how many workers."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from virtual_microphone import VirtualMicrophone, what_is_missing

# a busy machine fails no test
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")

# Before NumPy is imported, and as in the program of the device: the matrices are small, and while
# the other worker computes a second thread makes an MFCC and a fit several times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_DATA = {"UNDERTONE_DATA", "UNDERTONE_CACHE"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a virtual microphone listen in real time: one after another, on one worker."""
    for item in items:
        if item.get_closest_marker("microphone"):
            item.add_marker(pytest.mark.xdist_group("microphone"))


@pytest.fixture(autouse=True, scope="session")
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ignore the settings of the user who runs the tests, and leave their journal untouched."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - _DATA:
            if name.startswith("UNDERTONE_"):
                patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        yield


@pytest.fixture(scope="session")
def _virtual_microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMicrophone]:
    if missing := what_is_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("microphone")
    folder.chmod(0o700)
    microphone = VirtualMicrophone(folder)
    yield microphone
    microphone.kill()


@pytest.fixture
def virtual_microphone(_virtual_microphone: VirtualMicrophone) -> VirtualMicrophone:
    """The session's microphone, running (a test may have killed it)."""
    _virtual_microphone.start()
    return _virtual_microphone


@pytest.fixture(autouse=True)
def _nobodys_signals() -> Iterator[None]:
    """A test that listens in this process leaves its signals as they were."""
    kept = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
