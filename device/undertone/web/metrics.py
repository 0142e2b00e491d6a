"""Figures for a monitoring program, in the text format of OpenMetrics 1.0.

https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from threading import Lock

from undertone.events import UNCERTAIN
from undertone.journal.summary import Activation, Tally
from undertone.journal.tail import JournalTail
from undertone.web.app_state import AppState
from undertone.web.health import Health, check_health

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_MOST_LINES = 1000  # of the journal, in memory at a time
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Metrics:
    """Counts the segments in the journal from the first request on, each of them once.

    Totals of the whole journal would fall when days are removed, which a counter may not.
    """

    def __init__(self, state: AppState) -> None:
        """Nothing is read yet, and the journal need not exist yet."""
        self._state = state
        self._tail: JournalTail | None = None
        labels = state.models.default.bundle.manifest.labels
        self._activation = Activation()
        self._tallies = defaultdict(Tally, {label: Tally() for label in (*labels, UNCERTAIN)})
        self._counting = Lock()

    def text(self) -> str:
        """The figures now; raises JournalError if the journal exists and can't be read."""
        with self._counting:
            self._count()
            health = check_health(self._state)
            return _text(health, self._tallies, self._activation, time.time())

    def _count(self) -> None:
        if self._tail is None:
            tail = JournalTail(self._state.settings.journal, {})
            tail.skip_all()
            self._tail = tail
        while entries := self._tail.read(_MOST_LINES):
            for entry in entries:
                if entry.content and entry.content["event"] == "segment":
                    tally = self._tallies[entry.content["verdict"]]
                    tally.segments += 1
                    tally.speech_s += entry.content["duration_s"]
                    if (activation := entry.content.get("activation")) is not None:
                        self._activation.add(activation)
            self._tail.done(entries[-1])


def _text(
    health: Health, tallies: Mapping[str, Tally], activation: Activation, now_s: float
) -> str:
    lines = [
        *_family("undertone", "info", "The version of the program and its model."),
        _sample(
            "undertone_info",
            1,
            version=health.version,
            model=health.model,
            model_sha256=health.model_sha256,
        ),
        *_family("undertone_listener_up", "gauge", "Whether a program writes the journal."),
        _sample("undertone_listener_up", int(health.listener_up)),
        *_family("undertone_segments", "counter", "Segments of speech, since the first request."),
        *(
            _sample("undertone_segments_total", tally.segments, verdict=verdict)
            for verdict, tally in tallies.items()
        ),
        *_family("undertone_speech_seconds", "counter", "Their length.", "seconds"),
        *(
            _sample("undertone_speech_seconds_total", round(tally.speech_s, 3), verdict=verdict)
            for verdict, tally in tallies.items()
        ),
        *_family("undertone_activation", "summary", "Of the segments that have an activation."),
        _sample("undertone_activation_count", activation.segments),
        _sample("undertone_activation_sum", round(activation.total, 3)),
    ]
    if health.last_segment_age_s is not None:
        name = "undertone_last_segment_timestamp_seconds"
        lines += _family(name, "gauge", "When the newest segment ended.", "seconds")
        lines.append(_sample(name, round(now_s - health.last_segment_age_s, 3)))
    lines += _family("undertone_disk_free_bytes", "gauge", "Of the journal's disk.", "bytes")
    lines.append(_sample("undertone_disk_free_bytes", health.disk_free_bytes))
    return "\n".join([*lines, "# EOF", ""])


def _family(name: str, kind: str, meaning: str, unit: str | None = None) -> Iterable[str]:
    yield f"# TYPE {name} {kind}"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {meaning}"


def _sample(name: str, value: float, **labels: str) -> str:
    pairs = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"
