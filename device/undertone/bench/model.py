"""What a bundle costs on any machine: counted in its model, not timed."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.bench.result import Accuracy, Model, Operator
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle, Manifest
from undertone.recognition.interpreter import RuntimeName


@dataclass(frozen=True)
class Graph:
    """The operators of a model in order of execution, and its tensors by index."""

    operators: list[dict[str, Any]]
    tensors: dict[int, dict[str, Any]]
    arena_bytes: int

    def output(self, operator: dict[str, Any]) -> int:
        """The index of an operator's output tensor."""
        return int(operator["outputs"][0])


def graph(loaded: Bundle, runtime: RuntimeName = "auto") -> Graph:
    """The graph of a bundle's model as the reference kernels run it, which keep every tensor."""
    model, _ = loaded.open(runtime, reference_kernels=True)
    native = model.native
    operators = native._get_ops_details()
    tensors = {int(tensor["index"]): tensor for tensor in native.get_tensor_details()}
    planned = {int(number) for operator in operators for number in operator["outputs"]}
    planned.add(int(native.get_input_details()[0]["index"]))
    views = [native.tensor(number)() for number in planned]
    begins = [view.__array_interface__["data"][0] for view in views]
    ends = [begin + view.nbytes for begin, view in zip(begins, views, strict=True)]
    return Graph(operators, tensors, max(ends) - min(begins))


def describe(folder: Path, runtime: RuntimeName = "auto") -> Model:
    """Count the cost of the bundle in ``folder``."""
    loaded = bundle.load(folder)
    network = graph(loaded, runtime)
    operators = tuple(_operator(operator, network) for operator in network.operators)
    manifest = loaded.manifest
    mfcc, window = manifest.mfcc, manifest.window
    return Model(
        bundle=manifest.name,
        sha256=manifest.model_sha256,
        file_bytes=len(loaded.model),
        parameters=sum(operator.parameters for operator in operators),
        multiply_accumulates=len(window.vocal_tracts)
        * sum(operator.multiply_accumulates for operator in operators),
        arena_bytes=network.arena_bytes,
        window_s=mfcc.span(window.frames) / SAMPLE_RATE_HZ,
        operators=operators,
        accuracy=accuracy(manifest),
    )


def _operator(operator: dict[str, Any], network: Graph) -> Operator:
    output = _shape(network.tensors[network.output(operator)])
    weights: tuple[int, ...] = ()
    parameters = 0
    if operator["op_name"] in _WEIGHTED:  # its inputs are the activations, weights and biases
        _, *constants = (network.tensors[int(index)] for index in operator["inputs"] if index >= 0)
        weights = _shape(constants[0])
        parameters = sum(math.prod(_shape(constant)) for constant in constants)
    return Operator(
        name=operator["op_name"],
        output_shape=output,
        parameters=parameters,
        multiply_accumulates=_multiply_accumulates(operator["op_name"], weights, output),
    )


_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


def _multiply_accumulates(name: str, weights: tuple[int, ...], output: tuple[int, ...]) -> int:
    """Those of convolutions and dense layers, counted as in ``undertone_training``.

    Each output takes one for every weight connected to it.  Weights have the shape (outputs, ...),
    those of a depthwise convolution (1, height, width, outputs).
    """
    if name not in _WEIGHTED:
        return 0
    of_one = weights[:-1] if name == "DEPTHWISE_CONV_2D" else weights[1:]
    return math.prod(output) * math.prod(of_one)


def _shape(tensor: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor["shape"])


def accuracy(manifest: Manifest) -> Accuracy | None:
    """The accuracy in the manifest: the mean over its seeds if there are several."""
    figures = manifest.figures
    try:
        form = figures["forms"]["int8"]
        seeds = figures.get("extra", {}).get("seeds", {}).get("int8")
        of_seeds = {name: seeds[name]["mean"] for name in ("uar", "accuracy")} if seeds else form
        shares = {name: of_seeds[name] for name in ("uar", "accuracy")}
        return msgspec.convert({"protocol": figures["protocol"], **shares}, Accuracy)
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError):
        return None  # figures may be anything
