"""The server's own listening: one at a time, and the journal is whole when it ends."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from undertone import sources
from undertone.audio.block import Block
from undertone.audio.files import read_blocks
from undertone.errors import JournalError, UndertoneError
from undertone.journal.format import to_line
from undertone.journal.limits import JournalLimits
from undertone.journal.writer import JournalWriter
from undertone.recognition import bundle
from undertone.recognition.stored_voice import read, voice_path, voices_dir
from undertone.samples import clips
from undertone.web.live_listener import LiveListener
from undertone.web.models import Model, Settings, open_models


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        model="ravdess8-tiny",
        threshold=None,
        runtime="auto",
        threads=1,
        microphone="no microphone is called so",
        channel=None,
        gain_db=0.0,
        journal=tmp_path / "journal",
        limits=JournalLimits(),
    )


@pytest.fixture
def model(settings: Settings) -> Model:
    return next(iter(open_models(settings).usable.values()))


def test_what_was_asked_for_comes_first_and_the_others_are_there(settings: Settings) -> None:
    models = open_models(settings)
    others = set(bundle.installed_bundles()) - {"ravdess8-tiny"}
    assert next(iter(models.usable)) == "ravdess8-tiny"
    assert set(models.usable) == {"ravdess8-tiny", *others}
    assert models.broken == {}
    with pytest.raises(UndertoneError, match="nonesuch"):
        open_models(replace(settings, model="nonesuch"))


def test_the_end_is_in_the_journal(settings: Settings, model: Model) -> None:
    listener = LiveListener()
    for _ in range(2):
        listener.start(settings, model, sample=True)
        assert listener.listening
        listener.stop()
        assert not listener.listening
    (file,) = settings.journal.glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "stop"] * 2
    assert all(line["recording"] and line["demonstration"] for line in lines)
    assert {line.get("reason") for line in lines[1::2]} == {"stopped on the page"}


def test_there_is_one_listener_at_a_time(settings: Settings, model: Model) -> None:
    listener = LiveListener()
    listener.start(settings, model, sample=True)
    with pytest.raises(JournalError, match="is being written by another undertone"):
        listener.start(settings, model, sample=True)
    with pytest.raises(JournalError):
        LiveListener().start(settings, model, sample=True)
    assert listener.listening
    listener.stop()


def test_a_listening_that_can_not_begin_leaves_the_journal_free(
    settings: Settings, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("undertone.web.live_listener.Pipeline", failing)
        with pytest.raises(MemoryError):
            LiveListener().start(settings, model, sample=True)
    JournalWriter(settings.journal).close()


def test_without_a_microphone_the_journal_is_free_again(settings: Settings, model: Model) -> None:
    listener = LiveListener()
    with pytest.raises(UndertoneError):
        listener.start(settings, model, sample=False)
    assert not listener.listening
    JournalWriter(settings.journal).close()
    listener.stop()


@pytest.fixture
def knowing(
    settings: Settings, voice_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Model:
    """A model that knows voices, and an empty state folder."""
    monkeypatch.setenv("UNDERTONE_STATE", str(tmp_path / "state"))
    return open_models(replace(settings, model=str(voice_bundle))).default


def listen(settings: Settings, model: Model, *, sample: bool) -> list[dict[str, float]]:
    """The scores of what is said into the microphone, or of the sample: one clip, spoken twice."""
    ended = threading.Event()

    def speech(name: str) -> Iterator[tuple[str, Block]]:
        for start_s in (0.0, 10.0):
            for block in read_blocks(str(clips()[4])):
                yield name, replace(block, time_s=start_s + block.time_s)
        ended.set()

    def source(name: str) -> Callable[..., sources.Source]:
        return lambda *_: sources.Source((name,), speech(name))

    listener = LiveListener()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "open_microphone", source("USB"))
        patch.setattr(sources, "packaged_sample", source("sample"))
        listener.start(settings, model, sample=sample)
    assert ended.wait(60)
    listener.stop()
    events = [json.loads(to_line(event)) for event in listener.events]
    return [event["scores"] for event in events if event["event"] == "segment"]


def test_it_learns_the_voice_and_knows_it_the_next_time(settings: Settings, knowing: Model) -> None:
    settings = replace(settings, gain_db=6.0, channel=1)
    listen(settings, knowing, sample=False)
    stored = read(voice_path("USB"))
    assert stored is not None
    assert (stored.origin.source, stored.origin.gain_db, stored.origin.channel) == ("USB", 6.0, 1)
    listen(settings, knowing, sample=False)
    again = read(voice_path("USB"))
    assert again is not None
    assert again.since == stored.since
    assert again.known_s > stored.known_s


def test_the_sample_is_learnt_within_it_and_not_stored(settings: Settings, knowing: Model) -> None:
    first, second = listen(settings, knowing, sample=True)
    assert first != pytest.approx(second, abs=0.005)
    assert not voices_dir().exists()
