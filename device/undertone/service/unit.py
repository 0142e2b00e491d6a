"""The text of the systemd unit, as a pure function of a few parameters."""

import re
from dataclasses import dataclass
from pathlib import Path

NAME = "undertone"
"""The name of the service, of its user, and of its folders below ``/etc`` and ``/var/lib``."""

PUBLISH_NAME = f"{NAME}-publish"
"""Of the service that follows the journal, and of its folder below ``/var/lib``."""

LISTEN_SECRETS = Path(f"/etc/{NAME}/listen.env")
"""Variables for the listener that only root may read; systemd gives them to the service."""

_PLAIN_WORD = re.compile(r"[\w@+=:,./-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unit:
    """What differs between machines.

    executable: the program ``undertone``; arguments: those for its command ``listen``.
    network: whether it may use the network, to listen to a stream.  The address is among the
        arguments or, if it has a password, in ``LISTEN_SECRETS``.
    """

    executable: Path
    arguments: tuple[str, ...] = ()
    network: bool = False


def text(unit: Unit) -> str:
    """The unit file.  Raises ValueError if a path or an argument contains a control character."""
    source = () if unit.network else default_source(unit.arguments)
    words = (str(unit.executable), "listen", *source, *unit.arguments)
    return _TEMPLATE.format(
        ordering=_ONLINE if unit.network else "After=sound.target",
        network=_NETWORK if unit.network else _NO_NETWORK,
        command=" ".join(map(_quoted, words)),
        name=NAME,
        hardened=_HARDENED,
    )


def default_source(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The microphone, never a demonstration, unless ``arguments`` name a source."""
    named = any(word == "--source" or word.startswith("--source=") for word in arguments)
    return () if named else ("--source", "mic")


def publish_text(executable: Path) -> str:
    """The unit file of ``undertone publish`` beside the listener's, whose journal it follows.

    Raises ValueError if the path has a control character.
    """
    return _PUBLISH_TEMPLATE.format(
        command=" ".join(map(_quoted, (str(executable), "publish"))),
        name=NAME,
        publish_name=PUBLISH_NAME,
        hardened=_HARDENED,
    )


def _quoted(word: str) -> str:
    """A word of a command line, quoted for systemd: "Command lines" in systemd.service(5)."""
    if not word.isprintable():
        raise ValueError(f"{word!r} has a control character")
    word = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN_WORD.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


_HARDENED = """\
# Files: read the system, write the state folder, no access to home folders.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible

# No privileges, and no way to gain any.
NoNewPrivileges=yes
CapabilityBoundingSet=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""

_ONLINE = "Wants=network-online.target\nAfter=network-online.target sound.target"

_NO_NETWORK = """\
# No network.
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
"""

_NETWORK = f"""\
# The network, for a stream; the variable UNDERTONE_SOURCE in the file can hold its address.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
Environment=UNDERTONE_SOURCE=mic
EnvironmentFile=-{LISTEN_SECRETS}
"""

# Left out on purpose: PrivateDevices= hides the sound cards. ProcSubset=pid hides /proc/cpuinfo,
# without which LiteRT crashes on Arm. PrivateUsers= removes the group audio.
# MemoryDenyWriteExecute= breaks sounddevice's callback, which cffi creates in such memory (the
# runtimes, including XNNPACK, would work with it).
_TEMPLATE = """\
[Unit]
Description=Undertone: logs the emotions in speech to a local journal
{ordering}
# If the microphone is missing at the start, or the stream, retry until it is there.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=30
Restart=always
RestartSec=30
KillSignal=SIGTERM
TimeoutStopSec=10
# Emotions go to Undertone's journal only; the system's journal gets errors (stderr).
StandardOutput=null
StandardError=journal

User={name}
SupplementaryGroups=audio
UMask=0027
StateDirectory={name}
StateDirectoryMode=0750
Environment=UNDERTONE_STATE=/var/lib/{name}
# The settings are read from /etc/{name}/config.toml, if it exists.
Environment=XDG_CONFIG_HOME=/etc

# Sound cards, but no other devices.
DevicePolicy=closed
DeviceAllow=char-alsa rw

{network}
{hardened}
[Install]
WantedBy=multi-user.target
"""

# The group of the listener's user may read the journal, and nobody else; DynamicUser= makes a user
# who owns nothing but the cursor. PrivateUsers= would map that group away.
_PUBLISH_TEMPLATE = """\
[Unit]
Description=Undertone: publishes the journal to a broker, and alerts
Wants=network-online.target
After=network-online.target {name}.service
# A broker that is missing is waited for, however long it takes.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
Restart=always
RestartSec=30
KillSignal=SIGTERM
TimeoutStopSec=20
StandardOutput=null
StandardError=journal

DynamicUser=yes
User={publish_name}
SupplementaryGroups={name}
UMask=0077
StateDirectory={publish_name}
StateDirectoryMode=0700
Environment=UNDERTONE_STATE=/var/lib/{publish_name}
Environment=UNDERTONE_JOURNAL=/var/lib/{name}/journal
# The settings are those in /etc/{name}/config.toml; logins are read by systemd, as root.
Environment=XDG_CONFIG_HOME=/etc
EnvironmentFile=-/etc/{name}/publish.env

# The network, and no device.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
PrivateDevices=yes
DevicePolicy=closed
ProcSubset=pid
MemoryDenyWriteExecute=yes
PrivateMounts=yes

{hardened}
[Install]
WantedBy=multi-user.target
"""
