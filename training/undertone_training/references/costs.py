"""Measures the latency, memory and size of a run in a separate process.

A clip of 3 s goes through the whole system, from samples to an emotion.  The form ``float`` is
librosa and a Keras model in one program, as a user would write it, also for our runs.  The form
``int8`` is a TFLite file with the system's own features: for our runs those of the device, which
detects the speech first.
"""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Block, Samples
from undertone.recognition.classifier import network_input
from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.quantization import quantize
from undertone.recognition.speech_gate import Segment
from undertone.recognition.windows import split_windows
from undertone_training.errors import RunError
from undertone_training.learning.runs import Run
from undertone_training.progress import Progress, silent
from undertone_training.references.features import fixed

FORMS = ("float", "int8")
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)

Windows = NDArray[np.float32]


class System(NamedTuple):
    """The steps of a system: samples to segments, segments to windows, windows to outputs."""

    detect: Callable[[Samples], Sequence[Samples]]
    windows: Callable[[Sequence[Samples]], Windows]
    infer: Callable[[Windows], object]


class Latency(msgspec.Struct, frozen=True):
    """Percentiles over the calls, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float


class Measured(msgspec.Struct, frozen=True):
    """The cost of one form of one recipe on one machine, with one thread.

    detection: finding the speech in 3 s; next to nothing for systems that use all of it.
    features, inference: for all 3 s, as if all of it were speech.
    whole: from samples to an emotion; cold_start_s: from the start of the process to the
        first emotion, including imports and the loading of the model.
    peak_memory_bytes: largest resident set of the process.
    """

    recipe: str
    form: str
    detection: Latency
    features: Latency
    inference: Latency
    whole: Latency
    cold_start_s: float
    peak_memory_bytes: int
    file_bytes: int


class Costs(msgspec.Struct, frozen=True):
    """The result of one run of ``undertone-train measure``.

    unquantized: by recipe, why a network has no int8 form.
    """

    processor: str
    python: str
    calls: int
    measured: tuple[Measured, ...]
    unquantized: dict[str, str]


def measure_all(runs: Sequence[Run], calls: int, progress: Progress = silent) -> Costs:
    """Measure every form of each run, one after another; raises RunError."""
    unquantized = {
        run.info.recipe.name: run.unquantized.read_text().strip()
        for run in runs
        if run.unquantized.exists()
    }
    work = [
        (run, form)
        for run in runs
        for form in FORMS
        if form == "float" or run.info.recipe.name not in unquantized
    ]
    found = []
    with progress("measured", len(work)) as step:
        for run, form in work:
            found.append(measure(run, form, calls))
            step(f"{run.info.recipe.name} {form}")
    return Costs(**machine(), calls=calls, measured=tuple(found), unquantized=unquantized)


def measure(run: Run, form: str, calls: int) -> Measured:
    """Measure one form of a run in a separate process; raises RunError if that fails."""
    command = (sys.executable, "-m", __spec__.name, str(run.folder), form, str(calls))
    started = subprocess.run(
        [*command, repr(time.time())],
        env={**os.environ, **ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if started.returncode:
        *_, last = ["no message", *started.stderr.strip().splitlines()]
        raise RunError(f"The {form} model of {run.folder} can't be measured: {last}.")
    return msgspec.json.decode(started.stdout.splitlines()[-1], type=Measured)


def three_seconds() -> Samples:
    """A packaged clip in the device's format, truncated or padded to 3 s."""
    from undertone import samples
    from undertone.audio.files import read_blocks

    sound = np.concatenate([block.samples for block in read_blocks(samples.clips()[3])])
    clip: Samples = fixed(sound, 16_000).astype(np.int16)
    return clip


def system_of(run: Run, form: str) -> System:
    """The steps of a run in one of the ``FORMS``."""
    recipe, normalization = run.info.recipe, run.calibration.normalization
    detect, frames_of = _front_end(run, form)

    def windows(spoken: Sequence[Any]) -> Windows:
        pieces = [
            split_windows(np.asarray(frames_of(each), np.float64), recipe.windowing)
            for each in spoken
        ]
        given = network_input(np.concatenate(pieces), recipe.windowing, normalization, recipe.mfcc)
        return given.astype(np.float32)

    return System(detect, windows, _keras(run) if form == "float" else _tflite(run))


