"""Checks this machine and its settings, and reports how to fix what is wrong.

Each check is a function of what it looks at and returns a Finding, or None if it does not
apply to this machine.
"""

import grp
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from undertone.audio.address import NetworkAddress
from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.level import measure
from undertone.audio.microphone import Microphone
from undertone.audio.portaudio import InputDevice, choose_device, list_inputs
from undertone.audio.stream import NetworkInput, StreamFormat
from undertone.diagnostics.machine_state import Run, run, throttling
from undertone.errors import (
    AudioSourceError,
    NoMicrophoneError,
    RuntimeMissingError,
    UndertoneError,
)
from undertone.events import SourceLost
from undertone.paths import DEFAULT_BUNDLE
from undertone.recognition import bundle
from undertone.recognition.interpreter import installed_runtimes
from undertone.recognition.speech_gate import GateConfig
from undertone.support.installation import add_extra, pip_install, reinstallation

Status = Literal["ok", "warning", "problem"]

_LEAST_FREE_BYTES = 100 * 2**20  # twice the journal's default limit
_WHO_HOLDS_IT = (
    "close the program that `fuser -v /dev/snd/*` shows, unless it is a sound server (pipewire, "
    "pulseaudio); then `undertone devices --meter`"
)
_ANOTHER_FOLDER = "name a folder of your own with --journal"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; unless it is ok, ``remedy`` is how to fix it.

    The remedy is a command, or a sentence with commands in backticks.  No command in it may do
    harm, even if the check is wrong: it changes nothing that belongs to others, deletes nothing
    that can't be downloaded again, and ends no program.
    """

    name: str
    status: Status
    sentence: str
    remedy: str | None = None


def diagnose(
    model: str,
    microphones: Sequence[str | None],
    streams: Iterable[NetworkAddress],
    journal: Path,
) -> Iterator[Finding]:
    """Every check in turn; ``model`` names a bundle, None among ``microphones`` the default one."""
    yield check_python(sys.version_info[:2])
    runtime = check_runtime(installed_runtimes(), metadata.version("numpy"))
    yield runtime
    if runtime.status != "problem":  # otherwise the model could crash this program
        yield from check_bundle(model)
    if microphones:
        yield from check_sound_cards(microphones)
    for stream in streams:
        yield check_stream(partial(_stream_format, stream), stream)
    findings = check_journal_folder(journal), check_clock(run), check_power(run)
    yield from (finding for finding in findings if finding)


def check_bundle(name: str) -> Iterator[Finding]:
    """Load a bundle and check all of it."""
    loaded: list[bundle.Bundle] = []

    def open_model() -> str:
        loaded.append(bundle.load(name))
        return loaded[0].open()[0].runtime

    opened = check_model(open_model, name)
    yield opened
    if opened.status == "ok":
        yield check_gate(loaded[0].manifest.gate, name)


def check_sound_cards(microphones: Iterable[str | None]) -> Iterator[Finding]:
    """Check all that each of the microphones needs."""
    sound, devices = check_portaudio(list_inputs)
    yield sound
    for wanted in microphones if sound.status == "ok" else ():
        microphone = check_microphone(devices, wanted)
        yield microphone
        if microphone.status == "ok":
            device = choose_device(devices, wanted)
            yield check_rate(device)
            yield check_level(device.name, partial(_listen, wanted, seconds=1.0))
    if group := check_audio_group(_groups(), bool(devices)):
        yield group


def check_python(version: tuple[int, int]) -> Finding:
    """Check for Python 3.11 to 3.13, for which the runtimes have wheels."""
    shown = ".".join(map(str, version))
    if (3, 11) <= version <= (3, 13):
        return Finding("python", "ok", f"Python {shown}.")
    return Finding(
        "python",
        "problem",
        f"Python {shown} is not supported; 3.11 to 3.13 are.",
        "install Undertone with python3.11, python3.12 or python3.13",
    )


def check_runtime(runtimes: Sequence[str], numpy_version: str) -> Finding:
    """Check that there is a TFLite runtime, with a compatible NumPy."""
    if not runtimes:
        package = "tflite-runtime" if sys.version_info < (3, 12) else "ai-edge-litert"
        return Finding(
            "runtime", "problem", "No TFLite runtime is installed.", pip_install(package)
        )
    if runtimes[0] == "tflite-runtime" and int(numpy_version.partition(".")[0]) >= 2:
        return Finding(
            "runtime",
            "problem",
            f"tflite-runtime is built for NumPy 1 and crashes with NumPy {numpy_version}.",
            pip_install("numpy<2"),
        )
    return Finding("runtime", "ok", f"{runtimes[0]} with NumPy {numpy_version}.")


def check_model(open_model: Callable[[], str], name: str) -> Finding:
    """Check that the bundle and its model load; ``open_model`` returns the runtime's name."""
    try:
        return Finding("model", "ok", f"{name} loads with {open_model()}.")
    except UndertoneError as error:
        packaged = f"undertone doctor --model {DEFAULT_BUNDLE}"
        remedy = reinstallation() if name == DEFAULT_BUNDLE else packaged
        return Finding("model", "problem", str(error), remedy)
    except Exception as error:  # a broken installation can fail in any way; this check must not
        broken = f"{name} can't be loaded ({type(error).__name__}: {error})."
        return Finding("model", "problem", broken, reinstallation())


