"""The broker, and then the program, killed with -9 under a journal that is being written.

No event is lost, and none comes twice but the one that was on its way at a kill, with the same
``id``.  ``UNDERTONE_ATTACKS`` says how often; ``make publish-cost`` does it 50 times.
"""

import os
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from mqtt_broker import what_is_missing
from publish_kills import Outcome, kill_broker, kill_program

KILLS = min(50, int(os.environ.get("UNDERTONE_ATTACKS", "3")))

pytestmark = pytest.mark.skipif(what_is_missing() is not None, reason=what_is_missing() or "")


def test_no_kill_of_the_broker_loses_or_reorders_an_event(tmp_path: Path) -> None:
    outcome = kill_broker(tmp_path, KILLS)
    # what comes twice follows directly, with the same id
    once = [number for (number, _), _ in groupby(outcome.arrived)]
    assert once == list(range(outcome.written))
    figures = outcome.figures()
    assert figures["lost"] == 0
    assert figures["doubled"] <= figures["kills"] == KILLS


def test_no_kill_of_the_program_loses_an_event(tmp_path: Path) -> None:
    outcome = kill_program(tmp_path, KILLS)
    first_time = {id_: number for number, id_ in outcome.arrived}
    assert list(first_time.values()) == list(range(outcome.written))
    # after a kill it goes on at most one batch further back, and from there in order
    steps = [after - before for (before, _), (after, _) in pairwise(outcome.arrived)]
    back = [step for step in steps if step != 1]
    assert len(back) <= KILLS + 1
    assert all(-20 <= step <= 0 for step in back)
    assert outcome.figures()["lost"] == 0


def test_what_is_lost_and_what_comes_again_is_counted() -> None:
    arrived = [(0, "a"), (0, "a"), (2, "c"), (1, "b"), (2, "c")]
    expected = {"kills": 7, "events": 4, "lost": 1, "doubled": 2}
    assert Outcome(7, 4, arrived).figures() == expected
