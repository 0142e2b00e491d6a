"""What Home Assistant needs to find a microphone, and the topics that its entities show.

See https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.  A text has no device class and
no unit: Home Assistant would take it for a number and refuse it.
"""

from collections.abc import Iterator
from typing import Any

from undertone import __version__
from undertone.publish.messages import Message, availability, slug, to_json
from undertone.publish.sources import LISTENING, Source

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


def state(topic: str, name: str, source: Source) -> Iterator[Message]:
    """The present state and the counts of today's segments, which hold until they change.

    They are not retained: they are sent again whenever Home Assistant starts.
    """
    place = f"{topic}/{slug(name)}"
    yield Message(f"{place}/state", to_json({"state": source.state, "since": source.since}))
    counts = {"day": source.day, "segments": sum(source.verdicts.values())}
    yield Message(f"{place}/counts", to_json({**counts, "verdicts": source.verdicts}))


def _entities(place: str, source: Source) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each entity's key, with its component and its configuration."""
    segment = {"state_topic": f"{place}/segment", "force_update": True}
    measured = {"state_class": "measurement", "suggested_display_precision": 0}
    entities: dict[str, tuple[str, dict[str, Any]]] = {
        "emotion": (
            "sensor",
            {
                "name": "Emotion",
                "icon": "mdi:emoticon-outline",
                "value_template": "{{ value_json.verdict }}",
                "json_attributes_topic": f"{place}/segment",
                **segment,
            },
        ),
        "confidence": (
            "sensor",
            {
                "name": "Confidence",
                "icon": "mdi:gauge",
                "unit_of_measurement": "%",
                "value_template": "{{ value_json.confidence * 100 }}",
                **measured,
                **segment,
            },
        ),
        "segments": (
            "sensor",
            {
                "name": "Segments today",
                "icon": "mdi:counter",
                "state_class": "total_increasing",
                "state_topic": f"{place}/counts",
                "value_template": "{{ value_json.segments }}",
                "json_attributes_topic": f"{place}/counts",
            },
        ),
        "state": (
            "sensor",
            {
                "name": "State",
                "icon": "mdi:microphone",
                "state_topic": f"{place}/state",
                "value_template": "{{ value_json.state }}",
            },
        ),
        "microphone": (
            "binary_sensor",
            {
                "name": "Microphone",
                "device_class": "connectivity",
                "state_topic": f"{place}/state",
                "value_template": f"{{{{ 'ON' if value_json.state == '{LISTENING}' else 'OFF' }}}}",
            },
        ),
    }
    if source.has_activation:
        entities["activation"] = (
            "sensor",
            {
                "name": "Activation",
                "icon": "mdi:pulse",
                "unit_of_measurement": "%",
                "value_template": _ACTIVATION,
                **measured,
                **segment,
            },
        )
    return entities
