"""The service: its unit, its messages to systemd, and its signals."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from undertone.audio.block import REST_S, SAMPLE_RATE_HZ
from undertone.cli import undertone
from undertone.errors import ServiceError
from undertone.events import (
    LiveStatus,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)
from undertone.samples import clips
from undertone.service import install, unit
from undertone.service.notify import Notifier, service_manager
from undertone.service.signals import RELOAD, ShutdownSignals
from undertone.service.sink import ServiceSink

LARGEST_EXPOSURE = 1.5  # of 10, as `systemd-analyze security` counts; 9.6 is a service unhardened
NETWORK_AND_MICROPHONE = 0.5  # what it adds to have both
LIMIT_S = 60
BLOCK = bytes(round(2 * SAMPLE_RATE_HZ * REST_S))  # of quiet, which is taken at once


# the unit


@pytest.fixture
def unit_file(tmp_path):
    """A unit whose program exists."""
    path = tmp_path / "undertone.service"
    path.write_text(unit.text(unit.Unit(Path(sys.executable), ("--microphone", "USB 50% $x"))))
    return path


@pytest.fixture
def publish_unit_file(tmp_path):
    """The unit of the publisher, of a program that exists."""
    path = tmp_path / "undertone-publish.service"
    path.write_text(unit.publish_text(Path(sys.executable)))
    return path


@pytest.fixture
def network_unit_file(tmp_path):
    """The unit of a listener to a stream, of a program that exists."""
    path = tmp_path / "undertone.service"
    path.write_text(unit.text(unit.Unit(Path(sys.executable), network=True)))
    return path


@pytest.fixture(params=["unit_file", "network_unit_file", "publish_unit_file"])
def any_unit_file(request):
    """Each of the units."""
    return request.getfixturevalue(request.param)


def analyze(*arguments):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S
    )


def test_systemd_understands_every_line_of_the_unit(any_unit_file):
    done = analyze("verify", any_unit_file)
    assert done.returncode == 0, done.stderr
    assert any_unit_file.name not in done.stderr


@pytest.mark.parametrize(
    ("name", "more"),
    [("unit_file", 0.0), ("publish_unit_file", 0.0), ("network_unit_file", NETWORK_AND_MICROPHONE)],
)
def test_systemd_finds_the_unit_hardened(name, more, request):
    limit = f"--threshold={(LARGEST_EXPOSURE + more) * 10:.0f}"
    path = request.getfixturevalue(name)
    done = analyze("security", "--offline=true", "--no-pager", limit, path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_names_what_it_was_given():
    text = unit.text(unit.Unit(Path("/opt/u/bin/undertone"), ("--channel", "0")))
    lines = text.splitlines()
    assert "ExecStart=/opt/u/bin/undertone listen --source mic --channel 0" in lines
    assert {"User=undertone", "StateDirectory=undertone"} <= set(lines)
    assert "Environment=UNDERTONE_STATE=/var/lib/undertone" in lines


def test_the_publisher_has_the_network_another_user_and_only_the_group_of_the_journal():
    listener = set(unit.text(unit.Unit(Path("/opt/u/bin/undertone"))).splitlines())
    publisher = set(unit.publish_text(Path("/opt/u/bin/undertone")).splitlines())
    assert "PrivateNetwork=yes" in listener
    assert "PrivateNetwork=yes" not in publisher
    assert "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX" in publisher
    assert {"DynamicUser=yes", "User=undertone-publish"} <= publisher
    assert {line for line in publisher if line.startswith("SupplementaryGroups")} == {
        "SupplementaryGroups=undertone"
    }
    assert "ExecStart=/opt/u/bin/undertone publish" in publisher
    assert "Environment=UNDERTONE_JOURNAL=/var/lib/undertone/journal" in publisher
    assert "EnvironmentFile=-/etc/undertone/publish.env" in publisher


def lines_for(*arguments):
    """The lines that an installation with these arguments would write."""
    result = call("install", "--dry-run", *arguments)
    assert result.exit_code == 0, result.output
    return set(result.stdout.splitlines())


NETWORK = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"
NO_NETWORK = {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "IPAddressDeny=any"}


@pytest.mark.parametrize("source", [[], ["--source", "mic"], ["--source", "/srv/talk.wav"]])
def test_the_listener_has_no_network_unless_its_source_is_a_stream(source):
    assert lines_for("--", *source) > NO_NETWORK
    assert NETWORK not in lines_for("--", *source)


def test_a_listener_to_a_stream_has_the_network():
    lines = lines_for("--", "--source", "rtsp://camera.local:554/live")
    assert not NO_NETWORK & lines
    assert NETWORK in lines
    program = Path(sys.executable).with_name("undertone")
    assert f"ExecStart={program} listen --source rtsp://camera.local:554/live" in lines


def test_a_unit_has_one_source():
    program = Path(sys.executable).with_name("undertone")
    assert f"ExecStart={program} listen --source /srv/talk.wav" in lines_for(
        "--", "--source", "/srv/talk.wav"
    )
    several = lines_for("--", "--microphone", "USB", "--microphone", "Webcam")
    assert (
        f"ExecStart={program} listen --source mic --microphone USB --microphone Webcam" in several
    )


def test_an_address_with_a_password_is_read_from_a_file_and_never_in_the_unit():
    lines = lines_for("--network")
    program = Path(sys.executable).with_name("undertone")
    assert {f"ExecStart={program} listen", "EnvironmentFile=-/etc/undertone/listen.env"} < lines
    assert "Environment=UNDERTONE_SOURCE=mic" in lines  # without the file; never a demonstration
    assert not NO_NETWORK & lines
    address = "rtsp://me:secret@camera.local/live"
    result = call("install", "--dry-run", "--", "--source", address)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "/etc/undertone/listen.env" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("USB", "USB"),
        ("", '""'),
        ("two words", '"two words"'),
        ('a "b" \\c', '"a \\"b\\" \\\\c"'),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        (";", '";"'),
        ("Küche", '"Küche"'),
    ],
)
def test_systemd_gets_each_argument_as_it_was_given(word, written):
    line = unit.text(unit.Unit(Path("/bin/u"), (word,))).split("ExecStart=")[1].splitlines()[0]
    assert line == f"/bin/u listen --source mic {written}"


def test_an_argument_can_add_no_line_to_the_unit():
    with pytest.raises(ValueError, match="control character"):
        unit.text(unit.Unit(Path("/bin/u"), ("x\nUser=root",)))


# the installation


def call(*arguments):
    return CliRunner().invoke(undertone, ["service", *arguments])


def pretend(folder, *names):
    """Programs that only write down how they were called, and what they read."""
    folder.mkdir()
    for name in names:
        path = folder / name
        path.write_text(f'#!/bin/sh\necho {name} "$@"\ncase "$*" in *stdin*) /bin/cat;; esac\n')
        path.chmod(0o755)
    return {"PATH": str(folder)}


def test_what_a_dry_run_prints_does_what_an_installation_does(tmp_path):
    script = call("install", "--dry-run", "--", "--microphone", "two words").stdout
    env = pretend(tmp_path / "bin", "useradd", "install", "systemctl")
    done = subprocess.run(["/bin/sh"], input=script, env=env, capture_output=True, text=True)
    program = Path(sys.executable).with_name("undertone")
    service = unit.Unit(program, ("--microphone", "two words"))
    called = []

    def run(step):
        called.append(" ".join(step.command) + "\n" + step.stdin)
        return 0

    install.perform(install.install_steps(service, with_user=not install.user_exists()), run)
    assert (done.stdout, done.stderr, done.returncode) == ("".join(called), "", 0)
    assert called[-1] == "systemctl restart undertone\n"


def test_the_publisher_is_installed_beside_the_listener_where_that_is_asked_for(tmp_path):
    script = call("install", "--dry-run", "--publish").stdout
    env = pretend(tmp_path / "bin", "useradd", "install", "systemctl")
    done = subprocess.run(["/bin/sh"], input=script, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert unit.publish_text(Path(sys.executable).with_name("undertone")) in done.stdout
    assert done.stdout.endswith("systemctl restart undertone-publish\n")
    assert done.stdout.index("restart undertone\n") < done.stdout.index("enable undertone-publish")
    assert "undertone-publish" not in call("install", "--dry-run").stdout


def test_both_services_are_shown_and_removed_where_both_are_installed(monkeypatch):
    monkeypatch.setattr(install, "publish_is_installed", lambda: True)
    both = "undertone undertone-publish"
    assert call("status", "--dry-run").stdout == f"systemctl status --no-pager {both}\n"
    folder = "/etc/systemd/system"
    assert call("remove", "--dry-run").stdout.splitlines() == [
        f"systemctl disable --now {both}",
        f"rm --force {folder}/undertone.service {folder}/undertone-publish.service",
        "systemctl daemon-reload",
    ]


def test_a_dry_run_of_the_others_shows_their_commands():
    assert call("status", "--dry-run").stdout == "systemctl status --no-pager undertone\n"
    assert call("remove", "--dry-run").stdout.splitlines() == [
        "systemctl disable --now undertone",
        "rm --force /etc/systemd/system/undertone.service",
        "systemctl daemon-reload",
    ]


def test_uninstall_is_another_word_for_remove():
    assert call("uninstall", "--dry-run").stdout == call("remove", "--dry-run").stdout != ""
    assert "uninstall" not in call("--help").stdout
    assert "'uninstall'" in call("uninstal").stderr


def test_the_user_is_made_where_there_is_none():
    service = unit.Unit(Path("/bin/u"))
    without, with_user = (
        [step.command for step in install.install_steps(service, with_user=wanted)]
        for wanted in (False, True)
    )
    assert with_user[1:] == without
    assert with_user[0][0] == "useradd"
    assert with_user[0][-1] == "undertone"
    assert install.user_exists(pwd.getpwuid(0).pw_name)
    assert not install.user_exists("nobody-of-this-name")


def test_the_first_step_that_fails_is_the_last_and_is_named():
    called = []

    def run(step):
        called.append(step)
        return 5 * (step.command[0] == "systemctl")

    steps = install.install_steps(unit.Unit(Path("/bin/u")), with_user=True)
    with pytest.raises(ServiceError, match="systemctl daemon-reload failed with status 5"):
        install.perform(steps, run)
    assert called == steps[:3]


def test_a_program_that_is_missing_is_named():
    with pytest.raises(ServiceError, match="can't run no-such-program: No such file"):
        install.run(install.Step(("no-such-program",)))


def test_a_step_gives_its_command_something_to_read(tmp_path):
    command = ("install", "-m", "644", "/dev/stdin", str(tmp_path / "unit"))
    assert install.run(install.Step(command, "[Unit]\n")) == 0
    assert (tmp_path / "unit").read_text() == "[Unit]\n"


def test_an_obstacle_is_reported_in_one_sentence(tmp_path):
    install.require_systemd(tmp_path)
    with pytest.raises(ServiceError, match="does not run systemd"):
        install.require_systemd(tmp_path / "none")
    install.require_root(0, ["undertone"])
    with pytest.raises(ServiceError, match=r"run sudo /o/undertone service remove$"):
        install.require_root(1000, ["/o/undertone", "service", "remove"])
    install.require_installed(tmp_path)
    with pytest.raises(ServiceError, match="not installed"):
        install.require_installed(tmp_path / "none")
    install.require_reachable([Path("/opt/undertone/bin/undertone"), Path("/homes/x")])
    with pytest.raises(ServiceError, match=r"has no access to /home.*install"):
        install.require_reachable([Path("/home/pi/.venv/bin/undertone")])


def test_a_program_that_the_service_could_not_see_is_reported_before_root_is_needed(monkeypatch):
    monkeypatch.setattr(install, "require_systemd", lambda: None)
    monkeypatch.setattr(install, "_HIDDEN", ("/",))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "has no access to" in str(call("install").exception)
    monkeypatch.setattr(install, "_HIDDEN", ())
    assert "only root may" in str(call("install").exception)


@pytest.mark.skipif(install.BOOTED.is_dir(), reason="systemd runs this machine")
@pytest.mark.parametrize("action", ["install", "status", "remove"])
def test_without_systemd_nothing_is_tried(action):
    result = call(action)
    assert isinstance(result.exception, ServiceError)
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["--no-such-option"], ["--channel", "-1"], ["--microphone", "a\nb"]]
)
def test_options_that_listen_would_refuse_are_refused_before_anything_is_done(arguments):
    result = call("install", "--dry-run", "--", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    usages = ("Usage: undertone listen [OPTIONS]", "Usage: undertone service install [OPTIONS]")
    assert result.stderr.startswith(usages)


@pytest.mark.parametrize("action", [[], ["install"], ["status"], ["remove"]])
def test_the_help_has_an_example(action):
    assert "undertone service " in call(*action, "--help").stdout.split("Example")[1]


# messages to systemd


class Manager:
    """A service manager that keeps the messages it receives."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(LIMIT_S)
        self.socket.bind(address.replace("@", "\0"))

    def told(self):
        """The next message, waited for."""
        return self.socket.recv(4096).decode()


