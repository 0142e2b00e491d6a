"""The page Live: what is heard now, by this server or by whoever else writes the journal."""

from collections.abc import Iterable

import streamlit as st

from undertone.errors import UndertoneError
from undertone.events import SegmentHeard, SourceLost, Started, Stopped
from undertone.journal.format import JournalEvent, time_of
from undertone.web import charts, model_selection
from undertone.web.app_state import AppState, app_state
from undertone.web.live_listener import LiveListener
from undertone.web.theme import headline, plain

_REFRESH_S = 1.0
_LOWEST_DBFS = -60.0
_LAST_SEGMENTS = 10
_TROUBLE = "why it could not listen"


def show() -> None:
    """Draw the page."""
    st.title("What is heard now")
    _now()


@st.fragment(run_every=_REFRESH_S)
def _now() -> None:
    """All that changes, whoever of the visitors changes it."""
    house = app_state()
    ears = house.ears
    _controls(ears)
    events = list(ears.events) if ears.listening else _written(house)
    segments = [event for event in events if isinstance(event, SegmentHeard)]
    st.caption(_state(ears, events))
    _current(ears, segments)
    if segments:
        st.dataframe(
            [_row(segment) for segment in reversed(segments[-_LAST_SEGMENTS:])],
            hide_index=True,
            width="stretch",
        )


def _controls(ears: LiveListener) -> None:
    with st.container(horizontal=True):
        if ears.listening:
            st.button("Stop listening", type="primary", on_click=ears.stop)
        else:
            st.button("Listen to the microphone", type="primary", on_click=_start, args=(False,))
            st.button("Play the packaged sample", on_click=_start, args=(True,))
    if trouble := st.session_state.get(_TROUBLE):
        st.error(plain(trouble))


def _start(sample: bool) -> None:
    house = app_state()
    st.session_state[_TROUBLE] = None
    try:
        house.ears.start(house.settings, model_selection.chosen(house), sample)
    except UndertoneError as error:
        st.session_state[_TROUBLE] = str(error)


def _written(house: AppState) -> list[JournalEvent]:
    with house.polling:
        return [record.event for record in house.follower.poll()]


def _state(ears: LiveListener, events: Iterable[JournalEvent]) -> str:
    if ears.listening:
        return f"Listening to {plain(ears.source)}."
    told = "Nobody is listening, and nothing was heard yet."
    for event in events:
        match event:
            case Started():
                told = f"Following the journal: {plain(event.source)} is listened to."
            case SourceLost():
                told = f"Following the journal: {plain(event.source)} is lost."
            case Stopped():
                told = "Nobody is listening; this was heard last."
            case SegmentHeard():
                told = told if "is listened" in told else "Following the journal."
    return told


def _current(ears: LiveListener, segments: list[SegmentHeard]) -> None:
    status = ears.status if ears.listening else None
    verdict = ears.provisional if status else None
    told = "speaking"
    if verdict is None and segments:
        verdict = segments[-1].verdict
        told = f"{verdict.scores.confidence:.0%}, {time_of(segments[-1]):%H:%M:%S}"
    if verdict:
        headline(verdict.verdict, told)
        st.altair_chart(charts.probabilities(verdict), width="stretch")
    if status:
        level = max(status.level_dbfs, _LOWEST_DBFS)
        shown = f"{level:.0f} dBFS" if level > _LOWEST_DBFS else "silence"
        clipping = ", clipping: turn the input down" if status.clips else ""
        st.progress(min(1.0, 1 - level / _LOWEST_DBFS), f"Level: {shown}{clipping}")
    elif segments:
        st.caption(f"Level of the last segment: {segments[-1].level_dbfs:.0f} dBFS")


def _row(segment: SegmentHeard) -> dict[str, str]:
    scores = segment.verdict.scores
    return {
        "time": f"{time_of(segment):%H:%M:%S}",
        "verdict": segment.verdict.verdict,
        "most probable": scores.label,
        "confidence": f"{scores.confidence:.0%}",
        "seconds": f"{segment.duration_s:.1f}",
        "dBFS": f"{segment.level_dbfs:.0f}",
    }
