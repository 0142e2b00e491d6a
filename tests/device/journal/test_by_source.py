"""Which microphone each event belongs to, and what is read of one of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from undertone.events import (
    DiskRefused,
    Event,
    SegmentEnded,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)
from undertone.journal import summary_cache
from undertone.journal.by_source import UNNAMED
from undertone.journal.format import to_line
from undertone.journal.reader import JournalReader

DAY_S = 86_400
NOON_S = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def started(source: str, day: int, after_s: float = 0.0, recording: bool = False) -> Started:
    time = moment(NOON_S + day * DAY_S + after_s)
    return Started(time, source, "m", "0" * 64, "1", recording=recording)


def segment(verdict: str, day: int, after_s: float = 0.0) -> SegmentEnded:
    given = Verdict.of({verdict: 1.0})
    return SegmentEnded.of(NOON_S + day * DAY_S + after_s, 1.0, -20.0, given, "m", "0" * 64)


def write(folder: Path, day: int, events: Sequence[Event]) -> None:
    lines = "".join(to_line(event) + "\n" for event in events)
    (folder / f"2026-11-{20 + day}.jsonl").write_text(lines)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A microphone for three days, of which the second has no start; then another."""
    write(tmp_path, 0, [segment("calm", 0, -60), started("USB", 0), segment("happy", 0, 60)])
    disk = DiskRefused(moment(NOON_S + DAY_S), 1.0, "r")
    packaged = started("a file", 1, 1, recording=True)
    write(tmp_path, 1, [segment("sad", 1), packaged, segment("sad", 1, 5), disk])
    lost = SourceLost(moment(NOON_S + 2 * DAY_S + 200), "USB", "r")
    kitchen = started("kitchen", 2, 100)
    write(tmp_path, 2, [segment("angry", 2), kitchen, segment("happy", 2, 150), lost])
    return tmp_path


def verdicts(reader: JournalReader) -> list[str]:
    return [event.verdict for event in reader if isinstance(event, SegmentEnded)]


@pytest.mark.parametrize("stored", [False, True])
def test_what_follows_a_start_belongs_to_its_source_until_the_next(
    journal: Path, stored: bool
) -> None:
    for file in journal.glob("*.jsonl") if stored else ():
        summary_cache.store(file)
        assert summary_cache.load_with_sources(file)
    sources = JournalReader(journal).by_source().sources
    counts = {
        name: {verdict: tally.segments for verdict, tally in summary.verdicts.items()}
        for name, summary in sources.items()
    }
    assert counts == {
        UNNAMED: {"calm": 1},
        "USB": {"happy": 1, "sad": 2, "angry": 1},
        "kitchen": {"happy": 1},
    }
    assert sources["USB"].sources_lost == 1
    assert [summary.disk_refusals for summary in sources.values()] == [0, 0, 0]
    state, since = sources["USB"].state or ("", None)
    assert (state, since) == ("source-lost", moment(NOON_S + 2 * DAY_S + 200))


@pytest.mark.parametrize("stored", [False, True])
def test_a_reader_of_one_source_reads_nothing_else(journal: Path, stored: bool) -> None:
    for file in journal.glob("*.jsonl") if stored else ():
        summary_cache.store(file)
    assert verdicts(JournalReader(journal, source="USB")) == ["happy", "sad", "sad", "angry"]
    assert verdicts(JournalReader(journal, source="kitchen")) == ["happy"]
    assert verdicts(JournalReader(journal, source="attic")) == []
    since_s = NOON_S + DAY_S - 60  # its start is in an earlier file
    usb = JournalReader(journal, since_s=since_s, source="USB")
    assert verdicts(usb) == ["sad", "sad", "angry"]
    assert usb.summary().segments == 3
    assert [type(event).__name__ for event in usb.last(1)] == ["SourceLost"]


def test_a_start_before_the_span_in_the_same_file_counts(journal: Path) -> None:
    since_s = NOON_S + 2 * DAY_S + 120
    assert list(JournalReader(journal, since_s=since_s).by_source().sources) == ["kitchen", "USB"]


def test_the_state_is_that_of_the_last_event_that_changes_it(tmp_path: Path) -> None:
    stop = Stopped(moment(NOON_S + DAY_S), "end", 1.0, 1)
    write(tmp_path, 0, [started("USB", 0), segment("happy", 0, 60)])
    write(tmp_path, 1, [stop])
    summary = JournalReader(tmp_path).by_source().sources["USB"]
    assert summary.state == ("stop", stop.time)


@pytest.mark.parametrize("days", [(0, 0), (0, 1)])
@pytest.mark.parametrize("stored", [False, True])
def test_a_start_ends_what_a_killed_program_listened_to(
    tmp_path: Path, days: tuple[int, int], stored: bool
) -> None:
    before, after = days
    killed = [started("hall", before), started("USB", before), segment("calm", before, 5)]
    restarted = [
        started("kitchen", after, 60),
        started("USB", after, 60),
        segment("sad", after, 65),
    ]
    if before == after:
        write(tmp_path, before, killed + restarted)
    else:
        write(tmp_path, before, killed)
        write(tmp_path, after, restarted)
    for file in tmp_path.glob("*.jsonl") if stored else ():
        summary_cache.store(file)
    sources = JournalReader(tmp_path).by_source().sources
    began = moment(NOON_S + after * DAY_S + 60)
    assert {name: summary.state for name, summary in sources.items()} == {
        "hall": ("stop", began),
        "USB": ("start", began),
        "kitchen": ("start", began),
    }
