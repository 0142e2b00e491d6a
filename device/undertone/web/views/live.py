"""The page Live: the current emotion, from this server's listener or the journal of another."""

from collections.abc import Iterable

import streamlit as st

from undertone.errors import UndertoneError
from undertone.events import Event, SegmentEnded, SourceLost, Started, Stopped, Verdict
from undertone.web import charts
from undertone.web.app_state import app_state
from undertone.web.live_listener import LiveListener
from undertone.web.theme import detail_of, headline, plain, segment_row, table
from undertone.web.views.model import chosen

_REFRESH_S = 1.0
_LOWEST_DBFS = -60.0
_LAST_SEGMENTS = 10
_ERROR = "why listening failed"


def show() -> None:
    """Draw the page."""
    st.title("Live")
    _now()


@st.fragment(run_every=_REFRESH_S)
def _now() -> None:
    """Draw what changes, which any visitor may cause."""
    state = app_state()
    listener = state.listener
    _controls(listener)
    if listener.listening:
        events = list(listener.events)
    else:
        try:
            with state.polling:
                events = state.follower.poll()
        except UndertoneError as error:
            st.error(plain(str(error)))
            return
    segments = [event for event in events if isinstance(event, SegmentEnded)]
    st.caption(_state(listener, events))
    _current(listener, segments)
    if segments:
        last = reversed(segments[-_LAST_SEGMENTS:])
        table([segment_row(each, f"{each.time.astimezone():%H:%M:%S}") for each in last])


def _controls(listener: LiveListener) -> None:
    with st.container(horizontal=True):
        if listener.listening:
            st.button("Stop listening", type="primary", on_click=listener.stop)
        else:
            st.button("Listen to the microphone", type="primary", on_click=_start, args=(False,))
            st.button("Play the packaged sample", on_click=_start, args=(True,))
    if error := st.session_state.get(_ERROR):
        st.error(plain(error))


def _start(sample: bool) -> None:
    state = app_state()
    st.session_state[_ERROR] = None
    try:
        state.listener.start(state.settings, chosen(state), sample)
    except UndertoneError as error:
        st.session_state[_ERROR] = str(error)


def _state(listener: LiveListener, events: Iterable[Event]) -> str:
    if listener.listening:
        return f"Listening to {plain(listener.source)}."
    state = "Not listening, and the journal has no recent events."
    for event in events:
        match event:
            case Started():
                state = f"Another program is listening to {plain(event.source)}."
            case SourceLost():
                state = f"Another program is listening, but {plain(event.source)} is lost."
            case Stopped():
                state = "Not listening; these are the last segments."
            case SegmentEnded():
                state = state if "is listening to" in state else "Another program is listening."
    return state


def _current(listener: LiveListener, segments: list[SegmentEnded]) -> None:
    status = listener.status if listener.listening else None
    verdict: Verdict | SegmentEnded | None = listener.provisional if status else None
    when = "speaking"
    if verdict is None and segments:
        verdict = segments[-1]
        when = f"{segments[-1].time.astimezone():%H:%M:%S}"
    if verdict:
        headline(verdict.verdict, f"{detail_of(verdict)}, {when}")
        if verdict.activation is not None:
            st.progress(verdict.activation, f"Activation: {verdict.activation:.0%}")
        st.altair_chart(charts.probabilities(verdict.scores), width="stretch")
    if status:
        level = max(status.level_dbfs, _LOWEST_DBFS)
        shown = f"{level:.0f} dBFS" if level > _LOWEST_DBFS else "silence"
        clipping = ", clipping: turn the input down" if status.clips else ""
        st.progress(min(1.0, 1 - level / _LOWEST_DBFS), f"Level: {shown}{clipping}")
    elif segments:
        st.caption(f"Level of the last segment: {segments[-1].level_dbfs:.0f} dBFS")