@pytest.fixture
def manager():
    """A service manager at an abstract address, which no long path can spoil."""
    manager = Manager(f"@undertone-{uuid.uuid4()}")
    with manager.socket:
        yield manager


def test_messages_arrive_at_both_kinds_of_address(manager, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path of a socket has 108 bytes at most
    by_path = Manager("notify")
    with by_path.socket:
        for each in (manager, by_path):
            Notifier(each.address).send("READY=1", "STATUS=Zuhören")
            assert each.told() == "READY=1\nSTATUS=Zuhören"


def test_a_name_with_a_line_break_is_no_message_of_its_own(manager):
    Notifier(manager.address).send("STATUS=Listening to USB\nMAINPID=1")
    assert manager.told() == "STATUS=Listening to USB MAINPID=1"


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody-listens-here", "vsock:2:1"])
def test_a_manager_that_does_not_listen_is_one_sentence(address):
    with pytest.raises(ServiceError, match="message to the service manager on"):
        Notifier(address).send("READY=1")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": ""}, None),
        ({"WATCHDOG_USEC": "1000000"}, None),
        ({"NOTIFY_SOCKET": "/n"}, Notifier("/n", None)),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1500000"}, Notifier("/n", 1.5)),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "x"}, Notifier("/n", None)),
        (
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
            Notifier("/n", None),
        ),
    ],
)
def test_the_environment_says_who_wants_to_know(environment, expected):
    assert service_manager(environment) == expected


