"""A microphone without hardware: a PulseAudio server whose null sink is recorded."""

import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from ctypes.util import find_library
from pathlib import Path

ALSA_PLUGIN = Path("/usr/lib", str(sysconfig.get_config_var("MULTIARCH")), "alsa-lib")
ALSA_PLUGIN /= "libasound_module_pcm_pulse.so"

# Without norewinds the first samples come more than a second late.
_SINK = ("rate=16000", "channels=1", "format=s16le", "norewinds=1")


def what_is_missing() -> str | None:
    """What a virtual microphone needs and this machine lacks, as a sentence; None if nothing."""
    missing = [name for name in ("pulseaudio", "pactl", "paplay") if not shutil.which(name)]
    if missing or not ALSA_PLUGIN.exists() or not find_library("portaudio"):
        return (
            "no virtual microphone: sudo apt install "
            "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
        )
    return None


class VirtualMicrophone:
    """What is played is what is recorded, sample for sample, at 16 kHz in mono.

    ``env`` is the environment for a program that records it.  The server can be stopped
    and continued (SIGSTOP, SIGCONT), killed and started again.
    """

    def __init__(self, folder: Path) -> None:
        """Keep what the server needs in ``folder``, which must be its user's alone (mode 700)."""
        self.folder = folder
        self.env = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{folder}/native",
            "ALSA_CONFIG_PATH": f"{folder}/asound.conf",
        }
        (folder / "pa.pa").write_text(
            f"load-module module-native-protocol-unix socket={folder}/native auth-anonymous=1\n"
            f"load-module module-null-sink sink_name=spk {' '.join(_SINK)}\n"
            "set-default-sink spk\n"
            "set-default-source spk.monitor\n"
        )
        (folder / "asound.conf").write_text(
            f'pcm_type.pulse {{ lib "{ALSA_PLUGIN}" }}\n'
            f'pcm.default {{ type pulse; server "unix:{folder}/native" }}\n'
        )
        self._server: subprocess.Popen[bytes] | None = None

    def env_naming(self, sinks: Sequence[str]) -> dict[str, str]:
        """``env`` for a program that finds the microphone of each sink by name, ``mic_`` before the
        sink's; the first is its default.
        """
        names = [("default", sinks[0]), *((f"mic_{sink}", sink) for sink in sinks)]
        config = self.folder / "named.conf"
        config.write_text(
            f'pcm_type.pulse {{ lib "{ALSA_PLUGIN}" }}\n'
            + "".join(
                f'pcm.{name} {{ type pulse; server "unix:{self.folder}/native"; '
                f'device "{sink}.monitor" }}\n'
                for name, sink in names
            )
        )
        return self.env | {"ALSA_CONFIG_PATH": str(config)}

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers."""
        if self._server and self._server.poll() is None:
            return
        options = ["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        options += ["--disable-shm=yes", "--log-level=error"]
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(self.folder / "pa.pa"), *options], env=self.env
        )
        deadline = time.monotonic() + 20
        while self._pactl("info").returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("the PulseAudio server does not answer")
            time.sleep(0.05)

    def play(self, path: Path) -> None:
        """Play a WAV file into the microphone; returns at its end."""
        subprocess.run(["paplay", str(path)], env=self.env, check=True, timeout=120)

    def stop_server(self) -> None:
        """Stop the server: silence without an error, until ``cont`` delivers everything late."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Continue a stopped server."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the server."""
        if self._server and self._server.poll() is None:
            self._server.kill()
            self._server.wait()

    def load(self, name: str = "spk") -> None:
        """Plug in a microphone; ``start`` plugs in the first one."""
        self._pactl("load-module", "module-null-sink", f"sink_name={name}", *_SINK)

    def unload(self, name: str = "spk") -> None:
        """Unplug it, while the server keeps running."""
        for line in self._pactl("list", "short", "modules").stdout.splitlines():
            number, _, arguments = line.split("\t")[:3]
            if f"sink_name={name}" in arguments.split():
                self._pactl("unload-module", number)

    def suspend(self, name: str = "spk") -> None:
        """Let it deliver nothing until ``resume``; the sound in between is lost."""
        self._pactl("suspend-sink", name, "1")

    def resume(self, name: str = "spk") -> None:
        """Let it deliver sound again."""
        self._pactl("suspend-sink", name, "0")

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["pactl", *arguments]
        return subprocess.run(command, env=self.env, capture_output=True, text=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._server is None:
            raise RuntimeError("the server was never started")
        self._server.send_signal(number)
