"""A bundle is hostile input: whatever does not fit is refused with a sentence that says what."""

import hashlib
import json
import shutil
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone.errors import BundleError
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.quantization import dequantize, quantize


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "copied"
    shutil.copytree(bundle.installed_bundles()[bundle.DEFAULT_BUNDLE], folder)
    return folder


def edit(folder, **changes):
    """Set keys of the manifest, given as ``outer__inner=value``.

    ``mfcc`` is set for the model and its detector, which must have the same.
    """
    changes |= {f"detector__{key}": value for key, value in changes.items() if key[:4] == "mfcc"}
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        target = manifest
        for name in outer:
            target = target[name]
        target[last] = value
    path.write_text(json.dumps(manifest))


MODELS = {"model.tflite": "model_sha256", "speech.tflite": "detector__model_sha256"}
"""The files of a bundle that are networks, and where the manifest keeps their SHA-256."""


def replace_model(folder, content, file="model.tflite"):
    (folder / file).write_bytes(content)
    edit(folder, **{MODELS[file]: hashlib.sha256(content).hexdigest()})


def test_every_installed_bundle_loads_and_opens():
    assert bundle.DEFAULT_BUNDLE in bundle.installed_bundles()
    for name in bundle.installed_bundles():
        loaded = bundle.load(name)
        assert loaded.manifest.name == name
        assert len(loaded.model) <= 150 * 1024
        assert len(loaded.detector) <= 50 * 1024
        Classifier(loaded)


def test_a_copy_loads_by_path(copy):
    assert bundle.load(copy).manifest == bundle.load().manifest
    assert bundle.load(str(copy)).model == bundle.load().model
    assert bundle.load(str(copy)).detector == bundle.load().detector


def test_a_bundle_of_an_older_schema_is_refused_with_what_to_do(copy):
    """Schema 1 had no detector."""
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text()) | {"schema_version": 1}
    for key in ("gate", "detector"):
        del manifest[key]
    path.write_text(json.dumps(manifest))
    (copy / "speech.tflite").unlink()
    with pytest.raises(BundleError) as refused:
        bundle.load(copy)
    assert str(refused.value) == (
        f"The bundle in {copy} has schema version 1, this program reads 2: install a bundle and a "
        "program of the same version."
    )


def test_a_manifest_survives_its_own_json():
    loaded = bundle.load()
    stored = json.loads((loaded.folder / bundle.MANIFEST_FILE).read_bytes())
    assert json.loads(bundle.manifest_json(loaded.manifest)) == stored
    again = bundle.parse_manifest(bundle.manifest_json(loaded.manifest), loaded.folder)
    assert again == loaded.manifest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 1}, "schema version 1"),
        ({"schema_version": 3}, "schema version 3"),
        ({"schema_version": None}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"window__frames": "many"}, "window.frames"),
        ({"window__frames": "96"}, "window.frames"),
        ({"window__frames": 0}, "frames must be from 1"),
        ({"window__frames": 2**30, "window__hop": 1}, "frames must be from 1"),
        ({"window__frames": 2048, "window__vocal_tracts": [1.0] * 16}, "energies a window"),
        ({"window__frames": 2048, "window__hop": 1}, "a second"),
        ({"mfcc__frame_length": 2**30, "mfcc__fft_length": 2**30}, "frame_length must be from"),
        ({"mfcc__fft_length": 2**30}, "fft_length must be from"),
        ({"mfcc__hop_length": 1}, "hop_length must be from"),
        ({"mfcc__sample_rate_hz": 10**400}, "sample_rate_hz must be 16000"),
        ({"mfcc__sample_rate_hz": 8000, "mfcc__high_hz": 4000}, "sample_rate_hz must be 16000"),
        ({"mfcc__lifter": 2**64}, "lifter must be from"),
        ({"mfcc__lifter": 2}, "lifter must leave something"),
        ({"mfcc__preemphasis": 1e300}, "preemphasis must be from"),
        ({"mfcc__energy_floor": 2**15}, "energy_floor must be from"),
        ({"mfcc__n_coefficients": 12.5}, "n_coefficients"),
        ({"mfcc__fft_length": 256}, "fft_length"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"confidence_threshold": 1.5}, "confidence_threshold"),
        ({"without_verdict": ["joyous"]}, "without_verdict must hold some of the labels"),
        ({"labels": ["happy"] * 8}, "labels must differ"),
        ({"labels": "happy"}, "labels"),
        ({"labels": ["happy", "sad\x1b[2J"]}, "labels"),
        ({"labels": ["happy", "s" * 1000]}, "labels"),
        ({"name": "../../elsewhere"}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"commit": "c" * 1000}, "commit"),
        ({"temperature": 1e-300}, "temperature"),
        ({"normalization__mean": [0.0]}, "means"),
        ({"normalization__deviation": [0.0] * 40}, "deviation"),
        ({"normalization__mean": [1e300] * 40}, "mean"),
        ({"quantization__output_scale": 1.7e308}, "output_scale"),
        ({"quantization__input_zero_point": 300}, "input_zero_point"),
        ({"model_sha256": "abc"}, "model_sha256"),
        ({"model_sha256": "0" * 64}, "model.tflite is not the model"),
        ({"gate__version": 1}, "gate.version"),
        ({"gate__threshold": 1.5}, "gate.threshold"),
        ({"gate__pause_s": 0}, "gate.pause_s"),
        ({"gate__longest_s": 1e9}, "gate.longest_s"),
        ({"gate__surprise": 1}, "surprise"),
        ({"detector__mfcc__n_filters": 50}, "detector.mfcc must be the same as mfcc"),
        ({"detector__mean": [0.0]}, "40 means and deviations"),
        ({"detector__deviation": [0.0] * 40}, "detector.deviation"),
        ({"detector__past": -1}, "detector.past"),
        ({"detector__ahead": 2**30}, "detector.ahead"),
        ({"detector__piece": 0}, "detector.piece"),
        ({"detector__quantization__output_scale": 0}, "output_scale"),
        ({"detector__corpora": ["two\nlines"]}, "detector.corpora"),
        ({"detector__model_sha256": "0" * 64}, "speech.tflite is not the model"),
    ],
)
def test_an_edited_manifest_is_refused_by_key(copy, changes, said):
    edit(copy, **changes)
    with pytest.raises(BundleError, match=said):
        bundle.load(copy)