def check_gate(gate: GateConfig, name: str) -> Finding:
    """Check that the bundle's speech gate has the settings of this program.

    It works with its own in any case, because they cut the segments that it was trained on. Lead
    and tail may differ: its recipe chooses them.
    """
    expected = GateConfig(lead_s=gate.lead_s, tail_s=gate.tail_s)
    own, usual = (msgspec.to_builtins(each) for each in (gate, expected))
    differing = [f"{key} is {own[key]}, not {usual[key]}" for key in own if own[key] != usual[key]]
    if not differing:
        return Finding("speech gate", "ok", f"{name} uses this program's settings.")
    return Finding(
        "speech gate",
        "warning",
        f"{name} comes with other settings of the speech gate than this program, and uses them: "
        f"{', '.join(differing)}.",
        "install a bundle and a program of the same version",
    )


def check_portaudio(
    inputs: Callable[[], list[InputDevice]],
) -> tuple[Finding, list[InputDevice]]:
    """Check that PortAudio loads; also return the inputs that it lists."""
    try:
        return Finding("portaudio", "ok", "PortAudio is installed."), inputs()
    except RuntimeMissingError as error:
        problem, advice = str(error).removesuffix(".").rsplit(": ", 1)
        return Finding("portaudio", "problem", f"{problem}.", advice.removeprefix("run ")), []


def check_microphone(devices: Sequence[InputDevice], wanted: str | None) -> Finding:
    """Check that there is a microphone, and that the chosen one exists."""
    try:
        chosen = choose_device(devices, wanted)
    except NoMicrophoneError:
        none = "No microphone was found."
        return Finding("microphone", "problem", none, "plug one in; `arecord -l` lists the cards")
    except AudioSourceError as error:
        return Finding("microphone", "problem", str(error), "undertone devices")
    others = f", {len(devices) - 1} more" if len(devices) > 1 else ""
    return Finding("microphone", "ok", f"{chosen.name}{others}.")


def check_rate(device: InputDevice) -> Finding:
    """Check that the microphone supports the models' rate, or a higher one to resample."""
    rates = device.supported_rates_hz
    if SAMPLE_RATE_HZ in rates:
        return Finding("sample rate", "ok", f"{device.name} opens at 16 kHz.")
    if rates and rates[-1] < SAMPLE_RATE_HZ:
        return Finding(
            "sample rate",
            "warning",
            f"{device.name} opens only at {rates[-1] / 1000:g} kHz, but the models need 16: it "
            "may be a telephone headset.",
            "undertone devices",
        )
    if rates:
        return Finding(
            "sample rate",
            "ok",
            f"{device.name} opens at {rates[-1] / 1000:g} kHz and is resampled.",
        )
    return Finding(
        "sample rate",
        "warning",
        f"{device.name} opens at none of the usual rates: it may be in use.",
        _WHO_HOLDS_IT,
    )


def check_level(name: str, listen: Callable[[], Samples]) -> Finding:
    """Check that a second of a microphone's sound is neither digital silence nor clipped."""
    try:
        samples = listen()
    except AudioSourceError as error:
        return Finding("level", "problem", str(error), _WHO_HOLDS_IT)
    if not len(samples):
        nothing = f"{name} opens, but delivers no samples."
        return Finding("level", "problem", nothing, _WHO_HOLDS_IT)
    level = measure(samples)
    shown = f"{level.rms_dbfs:.0f} dBFS, peak {level.peak_dbfs:.0f}"
    if level.peak_dbfs == -np.inf:
        silent = f"{name} delivers only digital silence: it may be muted."
        return Finding("level", "warning", silent, "alsamixer")
    if level.clips:
        return Finding(
            "level", "warning", f"The sound of {name} is clipped ({shown}).", "alsamixer"
        )
    return Finding("level", "ok", f"The level of {name} is {shown}.")


