"""The systemd unit: a pure function from a few facts to its text."""

import re
from dataclasses import dataclass
from pathlib import Path

NAME = "undertone"
"""Of the service, its user, and its folders below ``/etc`` and ``/var/lib``."""

_PLAIN_WORD = re.compile(r"[\w@+=:,./-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unit:
    """What differs from one machine to another.

    executable: the program ``undertone``; arguments: for its command ``listen``.
    """

    executable: Path
    arguments: tuple[str, ...] = ()
    user: str = NAME
    state_folder: str = NAME
    """Below ``/var/lib``; systemd makes it and gives it to ``user``."""


def text(unit: Unit) -> str:
    """The unit file.  Raises ValueError where a path or an argument has a control character."""
    words = (str(unit.executable), "listen", "--source", "mic", *unit.arguments)
    return _TEMPLATE.format(
        command=" ".join(map(_quoted, words)), user=unit.user, state=unit.state_folder, name=NAME
    )


def _quoted(word: str) -> str:
    """A word of a command line as systemd reads it: see "Command lines" in systemd.service(5)."""
    if not word.isprintable():
        raise ValueError(f"{word!r} has a control character")
    word = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN_WORD.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


# What is left out on purpose: PrivateDevices= hides the sound cards. ProcSubset=pid hides
# /proc/cpuinfo, without which LiteRT crashes on Arm. PrivateUsers= maps the group audio away.
# MemoryDenyWriteExecute= takes sounddevice its callback, which cffi makes in such memory (the
# runtimes, XNNPACK too, could live with it).
_TEMPLATE = """\
[Unit]
Description=Undertone: emotions heard, into the local journal
After=sound.target
# A microphone that is missing at the start is waited for, however long it takes.
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
# What is heard goes into Undertone's journal alone; the system's gets troubles (stderr).
StandardOutput=null
StandardError=journal

User={user}
SupplementaryGroups=audio
UMask=0027
StateDirectory={state}
StateDirectoryMode=0750
Environment=UNDERTONE_STATE=/var/lib/{state}
# The settings are those in /etc/{name}/config.toml, where there is one.
Environment=XDG_CONFIG_HOME=/etc

# Sound cards, and no other device.
DevicePolicy=closed
DeviceAllow=char-alsa rw

# No network.
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any

# Files: read the system, write the state folder, see no home.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible

# Rights: none to gain, and none over the system.
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

[Install]
WantedBy=multi-user.target
"""