STARTED = Started(moment(0.0), "USB", "m", "0" * 64, "1")
SEGMENT = SegmentEnded.of(0.0, 1.0, -20.0, Verdict.of({"sad": 1.0}), "m", "0" * 64)
MOMENT = LiveStatus(0.0, 0.0, -60.0, False, False, lambda: None)


class Told:
    """A notifier that keeps what it is given to send, and a clock that can be set."""

    watchdog_s = 30.0

    def __init__(self):
        self.messages = []
        self.now_s = 100.0
        self.sink = ServiceSink(self, lambda: self.now_s)

    def send(self, *assignments):
        self.messages.append(assignments)

    def after(self, *events):
        """The messages about these events."""
        self.messages.clear()
        for event in events:
            self.sink.handle(event)
        return list(self.messages)

    def at(self, time_s):
        """The messages at a moment of listening."""
        self.messages.clear()
        self.now_s = time_s
        self.sink.observe(MOMENT)
        return list(self.messages)


def test_ready_is_reported_once_when_sound_goes_through():
    told = Told()
    assert told.after(STARTED) == []
    assert told.at(101.0) == [("READY=1", "STATUS=Listening to USB: 0 segments of speech")]
    assert told.at(102.0) == []


def test_signs_of_life_come_twice_as_often_as_they_are_due_and_only_with_moments():
    told = Told()
    told.at(100.0)
    assert [time_s for time_s in range(101, 200) if told.at(time_s)] == [*range(115, 200, 15)]
    assert told.at(500.0) == [("WATCHDOG=1",)]
    assert told.at(500.1) == []


