"""The soak in a minute: hours of a file, and a microphone, with several kinds of fault once."""

import os
import subprocess

import pytest

import soak
from virtual_microphone import what_is_missing


@pytest.fixture
def _own_disk(tmp_path):
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.usefixtures("_own_disk")
def test_half_an_hour_of_a_file_loses_and_doubles_nothing():
    run = soak.soak_file(hours=0.4)
    assert list(soak.troubles(run)) == []
    assert run["audio_h"] >= 0.4
    assert run["faults"]["disk full"]["thrown"] >= 1
    assert run["segments"] >= 8 * 6


@pytest.mark.microphone
@pytest.mark.usefixtures("_own_disk")
def test_a_microphone_with_every_fault_is_still_used():
    if missing := what_is_missing():
        pytest.skip(missing)
    run = soak.soak_microphone(minutes=0.1, at_least=3)
    assert run["lost"] == run["doubled"] == 0
    assert {"server killed", "server stopped for 5 s", "disk full"} == set(run["faults"])


def test_what_is_lost_or_doubled_is_found():
    heard = [(0.9, "sad"), (5.0, "calm"), (9.0, "happy")]
    assert soak.compared(heard, heard) == (0, 0)
    assert soak.compared(heard, [(0.901, "sad"), (9.0, "happy")]) == (1, 0)
    assert soak.compared(heard, sorted([*heard, heard[1]])) == (0, 1)
    assert soak.compared(heard, [*heard[:2], (9.0, "calm")]) == (1, 1)
    assert soak.compared(heard, [*heard, (12.0, "sad")]) == (0, 1)
