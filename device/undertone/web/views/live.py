"""The page Live: the current emotion, from this server's listener or the journal of another."""

import streamlit as st

from undertone.errors import UndertoneError
from undertone.events import SegmentEnded, Verdict
from undertone.web import charts
from undertone.web.app_state import LISTENING, LOST, Recent, app_state
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
        segments = [event for event in listener.events.copy() if isinstance(event, SegmentEnded)]
        st.caption(f"Listening to {plain(listener.source)}.")
    else:
        try:
            recent = state.recent()
        except UndertoneError as error:
            st.error(plain(str(error)))
            return
        segments = recent.segments
        st.caption(_others(recent))
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


def _others(recent: Recent) -> str:
    """What another program does, while this server does not listen."""
    states = {name: recent.state(name)[0] for name in recent.by_source}
    listening = [plain(name) for name, state in states.items() if state == LISTENING]
    lost = [plain(name) for name, state in states.items() if state == LOST]
    if listening:
        return f"Another program is listening to {', '.join(listening)}."
    if lost:
        return f"Another program is listening, but {', '.join(lost)} is lost."
    if recent.is_up:
        return "Another program is listening."
    if recent.segments:
        return "Not listening; these are the last segments."
    return "Not listening, and the journal has no recent events."


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