@pytest.mark.parametrize(
    "key",
    ["labels", "mfcc", "quantization", "temperature", "training", "commit", "model_sha256",
     "schema_version", "gate", "detector"],
)  # fmt: skip
def test_a_missing_key_is_named(copy, key):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest[key]
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=key):
        bundle.load(copy)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ["happy", "sad"]}, "model's output has the shape"),
        ({"window__frames": 32, "window__hop": 8}, "model's input has the shape"),
        ({"quantization__input_scale": 1.0}, "model's input quantisation"),
        ({"quantization__output_zero_point": 3}, "model's output quantisation"),
        ({"detector__past": 1}, "detector's input has the shape"),
        ({"detector__piece": 1, "detector__ahead": 64}, "detector's input has the shape"),
        ({"detector__quantization__input_zero_point": 100}, "detector's input quantisation"),
        ({"detector__quantization__output_scale": 1.0}, "detector's output quantisation"),
    ],
)
def test_a_model_that_is_not_what_the_manifest_says_is_not_opened(copy, changes, said):
    edit(copy, **changes)
    with pytest.raises(BundleError, match=said):
        Classifier(bundle.load(copy))


def test_a_detector_with_another_length_of_answers_is_not_opened(copy):
    """The same frames in, divided otherwise into those before, answered and after."""
    detector = bundle.load(copy).manifest.detector
    edit(copy, detector__piece=detector.piece + 1, detector__past=detector.past - 1)
    with pytest.raises(BundleError, match="detector's output has the shape"):
        Classifier(bundle.load(copy))


def test_the_two_networks_are_not_confused(copy):
    loaded = bundle.load(copy)
    replace_model(copy, loaded.detector)
    replace_model(copy, loaded.model, "speech.tflite")
    with pytest.raises(BundleError, match="model's input has the shape"):
        Classifier(bundle.load(copy))


@pytest.mark.parametrize("file", MODELS)
@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 1000, b"not a model " * 5000])
def test_a_model_that_is_none_is_refused(copy, content, file):
    replace_model(copy, content, file)
    with pytest.raises(BundleError, match="can't be loaded"):
        Classifier(bundle.load(copy))


@pytest.mark.parametrize("file", MODELS)
def test_a_truncated_model_is_refused_before_any_runtime_sees_it(copy, file):
    model = copy / file
    model.write_bytes(model.read_bytes()[:-1000])
    with pytest.raises(BundleError, match=f"{file} is not the model"):
        bundle.load(copy)


@pytest.mark.parametrize("file", MODELS)
def test_a_huge_model_is_not_read_into_memory(copy, file):
    with (copy / file).open("r+b") as opened:
        opened.truncate(40 * 2**30)  # sparse: takes no room on the disk
    with pytest.raises(BundleError, match=f"{file} is larger than 16 MiB"):
        bundle.load(copy)


@pytest.mark.parametrize("file", MODELS)
def test_a_missing_model_is_reported(copy, file):
    (copy / file).unlink()
    with pytest.raises(BundleError, match=rf"{file} can't be read .*: install the bundle again"):
        bundle.load(copy)


def test_names_that_are_no_bundle_are_reported(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="is not a bundle"):
        bundle.load(tmp_path / "empty")
    with pytest.raises(BundleError, match="did you mean 'ravdess8-compact"):
        bundle.load("ravdess8-compct")
    for no_path in ("x" * 5000, "null\0"):
        with pytest.raises(BundleError, match="There is no bundle called"):
            bundle.load(no_path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_as_a_manifest_give_a_bundle_error(content):
    with pytest.raises(BundleError):
        bundle.parse_manifest(content, bundle.load().folder)


def test_a_damaged_manifest_is_refused_or_still_valid(copy):
    """Any one byte changed: an error of ours, or a manifest that passes every check."""
    edit(copy, figures={}, training__recipe={}, training__train_speakers=["01"], tools={})
    numbers = {"mean": [0.5] * 40, "deviation": [1.5] * 40}
    for part in ("normalization", "detector"):
        edit(copy, **{f"{part}__{key}": value for key, value in numbers.items()})
    edit(copy, detector__training={})
    good = json.loads((copy / "manifest.json").read_bytes())
    whole = json.dumps(good).encode()
    passed = 0
    for index, byte in product(range(len(whole)), b'"0:f-'):
        content = whole[:index] + bytes([byte]) + whole[index + 1 :]
        try:
            manifest = bundle.parse_manifest(content, copy)
        except BundleError:
            continue
        # nothing of it is dropped or changed on the way
        assert json.loads(bundle.manifest_json(manifest)) == json.loads(content)
        passed += 1
    assert len(good) < passed < len(whole) * 5 / 2  # values that may be others, and all the rest


def test_int8_conversion_clips_at_both_ends():
    values = quantize(np.array([-1e9, -0.26, 0.0, 0.24, 1e9]), 0.5, 3)
    assert values.tolist() == [-128, 2, 3, 3, 127]
    assert dequantize(values, 0.5, 3)[2] == 0.0
