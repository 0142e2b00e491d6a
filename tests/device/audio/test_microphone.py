"""The microphone's logic on a made input in made time; tests/e2e has the real thing."""

import threading
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from undertone.audio.block import REST_S, SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.microphone import QUEUE_S, Microphone
from undertone.audio.portaudio import CHUNK_S, Deliver
from undertone.errors import AudioSourceError, NoMicrophoneError
from undertone.events import CaughtUp, Gap, Idle, SourceBack, SourceLost

START_S = 1_700_000_000.0
NAME = "Made microphone"


class World:
    """Made time and a made input: each look at the clock is a tenth of a second of sound.

    ``at`` plans what happens when, in seconds from the start.
    """

    name = NAME

    def __init__(self, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self.tenths = 0
        self.plans: dict[int, Callable[[], object]] = {}
        self.sends = True
        self.sending = False
        self.silent = False
        self.frozen = False
        self.elsewhere: str | None = None
        self.broken: Exception | None = None
        self.stream: MadeStream | None = None
        self.opened = 0
        self.refreshed = 0
        self.abandoned = False
        self.sent: list[Samples] = []
        self._noise = np.random.default_rng(3)

    def clock(self) -> float:
        return START_S + self.tenths * CHUNK_S

    def steady_clock(self) -> float:
        if self.sending:  # the audio thread looks at the clock as well
            return self.tenths * CHUNK_S
        self.tenths += 1
        self.plans.get(self.tenths, bool)()
        if self.stream and self.stream.active and self.sends:
            self.send()
        return self.tenths * CHUNK_S

    def at(self, seconds: float, plan: Callable[[], object]) -> None:
        self.plans[round(seconds / CHUNK_S)] = plan

    def set(self, **values: object) -> Callable[[], None]:
        return lambda: self.__dict__.update(values)

    def send(self, overflowed: bool = False) -> None:
        frames = round(self.rate_hz * CHUNK_S)
        samples = self._noise.integers(-3000, 3000, (frames, self.channels), np.int16)
        samples *= not self.silent
        if self.frozen:
            samples = self.sent[-1]
        self.sent.append(samples)
        assert self.stream
        self.sending = True
        self.stream.deliver(samples.tobytes(), frames, overflowed)
        self.sending = False

    def die(self) -> None:
        assert self.stream
        self.stream.active = False

    def open(self, deliver: Deliver) -> "MadeStream":
        if self.broken:
            raise self.broken
        if self.elsewhere:
            raise AudioSourceError("it is another")
        self.opened += 1
        self.stream = MadeStream(deliver, self.rate_hz, self.channels)
        return self.stream

    def refresh(self) -> None:
        assert self.stream is None or self.stream.closed
        self.refreshed += 1

    def moved_to(self) -> str | None:
        return self.elsewhere

    def abandon(self) -> None:
        self.abandoned = True


class MadeStream:
    def __init__(self, deliver: Deliver, sample_rate_hz: int, channels: int) -> None:
        self.deliver = deliver
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.active = True
        self.closed = False

    def close(self) -> None:
        self.active = False
        self.closed = True


Item = Block | Gap | SourceLost | SourceBack


def microphone(world: World, channel: int | None = None) -> Microphone:
    return Microphone(
        channel=channel,
        clock=world.clock,
        steady_clock=world.steady_clock,
        source=world,
        poll_s=0.0,
    )


def heard(world: World, until_s: float, channel: int | None = None) -> list[Item]:
    """All sound and events that a microphone in ``world`` gives in ``until_s`` seconds."""
    made = microphone(world, channel)
    world.at(until_s, made.close)
    return [item for item in made if not isinstance(item, CaughtUp | Idle)]


def blocks_of(items: list[Item]) -> list[Block]:
    return [item for item in items if isinstance(item, Block)]


def events_of(items: list[Item]) -> list[Item]:
    return [item for item in items if not isinstance(item, Block | CaughtUp | Idle)]


def sound_of(items: list[Item]) -> Samples:
    return np.concatenate([block.samples for block in blocks_of(items)])


def test_sound_comes_through_bit_for_bit_with_the_time_of_its_arrival() -> None:
    world = World()
    items = heard(world, 3.0)
    sound = sound_of(items)
    assert len(sound) >= 2.8 * SAMPLE_RATE_HZ
    assert np.array_equal(sound, np.concatenate(world.sent)[: len(sound), 0])
    assert not events_of(items)
    # Made sound arrives as a whole chunk, so that it began a chunk's length before.
    assert blocks_of(items)[0].time_s == pytest.approx(START_S, abs=0.11)


class Unhurried(World):
    """Time passes only while the microphone waits or rests."""

    def clock(self) -> float:
        if not self.sending:
            super().steady_clock()
        return super().clock()

    def steady_clock(self) -> float:
        return self.tenths * CHUNK_S

    def rest(self, seconds: float) -> None:
        for _ in range(round(seconds / CHUNK_S)):
            self.clock()


def test_while_nothing_stands_out_it_wakes_twice_a_second_and_loses_nothing() -> None:
    world = Unhurried()
    rests = 0
    made = microphone(world)
    world.at(10.0, made.close)
    items = []
    for item in made:
        if isinstance(item, CaughtUp) and world.tenths < 50:
            rests += 1
            world.rest(REST_S)
        elif not isinstance(item, CaughtUp | Idle):
            items.append(item)
    sound = sound_of(items)
    assert np.array_equal(sound, np.concatenate(world.sent)[: len(sound), 0])
    assert len(sound) >= 9.4 * SAMPLE_RATE_HZ
    assert not events_of(items)
    assert rests == pytest.approx(5.0 / REST_S, abs=2)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_another_rate_is_resampled_without_a_hole_in_time(rate_hz: int) -> None:
    blocks = blocks_of(heard(World(rate_hz), 3.0))
    assert sum(block.duration_s for block in blocks) == pytest.approx(2.9, abs=0.2)
    for before, after in pairwise(blocks):
        assert after.time_s == pytest.approx(before.time_s + before.duration_s, abs=1e-3)


def test_several_channels_are_mixed_or_one_is_picked() -> None:
    world = World(channels=2)
    sound = sound_of(heard(world, 1.0))
    frames = np.concatenate(world.sent)[: len(sound)]
    assert np.array_equal(sound, np.rint(frames.mean(axis=1)))
    world = World(channels=2)
    sound = sound_of(heard(world, 1.0, channel=1))
    assert np.array_equal(sound, np.concatenate(world.sent)[: len(sound), 1])


def test_what_a_slow_reader_misses_is_counted_and_the_rest_is_kept() -> None:
    world = World()
    made = microphone(world)
    queued = round(QUEUE_S / CHUNK_S)
    for _ in range(queued + 7):  # while nobody reads
        world.tenths += 1
        world.send()
    dropped = len(world.sent) - queued
    world.at(2 * QUEUE_S + 5.0, made.close)
    items = list(made)
    (gap,) = events_of(items)
    assert isinstance(gap, Gap)
    assert gap.lost_samples == round(dropped * CHUNK_S * SAMPLE_RATE_HZ)
    assert "fell behind" in gap.reason
    before = blocks_of(items[: items.index(gap)])
    after = items[items.index(gap) + 1]
    assert isinstance(after, Block)
    assert gap.time.timestamp() == pytest.approx(after.time_s - gap.lost_samples / SAMPLE_RATE_HZ)
    assert len(before) == queued


def test_an_overflow_of_the_driver_is_a_gap_of_about_the_missing_time() -> None:
    world = World(48_000)
    world.at(1.0, world.set(sends=False))

    def overflow() -> None:
        world.sends = True
        world.send(overflowed=True)

    world.at(1.5, overflow)
    items = heard(world, 3.0)
    (gap,) = events_of(items)
    assert isinstance(gap, Gap)
    assert gap.lost_samples == pytest.approx(0.5 * SAMPLE_RATE_HZ, abs=0.11 * SAMPLE_RATE_HZ)
    assert "overflow" in gap.reason


def test_a_stream_that_dies_is_lost_reopened_and_back() -> None:
    world = World()
    world.at(2.0, world.die)
    items = heard(world, 6.0)
    lost, back = events_of(items)
    assert isinstance(lost, SourceLost)
    assert isinstance(back, SourceBack)
    assert (lost.source, back.source) == (NAME, NAME)
    assert lost.time.timestamp() == pytest.approx(START_S + 2.0, abs=0.3)
    assert back.missed_s == pytest.approx(back.time.timestamp() - lost.time.timestamp(), abs=0.4)
    assert isinstance(items[-1], Block)
    assert (world.opened, world.refreshed) == (2, 1)


def test_a_microphone_that_stays_away_is_looked_for_for_ever() -> None:
    world = World()

    def unplug() -> None:
        world.die()
        world.broken = AudioSourceError("not there")

    world.at(2.0, unplug)
    world.at(600.0, world.set(broken=None))
    items = heard(world, 700.0)
    lost, back = events_of(items)
    assert isinstance(lost, SourceLost)
    assert isinstance(back, SourceBack)
    assert 598 <= back.missed_s <= 661
    assert 12 <= world.refreshed <= 17


def test_a_source_that_pauses_goes_on_in_the_same_stream() -> None:
    world = World()
    world.at(2.0, world.set(sends=False))
    world.at(4.5, world.set(sends=True))
    items = heard(world, 6.0)
    lost, back = events_of(items)
    assert isinstance(lost, SourceLost)
    assert "no samples" in lost.reason
    assert isinstance(back, SourceBack)
    assert back.missed_s == pytest.approx(2.5, abs=0.3)
    assert world.opened == 1


def test_a_muted_microphone_is_lost_until_it_gives_sound() -> None:
    world = World()
    world.at(2.0, world.set(silent=True))
    world.at(50.0, world.set(silent=False))
    items = heard(world, 60.0)
    lost, back = events_of(items)
    assert isinstance(lost, SourceLost)
    assert "silence" in lost.reason
    assert isinstance(back, SourceBack)
    assert not blocks_of(items[items.index(lost) : items.index(back)])
    assert isinstance(items[-1], Block)


def test_a_microphone_that_repeats_itself_is_lost_until_it_gives_new_sound() -> None:
    world = World()
    world.at(2.0, world.set(frozen=True))
    world.at(50.0, world.set(frozen=False))
    lost, back = events_of(heard(world, 60.0))
    assert isinstance(lost, SourceLost)
    assert "frozen" in lost.reason
    assert lost.time.timestamp() == pytest.approx(START_S + 32.0, abs=0.3)
    assert isinstance(back, SourceBack)


def test_another_microphone_is_never_used_in_its_place() -> None:
    world = World()
    world.at(12.0, world.set(elsewhere="other"))
    world.at(100.0, world.set(elsewhere=None))
    items = heard(world, 200.0)
    lost, back = events_of(items)
    assert isinstance(lost, SourceLost)
    assert lost.reason == "the sound server gave other instead"
    assert lost.time.timestamp() == pytest.approx(START_S + 12.0, abs=0.3)
    assert isinstance(back, SourceBack)
    assert not blocks_of(items[items.index(lost) : items.index(back)])
    assert isinstance(items[-1], Block)


def test_a_pause_that_nobody_reports_is_a_gap() -> None:
    world = World()
    world.at(5.0, world.set(sends=False))
    world.at(6.5, world.set(sends=True))
    items = heard(world, 20.0)
    (gap,) = events_of(items)
    assert isinstance(gap, Gap)
    assert gap.lost_samples == pytest.approx(1.5 * SAMPLE_RATE_HZ, abs=0.11 * SAMPLE_RATE_HZ)
    assert "stood still" in gap.reason
    assert gap.time.timestamp() == pytest.approx(START_S + 5.0, abs=0.11)
    before, after = blocks_of(items[: items.index(gap)]), blocks_of(items[items.index(gap) :])
    assert before[-1].time_s + before[-1].duration_s == pytest.approx(gap.time.timestamp())
    assert after[0].time_s == pytest.approx(
        gap.time.timestamp() + gap.lost_samples / SAMPLE_RATE_HZ
    )


def test_sound_that_was_delivered_late_has_its_time_and_is_counted_once() -> None:
    """As after a sound server that was stopped for just as long as makes a loss."""
    world = World()
    world.at(5.0, world.set(sends=False))

    def catch_up() -> None:
        world.sends = True
        for _ in range(25):
            world.send()

    world.at(7.5, catch_up)
    items = heard(world, 20.0)
    lost, back = events_of(items)
    assert isinstance(lost, SourceLost)
    assert isinstance(back, SourceBack)
    assert back.missed_s == pytest.approx(0.0)
    sound = sound_of(items)
    assert np.array_equal(sound, np.concatenate(world.sent)[: len(sound), 0])
    for before, after in pairwise(blocks_of(items)):
        assert after.time_s == pytest.approx(before.time_s + before.duration_s, abs=0.11)


def test_when_this_process_was_stopped_nothing_is_lost_that_was_kept_for_it() -> None:
    world = World()

    def stop() -> None:
        world.tenths += 300
        for _ in range(300):
            world.send()

    world.at(5.0, stop)
    items = heard(world, 75.0)
    assert not events_of(items)
    last = blocks_of(items)[-1]
    assert last.time_s + last.behind_s == pytest.approx(START_S + 75.0, abs=0.5)
    for before, after in pairwise(blocks_of(items)):
        assert after.time_s == pytest.approx(before.time_s + before.duration_s, abs=0.11)


def test_when_this_process_was_stopped_and_nothing_was_kept_that_is_a_gap() -> None:
    """As on a sound card's own buffer, or while the machine was suspended."""
    world = World()

    def stop() -> None:
        world.tenths += 300

    world.at(5.0, stop)
    (gap,) = events_of(heard(world, 60.0))
    assert isinstance(gap, Gap)
    assert gap.time.timestamp() == pytest.approx(START_S + 5.0, abs=0.3)
    assert gap.lost_samples == pytest.approx(30 * SAMPLE_RATE_HZ, abs=0.3 * SAMPLE_RATE_HZ)


def test_a_stop_amid_digital_silence_is_no_silence_of_its_length() -> None:
    world = World()
    world.silent = True

    def stop() -> None:
        world.tenths += 290

    world.at(5.0, stop)
    (gap,) = events_of(heard(world, 45.0))
    assert isinstance(gap, Gap)


def test_a_microphone_unplugged_while_the_queue_is_full_has_reported_the_drop() -> None:
    world = World()
    made = microphone(world)
    queued = round(QUEUE_S / CHUNK_S)
    for _ in range(queued + 50):
        world.tenths += 1
        world.send()
    world.die()
    world.at(2 * QUEUE_S + 30.0, made.close)
    dropped = len(world.sent) - queued
    gap, lost, *_ = events_of(list(made))
    assert isinstance(gap, Gap)
    assert isinstance(lost, SourceLost)
    assert gap.lost_samples == round(dropped * CHUNK_S * SAMPLE_RATE_HZ)
    assert gap.time.timestamp() == pytest.approx(START_S + QUEUE_S, abs=0.3)


def test_a_longer_pause_is_reported_once() -> None:
    world = World()
    world.at(5.0, world.set(sends=False))
    world.at(9.0, world.set(sends=True))
    lost, back = events_of(heard(world, 20.0))
    assert isinstance(lost, SourceLost)
    assert isinstance(back, SourceBack)


def test_gain_makes_the_sound_louder_and_clips_it_at_full_scale() -> None:
    world = World()
    made = Microphone(
        gain_db=20.0, clock=world.clock, steady_clock=world.steady_clock, source=world, poll_s=0.0
    )
    block = next(item for item in made if isinstance(item, Block))
    plain = world.sent[0][:, 0].astype(int)
    assert np.array_equal(block.samples, np.clip(10 * plain, -32768, 32767))


def test_a_block_says_how_much_sound_waits_behind_it() -> None:
    world = World()
    made = microphone(world)
    for _ in range(5):  # while nobody reads
        world.tenths += 1
        world.send()
    world.at(20.0, made.close)
    behind = [block.behind_s for block in blocks_of(list(made))]
    assert behind[0] == pytest.approx(5 * CHUNK_S, abs=0.11)


def test_at_a_loss_the_resampler_gives_out_what_it_holds() -> None:
    world = World(48_000)
    world.at(2.0, world.die)
    items = heard(world, 2.5)
    lost = next(item for item in items if isinstance(item, SourceLost))
    sound_s = sum(block.duration_s for block in blocks_of(items[: items.index(lost)]))
    assert sound_s == pytest.approx(len(world.sent) * CHUNK_S, abs=1e-3)


def test_a_jump_of_the_wall_clock_is_no_loss() -> None:
    world = World()
    jumped = Microphone(
        clock=lambda: world.clock() + (1e8 if world.tenths > 20 else 0.0),
        steady_clock=world.steady_clock,
        source=world,
        poll_s=0.0,
    )
    world.at(5.0, jumped.close)
    items = list(jumped)
    assert not events_of(items)
    assert blocks_of(items)[-1].time_s == pytest.approx(START_S + 1e8 + 5.0, abs=0.5)


def test_a_clock_that_is_set_makes_no_loss_of_its_step() -> None:
    """An overflow right when the machine has learnt the time: 30 days later than it thought."""
    world = World()
    stepped = Microphone(
        clock=lambda: world.clock() + (30 * 86_400.0 if world.tenths > 20 else 0.0),
        steady_clock=world.steady_clock,
        source=world,
        poll_s=0.0,
    )
    world.at(1.7, world.set(sends=False))

    def overflow() -> None:
        world.sends = True
        world.send(overflowed=True)

    world.at(2.2, overflow)
    world.at(7.0, stepped.close)
    (gap,) = events_of(list(stepped))
    assert isinstance(gap, Gap)
    assert gap.lost_samples == pytest.approx(0.5 * SAMPLE_RATE_HZ, abs=0.21 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("error", [NoMicrophoneError(), AudioSourceError("busy")])
def test_the_first_opening_raises_what_is_wrong(error: AudioSourceError) -> None:
    world = World()
    world.broken = error
    with pytest.raises(type(error)):
        microphone(world)


def test_the_stream_is_closed_however_the_reading_ends() -> None:
    for leave in ("close", "break", "never read"):
        world = World()
        with microphone(world) as made:
            if leave == "close":
                world.at(1.0, made.close)
                list(made)
            elif leave == "break":
                for _ in made:
                    break
        assert world.stream
        assert world.stream.closed, leave
        assert not world.abandoned


def test_a_sound_system_that_hangs_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("undertone.audio.microphone.PATIENCE_S", 0.0)
    world = World()
    wakes = threading.Event()
    close = MadeStream.close
    monkeypatch.setattr(MadeStream, "close", lambda stream: wakes.wait() and close(stream))
    world.at(2.0, world.die)
    assert isinstance(heard(world, 5.0)[-1], SourceLost)
    assert world.abandoned
    wakes.set()


def test_a_microphone_that_is_lost_still_gives_moments_to_act_in():
    world = World()
    made = microphone(world)
    world.at(2.0, world.die)
    world.at(8.0, made.close)
    idle = [item.time_s for item in made if isinstance(item, Idle)]
    assert len(idle) >= 5
    assert idle == sorted(idle)


def test_a_microphone_that_is_muted_still_gives_moments_to_act_in():
    world = World()
    made = microphone(world)
    world.at(1.0, lambda: setattr(world, "silent", True))
    world.at(60.0, made.close)
    moments = [item.time_s for item in made if isinstance(item, Block | Idle)]
    assert max(later - sooner for sooner, later in pairwise(moments)) < 1.0
