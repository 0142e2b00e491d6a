"""A microphone without hardware, for the tests that need a real one."""

from collections.abc import Iterator

import pytest

from virtual_microphone import VirtualMicrophone, what_is_missing


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