def test_the_status_counts_and_names_no_emotion():
    lost, back = (
        SourceLost(moment(0.0), "USB", "its stream ended"),
        SourceBack(moment(0.0), "USB", 3.0),
    )
    assert Told().after(STARTED, SEGMENT, SEGMENT, lost, back) == [
        ("STATUS=Listening to USB: 1 segment of speech",),
        ("STATUS=Listening to USB: 2 segments of speech",),
        ("STATUS=USB is lost (its stream ended)",),
        ("STATUS=Listening to USB: 2 segments of speech",),
    ]


def test_the_status_names_all_sources_and_those_that_are_lost():
    started = [
        Started(moment(0.0), source, "model", "0" * 64, "1") for source in ("USB", "Webcam", "Door")
    ]
    missing = SourceLost(moment(0.0), "Door", "it was missing at the start")
    lost = [SourceLost(moment(1.0), source, "no samples") for source in ("USB", "Webcam")]
    back = [SourceBack(moment(2.0), source, 3.0) for source in ("Webcam", "Door", "USB")]
    door = "Door is lost (it was missing at the start)"
    usb, webcam = "USB is lost (no samples)", "Webcam is lost (no samples)"
    assert Told().after(*started, SEGMENT, missing, *lost, *back) == [
        ("STATUS=Listening to USB, Webcam, Door: 1 segment of speech",),
        (f"STATUS=Listening to USB, Webcam: 1 segment of speech; {door}",),
        (f"STATUS=Listening to Webcam: 1 segment of speech; {door}; {usb}",),
        (f"STATUS={door}; {usb}; {webcam}",),
        (f"STATUS=Listening to Webcam: 1 segment of speech; {door}; {usb}",),
        (f"STATUS=Listening to Webcam, Door: 1 segment of speech; {usb}",),
        ("STATUS=Listening to USB, Webcam, Door: 1 segment of speech",),
    ]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("interrupted", ("STOPPING=1", "STATUS=Ended: interrupted")),
        (RELOAD, ("RELOADING=1", "MONOTONIC_USEC=100000000")),
    ],
)
def test_the_end_says_which_one_it_is(reason, message):
    assert Told().after(Stopped(moment(0.0), reason, 1.0, 1)) == [message]


