"""The server's own listening: one at a time, and the journal is whole when it ends."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from undertone.errors import JournalError, UndertoneError
from undertone.journal import JournalLimits, JournalWriter
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
    assert list(models.usable) == ["ravdess8-tiny", "ravdess8-compact"]
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