def _front_end(
    run: Run, form: str
) -> tuple[Callable[[Samples], Sequence[Any]], Callable[[Any], NDArray[Any]]]:
    """From samples to pieces with speech, and from a piece to its frames.

    A piece is samples, or a segment behind the device's gate, which has computed its frames.
    """
    front = run.info.recipe.front_end
    if not isinstance(front, MfccConfig):
        return _everything, front.compute
    if form == "float":
        return _everything, lambda samples: _librosa_mfcc(samples, front)
    from undertone_training.features.gate import speech_of

    mfcc = Mfcc(front)
    return (
        lambda samples: speech_of(samples, run.info.recipe.gate, front),
        lambda piece: piece.frames if isinstance(piece, Segment) else mfcc.compute(piece),
    )


def _everything(samples: Samples) -> Sequence[Samples]:
    return [samples]


def _librosa_mfcc(samples: Samples, config: MfccConfig) -> NDArray[np.floating[Any]]:
    """The MFCC as computed without the device's code."""
    import librosa

    frames: NDArray[np.floating[Any]] = librosa.feature.mfcc(
        y=samples.astype(np.float32) / 32768, sr=config.sample_rate_hz,
        n_mfcc=config.n_coefficients, n_fft=config.fft_length, hop_length=config.hop_length,
        n_mels=config.n_filters, center=False,
    )  # fmt: skip
    return frames.T


def _keras(run: Run) -> Callable[[Windows], object]:
    import keras

    model = keras.models.load_model(run.model, compile=False)
    return lambda windows: np.asarray(model(windows, training=False))


def _tflite(run: Run) -> Callable[[Windows], object]:
    q = run.quantization
    interpreter = Int8Interpreter(run.tflite.read_bytes())

    def infer(windows: Windows) -> list[NDArray[np.int8]]:
        return [
            interpreter.invoke(quantize(each[np.newaxis], q.input_scale, q.input_zero_point))
            for each in windows
        ]

    return infer


def _whole(run: Run, form: str, system: System) -> Callable[[Samples], object]:
    """All steps one after another; for our int8 models, the device's own path."""
    if form == "int8" and run.info.recipe.features == "device":
        from undertone.recognition.pipeline import classify
        from undertone_training.export.bundle import classifier_of

        classifier = classifier_of(run)
        return lambda samples: classify([Block(samples, 0.0)], classifier)
    return lambda samples: system.infer(system.windows(system.detect(samples)))


def _latency(call: Callable[[], object], calls: int) -> Latency:
    for _ in range(3):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return Latency(*np.percentile(times, [50, 90, 99]).round(3).tolist())


def _measured(run: Run, form: str, calls: int, process_start_s: float) -> Measured:
    """Measure in this process, which does nothing else."""
    clip = three_seconds()
    system = system_of(run, form)
    whole = _whole(run, form, system)
    whole(clip)
    cold_start_s = round(time.time() - process_start_s, 2)
    windows = system.windows([clip])
    file = run.model if form == "float" else run.tflite
    return Measured(
        recipe=run.info.recipe.name,
        form=form,
        detection=_latency(lambda: system.detect(clip), calls),
        features=_latency(lambda: system.windows([clip]), calls),
        inference=_latency(lambda: system.infer(windows), calls),
        whole=_latency(lambda: whole(clip), calls),
        cold_start_s=cold_start_s,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        file_bytes=file.stat().st_size,
    )


def machine() -> dict[str, str]:
    """The processor and the Python version of the figures."""
    from undertone.diagnostics.machine_state import processor

    return {"processor": processor(), "python": platform.python_version()}


def main(folder: str, form: str, calls: str, process_start_s: str) -> None:
    """Print one ``Measured`` as a line of JSON."""
    found = _measured(Run(Path(folder)), form, int(calls), float(process_start_s))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