# signals


ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def interrupted(shutdown, *numbers):
    """What the interrupt says that these signals raise while a source is waited for."""

    def source():
        for number in numbers:
            signal.raise_signal(number)
        yield "nothing came"

    with pytest.raises(KeyboardInterrupt) as ended:
        list(shutdown.until_signal(source()))
    return str(ended.value)


def test_a_terminal_that_has_gone_ends_the_listening_and_starts_nothing():
    outside = ShutdownSignals(service=False)
    assert interrupted(outside, signal.SIGHUP) == ""
    assert not outside.reload


@pytest.mark.parametrize(
    ("received", "said", "reload"),
    [
        (["SIGTERM"], "", False),
        (["SIGHUP"], RELOAD, True),
        (["SIGHUP", "SIGHUP"], RELOAD, True),
        (["SIGHUP", "SIGTERM"], RELOAD, False),
        (["SIGTERM", "SIGHUP", "SIGTERM"], "", False),
        (["SIGINT"] * 8, "", False),
    ],
)
def test_the_first_signal_ends_and_the_later_ones_disturb_nothing(received, said, reload):
    shutdown = ShutdownSignals(service=True)
    first, *later = (signal.Signals[name] for name in received)
    assert interrupted(shutdown, first) == said
    for number in later:
        signal.raise_signal(number)
    assert shutdown.reload is reload


@pytest.mark.parametrize("number", ENDING)
def test_what_is_done_with_an_item_comes_to_its_end(number):
    shutdown = ShutdownSignals(service=True)
    done = []
    with pytest.raises(KeyboardInterrupt) as ended:
        for item in shutdown.until_signal(["first", "second"]):
            for _ in range(8):
                signal.raise_signal(number)
            done.append(item)
    assert done == ["first"]
    assert str(ended.value) == (RELOAD if number == signal.SIGHUP else "")


def test_a_source_that_closes_is_not_disturbed():
    closed = []

    def source():
        try:
            signal.raise_signal(signal.SIGINT)
            yield "nothing came"
        finally:
            signal.raise_signal(signal.SIGINT)
            closed.append("whole")

    with pytest.raises(KeyboardInterrupt):
        list(ShutdownSignals(service=False).until_signal(source()))
    assert closed == ["whole"]


def test_a_source_that_ends_by_itself_is_over():
    shutdown = ShutdownSignals(service=False)
    assert list(shutdown.until_signal("ab")) == ["a", "b"]
    signal.raise_signal(signal.SIGINT)


# the whole program


