"""The page Journal: what was heard on a day or over a week, to look at, take away or delete."""

import io
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import streamlit as st

from undertone.errors import UndertoneError
from undertone.events import SegmentHeard
from undertone.journal import JournalReader, Record, Summary
from undertone.journal.export import write_csv, write_json, write_parquet
from undertone.journal.files import JournalFile, journal_files
from undertone.journal.plot import in_order, over_time
from undertone.journal.remove import remove_day
from undertone.web import charts
from undertone.web.app_state import AppState, app_state
from undertone.web.theme import plain

_SPANS = {"day": 1, "week": 7, "month": 31}
_MOST_ROWS = 2000
_MOST_EXPORTED_MB = 64
_DONE = "deleted"


def show() -> None:
    """Draw the page."""
    house = app_state()
    st.title("What was heard")
    if told := st.session_state.pop(_DONE, None):
        st.success(told)
    try:
        _show(house)
    except UndertoneError as error:
        st.error(plain(str(error)))


def _show(house: AppState) -> None:
    files = _files(house)
    if not files:
        st.info("The journal is empty: listen on the page Live, or with `undertone listen`.")
        return
    first, last = files[0].day, files[-1].day
    with st.container(horizontal=True, vertical_alignment="bottom"):
        day = st.date_input("Up to and with", last, first, last)
        span = st.segmented_control("Show a", list(_SPANS), default="day", required=True)
    since = day - timedelta(days=_SPANS[span] - 1)
    reader = _reader(house, since, day)
    summary = reader.summary()
    if not summary.segments:
        st.info("Nobody spoke in this time.")
    else:
        _totals(summary)
        _charts(reader, summary, day if span == "day" else None)
        _table(reader, summary)
    if summary.first:
        _export(house, since, day, files)
    if span == "day" and st.button("Delete this day…", icon=":material/delete:"):
        _delete(house, day)


def _files(house: AppState) -> list[JournalFile]:
    try:
        return journal_files(house.settings.journal)
    except OSError:
        return []


def _reader(house: AppState, since: date, until: date) -> JournalReader:
    """From the beginning of one day to the end of another, in the time of this machine."""
    start = datetime.combine(since, time()).astimezone()
    end = datetime.combine(until + timedelta(days=1), time()).astimezone()
    return JournalReader(house.settings.journal, since_s=start.timestamp(), until_s=end.timestamp())


def _totals(summary: Summary) -> None:
    most = max(summary.verdicts, key=lambda verdict: summary.verdicts[verdict].segments)
    speech_min = sum(tally.speech_s for tally in summary.verdicts.values()) / 60
    with st.container(horizontal=True):
        st.metric("segments of speech", f"{summary.segments:,}")
        st.metric("minutes of speech", f"{speech_min:,.0f}")
        st.metric("hours listened", f"{summary.listened_s / 3600:,.1f}")
        st.metric("most often", f"{most}, {summary.share(most):.0%}")
    if summary.damaged:
        st.caption(f"{summary.damaged} damaged lines were left out.")


def _charts(reader: JournalReader, summary: Summary, day: date | None) -> None:
    if day:
        st.subheader("Each segment", anchor=False)
        st.altair_chart(charts.strip(_newest(reader, lambda heard: True), day), width="stretch")
    st.subheader("Segments over time", anchor=False)
    st.altair_chart(charts.over_time(over_time(summary)), width="stretch")
    st.subheader("Share by hour of the day", anchor=False)
    st.altair_chart(charts.by_hour(summary.by_hour), width="stretch")


def _table(reader: JournalReader, summary: Summary) -> None:
    st.subheader("Segments", anchor=False)
    verdicts = st.multiselect("Only", in_order(summary.verdicts), placeholder="every verdict")
    least = st.slider("At least so confident", 0, 100, 0, format="%d %%") / 100

    def wanted(heard: SegmentHeard) -> bool:
        fits = not verdicts or heard.verdict.verdict in verdicts
        return fits and heard.verdict.scores.confidence >= least

    records = _newest(reader, wanted)
    st.dataframe([_row(record) for record in reversed(records)], hide_index=True, width="stretch")
    if len(records) == _MOST_ROWS:
        st.caption(f"The newest {_MOST_ROWS:,} are shown; the export has all.")


def _newest(reader: JournalReader, wanted: Callable[[SegmentHeard], bool]) -> deque[Record]:
    """The newest segments that are wanted, oldest first, as many as a page can show."""
    found: deque[Record] = deque(maxlen=_MOST_ROWS)
    for record in reader:
        if isinstance(record.event, SegmentHeard) and wanted(record.event):
            found.append(record)
    return found


def _row(record: Record) -> dict[str, object]:
    heard = record.event
    assert isinstance(heard, SegmentHeard)
    return {
        "time": f"{record.time:%Y-%m-%d %H:%M:%S}",
        "verdict": heard.verdict.verdict,
        "most probable": heard.verdict.scores.label,
        "confidence": round(heard.verdict.scores.confidence, 2),
        "seconds": round(heard.duration_s, 1),
        "dBFS": round(heard.level_dbfs),
    }


def _export(house: AppState, since: date, until: date, files: list[JournalFile]) -> None:
    st.subheader("Take it away", anchor=False)
    size = sum(file.path.stat().st_size for file in files if since <= file.day <= until)
    if size > _MOST_EXPORTED_MB * 2**20:
        st.info(
            f"That is {size / 2**20:.0f} MB, too much for a page: run "
            f"`undertone journal export --since {since} --until {until} --output heard.csv`."
        )
        return

    def csv() -> bytes:
        text = io.StringIO()
        write_csv(_reader(house, since, until), text)
        return text.getvalue().encode()

    def json() -> bytes:
        text = io.StringIO()
        write_json(_reader(house, since, until), text)
        return text.getvalue().encode()

    def parquet() -> bytes:
        data = io.BytesIO()
        write_parquet(_reader(house, since, until), data)
        return data.getvalue()

    name = f"heard-{until}"
    with st.container(horizontal=True):
        st.download_button("CSV", csv, f"{name}.csv", "text/csv")
        st.download_button("JSON", json, f"{name}.jsonl", "application/json")
        st.download_button("Parquet", parquet, f"{name}.parquet", "application/octet-stream")


@st.dialog("Delete a day")
def _delete(house: AppState, day: date) -> None:
    st.write(f"All that was heard on {day} is deleted from the journal, for good.")
    sure = st.checkbox("I am sure")
    if st.button("Delete it", type="primary", disabled=not sure):
        try:
            remove_day(house.settings.journal, day)
        except UndertoneError as error:
            st.error(plain(str(error)))
        else:
            st.session_state[_DONE] = f"{day} was deleted."
            st.rerun()
