"""`undertone classify` and `listen` as a user runs them."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from undertone.cli import run, undertone
from undertone.emotions import EMOTIONS
from undertone.samples import clips


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERTONE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def call(*arguments, capsys):
        status = run(undertone, "undertone", [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def program(*arguments, tmp_path, **options):
    environment = {
        **os.environ,
        "UNDERTONE_STATE": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "undertone.cli", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_json_has_one_object_a_file_in_order(call, capsys):
    wanted = [clips()[5], clips()[0], clips()[3]]
    status, out, _ = call("classify", *wanted, "--format", "json", capsys=capsys)
    objects = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [each["path"] for each in objects] == [str(path) for path in wanted]
    for each in objects:
        keys = {"path", "label", "verdict", "confidence", "scores", "activation", "segments"}
        assert set(each) == keys
        assert set(each["scores"]) == set(EMOTIONS)
        assert sum(each["scores"].values()) == pytest.approx(1, abs=1e-3)
        assert each["scores"][each["label"]] == each["confidence"] == max(each["scores"].values())
        assert each["verdict"] in (each["label"], "uncertain")
        assert len(each["segments"]) == 1
        assert each["segments"][0]["duration_s"] > 0.5


def test_a_folder_is_walked_and_a_bad_file_does_not_stop_the_others(call, capsys, tmp_path):
    (tmp_path / "sounds/deep").mkdir(parents=True)
    for name, clip in (("sounds/a.flac", clips()[0]), ("sounds/deep/c.flac", clips()[1])):
        (tmp_path / name).write_bytes(clip.read_bytes())
    (tmp_path / "sounds/b.wav").write_text("this is no sound")
    (tmp_path / "sounds/notes.txt").write_text("neither is this")
    status, out, _ = call("classify", tmp_path / "sounds", "--format", "json", capsys=capsys)
    objects = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [Path(each["path"]).name for each in objects] == ["a.flac", "b.wav", "c.flac"]
    assert set(objects[1]) == {"path", "error"}
    assert "b.wav" in objects[1]["error"]
    assert "label" in objects[0]
    assert "label" in objects[2]


def obedient(*command):
    """``command`` as somebody whom permissions bind: root without its privileges, or anybody."""
    return ["setpriv", "--bounding-set=-all", *command] if os.geteuid() == 0 else [*command]


@pytest.mark.parametrize("bad", ["may-not-be-read.wav", "closed/a.wav", "x" * 300, "pipe.wav"])
def test_a_file_that_cannot_be_read_ends_nothing(tmp_path, bad):
    (tmp_path / "closed").mkdir()
    soundfile.write(tmp_path / "may-not-be-read.wav", np.zeros(1600), 16000)
    (tmp_path / "may-not-be-read.wav").chmod(0)
    (tmp_path / "closed").chmod(0)
    os.mkfifo(tmp_path / "pipe.wav")
    files = [bad, clips()[0]]
    program = [sys.executable, "-m", "undertone.cli", "classify", "--format", "json"]
    done = subprocess.run(
        obedient(*program, *files), cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (1, "")
    failed, heard = map(json.loads, done.stdout.splitlines())
    assert set(failed) == {"path", "error"}
    assert failed["error"].startswith(f"{bad} ")
    assert heard["path"] == str(clips()[0])


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_files_of_unknown_kinds_in_folders_are_counted_once(call, capsys, tmp_path, form):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in ("a.wav", "1.mid", "2.MID", "b.txt", "README", "e.\x1b[31m", ".hidden.txt"):
            soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
            (tmp_path / folder / name).write_bytes((tmp_path / "a.wav").read_bytes())
    status, _, err = call(
        "classify", tmp_path / "one", tmp_path / "two", "--format", form, capsys=capsys
    )
    assert status == 0
    assert err == (
        "undertone: 10 files of unknown kinds were skipped "
        "(4 .mid, 2 without a suffix, 2 .�[31m, 2 .txt).\n"
    )


def test_the_commonest_of_many_unknown_kinds_are_named(call, capsys, tmp_path):
    (tmp_path / "a.wav").write_bytes(clips()[0].read_bytes())
    for number in range(12):
        (tmp_path / f"a.k{number:02}").touch()
    (tmp_path / "b.k11").touch()
    _, _, err = call("classify", tmp_path, capsys=capsys)
    kinds = "2 .k11, 1 .k00, 1 .k01, 1 .k02, 1 .k03, 7 of other kinds"
    assert err == f"undertone: 13 files of unknown kinds were skipped ({kinds}).\n"


def test_one_file_of_an_unknown_kind(call, capsys, tmp_path):
    (tmp_path / "song.mid").touch()
    status, _, err = call("classify", tmp_path, capsys=capsys)
    assert status == 1
    skipped, empty = err.splitlines()
    assert skipped == "undertone: 1 file of an unknown kind was skipped (1 .mid)."
    assert "contains no readable audio file" in empty


def test_silence_has_no_speech(call, capsys, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(32000), 16000)
    status, out, _ = call("classify", tmp_path / "silence.wav", "--format", "json", capsys=capsys)
    found = json.loads(out)
    assert status == 0
    assert found["verdict"] == "no-speech"
    assert found["label"] is None
    assert found["confidence"] is None
    assert found["scores"] == {}
    assert found["segments"] == []


@pytest.mark.parametrize("samples", [1, 100, 1023, 8000])
def test_a_clip_too_short_to_classify_has_no_speech(call, capsys, tmp_path, samples):
    tone = 0.5 * np.sin(np.arange(samples) / 20)
    soundfile.write(tmp_path / "short.wav", tone, 16000)
    status, out, _ = call("classify", tmp_path / "short.wav", "--format", "json", capsys=capsys)
    assert status == 0
    assert json.loads(out)["verdict"] == "no-speech"


def test_csv_has_a_column_for_every_label(call, capsys, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    status, out, _ = call(
        "classify", clips()[0], tmp_path / "broken.wav", "--format", "csv", capsys=capsys
    )
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 1
    scores = {emotion: float(rows[0][emotion]) for emotion in EMOTIONS}
    assert sum(scores.values()) == pytest.approx(1, abs=1e-3)
    assert rows[0]["label"] == max(scores, key=scores.__getitem__)
    assert scores[rows[0]["label"]] == float(rows[0]["confidence"])
    assert rows[0]["error"] == ""
    assert "broken.wav" in rows[1]["error"]


def test_the_table_names_what_failed(call, capsys, tmp_path):
    status, out, err = call("classify", clips()[0], tmp_path / "gone.wav", capsys=capsys)
    assert status == 1
    assert "failed" in out
    assert err.count("undertone: ") == 1
    assert "gone.wav" in err
    assert "Traceback" not in err


ODD_NAMES = [
    "-dash.wav",
    "[/red].wav",
    "two\nlines.wav",
    "\x1b[31m.wav",
    "😀.wav",
    "lat\udce9n.wav",
]


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_file_may_have_any_name(tmp_path, form, encoding, monkeypatch):
    for name in ODD_NAMES:
        path = tmp_path / "sounds" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        soundfile.write(tmp_path / "same.wav", np.zeros(1600), 16000)
        (tmp_path / "same.wav").rename(path)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    child = program("classify", tmp_path / "sounds", "--format", form, tmp_path=tmp_path)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b"")
    if form == "json":
        found = [json.loads(line)["path"] for line in out.splitlines()]
        assert set(found) == {str(tmp_path / "sounds" / name) for name in ODD_NAMES}
    if form == "table":
        assert len(out.splitlines()) == 1 + len(ODD_NAMES)
        assert b"[/red].wav" in out
        assert b"\x1b" not in out


@pytest.mark.parametrize(
    "arguments", [["classify", "--format", "json", clips()[0]], ["listen", "--source", clips()[0]]]
)
def test_a_full_disk_under_the_output_is_reported(tmp_path, arguments):
    command = [sys.executable, "-m", "undertone.cli", *map(str, arguments)]
    environment = {**os.environ, "UNDERTONE_STATE": str(tmp_path / "state")}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=environment
        )
    assert done.returncode == 1
    assert done.stderr.endswith("The disk is full: make room and run the same command again.\n")
    if arguments[0] == "listen":  # the events are in the journal all the same
        assert [event["event"] for event in journal(tmp_path)] == ["start", "segment", "stop"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_warning_looks_like_an_error(tmp_path, jobs):
    whole = clips()[0].read_bytes()
    cut = [tmp_path / "one.flac", tmp_path / "two.flac"]
    for path in cut:
        path.write_bytes(whole[: len(whole) // 2])
    running = program("classify", *cut, "--jobs", jobs, tmp_path=tmp_path)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0
    lines = sorted(err.decode().splitlines())
    assert len(lines) == 2
    for path, line in zip(cut, lines, strict=True):
        assert line.startswith(f"undertone: {path} is truncated or damaged after")


def test_closed_streams_are_no_bug(tmp_path):
    command = f"{sys.executable} -m undertone.cli"
    environment = {**os.environ, "UNDERTONE_STATE": str(tmp_path)}
    for line, status, said in (
        (f"{command} samples >&-", 0, ""),
        (f"{command} listen --source - <&-", 1, "Standard input is closed"),
    ):
        done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True)
        assert done.returncode == status
        assert said in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("8 kHz", {"samplerate": 8000}),
        ("96 kHz", {"samplerate": 96000}),
        ("24 bit", {"samplerate": 16000, "subtype": "PCM_24"}),
        ("float", {"samplerate": 16000, "subtype": "FLOAT"}),
        ("stereo", {"samplerate": 16000}),
    ],
)
def test_any_format_of_a_clip_gives_about_the_same_scores(call, capsys, tmp_path, kind, arguments):
    import soxr

    samples, rate = soundfile.read(clips()[4])
    changed = soxr.resample(samples, rate, arguments["samplerate"])
    if kind == "stereo":
        changed = np.stack([changed, changed], axis=1)
    soundfile.write(tmp_path / "same.wav", changed, **arguments)
    _, out, _ = call("classify", clips()[4], tmp_path / "same.wav", "--format", "json",
                     capsys=capsys)  # fmt: skip
    original, same = (json.loads(line) for line in out.splitlines())
    assert original["verdict"] == "angry"
    if kind == "8 kHz":  # the upper half of the spectrum is gone
        assert same["verdict"] == "uncertain"
        assert same["reason"].startswith("no sound above")
    else:
        assert same["scores"] == pytest.approx(original["scores"], abs=0.1)


@pytest.mark.parametrize("number", [4, 6])
def test_a_clipped_clip_still_gets_its_verdict(call, capsys, tmp_path, number):
    samples, rate = soundfile.read(clips()[number])
    loud = samples * 50
    soundfile.write(tmp_path / "clipped.wav", np.clip(loud, -1, 1), rate)
    soundfile.write(tmp_path / "beyond.wav", loud, rate, "FLOAT")  # clipped by the program
    files = [clips()[number], tmp_path / "clipped.wav", tmp_path / "beyond.wav"]
    status, out, _ = call("classify", *files, "--format", "json", capsys=capsys)
    original, clipped, beyond = (json.loads(line) for line in out.splitlines())
    assert status == 0
    assert clipped["verdict"] == original["verdict"] == EMOTIONS[number]
    assert beyond["scores"] == pytest.approx(clipped["scores"], abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["classify"], 2, "PATHS"),
        (["classify", ""], 2, "a path can't be empty; the current folder is '.'"),
        (["classify", clips()[0], ""], 2, "a path can't be empty"),
        (["classify", "x.wav", "--format", "xml"], 2, "xml"),
        (["classify", "x.wav", "--threshold", "2"], 2, "threshold"),
        (["classify", "x.wav", "--model", "ravdess8-compakt"], 1, "did you mean 'ravdess8-compact"),
        (["listen", "--source", "nowhere.wav", "--fast"], 1, "nowhere.wav"),
        (["listen", "--source", "/", "--fast"], 1, "is a folder"),
        (["classify", "x.wav", "--jobs", "0"], 2, "jobs"),
    ],
)
def test_mistakes_get_one_sentence(call, capsys, arguments, status, said):
    found, _, err = call(*arguments, capsys=capsys)
    assert found == status
    assert said in err
    assert "Traceback" not in err


def journal(tmp_path):
    lines = [
        line
        for file in sorted((tmp_path / "state/journal").glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_listening_to_a_file_writes_what_classify_says(call, capsys, tmp_path):
    clip = clips()[4]
    status, out, _ = call("listen", "--source", clip, "--fast", capsys=capsys)
    assert status == 0
    assert str(tmp_path / "state/journal") in out
    _, said, _ = call("classify", clip, "--format", "json", capsys=capsys)
    start, segment, stop = journal(tmp_path)
    assert (start["event"], segment["event"], stop["event"]) == ("start", "segment", "stop")
    assert segment["label"] == json.loads(said)["label"]
    assert segment["scores"] == pytest.approx(json.loads(said)["scores"], abs=1e-3)


def test_pcm_on_stdin(tmp_path):
    samples, _ = soundfile.read(clips()[4], dtype="int16")
    process = program("listen", "--source", "-", tmp_path=tmp_path, stdin=subprocess.PIPE)
    out, err = process.communicate(samples.tobytes(), timeout=60)
    assert process.returncode == 0, err
    assert [event["event"] for event in journal(tmp_path)] == ["start", "segment", "stop"]
    assert b"journal:" in out


def test_a_wav_on_stdin_as_arecord_writes_it(tmp_path):
    samples, _ = soundfile.read(clips()[4], dtype="int16")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    process = program("listen", "--source", "-", tmp_path=tmp_path, stdin=subprocess.PIPE)
    _, err = process.communicate(stream.getvalue(), timeout=60)
    assert process.returncode == 0, err
    assert journal(tmp_path)[1]["event"] == "segment"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_everything_written(tmp_path, ending):
    samples, _ = soundfile.read(clips()[4], dtype="int16")
    process = program("listen", "--source", "-", tmp_path=tmp_path, stdin=subprocess.PIPE)
    process.stdin.write(samples.tobytes())
    process.stdin.write(bytes(32000 * 3))  # silence ends the segment
    process.stdin.flush()
    process.stdout.readline()  # the segment has been classified
    process.send_signal(ending)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [event["event"] for event in journal(tmp_path)] == ["start", "segment", "stop"]
    assert journal(tmp_path)[-1]["reason"] == "interrupted"


def test_samples_are_there(call, capsys):
    _, out, _ = call("samples", capsys=capsys)
    assert [Path(line).is_file() for line in out.splitlines()] == [True] * 8


def test_help_of_every_command_has_an_example():
    for command in ("listen", "classify", "bench", "samples"):
        result = CliRunner().invoke(undertone, [command, "--help"])
        assert result.exit_code == 0
        assert f"undertone {command}" in result.output
