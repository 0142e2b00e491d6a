"""A microphone without hardware: a PulseAudio server whose null sink is recorded."""

import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest

ALSA_PLUGIN = Path("/usr/lib", str(sysconfig.get_config_var("MULTIARCH")), "alsa-lib")
ALSA_PLUGIN /= "libasound_module_pcm_pulse.so"


class VirtualMicrophone:
    """What is played is what is recorded, sample for sample, at 16 kHz in mono.

    ``env`` is the environment of a program that should hear it.  The server can be stopped
    and continued (SIGSTOP, SIGCONT), killed and started again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{folder}/native",
            "ALSA_CONFIG_PATH": f"{folder}/asound.conf",
        }
        # Without norewinds the first samples come more than a second late.
        (folder / "pa.pa").write_text(
            f"load-module module-native-protocol-unix socket={folder}/native auth-anonymous=1\n"
            "load-module module-null-sink sink_name=spk rate=16000 channels=1 format=s16le"
            " norewinds=1\n"
            "set-default-sink spk\n"
            "set-default-source spk.monitor\n"
        )
        (folder / "asound.conf").write_text(
            f'pcm_type.pulse {{ lib "{ALSA_PLUGIN}" }}\n'
            f'pcm.default {{ type pulse; server "unix:{folder}/native" }}\n'
        )
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server where it does not run, and wait until it answers."""
        if self._server and self._server.poll() is None:
            return
        options = ["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        options += ["--disable-shm=yes", "--log-level=error"]
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(self.folder / "pa.pa"), *options], env=self.env
        )
        deadline = time.monotonic() + 20
        while subprocess.run(["pactl", "info"], env=self.env, capture_output=True).returncode:
            assert time.monotonic() < deadline, "the PulseAudio server does not answer"
            time.sleep(0.05)

    def play(self, path: Path) -> None:
        """Say a WAV file into the microphone; returns when it has been said."""
        subprocess.run(["paplay", str(path)], env=self.env, check=True, timeout=120)

    def stop_server(self) -> None:
        """Freeze the server: silence, with no error anywhere."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Tear the microphone out."""
        if self._server and self._server.poll() is None:
            self._server.kill()
            self._server.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._server
        self._server.send_signal(number)


@pytest.fixture(scope="session")
def _virtual_microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMicrophone]:
    missing = [name for name in ("pulseaudio", "pactl", "paplay") if not shutil.which(name)]
    if missing or not ALSA_PLUGIN.exists() or not find_library("portaudio"):
        pytest.skip(
            "no virtual microphone: sudo apt install "
            "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
        )
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
