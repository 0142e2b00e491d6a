"""Lines that no writer made: what the reader accepts is published, and nothing ends the program."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.journal.tail import JournalTail
from undertone.publish import homeassistant, messages
from undertone.publish.alerts import Alerts, AlertState
from undertone.publish.rules import parse_rules
from undertone.publish.sources import Sources

LINES = (Path(__file__).parent.parent / "journal/lines.jsonl").read_text().splitlines()
RULES = [
    {"name": "a", "when": "emotion", "emotion": "happy", "quiet": "22:00-07:00"},
    {"name": "b", "when": "microphone lost"},
    {"name": "c", "when": "nothing heard"},
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
    st.text(max_size=20),
    st.sampled_from(["2026-11-21T12:00:00z", "1900-01-01T00:00:00Z", "8999-12-31T23:59:59-23:59"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.floats(0, 1, allow_subnormal=False), max_size=3),
)
CHANGES = st.dictionaries(
    st.sampled_from(["event", "time", "source", "verdict", "label", "scores", "confidence"])
    | st.sampled_from(["model", "version", "activation", "id", "reason", "recording", "start"]),
    VALUES,
    max_size=3,
)


@given(st.lists(st.tuples(st.sampled_from(LINES), CHANGES), max_size=8))
def test_every_line_that_is_read_can_be_published(
    tmp_path_factory: pytest.TempPathFactory, changed: list[tuple[str, dict[str, Any]]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    lines = [json.dumps(json.loads(line) | changes) for line, changes in changed]
    (folder / "2026-11-21.jsonl").write_text("".join(line + "\n" for line in lines))
    sources, alerts = Sources(), Alerts(parse_rules(RULES, "config.toml"), AlertState())
    sent = []
    for entry in JournalTail(folder, {}).read(100):
        if entry.event is not None:
            name = sources.of(entry.event)
            sources = sources.after(entry.event)
            sent.append(messages.event("home/pi", name, entry.event, entry.id))
            assert json.loads(sent[-1].payload)["id"] == entry.id
            list(alerts.take(entry.event, entry.id))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    list(alerts.tick(now, 0.0))
    for name, source in sources.by_name.items():
        sent += homeassistant.discovery("home/pi", name, source)
        sent += homeassistant.state("home/pi", name, source, is_up=False, today=now.date())
    for message in sent:
        assert not set("+#\0") & set(message.topic)
        assert json.loads(message.payload.encode(errors="replace"))
