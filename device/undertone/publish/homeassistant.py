"""What Home Assistant needs to find a microphone, and the topics that its entities show.

See https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.  A text has no device class and
no unit: Home Assistant would take it for a number and refuse it.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from undertone import __version__
from undertone.publish.messages import Message, availability, slug, to_json
from undertone.publish.sources import LISTENING, STOPPED, Source

BIRTH_TOPIC = "homeassistant/status"
BIRTH_PAYLOAD = b"online"

_ACTIVATION = "{{ value_json.activation * 100 if value_json.activation is defined else '' }}"
"""Nothing for a segment of a model without activation: Home Assistant ignores an empty number."""


def discovery(topic: str, name: str, source: Source) -> Iterator[Message]:
    """The retained messages by which the source ``name`` becomes a device with its entities."""
    node = f"{slug(topic)}_{slug(name)}"
    shared = {
        "availability_topic": availability(topic, "").topic,
        "device": {
            "identifiers": [node],
            "name": f"Undertone {name}",
            "manufacturer": "Undertone",
            "model": source.model or "unknown",
            "sw_version": source.version or __version__,
        },
        "origin": {"name": "Undertone", "sw_version": __version__},
    }
    for key, (component, entity) in _entities(f"{topic}/{slug(name)}", source).items():
        payload = {**entity, "unique_id": f"{node}_{key}", **shared}
        yield Message(f"homeassistant/{component}/{node}/{key}/config", to_json(payload), True)


def state(topic: str, name: str, source: Source, *, is_up: bool, today: date) -> Iterator[Message]:
    """The present state and the counts of today's segments, which hold until they change.

    They are retained, because Home Assistant subscribes to them only after the discovery.
    is_up: whether a program writes the journal; one that was killed has not written that it stops.
    """
    place = f"{topic}/{slug(name)}"
    now: dict[str, str | None] = {"state": source.state, "since": source.since}
    if not is_up and source.state != STOPPED:
        now = {"state": STOPPED, "since": None}
    yield Message(f"{place}/state", to_json(now), True)
    # a day ahead of today is of a clock that was set back since
    is_over = source.day < today.isoformat()
    day, verdicts = (today.isoformat(), {}) if is_over else (source.day, source.verdicts)
    counts = {"day": day, "segments": sum(verdicts.values()), "verdicts": verdicts}
    yield Message(f"{place}/counts", to_json(counts), True)


def _entities(place: str, source: Source) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each entity's key, with its component and its configuration."""
    segment, counts, state = (f"{place}/{kind}" for kind in ("segment", "counts", "state"))
    measured = {
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "force_update": True,
    }

    def sensor(name: str, icon: str, topic: str, value: str, **more: Any) -> tuple[str, Any]:
        shown = {"name": name, "icon": f"mdi:{icon}", "state_topic": topic}
        return "sensor", {**shown, "value_template": value, **more}

    entities = {
        "emotion": sensor(
            *("Emotion", "emoticon-outline", segment, "{{ value_json.verdict }}"),
            json_attributes_topic=segment,
            force_update=True,
        ),
        "confidence": sensor(
            "Confidence", "gauge", segment, "{{ value_json.confidence * 100 }}", **measured
        ),
        "segments": sensor(
            *("Segments today", "counter", counts, "{{ value_json.segments }}"),
            state_class="total_increasing",
            json_attributes_topic=counts,
        ),
        "state": sensor("State", "microphone", state, "{{ value_json.state }}"),
        "microphone": (
            "binary_sensor",
            {
                "name": "Microphone",
                "device_class": "connectivity",
                "state_topic": state,
                "value_template": f"{{{{ 'ON' if value_json.state == '{LISTENING}' else 'OFF' }}}}",
            },
        ),
    }
    if source.has_activation:
        entities["activation"] = sensor("Activation", "pulse", segment, _ACTIVATION, **measured)
    return entities
