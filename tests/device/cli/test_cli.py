import importlib.util
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from undertone import __version__, cli
from undertone.errors import AudioSourceError, ConfigError

HEAVY = {"numpy", "scipy", "rich", "sounddevice", "soundfile", "soxr"}


def imported_by(code):
    """The heavy modules in sys.modules after ``code``, and what it printed."""
    code = f"import sys\n{code}\nprint(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stderr.strip(), done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["journal", "--help"],
        ["journal", "summary", "--help"],
        ["config", "--help"],
        ["config"],
    ],
)
def test_help_and_light_commands_import_nothing_heavy(args, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    heavy, printed = imported_by(
        f"from undertone import cli\nassert cli.run(cli.undertone, 'undertone', {args!r}) == 0"
    )
    assert heavy == "[]"
    assert printed


def test_help_imports_no_command():
    heavy, printed = imported_by(
        "from undertone import cli\n"
        "cli.run(cli.undertone, 'undertone', ['--help'])\n"
        "assert not {f'undertone.cli.{name}' for name in cli.COMMANDS} & set(sys.modules)"
    )
    assert heavy == "[]"
    for name, line in cli.COMMANDS.items():
        assert name in printed
        assert line in printed


def test_the_package_alone_imports_nothing():
    heavy, _ = imported_by("import undertone")
    assert heavy == "[]"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_of_the_table_is_there_and_can_tell_its_use(name):
    assert importlib.util.find_spec(f"undertone.cli.{name}"), "the table names a module"
    result = CliRunner().invoke(cli.undertone, [name, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_version():
    assert __version__ in CliRunner().invoke(cli.undertone, ["--version"]).stdout


def test_a_misspelt_command_suggests_the_nearest():
    result = CliRunner().invoke(cli.undertone, ["jurnal"])
    assert result.exit_code == 2
    assert "No such command 'jurnal'. Did you mean 'journal'?" in result.stderr
    nothing_like_it = CliRunner().invoke(cli.undertone, ["zzz"])
    assert nothing_like_it.exit_code == 2
    assert "No such command 'zzz'." in nothing_like_it.stderr
    assert "Try 'undertone --help' for help." in nothing_like_it.stderr


def test_python_can_run_it_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "undertone", "samples", "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: undertone samples [OPTIONS]\n")


COMPLETE_IN_BASH = """
source /dev/stdin
COMP_WORDS=(undertone "$@")
COMP_CWORD=$#
_undertone_completion undertone
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """What bash would offer for a line, with the completion script from the documentation."""
    program = tmp_path / "bin/undertone"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom undertone.cli import main\nmain()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    environment = {**os.environ, "_UNDERTONE_COMPLETE": "bash_source"}
    script = subprocess.check_output(["undertone"], env=environment)

    def complete(*words):
        done = subprocess.run(
            ["bash", "-c", COMPLETE_IN_BASH, "bash", *words], input=script, capture_output=True
        )
        assert done.stderr == b""
        return done.stdout.decode().split()

    return complete


def test_the_shell_completes_commands_options_and_values(complete):
    assert complete("cl") == ["classify"]
    assert complete("service", "") == ["install", "remove", "status"]
    assert complete("classify", "--fo") == ["--format"]
    assert complete("classify", "--format", "") == ["table", "json", "csv"]


def test_the_shell_completes_in_silence_where_something_is_wrong(complete, tmp_path):
    assert complete("jurnal", "--sin") == []
    (tmp_path / "undertone").mkdir()
    (tmp_path / "undertone/config.toml").write_text("treshold = 1\n")
    assert complete("classify", "--fo") == ["--format"]


@pytest.mark.parametrize("args", [["--bad"], ["config", "--bad"], ["config", "extra"]])
def test_wrong_usage_is_status_2(args, capsys):
    assert cli.run(cli.undertone, "undertone", args) == 2
    assert "Usage: undertone" in capsys.readouterr().err


def raising(error):
    @click.command()
    def command():
        raise error

    return command


def test_an_error_is_one_sentence(capsys):
    assert cli.run(raising(AudioSourceError("no microphone")), "undertone", []) == 1
    assert capsys.readouterr().err == "undertone: no microphone\n"
    assert cli.run(raising(ConfigError("no such key")), "undertone", []) == 2


def test_an_interrupt_is_status_130(capsys):
    assert cli.run(raising(KeyboardInterrupt()), "undertone", []) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(raising(ZeroDivisionError()), "undertone", [])


def test_a_status_set_by_the_command_is_kept():
    @click.command()
    @click.pass_context
    def command(ctx):
        ctx.exit(1)

    assert cli.run(command, "undertone", []) == 1


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_is_no_error(lines):
    code = f"""
import click, sys
from undertone import cli

@click.command()
def command():
    sys.stdin.readline()
    for _ in range({lines}):
        click.echo("line")

sys.exit(cli.run(command, "undertone"))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdout.close()
    child.stdin.write(b"\n")
    child.stdin.close()
    assert child.stderr.read() == b""
    child.wait()
    child.stderr.close()
