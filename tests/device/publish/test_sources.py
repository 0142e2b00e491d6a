"""The present state of each source, from lines of the journal."""

from undertone.publish.sources import LISTENING, STOPPED, Sources

TIME = "2026-11-21T12:00:00.000+01:00"
START = {"event": "start", "time": TIME, "source": "USB", "model": "m", "version": "1"}


def said(verdict: str = "sad", time: str = TIME, **more: object) -> dict[str, object]:
    return {"event": "segment", "time": time, "verdict": verdict, **more}


def after(*lines: dict[str, object]) -> Sources:
    sources = Sources()
    for line in lines:
        sources = sources.after(line)
    return sources


def test_segments_are_counted_by_day_and_verdict() -> None:
    sources = after(START, said(), said("calm"), said())
    assert sources.by_name["USB"].verdicts == {"sad": 2, "calm": 1}
    assert sources.after(said(time=TIME.replace("21T", "22T"))).by_name["USB"].verdicts == {
        "sad": 1
    }


def test_a_line_that_names_its_source_belongs_to_it_and_others_to_the_latest() -> None:
    sources = after(START, START | {"source": "B"}, said(source="USB"), said(), said(source=5))
    counts = {name: sum(one.verdicts.values()) for name, one in sources.by_name.items()}
    assert counts == {"USB": 1, "B": 2}


def test_the_end_is_a_state_and_the_journals_own_events_are_nobodys() -> None:
    sources = after(START)
    assert sources.by_name["USB"].state == LISTENING
    stopped = sources.after({"event": "stop", "time": TIME})
    assert stopped.by_name["USB"].state == STOPPED
    refused = {"event": "disk-refused", "time": TIME}
    assert stopped.after(refused) == stopped
    assert stopped.of(refused) is None


def test_a_segment_without_a_beginning_has_a_source_too() -> None:
    assert after(said()).by_name["microphone"].verdicts == {"sad": 1}


def test_a_journal_with_more_sources_than_a_machine_has_is_bounded() -> None:
    lines = [START | {"source": str(number)} for number in range(100)]
    found = after(*lines[:50], lines[0], *lines[50:]).by_name
    assert len(found) == 64
    assert {"99", "0"} <= found.keys()