class Service:
    """``undertone listen`` as systemd starts it, fed through a pipe."""

    def __init__(self, manager, folder, **environment):
        self.folder = folder
        self.config = folder / "config/undertone/config.toml"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "undertone.cli", "listen", "--source", "-"],
            env=os.environ
            | {"UNDERTONE_STATE": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
            | {"NOTIFY_SOCKET": manager.address, "HOME": str(folder)}
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def feed(self, sound):
        self.process.stdin.write(sound)
        self.process.stdin.flush()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, complaints = self.process.communicate()
        assert (self.process.returncode, complaints) == (0, b"")

    def events(self, journal="journal"):
        files = sorted((self.folder / journal).glob("*.jsonl"))
        lines = "".join(path.read_text() for path in files).splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def start(manager, tmp_path):
    """Starts a service; one that waits in vain is killed and fails its test."""
    started = []

    def start(**environment):
        service = Service(manager, tmp_path, **environment)
        limit = threading.Timer(LIMIT_S, service.process.kill)
        limit.start()
        started.append((service, limit))
        return service

    yield start
    for service, limit in started:
        limit.cancel()
        service.process.kill()
        service.process.communicate()


def test_a_service_tells_its_beginning_its_life_and_its_end(manager, start):
    service = start(WATCHDOG_USEC="1")  # a sign of life with each block or idle moment
    service.feed(BLOCK * 3)
    ready, *alive = (manager.told() for _ in range(10))
    assert ready == "READY=1\nSTATUS=Listening to standard input: 0 segments of speech"
    assert alive == ["WATCHDOG=1"] * 9  # also while the pipe gives nothing
    service.end()
    while (last := manager.told()) == "WATCHDOG=1":
        pass
    assert last == "STOPPING=1\nSTATUS=Ended: interrupted"
    assert [event["event"] for event in service.events()] == ["start", "stop"]


def test_without_a_watchdog_there_are_no_signs_of_life(manager, start):
    service = start()
    sound, _ = soundfile.read(clips()[4], dtype="int16")
    service.feed(sound.tobytes() + BLOCK * 30)
    assert manager.told() == "READY=1\nSTATUS=Listening to standard input: 0 segments of speech"
    assert manager.told() == "STATUS=Listening to standard input: 1 segment of speech"
    service.end()
    assert manager.told() == "STOPPING=1\nSTATUS=Ended: interrupted"
    assert [event["event"] for event in service.events()] == ["start", "segment", "stop"]


def test_sighup_ends_the_run_and_begins_another_with_the_settings_read_again(manager, start):
    service = start()
    service.feed(BLOCK)
    assert manager.told().startswith("READY=1")
    service.config.parent.mkdir(parents=True)
    service.config.write_text('journal = "~/elsewhere"\n')
    process_id = service.process.pid
    service.process.send_signal(signal.SIGHUP)
    assert manager.told().startswith("RELOADING=1\nMONOTONIC_USEC=")
    service.feed(BLOCK)
    assert manager.told().startswith("READY=1")
    service.end()
    assert service.process.pid == process_id
    assert manager.told().startswith("STOPPING=1")
    first = service.events()
    assert [event["event"] for event in first] == ["start", "stop"]
    assert first[-1]["reason"] == "reload"
    assert [event["event"] for event in service.events("elsewhere")] == ["start", "stop"]


def test_settings_that_turn_out_wrong_end_a_reload_with_one_sentence(manager, start):
    service = start()
    service.feed(BLOCK)
    assert manager.told().startswith("READY=1")
    service.config.parent.mkdir(parents=True)
    service.config.write_text("treshold = 0.5\n")
    service.process.send_signal(signal.SIGHUP)
    _, complaints = service.process.communicate()
    assert service.process.returncode == 2
    assert complaints.decode().count("\n") == 1
    assert "did you mean 'threshold'?" in complaints.decode()
    assert [event["event"] for event in service.events()] == ["start", "stop"]


def test_a_deaf_service_manager_stops_no_listening(start):
    service = start(NOTIFY_SOCKET="@nobody-listens-here", WATCHDOG_USEC="1")
    _, complaints = service.process.communicate(BLOCK * 10)
    assert service.process.returncode == 0
    assert complaints.decode().count("message to the service manager on @nobody-listens-here") == 1
    assert [event["event"] for event in service.events()] == ["start", "stop"]
