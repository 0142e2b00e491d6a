"""The present state of each source, from events of the journal."""

from msgspec.structs import replace

from undertone.events import Event
from undertone.publish.sources import LISTENING, STOPPED, Sources

from .conftest import refused, segment, started, stopped


def after(*events: Event) -> Sources:
    sources = Sources()
    for event in events:
        sources = sources.after(event)
    return sources


def test_segments_are_counted_by_day_and_verdict() -> None:
    sources = after(started(), segment("sad"), segment("calm"), segment("sad"))
    assert sources.by_name["USB"].verdicts == {"sad": 2, "calm": 1}
    tomorrow = sources.after(segment("sad", at_s=86_400))
    assert tomorrow.by_name["USB"].verdicts == {"sad": 1}


def test_a_line_that_names_its_source_belongs_to_it_and_others_to_the_latest() -> None:
    sources = after(started(), started("B"), replace(segment(), source="USB"), segment())
    counts = {name: sum(one.verdicts.values()) for name, one in sources.by_name.items()}
    assert counts == {"USB": 1, "B": 1}


def test_the_end_is_a_state_and_the_journals_own_events_are_nobodys() -> None:
    sources = after(started())
    assert sources.by_name["USB"].state == LISTENING
    ended = sources.after(stopped())
    assert ended.by_name["USB"].state == STOPPED
    assert ended.after(refused()) == ended
    assert ended.of(refused()) is None


def test_what_a_killed_listener_heard_and_its_successor_does_not_is_stopped() -> None:
    before = after(started("USB"), started("Webcam"), segment())
    assert {one.state for one in before.by_name.values()} == {LISTENING}
    sources = before.after(started("USB", at_s=60)).after(started("Line in", at_s=60))
    states = {name: one.state for name, one in sources.by_name.items()}
    assert states == {"USB": LISTENING, "Webcam": STOPPED, "Line in": LISTENING}
    assert sources.by_name["Webcam"].since == "2026-11-21T12:01:00.000+00:00"


def test_what_a_later_program_does_not_listen_to_is_former_until_one_does_again() -> None:
    def former(sources: Sources) -> set[str]:
        return {name for name, one in sources.by_name.items() if one.is_former}

    both = after(started("USB"), started("Webcam"), stopped())
    assert former(both) == set(), "a program that has ended may start again"
    alone = both.after(started("USB", at_s=60))
    assert former(alone) == {"Webcam"}
    assert former(alone.after(started("Webcam", at_s=60))) == set()


def test_a_segment_without_a_beginning_has_a_source_too() -> None:
    assert after(segment("sad")).by_name["microphone"].verdicts == {"sad": 1}


def test_a_journal_with_more_sources_than_a_machine_has_is_bounded() -> None:
    events = [started(str(number)) for number in range(100)]
    found = after(*events[:50], events[0], *events[50:]).by_name
    assert len(found) == 64
    assert {"99", "0"} <= found.keys()
