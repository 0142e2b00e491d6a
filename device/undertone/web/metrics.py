"""Figures for a monitoring program, in the text format of OpenMetrics 1.0.

https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from threading import Lock

from undertone.events import UNCERTAIN, SegmentEnded
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
                if isinstance(segment := entry.event, SegmentEnded):
                    tally = self._tallies[segment.verdict]
                    tally.segments += 1
                    tally.speech_s += segment.duration_s
                    if segment.activation is not None:
                        self._activation.add(segment.activation)
            self._tail.done(entries[-1])


def _text(
    health: Health, tallies: Mapping[str, Tally], activation: Activation, now_s: float
) -> str:
    about = _labels(version=health.version, model=health.model, model_sha256=health.model_sha256)
    totals = [(f"_total{_labels(verdict=verdict)}", tally) for verdict, tally in tallies.items()]
    segments = {name: tally.segments for name, tally in totals}
    speech_s = {name: round(tally.speech_s, 3) for name, tally in totals}
    sums = {"_count": activation.segments, "_sum": round(activation.total, 3)}
    listens = int(health.listener_up)
    lines = [
        *_family("", "info", "The version of the program and its model.", {f"_info{about}": 1}),
        *_family("_listener_up", "gauge", "Whether a program writes the journal.", {"": listens}),
        *_family("_segments", "counter", "Segments of speech, since the first request.", segments),
        *_family("_speech_seconds", "counter", "Their length.", speech_s, "seconds"),
        *_family("_activation", "summary", "Of the segments that have an activation.", sums),
    ]
    if health.last_segment_age_s is not None:
        ended = {"": round(now_s - health.last_segment_age_s, 3)}
        name, meaning = "_last_segment_timestamp_seconds", "When the newest segment ended."
        lines += _family(name, "gauge", meaning, ended, "seconds")
    free = {"": health.disk_free_bytes}
    lines += _family("_disk_free_bytes", "gauge", "Of the journal's disk.", free, "bytes")
    return "\n".join([*lines, "# EOF", ""])


def _family(
    name: str, kind: str, meaning: str, samples: Mapping[str, float], unit: str | None = None
) -> Iterable[str]:
    """The lines of one figure; ``samples`` by what follows its name."""
    name = f"undertone{name}"
    yield f"# TYPE {name} {kind}"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {meaning}"
    yield from (f"{name}{suffix} {value}" for suffix, value in samples.items())


def _labels(**labels: str) -> str:
    pairs = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{{{pairs}}}"
