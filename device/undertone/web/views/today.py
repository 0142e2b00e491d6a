"""The page Today: what is heard now and was heard today, and whether the microphones are well."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import streamlit as st

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.errors import JournalError
from undertone.events import SegmentEnded
from undertone.journal.days import Day
from undertone.journal.summary import Summary
from undertone.web import charts
from undertone.web.app_state import LAST_DAYS, LISTENING, LOST, STOPPED, Recent, app_state
from undertone.web.theme import (
    chosen_source,
    detail_of,
    headline,
    plain,
    source_name,
    status,
    table,
    totals,
)

_ABOUT = (
    "How something is said, recognised on this device: a small neural network's guess at the "
    "emotion in each segment of speech. It knows neither words nor people, nor what anybody feels."
)

_REFRESH_S = 5.0
_LAST_HOURS = 6
_ROUNDED_MIN = 10
_SOURCE = "source on Today"
_VALUES = {"segments": False, "activation": True}
_COLOURS = {LISTENING: "#06A164", LOST: "#C74303", STOPPED: "#8A8A8A"}


def show() -> None:
    """Draw the page."""
    st.title("Undertone", anchor=False)
    st.caption(_ABOUT)
    _today()


@st.fragment(run_every=_REFRESH_S)
def _today() -> None:
    """Draw everything that the journal contains; again and again, as it grows."""
    now = datetime.now()
    try:
        recent = app_state().recent()
    except JournalError as error:
        st.error(plain(str(error)))
        return
    total = recent.total
    source = chosen_source(total.by_source.sources, _SOURCE)
    segments = recent.segments if source is None else recent.by_source[source]
    today = recent.days.get(now.date(), Day())
    _now(recent, source, segments)
    if not total.heard.first:
        st.info("Nothing was heard yet: listen on the page Live, or run `undertone listen`.")
        return
    totals(today.of(source), "segments today")
    for problem in _problems(today.heard):
        st.warning(problem)
    left, right = st.columns(2, gap="medium")
    with left:
        _last_hours(segments, now)
    with right:
        _activation(today.of(source), total.of(source))
    left, right = st.columns(2, gap="medium")
    with left:
        _heat_map(total.of(source), now.date())
    with right:
        _microphones(recent, today)


def _now(recent: Recent, source: str | None, segments: list[SegmentEnded]) -> None:
    """Whether it listens, and what was heard last."""
    names = [name for name in recent.by_source if source in (None, name)]
    states = {name: recent.state(name) for name in names}
    listening = [name for name, (kind, _) in states.items() if kind == LISTENING]
    lost = [name for name, (kind, _) in states.items() if kind == LOST]
    for name in lost:
        status(_COLOURS[LOST], f"{source_name(name)} is lost{_since(states[name][1])}")
    if listening:
        since = _since(states[listening[0]][1]) if len(listening) == 1 else ""
        status(_COLOURS[LISTENING], f"Listening to {', '.join(map(source_name, listening))}{since}")
    elif not lost:
        status(_COLOURS[STOPPED], "Listening" if recent.is_up and not states else "Not listening")
    if segments:
        last = segments[-1]
        headline(last.verdict, f"{detail_of(last)}, {_ago(last.time)}")


def _since(time: datetime | None) -> str:
    return f" since {_clock(time)}" if time else ""


def _clock(time: datetime) -> str:
    """A time of today, or the date too."""
    local = time.astimezone()
    return f"{local:%H:%M}" if local.date() == date.today() else f"{local:%Y-%m-%d %H:%M}"


def _ago(time: datetime) -> str:
    minutes = int((datetime.now().astimezone() - time).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def _problems(today: Summary) -> Iterator[str]:
    if today.lost_events:
        yield f"{today.lost_events} events of today could not be written and are lost."
    elif today.disk_refusals:
        yield "Writing to the disk failed for a while today; nothing is lost."
    if today.damaged:
        yield f"{today.damaged} damaged lines of today were skipped."


def _last_hours(segments: list[SegmentEnded], now: datetime) -> None:
    st.subheader(f"The last {_LAST_HOURS} hours", anchor=False)
    # rounded, so that the chart is drawn again only then or for a new segment
    until = now.replace(second=0, microsecond=0, minute=now.minute // _ROUNDED_MIN * _ROUNDED_MIN)
    until += timedelta(minutes=_ROUNDED_MIN)
    since = until - timedelta(hours=_LAST_HOURS)
    found = [each for each in segments if since <= each.time.replace(tzinfo=None) <= until]
    if found:
        st.altair_chart(charts.strip(found, since, until), width="stretch")
    else:
        st.caption("No speech.")


def _activation(today: Summary, total: Summary) -> None:
    usual = total.activation_by_hour
    if not usual:
        return
    st.subheader("Activation over the day", anchor=False)
    series = {
        name: {f"{hour:02}": means.get(hour) for hour in range(24)}
        for name, means in (
            ("today", today.activation_by_hour),
            (f"mean of {LAST_DAYS} days", usual),
        )
    }
    st.altair_chart(charts.activation(series, "hour of the day"), width="stretch")
    st.caption("How excited the voices were: 0 % is quiet, 100 % is excited.")


def _heat_map(total: Summary, today: date) -> None:
    if not total.segments:
        return
    st.subheader(f"The last {LAST_DAYS} days", anchor=False)
    of_activation = False
    if total.activations:
        options = list(_VALUES)
        chosen = st.segmented_control(
            "What a square shows", options, default=options[0], required=True
        )
        of_activation = _VALUES[chosen]
    if of_activation:
        means = {hour: each.mean for hour, each in total.activations.items()}
        values = {hour: mean for hour, mean in means.items() if mean is not None}
    else:
        values = {hour: float(sum(counts.values())) for hour, counts in total.hours.items()}
    days = [today - timedelta(days=number) for number in range(LAST_DAYS)]
    st.altair_chart(charts.heat_map(values, days, of_activation), width="stretch")


def _microphones(recent: Recent, today: Day) -> None:
    st.subheader("Microphones", anchor=False)
    rows = []
    for name, segments in recent.by_source.items():
        kind, since = recent.state(name)
        last = segments[-1] if segments else None
        rows.append(
            {
                "microphone": source_name(name),
                "state": f"{kind}{_since(since)}",
                "last heard": _clock(last.time) if last else "",
                "level": f"{last.level_dbfs:.0f} dBFS" if last else "",
                "segments today": f"{today.of(name).segments:,}",
                "lost today": _missing(today.of(name)),
            }
        )
    if rows:
        table(rows)


def _missing(today: Summary) -> str:
    """How much sound is missing."""
    missing_s = today.missed_s + today.lost_samples / SAMPLE_RATE_HZ
    times = today.gaps + today.sources_lost
    return f"{missing_s:,.0f} s, {times}×" if times else "nothing"