def check_stream(open_stream: Callable[[], StreamFormat], name: str) -> Finding:
    """Check that a stream can be reached and has sound that the models can use."""
    try:
        form = open_stream()
    except RuntimeMissingError:
        needed = "Sound from the network needs PyAV, which is not installed."
        return Finding("stream", "problem", needed, add_extra("formats"))
    except AudioSourceError as error:
        problem, _, remedy = str(error).removesuffix(".").partition("; ")
        remedy = remedy or "check the address, the network, and the camera or server"
        return Finding("stream", "problem", f"{problem}.", remedy)
    shown = f"{form.codec}, {form.rate_hz / 1000:g} kHz, channels: {form.channels}"
    if form.rate_hz < SAMPLE_RATE_HZ:
        return Finding(
            "stream",
            "warning",
            f"{name} sends {shown}, but the models need 16 kHz: many verdicts will be `uncertain`.",
            "choose AAC or Opus at 16 kHz or more in the settings of the camera or server",
        )
    return Finding("stream", "ok", f"{name} sends {shown}.")


def check_audio_group(groups: Collection[str], sees_inputs: bool) -> Finding | None:
    """Check the group ``audio``, which may use sound cards unless the desktop manages them."""
    if "audio" in groups or "root" in groups:
        return Finding("group audio", "ok", "This user may use the sound cards.")
    if sees_inputs:
        return None
    return Finding(
        "group audio",
        "warning",
        "This user is not in the group audio and may have no access to sound cards.",
        '`sudo usermod -aG audio "$USER"`, then log in again',
    )


def check_journal_folder(folder: Path) -> Finding:
    """Check that the journal's folder can be written, or created, and its disk has room."""
    meant = Path(os.path.realpath(folder))  # what a command would change through ".." or a link
    there = next(path for path in (meant, *meant.parents) if os.path.lexists(path))
    if not os.access(there, os.F_OK) or not there.is_dir():
        return Finding(
            "journal",
            "problem",
            f"{folder} can't be written, because {there} is not an accessible folder.",
            _ANOTHER_FOLDER,
        )
    quoted = shlex.quote(str(there))
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return Finding(
            "journal",
            "problem",
            f"The disk of {folder} is read-only: a card may be worn out.",
            f"name a folder on another disk with --journal; `findmnt -T {quoted}` and "
            "`sudo dmesg --level=err,warn` may say why",
        )
    if not os.access(there, os.W_OK | os.X_OK):
        if there != meant and os.access(there, os.X_OK):  # it really does not exist
            remedy = f'sudo install -d -m 750 -o "$USER" {shlex.quote(str(meant))}'
        elif there.stat().st_uid == os.geteuid():
            remedy = f"chmod u+rwx {quoted}"
        else:
            remedy = _ANOTHER_FOLDER
        return Finding("journal", "problem", f"{folder} can't be written by this user.", remedy)
    free = shutil.disk_usage(there).free
    shown = f"{free / 2**20:,.0f} MiB free"
    if free < _LEAST_FREE_BYTES:
        return Finding(
            "journal",
            "warning",
            f"The disk of {folder} is almost full ({shown}).",
            "`sudo apt clean` deletes downloaded packages; "
            f"`du -xh --max-depth=2 {shlex.quote(str(_mount_point(there)))} | sort -h` shows what "
            "else is large",
        )
    return Finding("journal", "ok", f"{folder} can be written, {shown}.")


def check_clock(run: Run) -> Finding | None:
    """Check that the clock is synchronised: a Pi has no clock of its own."""
    answer = run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if answer is None or answer.strip() not in ("yes", "no"):
        return None
    if answer.strip() == "yes":
        return Finding("clock", "ok", "The clock is synchronised.")
    return Finding(
        "clock",
        "warning",
        "The clock is not synchronised, so the journal's times may be wrong.",
        "sudo timedatectl set-ntp true",
    )


def check_power(run: Run) -> Finding | None:
    """Check that a Raspberry Pi is not slowed down by a weak power supply or by heat."""
    power = throttling(run)
    if power is None:
        return None
    if not power.now and not power.since_boot:
        return Finding("power", "ok", "Power supply and temperature are fine.")
    sentence = (
        f"Now: {', '.join(power.now)}."
        if power.now
        else f"Earlier since boot: {', '.join(power.since_boot)}."
    )
    remedy = "use the official power supply and cool the processor"
    return Finding("power", "warning", sentence, remedy)


def _mount_point(path: Path) -> Path:
    return next(above for above in (path, *path.parents) if above.is_mount())


def _groups() -> set[str]:
    names = set()
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:  # a group without a name
            continue
    return names


def _listen(wanted: str | None, seconds: float) -> Samples:
    """The first ``seconds`` of the microphone; fewer if it is lost or delivers nothing."""
    samples: list[Samples] = []
    with Microphone(wanted) as microphone:
        for item in microphone:
            if isinstance(item, SourceLost):
                break
            if isinstance(item, Block):
                samples.append(item.samples)
            if sum(map(len, samples)) >= seconds * SAMPLE_RATE_HZ:
                break
    return np.concatenate(samples) if samples else np.empty(0, np.int16)


def _stream_format(address: NetworkAddress) -> StreamFormat:
    stream = NetworkInput(address).open(lambda *_: None)
    stream.close()
    return stream.form
