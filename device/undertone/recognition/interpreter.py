"""One adapter over the two TFLite runtimes, LiteRT and tflite-runtime.

LiteRT is preferred if it is installed: its XNNPACK kernels are several times faster on
x86-64, and it is the only one for Python 3.12 and later.  Both have the same interface.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from undertone.errors import BundleError, RuntimeMissingError
from undertone.recognition.quantization import Quantization
from undertone.support.native_output import STDERR, silenced
from undertone.support.sandbox import crash_of

RuntimeName = Literal["auto", "litert", "litert-builtin", "tflite-runtime"]
InstalledRuntime = Literal["litert", "litert-builtin", "tflite-runtime"]
"""``litert-builtin`` is LiteRT with its built-in kernels, without XNNPACK."""

_MODULES: dict[InstalledRuntime, str] = {
    "litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "litert-builtin": "ai_edge_litert.interpreter",
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape, dtype name and per-tensor quantisation of a model's input or output."""

    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


def installed_runtimes() -> list[InstalledRuntime]:
    """Names of the installed runtimes, the preferred one first; imports neither."""
    return [
        name
        for name, module in _MODULES.items()
        if importlib.util.find_spec(module.partition(".")[0]) is not None
    ]


class Int8Interpreter:
    """A full-int8 model with one input and one output, ready to invoke from any thread."""

    def __init__(
        self,
        model: bytes,
        runtime: RuntimeName = "auto",
        threads: int = 1,
        reference_kernels: bool = False,
    ) -> None:
        """Load ``model``, the content of a .tflite file.

        threads: one is the sound default: on a busy two-core machine two threads make the
            built-in int8 kernels 6 to 20 times slower.
        reference_kernels: the slow kernels whose results are the same bit for bit on every
            processor; for golden tests.

        Raises RuntimeMissingError and BundleError.
        """
        self.runtime = choose_runtime(runtime)
        module = _import(self.runtime)
        kernels = module.OpResolverType.AUTO
        if reference_kernels:
            kernels = module.OpResolverType.BUILTIN_REF
        elif self.runtime == "litert-builtin":
            kernels = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            with silenced(STDERR):
                self._interpreter: Any = module.Interpreter(
                    model_content=model,
                    num_threads=threads,
                    experimental_op_resolver_type=kernels,
                )
                self._interpreter.allocate_tensors()
                inputs = self._interpreter.get_input_details()
                outputs = self._interpreter.get_output_details()
        except (ValueError, RuntimeError, MemoryError) as error:  # ValueError: also of a name
            raise BundleError(
                f"The model can't be loaded by {self.runtime} ({_first_line(error)}): "
                "it is damaged or made for another runtime; install the bundle again."
            ) from error
        if len(inputs) != 1 or len(outputs) != 1:
            raise BundleError(
                f"The model has {len(inputs)} inputs and {len(outputs)} outputs instead of one "
                "each: build the bundle again."
            )
        self.input = _info(inputs[0])
        self.output = _info(outputs[0])
        self._invoking = Lock()  # the runtimes' interpreters are for one thread at a time
        self._input_index = inputs[0]["index"]
        self._output_index = outputs[0]["index"]

    @property
    def native(self) -> Any:
        """The runtime's own interpreter, to inspect the graph."""
        return self._interpreter

    @property
    def quantization(self) -> Quantization:
        """Scales and zero points of input and output."""
        given, got = self.input, self.output
        return Quantization(given.scale, given.zero_point, got.scale, got.zero_point)

    def invoke(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        """Run the model once; ``values`` int8 of ``input.shape``, returns ``output.shape``.

        Raises BundleError if the model is inconsistent.
        """
        with self._invoking:
            self._interpreter.set_tensor(self._input_index, values)
            try:
                self._interpreter.invoke()
            except (ValueError, RuntimeError) as error:
                raise BundleError(
                    f"The model can't be run by {self.runtime} ({_first_line(error)}): it is "
                    "damaged; install the bundle again."
                ) from error
            result: NDArray[np.int8] = self._interpreter.get_tensor(self._output_index)
        return result


def try_out(
    models: Iterable[bytes],
    runtime: RuntimeName = "auto",
    threads: int = 1,
    reference_kernels: bool = False,
) -> None:
    """Load ``models`` and run each once in a child process, with bounded memory and time.

    The runtimes are C++ code that trusts the model: tflite-runtime does not even check that offsets
    are within the file, so one wrong byte can crash the process.  Raises BundleError if it does.
    """
    load_runtime(runtime)  # here, so that it is not imported twice

    def run() -> None:
        for model in models:
            interpreter = Int8Interpreter(model, runtime, threads, reference_kernels)
            interpreter.invoke(np.zeros(interpreter.input.shape, np.int8))

    if end := crash_of(run):
        raise BundleError(
            f"The model crashes its runtime ({end}): it is damaged or malicious; "
            "install the bundle again."
        )


def choose_runtime(runtime: RuntimeName = "auto") -> InstalledRuntime:
    """The installed runtime that this name stands for; raises RuntimeMissingError."""
    installed = installed_runtimes()
    if runtime == "auto" and installed:
        return installed[0]
    if runtime in installed:
        return runtime
    if runtime == "auto":
        package = "tflite-runtime" if sys.version_info < (3, 12) else "ai-edge-litert"
        raise RuntimeMissingError(
            f"No inference runtime is installed: run `pip install {package}`."
        )
    raise RuntimeMissingError(f"No {runtime} is installed: run `pip install {_package(runtime)}`.")


def load_runtime(runtime: RuntimeName) -> None:
    """Import the runtime's library; raises RuntimeMissingError."""
    _import(choose_runtime(runtime))


def package_version(runtime: InstalledRuntime) -> str:
    """The version of the package of ``runtime``, which must be installed."""
    return metadata.version(_package(runtime))


def _package(runtime: InstalledRuntime) -> str:
    return _MODULES[runtime].partition(".")[0].replace("_", "-")


def _import(runtime: InstalledRuntime) -> Any:
    # Importing tflite-runtime for Arm makes the processor flush subnormal numbers to zero, of which
    # NumPy would warn when it first looks for the smallest one; so it looks before that.
    np.finfo(np.float64)
    try:
        return importlib.import_module(_MODULES[runtime])
    except ImportError as error:
        raise RuntimeMissingError(
            f"{runtime} is installed but can't be imported ({_first_line(error)}): "
            "run `undertone doctor`."
        ) from error


def _info(details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    return TensorInfo(
        tuple(int(size) for size in details["shape"]),
        np.dtype(details["dtype"]).name,
        float(scale),
        int(zero_point),
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
