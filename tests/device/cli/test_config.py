import json
import re
import typing

import click
import pytest
from click.testing import CliRunner

from undertone import cli, paths
from undertone.cli import options
from undertone.cli.options import known_settings
from undertone.cli.settings import load_default_map
from undertone.errors import ConfigError


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes the file of settings, and keeps the user's own out of the test."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("UNDERTONE_STATE", str(tmp_path / "state"))

    def write(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setenv("UNDERTONE_CONFIG", str(path))
        return path

    return write


def settings(*flags, env=None):
    result = CliRunner().invoke(
        cli.undertone, ["config", "--format", "json", *flags], env=env, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_old_name_of_format_json_still_works(config):
    def run(*arguments):
        return CliRunner().invoke(cli.undertone, ["config", *arguments]).stdout

    assert run("--json") == run("--format", "json")
    assert "--json" not in run("--help")


def test_defaults(config, tmp_path):
    found = settings()
    assert {row["source"] for row in found.values()} == {"default"}
    values = {name: row["value"] for name, row in found.items()}
    assert values == {
        "model": "ravdess8-compact",
        "source": None,
        "microphone": None,
        "channel": None,
        "gain_db": 0.0,
        "threads": 1,
        "runtime": "auto",
        "threshold": None,
        "journal": str(tmp_path / "state" / "journal"),
        "journal_flush_s": 5,
        "journal_max_mb": 50,
        "journal_keep_days": 400,
        "journal_keep_mb": 1024,
        "web_host": "127.0.0.1",
        "web_port": 8501,
        "web_password_file": None,
        "mqtt": None,
        "mqtt_ca_file": None,
        "mqtt_topic": None,
        "publish_secrets_file": None,
    }


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_password_in_an_address_is_not_printed(config, form):
    config('source = "rtsp://me:hunter2@camera.local/live?token=hunter2"\n')
    result = CliRunner().invoke(cli.undertone, ["config", "--format", form])
    assert "rtsp://camera.local/live" in result.stdout
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    "address", ["file:///hunter2", "ftp://me:hunter2@host/", "http://host/\nhunter2"]
)
def test_what_can_not_be_listened_to_is_refused_without_repeating_it(config, address):
    runs = [["--source", address], {}], [[], {"UNDERTONE_SOURCE": address}]
    for arguments, env in runs:
        result = CliRunner().invoke(cli.undertone, ["listen", *arguments], env=env)
        assert result.exit_code == 2
        assert "hunter2" not in result.output
        assert "Invalid value for '--source'" in result.stderr
    path = config("source = " + json.dumps(address))
    with pytest.raises(ConfigError, match="source: ") as error:
        load_default_map(path, known_settings())
    assert "hunter2" not in str(error.value)


def test_the_beginning_of_a_live_stream_can_not_be_stated(config):
    arguments = ["listen", "--source", "http://host/a", "--began", "2h"]
    result = CliRunner().invoke(cli.undertone, arguments)
    assert result.exit_code == 2
    assert "--began needs a recording" in result.stderr


def test_a_flag_goes_before_the_environment_and_that_before_the_file(config):
    path = config("threads = 2\n")
    assert settings()["threads"] == {"value": 2, "source": f"file {path}"}
    env = {"UNDERTONE_THREADS": "3"}
    assert settings(env=env)["threads"] == {
        "value": 3,
        "source": "environment variable UNDERTONE_THREADS",
    }
    assert settings("--threads", "4", env=env)["threads"] == {
        "value": 4,
        "source": "flag --threads",
    }


def test_each_setting_can_come_from_the_file(config, tmp_path):
    values = {
        "model": "mine",
        "source": "talk.wav",
        "microphone": "USB",
        "channel": 1,
        "gain_db": 6.0,
        "threads": 2,
        "runtime": "litert",
        "threshold": 0.5,
        "journal": str(tmp_path),
        "journal_flush_s": 1,
        "journal_max_mb": 1.5,
        "journal_keep_days": 3,
        "journal_keep_mb": 20,
        "web_host": "0.0.0.0",
        "web_port": 8080,
        "web_password_file": str(tmp_path / "password"),
        "mqtt": "mqtts://broker:8884",
        "mqtt_ca_file": str(tmp_path / "ca"),
        "mqtt_topic": "home/pi",
        "publish_secrets_file": str(tmp_path / "secrets"),
    }
    assert set(values) == set(known_settings())
    config("\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()))
    assert {name: row["value"] for name, row in settings().items()} == values


@pytest.mark.parametrize(
    ("flags", "variables", "content"),
    [
        ((), {}, 'microphone = ["USB, 1", "Webcam"]\ngain_db = [6, -3.5]\nchannel = [1, 0]\n'),
        (
            (),
            {
                "UNDERTONE_MICROPHONE": "USB, 1\nWebcam",
                "UNDERTONE_GAIN_DB": "6\n-3.5",
                "UNDERTONE_CHANNEL": "1\n0",
            },
            "",
        ),
        (
            (
                *("--microphone", "USB, 1", "--microphone", "Webcam", "--gain-db", "6"),
                *("--gain-db", "-3.5", "--channel", "1", "--channel", "0"),
            ),
            {},
            "",
        ),
    ],
)
def test_there_may_be_several_microphones(config, flags, variables, content):
    config(content)
    found = settings(*flags, env=variables)
    assert found["microphone"]["value"] == ["USB, 1", "Webcam"]
    assert found["gain_db"]["value"] == [6.0, -3.5]
    assert found["channel"]["value"] == [1, 0]
    table = CliRunner().invoke(cli.undertone, ["config", *flags], env=variables).stdout
    assert re.search("^microphone +USB, 1, Webcam  ", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "variables", "flags", "expected"),
    [
        ({"microphone": ["A", "B"], "channel": [1, 0], "gain_db": [6, 0]}, {}, (), ("A", 1, 6.0)),
        ({"microphone": "A", "channel": 1, "gain_db": 6}, {}, (), ("A", 1, 6.0)),
        ({"microphone": ["A", "B"]}, {"UNDERTONE_MICROPHONE": "C\nD"}, (), ("C", None, 0.0)),
        ({"microphone": ["A", "B"]}, {}, ("--microphone", "C"), ("C", None, 0.0)),
        ({}, {"UNDERTONE_CHANNEL": "2\n3", "UNDERTONE_GAIN_DB": "-1\n3"}, (), (None, 2, -1.0)),
    ],
)
def test_a_command_with_one_microphone_takes_the_first(file, variables, flags, expected):
    found = []

    @click.command()
    @options.microphone
    @options.channel
    @options.gain_db
    def command(microphone, channel, gain_db):
        found.append((microphone, channel, gain_db))

    done = CliRunner().invoke(command, flags, env=variables, default_map=file)
    assert done.exit_code == 0, done.output
    assert found == [expected]


def test_a_file_may_speak_of_home(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/pi")
    config('journal = "~/heard"')
    assert settings()["journal"]["value"] == "/home/pi/heard"


def test_the_plain_table_names_value_and_source(config):
    config("threads = 2\n")
    lines = CliRunner().invoke(cli.undertone, ["config"]).stdout.splitlines()
    (threads,) = (line.split(maxsplit=2) for line in lines if line.startswith("threads"))
    assert threads[:2] == ["threads", "2"]
    assert threads[2].endswith("config.toml")


def test_the_file_reaches_the_commands_of_a_group(config, tmp_path):
    (tmp_path / "there").mkdir()
    config(f'journal = "{tmp_path / "there"}"')
    result = CliRunner().invoke(cli.undertone, ["journal", "show"])
    assert str(tmp_path / "there") in result.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("thraeds = 2", ["'thraeds'", "did you mean 'threads'"]),
        ("journal-keep-days = 2", ["did you mean 'journal_keep_days'"]),
        ("xyz = 2", ["'xyz'", "undertone config"]),
        ("[listen]\nthreads = 2", ["'listen'"]),
        ("threads = 'two'", ["threads must be a whole number", "'two'"]),
        ("threads = '2'", ["threads must be a whole number"]),
        ("threads = true", ["threads must be a whole number", "not true"]),
        ("threads = 1.5", ["threads must be a whole number"]),
        ("threads = 0", ["threads", "range"]),
        ("threads = [1]", ["threads must be a whole number", "[1]"]),
        ("threads.a = 1", ["threads must be a whole number", "a table"]),
        ("model = 5", ["model must be text"]),
        ("model = ['a', 'b']", ["model must be text in quotes, not ['a', 'b']"]),
        ("microphone = 5", ["microphone must be text in quotes, or a list of that, not 5"]),
        ("microphone = ['USB', 5]", ["microphone must be text", "['USB', 5]"]),
        ("microphone = []", ["microphone must be text", "not []"]),
        ("microphone = [['USB']]", ["microphone must be text"]),
        ("channel = [0, true]", ["channel must be a whole number"]),
        ("channel = [0, -1]", ["channel", "range"]),
        ("gain_db = [0, 100]", ["gain_db", "range"]),
        ("source = ['mic', 'ftp://host/']", ["source: "]),
        ("model = 2026-11-21", ["model must be text"]),
        ("runtime = 'onnx'", ["runtime", "litert"]),
        ("threshold = 1.5", ["threshold", "range"]),
        ("threshold = nan", ["threshold", "finite"]),
        ("journal_keep_mb = inf", ["journal_keep_mb", "finite"]),
        ("threshold = '0.5'", ["threshold must be a number"]),
        ('journal = "a\\u0000b"', ["journal", "not a path"]),
        ('journal = ""', ["journal", "a path can't be empty"]),
        ('journal = "~nobody-of-this-name/x"', ["journal", "not a path"]),
        ("threads = 2\nthreads = 3\nchannel = 1", ["not valid TOML", "line 2"]),
        ("threads = 2\nmodel = \nchannel = 1", ["not valid TOML", "line 2"]),
        (b"threads = 2\n# \xff\n", ["line 2", "UTF-8"]),
        ("a = " + "[" * 100_000, ["not valid TOML"]),
        ("#" * 2_000_000, ["too large"]),
        (b"\0", ["not valid TOML"]),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_key_or_line(config, capsys, content, told):
    path = config(content)
    assert cli.run(cli.undertone, "undertone", ["config"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("undertone: ")
    assert len(output.err.splitlines()) == 1
    for part in [str(path), *told]:
        assert part in output.err


def test_a_file_that_is_not_there(tmp_path, config, monkeypatch):
    monkeypatch.setenv("UNDERTONE_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigError, match="UNDERTONE_CONFIG"):
        settings()
    monkeypatch.setenv("UNDERTONE_CONFIG", str(tmp_path))
    with pytest.raises(ConfigError, match="Can't read"):
        settings()


def test_help_is_given_whatever_the_file_holds(config):
    config("nonsense")
    assert CliRunner().invoke(cli.undertone, ["config", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    "flags", [["--threads", "x"], ["--threshold", "nan"], ["--threshold", "2"], ["--channel", "-1"]]
)
def test_a_bad_flag_is_wrong_usage(config, flags):
    result = CliRunner().invoke(cli.undertone, ["config", *flags])
    assert result.exit_code == 2
    assert flags[0] in result.stderr


def test_the_keys_of_the_file_are_the_names_of_the_flags():
    for name, option in known_settings().items():
        assert option.opts[0] == "--" + name.replace("_", "-")
        assert option.envvar == f"UNDERTONE_{name.upper()}"


def test_facts_that_stand_elsewhere_too():
    from undertone.recognition.bundle import DEFAULT_BUNDLE
    from undertone.recognition.interpreter import RuntimeName

    known = known_settings()
    assert known["model"].default == DEFAULT_BUNDLE
    runtime = known["runtime"].type
    assert isinstance(runtime, click.Choice)
    assert tuple(runtime.choices) == typing.get_args(RuntimeName)


def test_paths_follow_environment_and_xdg(monkeypatch, tmp_path):
    monkeypatch.delenv("UNDERTONE_STATE", raising=False)
    monkeypatch.delenv("UNDERTONE_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    assert paths.journal_dir() == tmp_path / "s" / "undertone" / "journal"
    assert paths.config_path() == tmp_path / "c" / "undertone" / "config.toml"
    monkeypatch.setenv("UNDERTONE_STATE", "/var/lib/undertone")
    assert str(paths.journal_dir()) == "/var/lib/undertone/journal"
    assert list(tmp_path.iterdir()) == []


def test_loading_says_when_there_is_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_default_map(tmp_path / "none", known_settings())
