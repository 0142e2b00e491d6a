"""The present state of each source, as the lines of the journal change it."""

from typing import Any, Literal

import msgspec

State = Literal["listening", "microphone lost", "stopped"]
LISTENING: State = "listening"
LOST: State = "microphone lost"
STOPPED: State = "stopped"

_ABOUT_THE_JOURNAL = {"events-lost", "disk-refused", "days-removed"}
_MOST = 64
"""Microphones that are remembered, those with the newest events."""

_UNNAMED = "microphone"
"""For a segment whose beginning of the listening is not in the journal any more."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One microphone.

    since, day: RFC 3339 time and date, as in the journal; verdicts: of this day's segments.
    has_activation: whether its segments have that key.
    """

    state: State
    since: str
    model: str = ""
    version: str = ""
    day: str = ""
    verdicts: dict[str, int] = {}
    has_activation: bool = False

    @property
    def described(self) -> tuple[object, ...]:
        """What the discovery contains; it is sent again when this changes."""
        return self.model, self.version, self.has_activation


class Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All sources by name; ``latest`` is the one that began last."""

    by_name: dict[str, Source] = {}
    latest: str | None = None

    def of(self, content: dict[str, Any]) -> str | None:
        """The source that a line is about; None for one about the journal itself."""
        if content["event"] in _ABOUT_THE_JOURNAL:
            return None
        named = content.get("source")
        return (isinstance(named, str) and named) or self.latest or _UNNAMED

    def after(self, content: dict[str, Any]) -> "Sources":
        """The state after a line of the journal."""
        name = self.of(content)
        if name is None:
            return self
        source = self.by_name.get(name) or Source(LISTENING, content["time"])
        latest = self.latest
        match content["event"]:
            case "start":
                about = {"model": content["model"], "version": content["version"]}
                source = _changed(source, LISTENING, content, **about)
                latest = name
            case "source-lost":
                source = _changed(source, LOST, content)
            case "source-back":
                source = _changed(source, LISTENING, content)
            case "stop":
                source = _changed(source, STOPPED, content)
            case "segment":
                source = _counted(source, content)
        others = {key: other for key, other in self.by_name.items() if key != name}
        newest = list(others.items())[1 - _MOST :]
        return Sources({**dict(newest), name: source}, latest)


def _changed(source: Source, state: State, content: dict[str, Any], **others: Any) -> Source:
    return msgspec.structs.replace(source, state=state, since=content["time"], **others)


def _counted(source: Source, content: dict[str, Any]) -> Source:
    day, verdict = content["time"][:10], content["verdict"]
    verdicts = source.verdicts if day == source.day else {}
    return msgspec.structs.replace(
        source,
        day=day,
        verdicts={**verdicts, verdict: verdicts.get(verdict, 0) + 1},
        has_activation=source.has_activation or content.get("activation") is not None,
    )
