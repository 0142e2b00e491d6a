"""Several microphones at once, on made inputs in made time."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.microphone import Microphone
from undertone.audio.portaudio import CHUNK_S, Deliver
from undertone.audio.several import Several
from undertone.errors import AudioSourceError
from undertone.events import CaughtUp, Gap, Idle, SourceBack, SourceLost

START_S = 1_700_000_000.0
Item = Block | Gap | CaughtUp | Idle | SourceLost | SourceBack


def ramp(begin: int, length: int) -> Samples:
    """Sound that shows its place."""
    return np.arange(begin, begin + length).astype(np.int16)


class MadeStream:
    sample_rate_hz = SAMPLE_RATE_HZ
    channels = 1

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.active = True
        self.closed = False

    def close(self) -> None:
        self.active = False
        self.closed = True


class MadeInput:
    """An input that is present or not, and whose opening can hang."""

    def __init__(self, name: str, present: bool = True) -> None:
        self.name = name
        self.present = present
        self.gate = threading.Event()
        self.gate.set()
        self.stream: MadeStream | None = None
        self.sent = 0

    def open(self, deliver: Deliver) -> MadeStream:
        self.gate.wait()
        if not self.present:
            raise AudioSourceError(f"{self.name} is missing.")
        self.stream = MadeStream(deliver)
        return self.stream

    def send(self) -> None:
        """A tenth of a second of sound, none of which is like another."""
        if self.stream and self.stream.active:
            sound = ramp(self.sent, round(CHUNK_S * SAMPLE_RATE_HZ))
            self.sent += len(sound)
            self.stream.deliver(sound.tobytes(), len(sound), False)

    def unplug(self) -> None:
        self.present = False
        assert self.stream
        self.stream.active = False

    def refresh(self) -> None:
        """There is no list of devices."""

    def moved_to(self) -> None:
        """It is always the same."""

    def abandon(self) -> None:
        self.gate.set()


class World:
    """Made time, which passes only while nothing has arrived from anywhere."""

    def __init__(self, *inputs: MadeInput) -> None:
        self.inputs = inputs
        self.now_s = 0.0
        self.plans: dict[int, Callable[[], object]] = {}
        self.finishes = True
        self.microphones = [
            Microphone(
                source=each,
                clock=lambda: START_S + self.now_s,
                steady_clock=lambda: self.now_s,
                poll_s=0.0,
                patience_s=0.0,
                may_be_absent=True,
            )
            for each in inputs
        ]

    def at(self, seconds: float, plan: Callable[[], object]) -> None:
        self.plans[round(seconds / CHUNK_S)] = plan

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.plans.get(round(self.now_s / CHUNK_S), bool)()
        for each in self.inputs:
            each.send()
        if self.finishes:
            for thread in threading.enumerate():
                if thread.name == "microphone":
                    thread.join()

    def items(self, until_s: float) -> Iterator[tuple[str, Item]]:
        for name, item in Several(self.microphones, self.pass_time):
            if self.now_s > until_s:
                return
            yield name, item


def sound_of(name: str, items: list[tuple[str, Item]]) -> Samples:
    return np.concatenate(
        [item.samples for of, item in items if of == name and isinstance(item, Block)]
    )


def events_of(name: str, items: list[tuple[str, Item]]) -> list[Item]:
    return [item for of, item in items if of == name and isinstance(item, SourceLost | SourceBack)]


def assert_undisturbed(name: str, items: list[tuple[str, Item]], seconds: float) -> None:
    sound = sound_of(name, items)
    assert np.array_equal(sound, ramp(0, len(sound)))
    assert len(sound) == pytest.approx(seconds * SAMPLE_RATE_HZ, abs=0.2 * SAMPLE_RATE_HZ)
    assert not [item for of, item in items if of == name and not isinstance(item, Block | CaughtUp)]


def order(items: list[tuple[str, Item]]) -> str:
    """Whose blocks came when."""
    return "".join(name for name, item in items if isinstance(item, Block))


def test_the_sound_of_each_comes_whole_and_in_turn() -> None:
    items = list(World(MadeInput("a"), MadeInput("b")).items(1.9))
    for name in ("a", "b"):
        assert_undisturbed(name, items, 1.9)
    assert order(items).endswith("abababab")


def test_one_with_much_to_give_does_not_hold_up_another() -> None:
    world = World(MadeInput("a"), MadeInput("b"))

    def catch_up() -> None:
        for each in world.inputs:
            for _ in range(20):
                each.send()

    world.at(2.0, catch_up)
    assert "ab" * 20 in order(list(world.items(2.5)))


def test_a_lost_one_does_not_disturb_the_others() -> None:
    world = World(MadeInput("a"), MadeInput("b"))
    world.at(2.0, world.inputs[0].unplug)
    world.at(60.0, lambda: setattr(world.inputs[0], "present", True))
    items = list(world.items(120.0))
    assert_undisturbed("b", items, 120.0)
    lost, back = events_of("a", items)
    assert isinstance(lost, SourceLost) and isinstance(back, SourceBack)
    assert lost.reason == "its stream ended"
    assert 58 < back.missed_s < 120
    assert isinstance(items[-1][1], Block | CaughtUp | Idle)


def test_one_whose_opening_hangs_does_not_delay_the_others() -> None:
    world = World(MadeInput("a"), MadeInput("b"))
    world.finishes = False
    a = world.inputs[0]
    world.at(2.0, lambda: (a.gate.clear(), a.unplug()))
    items = list(world.items(60.0))
    assert_undisturbed("b", items, 60.0)
    assert len(events_of("a", items)) == 1


def test_one_that_is_absent_begins_as_lost() -> None:
    world = World(MadeInput("a", present=False), MadeInput("b"))
    world.at(10.0, lambda: setattr(world.inputs[0], "present", True))
    assert str(world.microphones[0].problem) == "a is missing."
    items = list(world.items(30.0))
    assert_undisturbed("b", items, 30.0)
    lost, back = events_of("a", items)
    assert isinstance(lost, SourceLost) and isinstance(back, SourceBack)
    assert lost.reason == "it was missing at the start"
    assert back.missed_s == pytest.approx(back.time.timestamp() - START_S, abs=0.2)
    assert 10 <= back.missed_s < 20


def test_only_a_lost_one_is_idle() -> None:
    items = list(World(MadeInput("a", present=False), MadeInput("b")).items(5.0))
    assert {name for name, item in items if isinstance(item, Idle)} == {"a"}
    assert max(item.time_s for _, item in items if isinstance(item, Idle)) > START_S + 4


def test_between_what_arrives_its_reader_may_rest() -> None:
    """As CaughtUp says: as often as time has passed, and never before all was taken."""
    world = World(MadeInput("a"), MadeInput("b"))
    rests = 0
    for _, item in world.items(5.0):
        if isinstance(item, CaughtUp):
            assert not any(each.waiting_s for each in world.microphones)
            rests += 1
            world.pass_time(5 * CHUNK_S)
    assert rests == pytest.approx(5.0 / (5 * CHUNK_S), abs=2)


@pytest.mark.parametrize("finishes", [True, False])
def test_all_are_closed_at_the_end(finishes: bool) -> None:
    world = World(MadeInput("a"), MadeInput("b"))
    world.finishes = finishes
    world.at(1.0, world.inputs[0].unplug)
    list(world.items(10.0))
    for each in world.inputs:
        assert each.stream and each.stream.closed
