"""`make growth`, as short as can be: the real program measured, and what is made of it."""

import json
import os
import resource
import subprocess
import sys
from itertools import chain, count, repeat
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes

import bench_figures
import growth
from undertone.samples import clips
from virtual_microphone import what_is_missing


@pytest.mark.microphone
@pytest.mark.skipif(what_is_missing() is not None, reason=what_is_missing() or "")
def test_growth_measures_the_real_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "growth.json"
    short = ["--longest-s", "1", "--files", "1", "--microphones", "1", "--seconds", "0.5"]
    monkeypatch.setattr("sys.argv", ["growth", *short, "--output", str(output)])
    before = children()
    growth.main()
    after = children()
    figures = json.loads(capsys.readouterr().out)
    assert json.loads(output.read_text()) == figures
    (length,) = figures["length"]
    assert length["audio_s"] == 1
    assert {(one["files"], one["jobs"]) for one in figures["files"]} >= {(1, 1)}
    classified = [length, *figures["files"]]
    assert all(one["processor_s"] > 0.05 for one in classified)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert sum(one["processor_s"] for one in classified) < used_s  # each has only its own
    assert 2**24 < length["peak_memory_bytes"] <= after.ru_maxrss * 1024
    (microphone,) = figures["microphones"]
    assert microphone["microphones"] == 1
    assert 0 < microphone["cpu_share"] < 1
    tables = "\n".join(bench_figures.of_growth(figures))
    assert "| 1 s |" in tables
    length_axes, files_axes, microphone_axes = bench_figures.growth_picture(figures).axes
    assert heights(length_axes) == [length["peak_memory_bytes"] / 2**20]
    assert heights(files_axes) == [one["files_per_s"] for one in figures["files"]]
    assert heights(microphone_axes) == [100 * microphone["cpu_share"]]


def children() -> resource.struct_rusage:
    """What the processes have used that this one has started and that have ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN)


def test_the_memory_of_a_process_and_its_children_is_counted() -> None:
    script = "import subprocess; subprocess.run(['sh', '-c', 'echo $$; cat; true'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert [*growth.family(parent.pid)][:2] == [parent.pid, child]
        assert growth.pss_bytes(child) < growth.pss_bytes(parent.pid) < 2**26
        parent.stdin.close()
    assert growth.pss_bytes(parent.pid) == 0
    before = growth.pss_bytes(os.getpid())
    held = bytearray(b"x") * 2**26
    assert growth.pss_bytes(os.getpid()) - before == pytest.approx(len(held), rel=0.1)


def heights(axes: Axes) -> list[float]:
    """Of the bars."""
    return [bar.get_height() for bar in axes.patches]


def test_the_rate_is_that_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def classify(arguments: list[str]) -> dict[str, float]:
        found.append(sorted(path.resolve() for path in Path(arguments[0]).iterdir()))
        return {"wall_s": 2.0}

    monkeypatch.setattr(growth, "classify", classify)
    one, two = growth.by_files(tmp_path, [3], [1, 2])
    assert [one["files_per_s"], two["files_per_s"]] == [1.5, 1.5]
    assert [one["jobs"], two["jobs"]] == [1, 2]
    assert found == [sorted(path.resolve() for path in clips()[:3])] * 2


def test_the_peak_is_the_highest_of_the_programs_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, memory = [], chain([3, 9, 5], repeat(1))

    def pss_bytes(pid: int) -> int:
        asked.append(pid)
        return next(memory)

    monkeypatch.setattr(growth, "pss_bytes", pss_bytes)
    assert growth.classify([str(clips()[0])])["peak_memory_bytes"] == 9
    assert os.getpid() not in asked


def test_the_share_of_all_microphones_is_that_of_all_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one program, two more that it starts, and one that ends meanwhile."""
    readings = iter([{1: 5.0, 2: 1.0, 3: 1.0}, {1: 5.5, 2: 1.25}])
    monkeypatch.setattr(growth, "used", lambda pid: next(readings))
    monkeypatch.setattr(growth, "heard", lambda journal: {"mic_a", "mic_b"})
    monkeypatch.setattr(growth, "pss_bytes", lambda pid: 100 * pid)
    moments = count(0.0)
    monkeypatch.setattr(growth.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(growth, "PROGRAM", ["true"])
    assert growth.listen(["a", "b"], os.environ, 0.0) == {
        "cpu_share": 0.75,
        "largest_cpu_share": 0.5,
        "memory_bytes": 300,
    }


@pytest.mark.parametrize("seconds", [0.5, 100.0])
def test_a_long_recording_is_the_sound_over_and_over(tmp_path: Path, seconds: float) -> None:
    import numpy as np
    import soundfile

    sound = np.arange(16_000, dtype=np.int16)
    growth.write(tmp_path / "long.wav", sound, seconds)
    samples, rate = soundfile.read(tmp_path / "long.wav", dtype="int16")
    assert (len(samples), rate) == (16_000 * seconds, 16_000)
    np.testing.assert_array_equal(samples, np.resize(sound, len(samples)))


def test_the_page_of_the_benchmark_is_what_the_measurements_say() -> None:
    assert bench_figures.PAGE.read_text() == bench_figures.current()
    picture = ElementTree.parse(bench_figures.PICTURES / "growth.svg")
    described = picture.findtext(".//{http://purl.org/dc/elements/1.1/}description")
    assert described
    assert json.loads(described) == bench_figures.growth_bars(bench_figures.growth())
