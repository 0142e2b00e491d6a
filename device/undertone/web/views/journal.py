"""The page Journal: the segments of a day, a week or a month, to view, export or delete."""

import io
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TextIO

import streamlit as st

from undertone.errors import UndertoneError
from undertone.events import SegmentEnded
from undertone.journal.export import write_csv, write_json, write_parquet
from undertone.journal.files import JournalFile, journal_files
from undertone.journal.plot import activation_over_time, in_order, over_time
from undertone.journal.reader import JournalReader
from undertone.journal.remove import remove_day
from undertone.journal.summary import Summary
from undertone.web import charts
from undertone.web.app_state import AppState, app_state
from undertone.web.theme import chosen_source, plain, segment_row, table, totals

_SPANS = {"day": 1, "week": 7, "month": 31}
_MOST_ROWS = 2000
_TABLE_HEIGHT = 400
_MOST_EXPORTED_MB = 64
_DONE = "deleted"
_SOURCE = "source on Journal"


def show() -> None:
    """Draw the page."""
    state = app_state()
    st.title("Journal")
    if message := st.session_state.pop(_DONE, None):
        st.success(message)
    try:
        _show(state)
    except UndertoneError as error:
        st.error(plain(str(error)))


def _show(state: AppState) -> None:
    files = _files(state)
    if not files:
        st.info("The journal is empty: listen on the page Live, or run `undertone listen`.")
        return
    first, last = files[0].day, files[-1].day
    with st.container(horizontal=True, vertical_alignment="bottom"):
        day = st.date_input("Last day", last, first, last)
        span = st.segmented_control("Period", list(_SPANS), default="day", required=True)
    since = day - timedelta(days=_SPANS[span] - 1)
    source = chosen_source(_reader(state, since, day).by_source().sources, _SOURCE)
    reader = _reader(state, since, day, source)
    summary = reader.summary()
    if not summary.segments:
        st.info("There was no speech in this period.")
    else:
        _totals(summary)
        _charts(reader, summary, day if span == "day" else None)
        _table(reader, summary)
    if summary.first:
        _export(state, since, day, files, source)
    if span == "day" and st.button("Delete this day…", icon=":material/delete:"):
        _delete(state, day)


def _files(state: AppState) -> list[JournalFile]:
    try:
        return journal_files(state.settings.journal)
    except OSError:
        return []


def _reader(state: AppState, since: date, until: date, source: str | None = None) -> JournalReader:
    """From the beginning of one day to the end of another, in this machine's time zone."""
    start = datetime.combine(since, time()).astimezone()
    end = datetime.combine(until + timedelta(days=1), time()).astimezone()
    return JournalReader(
        state.settings.journal,
        since_s=start.timestamp(),
        until_s=end.timestamp(),
        source=source,
    )


def _totals(summary: Summary) -> None:
    most = max(summary.verdicts, key=lambda verdict: summary.verdicts[verdict].segments)
    totals(summary, "segments of speech", {"most frequent": f"{most}, {summary.share(most):.0%}"})
    if summary.damaged:
        st.caption(f"{summary.damaged} damaged lines were skipped.")


def _charts(reader: JournalReader, summary: Summary, day: date | None) -> None:
    if day:
        st.subheader("Each segment", anchor=False)
        midnight = datetime.combine(day, time())
        chart = charts.strip(
            _newest(reader, lambda segment: True), midnight, midnight + timedelta(days=1)
        )
        st.altair_chart(chart, width="stretch")
    st.subheader("Segments over time", anchor=False)
    st.altair_chart(charts.over_time(over_time(summary)), width="stretch")
    if summary.activations:
        st.subheader("Mean activation over time", anchor=False)
        chart = charts.activation({"activation": activation_over_time(summary)}, None)
        st.altair_chart(chart, width="stretch")
    st.subheader("Share by hour of the day", anchor=False)
    st.altair_chart(charts.by_hour(summary.by_hour), width="stretch")


def _table(reader: JournalReader, summary: Summary) -> None:
    st.subheader("Segments", anchor=False)
    verdicts = st.multiselect("Verdicts", in_order(summary.verdicts), placeholder="all verdicts")
    least = st.slider("At least this confident", 0, 100, 0, format="%d%%") / 100

    def selected(segment: SegmentEnded) -> bool:
        return (not verdicts or segment.verdict in verdicts) and segment.confidence >= least

    found = _newest(reader, selected)
    if found:
        with st.container(height=_TABLE_HEIGHT if len(found) > 10 else "content", border=False):
            table([segment_row(each, f"{each.time:%Y-%m-%d %H:%M:%S}") for each in reversed(found)])
    if len(found) == _MOST_ROWS:
        st.caption(f"Only the newest {_MOST_ROWS:,} segments are shown; an export contains all.")


def _newest(reader: JournalReader, selected: Callable[[SegmentEnded], bool]) -> deque[SegmentEnded]:
    """The newest of the selected segments, oldest first, as many as a page can show."""
    segments = (event for event in reader if isinstance(event, SegmentEnded) and selected(event))
    return deque(segments, maxlen=_MOST_ROWS)


def _export(
    state: AppState, since: date, until: date, files: list[JournalFile], source: str | None
) -> None:
    st.subheader("Export", anchor=False)
    size = sum(file.path.stat().st_size for file in files if since <= file.day <= until)
    if size > _MOST_EXPORTED_MB * 2**20:
        st.info(
            f"These {size / 2**20:.0f} MB are too large to export on this page: run "
            f"`undertone journal export --since {since} --until {until} --output emotions.csv`."
        )
        return

    def text(write: Callable[[JournalReader, TextIO], None]) -> str:
        stream = io.StringIO()
        write(_reader(state, since, until, source), stream)
        return stream.getvalue()

    def parquet() -> bytes:
        data = io.BytesIO()
        write_parquet(_reader(state, since, until, source), data)
        return data.getvalue()

    name = f"emotions-{until}"
    with st.container(horizontal=True):
        st.download_button("CSV", partial(text, write_csv), f"{name}.csv", "text/csv")
        st.download_button("JSON", partial(text, write_json), f"{name}.jsonl", "application/json")
        st.download_button("Parquet", parquet, f"{name}.parquet", "application/octet-stream")


@st.dialog("Delete a day")
def _delete(state: AppState, day: date) -> None:
    st.write(f"All events of {day} will be deleted from the journal permanently.")
    sure = st.checkbox("I am sure")
    if st.button("Delete", type="primary", disabled=not sure):
        try:
            remove_day(state.settings.journal, day)
        except UndertoneError as error:
            st.error(plain(str(error)))
        else:
            st.session_state[_DONE] = f"{day} was deleted."
            st.rerun()
