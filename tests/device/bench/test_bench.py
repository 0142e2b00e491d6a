"""`undertone bench`: what it measures, and what becomes of the figures."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.bench import limits, report, result, sounds
from undertone.bench.compare import compare, other_machine
from undertone.bench.machine import Sensors
from undertone.bench.model import accuracy, describe, graph
from undertone.bench.plot import svg
from undertone.bench.result import Benchmark, State
from undertone.bench.truncate_model import truncate
from undertone.cli import run, undertone
from undertone.cli.bench import NOT_BUNDLES
from undertone.errors import BenchmarkError, ConfigError
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.interpreter import Int8Interpreter, installed_runtimes
from undertone.recognition.mfcc import Mfcc

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=installed_runtimes())
def runtime(request):
    """Each that is installed, but tflite-runtime beside TensorFlow: see the last test."""
    if request.param == "tflite-runtime" and "tensorflow" in sys.modules:
        pytest.skip("it opens no model where TensorFlow was imported first")
    return request.param


def call(*arguments):
    return run(undertone, "undertone", ["bench", *map(str, arguments)])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """One real run of the command, just longer than the half second that listening may rest."""
    path = tmp_path_factory.mktemp("bench") / "tiny.json"
    status = call(
        *("ravdess8-tiny", "--runs", 2, "--seconds", 0.8), *("--format", "json", "--output", path)
    )
    assert status == 0
    return path


@pytest.fixture(scope="module")
def measured(stored):
    return result.read(stored)


def changed(benchmark, **stages):
    """``benchmark`` with other medians: ``changed(benchmark, invoke=2.0)``."""
    replace = msgspec.structs.replace
    (one,) = benchmark.measurements
    new = {name: replace(getattr(one.stages, name), p50_ms=ms) for name, ms in stages.items()}
    return replace(benchmark, measurements=(replace(one, stages=replace(one.stages, **new)),))


@pytest.fixture(scope="module")
def on_one_and_two(measured):
    """``measured``, and the same as if it had been measured with two threads, too."""
    (one,) = measured.measurements
    two = msgspec.structs.replace(one, threads=2)
    return msgspec.structs.replace(measured, measurements=(one, two))


def test_every_figure_is_there_and_finite(measured):
    (one,) = measured.measurements
    figures = measured.figures(one)
    assert list(figures) == result.figure_names()
    assert all(math.isfinite(value) and value >= 0 for value in figures.values())
    for name in ("stages.path.p50_ms", "cold_start.p50_ms", "speech.cpu_share", "real_time_factor"):
        assert figures[name] > 0
    for stage in result.Stages.__struct_fields__:
        of_one = getattr(one.stages, stage)
        assert 0 < of_one.p50_ms <= of_one.p90_ms <= of_one.p99_ms <= of_one.max_ms


def test_the_end_of_speech_is_reported_after_the_pause_that_ends_a_segment(measured):
    (one,) = measured.measurements
    manifest = bundle.load("ravdess8-tiny").manifest
    gate, detector = manifest.gate, manifest.detector
    hop_s, block_s = detector.mfcc.hop_length / SAMPLE_RATE_HZ, 0.1
    # the detector answers a piece at a time, and after the frames ahead of it
    awaited_s = block_s + (detector.ahead + 2 * detector.piece) * hop_s
    assert 0 <= one.event_delay_s - (gate.pause_s - hop_s) <= awaited_s
    # what ends a segment is part of the path, and more than the median of it
    assert one.stages.path.p50_ms < one.stages.event.p50_ms <= one.stages.path.max_ms


def test_the_frames_of_the_stages_are_as_many_as_the_gate_computes_at_once(monkeypatch):
    gate = Classifier(bundle.load("ravdess8-tiny")).gate()
    lengths = Counter()
    push = Mfcc.push

    def counted(mfcc, samples):
        lengths[len(samples)] += 1
        return push(mfcc, samples)

    monkeypatch.setattr(Mfcc, "push", counted)
    assert len(sounds.speech(1.0, gate)) == SAMPLE_RATE_HZ
    ((usual, _),) = lengths.most_common(1)
    assert usual == result.PIECE_LENGTH


def test_the_detector_is_part_of_the_listening(measured):
    (one,) = changed(measured, detector=2.0).measurements  # for four frames
    busy = msgspec.structs.replace(one, speech=msgspec.structs.replace(one.speech, cpu_share=0.05))
    mfcc = bundle.load("ravdess8-tiny").manifest.mfcc
    pieces = 60 * SAMPLE_RATE_HZ / mfcc.hop_length / 4
    minute_s = 0.05 * 60
    assert busy.cpu_share_without_detector == pytest.approx((minute_s - pieces * 0.002) / 60)


def test_what_mfcc_saves_is_reported_for_a_second_of_sound(measured):
    (one,) = changed(measured, mfcc=0.3, window_mfcc=5.0).measurements
    frames = 60 * SAMPLE_RATE_HZ / bundle.load("ravdess8-tiny").manifest.mfcc.hop_length
    pieces = frames / 4  # of a minute, in which there are 60 windows
    assert one.mfcc_saving == pytest.approx(60 * 5.0 / (pieces * 0.3))


def test_memory_grows_with_what_is_loaded(measured):
    memory = measured.measurements[0].memory
    steps = [memory.python_bytes, memory.libraries_bytes, memory.runtime_bytes, memory.model_bytes]
    assert steps == sorted(steps)
    assert 2**20 < memory.python_bytes < memory.libraries_bytes / 1.5
    assert memory.peak_bytes >= max(*steps, memory.listening_bytes)


def test_a_benchmark_survives_json_and_has_the_schema(stored, measured):
    assert result.to_json(measured) == stored.read_text()
    jsonschema = pytest.importorskip("jsonschema")  # not where the device's tests run alone
    described = json.loads(result.schema())
    jsonschema.validate(json.loads(stored.read_text()), described)
    broken = json.loads(stored.read_text())
    broken["measurements"][0]["threads"] = 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, described)


def test_the_schema_is_printed(capsys):
    assert call("--schema") == 0
    assert capsys.readouterr().out == result.schema()


@pytest.mark.parametrize(
    ("name", "parameters", "millions"),
    [("ravdess8-compact", 120_440, 4.05), ("ravdess8-tiny", 36_040, 1.49)],
)
def test_the_work_is_counted_as_training_counts_it(name, parameters, millions):
    """Millions of multiply-accumulates of one invocation; a window takes one for each voice."""
    loaded = bundle.load(name)
    model, manifest = describe(loaded.folder), loaded.manifest
    extra = manifest.figures["extra"]
    assert model.multiply_accumulates == extra["multiply_accumulates"]
    of_one = model.multiply_accumulates / len(manifest.window.vocal_tracts)
    assert of_one / 1e6 == pytest.approx(millions, abs=0.005)
    assert model.parameters == extra["parameters"] == parameters
    assert model.parameters < model.file_bytes < 150 * 1024
    assert model.accuracy is not None
    assert model.accuracy.uar == extra["seeds"]["int8"]["uar"]["mean"]


@pytest.mark.parametrize(
    "forms", [None, {}, [1], {"int8": None}, {"int8": {"uar": 10**400, "accuracy": "nan"}}]
)
def test_figures_that_are_none_are_left_out(forms):
    manifest = msgspec.structs.replace(
        bundle.load().manifest, figures={"protocol": "p", "forms": forms}
    )
    assert accuracy(manifest) is None


def test_the_arena_holds_at_least_the_tensors_of_the_largest_operator(runtime):
    seen = graph(bundle.load("ravdess8-tiny"), runtime)
    computed = {seen.output(operator) for operator in seen.operators}
    largest = max(
        sum(
            int(np.prod(seen.tensors[number]["shape"]))
            for number in {*operator["inputs"].tolist(), *operator["outputs"].tolist()}
            if number in computed
        )
        for operator in seen.operators
    )
    assert largest <= seen.arena_bytes <= 4 * largest


def test_a_model_cut_short_gives_what_the_whole_one_had_there(runtime):
    model = bundle.load("ravdess8-tiny").model
    seen = graph(bundle.load("ravdess8-tiny"), runtime)
    values = np.random.default_rng(0).integers(-128, 128, (1, 96, 40), np.int8)
    before = values
    for count, operator in enumerate(seen.operators, 1):
        short = Int8Interpreter(truncate(model, count, seen.output(operator)), runtime)
        shape = tuple(seen.tensors[seen.output(operator)]["shape"])
        assert short.output.shape == shape
        after = short.invoke(values)
        if operator["op_name"] == "RESHAPE":
            np.testing.assert_array_equal(after.ravel(), before.ravel())
        if operator["op_name"] == "MAX_POOL_2D":
            pairs = before.reshape(1, 1, shape[2], 2, shape[3])
            np.testing.assert_array_equal(after, pairs.max(axis=3))
        before = after
    np.testing.assert_array_equal(after, Int8Interpreter(model, runtime).invoke(values))


def test_a_comparison_has_the_ratios(measured):
    slower = changed(measured, invoke=3 * measured.measurements[0].stages.invoke.p50_ms)
    ((one, figures),) = compare(measured, slower)
    assert one == slower.measurements[0]
    ratios = {figure.name: figure.ratio for figure in figures}
    assert ratios["stages.invoke.p50_ms"] == pytest.approx(3)
    assert ratios["model.file_bytes"] == ratios["stages.mfcc.p50_ms"] == 1
    assert other_machine(measured, slower) is None


def test_what_cannot_be_compared_is_reported(measured):
    (one,) = measured.measurements
    other = msgspec.structs.replace(
        measured, measurements=(msgspec.structs.replace(one, threads=7),)
    )
    with pytest.raises(BenchmarkError, match="in common"):
        list(compare(measured, other))
    pi = msgspec.structs.replace(measured.machine, processor="Raspberry Pi 5")
    elsewhere = msgspec.structs.replace(measured, machine=pi)
    assert "Raspberry Pi 5" in (other_machine(measured, elsewhere) or "")


def test_a_comparison_is_printed_in_every_form(stored, measured, tmp_path, capsys):
    slower = tmp_path / "slower.json"
    slower.write_text(result.to_json(changed(measured, mfcc=8.0)))
    found = {}
    for form in ("table", "json", "markdown"):
        assert call("--compare", stored, slower, "--format", form) == 0
        found[form] = capsys.readouterr().out
    (one,) = json.loads(found["json"])
    assert one["bundle"] == "ravdess8-tiny"
    assert one["figures"]["stages.mfcc.p50_ms"]["b"] == 8.0
    assert set(one["figures"]) == set(result.figure_names())
    assert re.search(r"\| stages\.mfcc\.p50_ms \| .* \| 8 \|", found["markdown"])
    assert "stages.mfcc.p50_ms" in found["table"]


def test_limits_that_are_kept_and_broken(stored, measured, tmp_path, capsys):
    path = tmp_path / "limits.toml"
    (tmp_path / "before.json").write_text(result.to_json(changed(measured, mfcc=1.0)))
    (tmp_path / "now.json").write_text(result.to_json(changed(measured, mfcc=3.0, invoke=0.2)))
    path.write_text(
        'baseline = "before.json"\n'
        "[at_most]\nstages.invoke.p50_ms = 0.2\nmodel.file_bytes = 46_080\n"
        "[ratio_at_most]\nstages.mfcc.p50_ms = 3\nmodel.arena_bytes = 1\n"
    )
    assert call("--read", tmp_path / "now.json", "--check", path) == 0
    assert capsys.readouterr().err == ""
    path.write_text(path.read_text().replace("= 3", "= 2.9").replace("= 0.2", "= 0.1"))
    assert call("--read", tmp_path / "now.json", "--check", path) == 1
    printed = capsys.readouterr()
    first, second = printed.err.splitlines()
    title = measured.measurements[0].title
    assert first == f"undertone: {title}: stages.invoke.p50_ms is 0.2, above 0.1"
    assert second == (
        f"undertone: {title}: stages.mfcc.p50_ms is 3, above 2.9 times the baseline's 1"
    )
    assert "whole path" in printed.out


def test_a_measurement_that_the_baseline_lacks_breaks_a_limit(measured, on_one_and_two):
    against = limits.Limits({}, {"model.arena_bytes": 1.0}, measured, None)
    assert list(limits.broken(measured, against)) == []
    (told,) = limits.broken(on_one_and_two, against)
    assert "2 threads" in told


def test_limits_may_be_for_one_number_of_threads(on_one_and_two):
    figures = {"model.file_bytes": 1.0}
    (told,) = limits.broken(on_one_and_two, limits.Limits(figures, {}, None, 2))
    assert "2 threads: model.file_bytes" in told
    assert len(list(limits.broken(on_one_and_two, limits.Limits(figures, {}, None, None)))) == 2
    (told,) = limits.broken(on_one_and_two, limits.Limits(figures, {}, None, 3))
    assert "nothing was measured with threads = 3" in told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("at_mots = 1", "did you mean 'at_most'"),
        ("at_most = 1", "a table of figures"),
        ("[at_most]\nstages.invoke.p50 = 1", "did you mean 'stages.invoke.p50_ms'"),
        ("[at_most]\nfoo = 1", "no figure 'foo'"),
        ('[at_most]\nreal_time_factor = "low"', "must be a number"),
        ("[at_most]\nreal_time_factor = nan", "must be a number"),
        ("[at_most]\nreal_time_factor = true", "must be a number"),
        ("[ratio_at_most]\nreal_time_factor = 2", "must be set together"),
        ('baseline = "x.json"', "must be set together"),
        ("baseline = 3\n[ratio_at_most]\nreal_time_factor = 2", "must be set together"),
        ('threads = "one"\n[at_most]\nreal_time_factor = 2', "threads must be a whole number"),
        ("threads = 0", "threads must be a whole number"),
        ("= 3", "not valid TOML"),
    ],
)
def test_limits_that_are_wrong_are_one_sentence(tmp_path, capsys, content, said):
    path = tmp_path / "limits.toml"
    path.write_text(content)
    assert call("--check", path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert str(path) in line


def test_every_figure_can_be_limited(tmp_path):
    wanted = {name: 1.5 + number for number, name in enumerate(result.figure_names())}
    path = tmp_path / "limits.toml"
    path.write_text("[at_most]\n" + "\n".join(f"{name} = {most}" for name, most in wanted.items()))
    assert limits.load(path).at_most == wanted


@pytest.fixture
def damaged(tmp_path):
    """A bundle whose manifest vouches for a model that no runtime takes."""
    import hashlib

    folder = tmp_path / "damaged"
    shutil.copytree(bundle.load("ravdess8-tiny").folder, folder)
    model = b"TFL3" * 100
    (folder / bundle.MODEL_FILE).write_bytes(model)
    manifest = bundle.load("ravdess8-tiny").manifest
    sha256 = hashlib.sha256(model).hexdigest()
    manifest = msgspec.structs.replace(manifest, name="damaged", model_sha256=sha256)
    (folder / bundle.MANIFEST_FILE).write_bytes(bundle.manifest_json(manifest))
    return folder


def test_everything_in_the_folder_of_models_is_a_bundle_or_known_to_be_none():
    """`undertone bench models/*` is what the help and the Makefile say."""
    others = [path for path in ROOT.joinpath("models").iterdir() if path.name not in NOT_BUNDLES]
    assert {bundle.load(path).manifest.name for path in others} == set(bundle.installed_bundles())


def test_a_bundle_that_does_not_load_is_one_sentence(damaged, tmp_path, capsys):
    for name, said in ((damaged, "damaged"), (tmp_path, "is not a bundle"), ("nosuch", "nosuch")):
        assert call(name) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_two_bundles_of_one_name_are_refused(tmp_path, capsys):
    shutil.copytree(bundle.load("ravdess8-tiny").folder, tmp_path / "copy")
    assert call("ravdess8-tiny", tmp_path / "copy") == 1
    assert "Two of the bundles are called ravdess8-tiny" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "0"], "--runs"),
        (["--seconds", "0"], "--seconds"),
        (["--threads", "0"], "--threads"),
        (["--threads", "1,x"], "--threads"),
        (["--runtime", "onnx"], "--runtime"),
    ],
)
def test_a_wrong_command_line_is_status_2(arguments, said, capsys):
    assert call(*arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--output", "--plot"])
def test_an_unwritable_output_is_reported_before_anything_is_measured(option, tmp_path, capsys):
    assert call(option, tmp_path / "nowhere" / "x") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Can't write" in line
    assert "No such file or directory" in line


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"schema_version": 1}'])
def test_what_is_no_benchmark_is_one_sentence(content, tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert call("--read", path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert call("--read", tmp_path / "gone.json") == 1


def answers(**found):
    return lambda command: found.get(command[1])


def files(root, contents):
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_machine_without_sensors_gives_null(tmp_path):
    sensors = Sensors(tmp_path, run=lambda command: None)
    state = sensors.state()
    assert state == State(None, None, None, state.load)
    machine = sensors.machine(state)
    assert (machine.governor, machine.throttled_since_boot) == (None, None)
    assert machine.cores == len(os.sched_getaffinity(0))


def test_a_raspberry_pi_tells_its_state(tmp_path):
    cpu = "sys/devices/system/cpu"
    files(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            f"{cpu}/cpu0/cpufreq/scaling_governor": "ondemand\n",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "ondemand\n",
            f"{cpu}/cpu0/cpufreq/scaling_cur_freq": "600000\n",
            f"{cpu}/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
        },
    )
    sensors = Sensors(tmp_path, answers(get_throttled="throttled=0x50004\n"))
    state = sensors.state()
    assert state == State(1500.0, 48.3, ("the processor is throttled",), state.load)
    machine = sensors.machine(state)
    assert machine.processor == "Raspberry Pi 4 Model B Rev 1.4"
    assert machine.governor == "ondemand"
    total_kb = re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert total_kb
    assert machine.memory_bytes == int(total_kb[1]) * 1024
    assert machine.throttled_since_boot == (
        "the supply voltage is too low",
        "the processor is throttled",
    )


def test_sensors_that_talk_nonsense_give_null(tmp_path):
    files(
        tmp_path,
        {
            "proc/cpuinfo": "cpu MHz : fast\n",
            "sys/class/thermal/thermal_zone0/temp": "hot",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "",
        },
    )
    sensors = Sensors(tmp_path, answers(get_throttled="?", measure_temp="temp=51.5'C\n"))
    state = sensors.state()
    assert state == State(None, 51.5, None, state.load)
    assert state.load is not None
    assert state.load >= 0


def test_every_form_shows_the_same_benchmark(stored, measured, tmp_path, capsys):
    picture = tmp_path / "bench.svg"
    assert call("--read", stored, "--format", "markdown", "--plot", picture) == 0
    page = capsys.readouterr().out
    for table in report.tables(measured):
        assert f"### {table.title}" in page
        assert all(len(row) == len(table.head) for row in table.rows)
    assert "| invoke the model |" in page
    assert call("--read", stored, "--output", tmp_path / "bench.txt") == 0
    assert "invoke the model" in (tmp_path / "bench.txt").read_text()
    assert call("--read", stored, "--format", "json") == 0
    assert capsys.readouterr().out == stored.read_text()
    root = ElementTree.fromstring(picture.read_text())
    assert len(root.findall("{*}g/{*}circle")) == 1


def read_off(root, circle):
    """Milliseconds and UAR in % of a circle, between the numbers at the axes."""
    texts = [(t.text, float(t.get("x")), float(t.get("y"))) for t in root.findall("{*}text")]
    times = sorted(
        (x, math.log10(float(text))) for text, x, _ in texts if text.replace(".", "").isdigit()
    )
    uars = sorted((y - 4, float(text[:-2])) for text, _, y in texts if re.fullmatch(r"\d+ %", text))
    log_ms = np.interp(float(circle.get("cx")), *zip(*times, strict=True))
    slope = (uars[-1][1] - uars[0][1]) / (uars[-1][0] - uars[0][0])
    return 10**log_ms, uars[0][1] + slope * (float(circle.get("cy")) - uars[0][0])


def test_a_picture_shows_latency_uar_and_size_of_each_measurement(measured, tmp_path, capsys):
    replace = msgspec.structs.replace
    (one,), (model,) = changed(measured, invoke=0.3).measurements, measured.models
    (slower,) = changed(measured, invoke=4.0).measurements
    untested = replace(model, bundle="<b>\x1b & co", accuracy=None, file_bytes=4 * model.file_bytes)
    slower = replace(slower, bundle=untested.bundle, runtime="tflite-runtime")
    many: Benchmark = replace(
        measured,
        models=(model, untested),
        measurements=(
            replace(one, runtime="litert"),
            replace(one, runtime="litert", threads=2),
            slower,
        ),
    )
    root = ElementTree.fromstring(svg(many))
    largest, tested, threads = root.findall("{*}g/{*}circle")  # the largest is at the back
    assert read_off(root, largest) == pytest.approx((4.0, 12.5), rel=0.02)  # chance
    for circle in (tested, threads):
        wanted = (0.3, 100 * model.accuracy.uar)
        assert read_off(root, circle) == pytest.approx(wanted, rel=0.02)
    assert float(tested.get("cy")) < float(largest.get("cy"))  # the better is higher,
    assert float(tested.get("cx")) < float(largest.get("cx"))  # the faster is to the left
    assert float(largest.get("r")) == pytest.approx(2 * float(tested.get("r")), abs=0.2)
    assert tested.get("fill") == threads.get("fill") != largest.get("fill")
    legend = {
        circle.get("fill"): text.text
        for circle, text in pairwise(root)
        if circle.tag.endswith("circle")
    }
    assert legend == {tested.get("fill"): "litert", largest.get("fill"): "tflite-runtime"}
    assert [text.text for text in root.findall("{*}g/{*}text")] == ["2"]
    told = [title.text for title in root.findall("{*}g/{*}title")]
    assert told[0].startswith("<b>� & co, tflite-runtime, 1 thread: 4.000 ms, not evaluated, ")
    assert told[1].startswith("ravdess8-tiny, litert, 1 thread: 0.300 ms, ")
    assert f"{100 * model.accuracy.uar:.1f} % UAR, {model.file_bytes / 1024:.1f} KB" in told[1]
    assert "ms per invoke" in [text.text for text in root.findall(".//{*}text")]
    (tmp_path / "strange.json").write_text(result.to_json(many))
    for form in ("table", "markdown"):
        assert call("--read", tmp_path / "strange.json", "--format", form) == 0
        assert "\x1b" not in capsys.readouterr().out


def test_wrong_limits_do_not_hide_behind_a_wrong_baseline(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text('baseline = "gone.json"\n[ratio_at_most]\nreal_time_factor = 2\n')
    with pytest.raises(BenchmarkError, match=r"gone\.json"):
        limits.load(path)
    with pytest.raises(ConfigError, match="no limits file"):
        limits.load(tmp_path / "gone.toml")


@pytest.mark.skipif("tflite-runtime" not in installed_runtimes(), reason="not installed")
def test_tflite_runtime_in_a_process_without_tensorflow():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        __file__,
        "-k",
        "tflite-runtime and not process",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
