"""Every page, clicked through in a real browser."""

import json
import os
import random
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import soundfile

from undertone.emotions import COLOURS, EMOTIONS
from undertone.events import SegmentEnded, SourceLost, Started, Stopped, Verdict, moment
from undertone.journal.format import to_line
from undertone.journal.writer import JournalWriter
from undertone.samples import clips

PAGES = {
    "/": "Undertone",
    "/classify": "Classify recordings",
    "/live": "Live",
    "/model": "Models",
}


def verdict_of(page: Any) -> str:
    return str(page.get_by_test_id("verdict").inner_text())


def settle(page: Any) -> None:
    """Wait until the script has run: what it replaces is on the page until then."""
    page.locator("[data-test-script-state=notRunning]").wait_for()


def whole(page: Any) -> None:
    """Wait until everything is drawn as well."""
    settle(page)
    page.wait_for_function(
        """() => !document.querySelector('[data-testid=stSkeleton]')
            && [...document.images].every(image => image.complete)"""
    )


def classified_by_the_command(clip: Path) -> dict[str, Any]:
    from click.testing import CliRunner

    from undertone import cli

    done = CliRunner().invoke(cli.undertone, ["classify", "--format", "json", str(clip)])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_packaged_clip_is_classified_as_by_the_command(visit: Any) -> None:
    page = visit("/classify")
    page.get_by_role("radio", name="angry").click()
    page.get_by_text("MFCC over time").wait_for()
    known = classified_by_the_command(clips()[4])
    sure, excited = (f"{known[key]:.0%}" for key in ("confidence", "activation"))
    assert verdict_of(page).split() == [known["verdict"], f"{sure},", "activation", excited]
    assert page.get_by_test_id("stAudio").count() == 1
    page.get_by_test_id("stVegaLiteChart").nth(2).wait_for()
    assert page.get_by_test_id("stVegaLiteChart").count() == 3


def test_several_files_are_classified_and_exported(visit: Any) -> None:
    page = visit("/classify")
    chosen = clips()[3:6]
    page.locator("input[type=file]").set_input_files(chosen)
    page.locator("table.rows").wait_for()
    page.get_by_text("MFCC over time").wait_for()
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON", exact=True).click()
    lines = Path(download.value.path()).read_text().splitlines()
    known = [classified_by_the_command(clip) for clip in chosen]
    assert [json.loads(line) for line in lines] == [
        each | {"path": Path(each["path"]).name} for each in known
    ]
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["path", *(clip.name for clip in chosen)]


@pytest.mark.corpora
def test_clips_of_the_corpus(visit: Any) -> None:
    data = os.environ.get("UNDERTONE_DATA")
    found = sorted(Path(data).rglob("03-01-0?-02-0?-0?-1?.*")) if data else []
    if not found:
        pytest.skip("UNDERTONE_DATA names no folder with RAVDESS")
    page = visit("/classify")
    chosen = random.Random(0).sample(found, 3)
    for clip in chosen:
        page.locator("input[type=file]").set_input_files(clip)
        page.get_by_role("heading", name=clip.name).wait_for()
        known = classified_by_the_command(clip)
        page.get_by_test_id("verdict").get_by_text(f"{known['confidence']:.0%}").wait_for()
        assert verdict_of(page).startswith(known["verdict"])
        page.get_by_role("button", name=f"Remove {clip.name}").click()
        page.get_by_test_id("verdict").wait_for(state="detached")


def test_sound_of_the_microphone_is_recorded_and_classified(visit: Any, tmp_path: Path) -> None:
    page = visit("/classify")
    page.get_by_role("button", name="Record").click()
    timer = page.get_by_test_id("stAudioInputWaveformTimeCode")
    timer.get_by_text("00:05").wait_for()
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_role("heading", name=".wav").wait_for()
    page.get_by_text("MFCC over time").wait_for()
    # the clip may be cut anywhere: what is known is what was recorded
    recorded = tmp_path / "recorded.wav"
    played = page.get_by_test_id("stAudio").evaluate("audio => audio.src")
    recorded.write_bytes(page.request.get(played).body())
    info = soundfile.info(recorded)
    assert (info.samplerate, info.channels) == (16_000, 1)
    assert 4 < info.duration < 60
    known = classified_by_the_command(recorded)
    shown = verdict_of(page).split()
    assert shown[0] == known["verdict"]
    sure, excited = (float(word.rstrip("%,")) for word in shown if "%" in word)
    assert sure == pytest.approx(100 * known["confidence"], abs=0.51)  # rounded
    assert excited == pytest.approx(100 * known["activation"], abs=0.56)  # rounded twice
    assert any(word.startswith(known["label"]) for word in shown)


def columns_of(shown: Any, colour: str, rows: int) -> tuple[int, int]:
    """The first and the last column of pixels that have about this colour, in the upper rows."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(BytesIO(shown.screenshot())).convert("RGB"))[:rows].astype(int)
    near = np.abs(pixels - list(bytes.fromhex(colour[1:]))).max(axis=2) < 30
    columns = np.flatnonzero(near.any(axis=0))
    return int(columns.min(initial=9999)), int(columns.max(initial=0))


def test_a_long_recording_shows_its_windows_below_its_waveform(visit: Any, tmp_path: Path) -> None:
    import numpy as np

    from undertone.samples import demonstration

    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate([block.samples for block in demonstration()]), 16_000)
    page = visit("/classify")
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_text("MFCC over time").wait_for()
    page.get_by_test_id("stVegaLiteChart").nth(3).wait_for()
    whole(page)
    _, waveform, windows, _ = page.get_by_test_id("stVegaLiteChart").all()
    speech = columns_of(waveform, COLOURS["angry"], rows=100)
    classified = columns_of(windows, COLOURS["angry"], rows=200)
    assert classified[0] == pytest.approx(speech[0], abs=4)
    assert classified[1] == pytest.approx(speech[1], abs=12)  # a segment ends with a little silence


def test_the_live_page_listens_and_stops(visit: Any, journal: Path) -> None:
    page, other = visit("/live"), visit("/live")  # before the sample plays, which takes 40 s
    page.get_by_role("button", name="Play the packaged sample").click()
    page.get_by_text("Listening to packaged sample").wait_for()
    page.get_by_text("Level:").wait_for()
    page.get_by_test_id("verdict").wait_for()
    other.get_by_text("Listening to packaged sample").wait_for()
    other.get_by_role("button", name="Stop listening").click()
    page.get_by_text("Not listening").wait_for()
    (file,) = journal.glob("*.jsonl")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert (events[0]["event"], events[0]["source"]) == ("start", "packaged sample")
    assert (events[-1]["event"], events[-1]["reason"]) == ("stop", "stopped on the page")


def test_a_page_that_does_not_listen_shows_who_does(visit: Any, journal: Path) -> None:
    writer = JournalWriter(journal)
    page = visit("/live")
    page.get_by_role("button", name="Play the packaged sample").click()
    page.get_by_text("is being written by another undertone").wait_for()
    now = datetime.now().timestamp()
    writer.write(Started(moment(now), "the kitchen", "m", "0" * 64, "1"))
    scores = {"happy": 0.9, "sad": 0.1}
    writer.write(SegmentEnded.of(now, 1.0, -20.0, Verdict.of(scores, 0.5), "m", "0" * 64))
    writer.flush()
    page.get_by_text("Another program is listening to the kitchen").wait_for()
    page.get_by_test_id("verdict").get_by_text("happy").wait_for()
    unknown = Verdict.of(scores, reason="no sound above 3.4 kHz")
    writer.write(SegmentEnded.of(now + 2, 1.0, -20.0, unknown, "m", "0" * 64))
    writer.flush()
    page.get_by_test_id("verdict").get_by_text("no sound above 3.4 kHz").wait_for()
    page.get_by_role("cell", name="uncertain, no sound above 3.4 kHz").wait_for()
    writer.close()


@pytest.fixture
def a_week(journal: Path) -> list[str]:
    """A made week in the journal, long ago; its days."""
    chance = random.Random(0)
    journal.mkdir(exist_ok=True)
    days = []
    for number in range(7):
        day = datetime(2025, 3, 3 + number, 12, tzinfo=UTC)
        lines = [to_line(Started(moment(day.timestamp()), "USB", "m", "0" * 64, "1"))]
        for hour in range(6):
            shares = [chance.random() for _ in EMOTIONS]
            scores = {
                emotion: share / sum(shares)
                for emotion, share in zip(EMOTIONS, shares, strict=True)
            }
            time = (day + timedelta(hours=hour)).timestamp()
            verdict = Verdict.of(scores)
            lines.append(to_line(SegmentEnded.of(time, 2.0, -30.0, verdict, "m", "0" * 64)))
        lines.append(to_line(Stopped(moment(time + 3), "end", 18_000.0, 6)))
        days.append(f"{day:%Y-%m-%d}")
        (journal / f"{days[-1]}.jsonl").write_text("\n".join(lines) + "\n")
    return days


def test_the_first_page_shows_what_is_heard_now_and_was_heard_before(
    visit: Any, journal: Path
) -> None:
    for file in journal.glob("*.jsonl") if journal.exists() else ():
        file.unlink()
    writer = JournalWriter(journal)
    page = visit("/")
    page.get_by_text("How something is said").wait_for()
    page.get_by_test_id("status").get_by_text("Listening").wait_for()
    now = datetime.now().timestamp()
    quiet = Verdict.of({"happy": 0.2, "sad": 0.8}, activation=0.25)
    writer.write(Started(moment(now - 60), "the kitchen", "m", "0" * 64, "1"))
    writer.write(SegmentEnded.of(now - 50, 2.0, -20.0, quiet, "m", "0" * 64))
    writer.flush()
    page.get_by_test_id("status").get_by_text("Listening to the kitchen since").wait_for()
    assert verdict_of(page).split() == ["sad", "80%,", "activation", "25%,", "just", "now"]
    page.get_by_text("The last 14 days").wait_for()
    page.get_by_test_id("stVegaLiteChart").nth(2).wait_for()
    assert page.get_by_label("Microphone").count() == 0  # there is only one
    for source in ("the kitchen", "the attic"):  # another run, with both
        writer.write(Started(moment(now - 40), source, "m", "0" * 64, "1"))
    writer.write(SourceLost(moment(now - 35), "the kitchen", "no samples"))
    excited = Verdict.of({"happy": 0.9, "sad": 0.1}, activation=0.75)
    writer.write(SegmentEnded.of(now - 30, 2.0, -20.0, excited, "m", "0" * 64))
    writer.flush()
    page.get_by_test_id("status").get_by_text("the kitchen is lost since").wait_for()
    page.get_by_test_id("verdict").get_by_text("happy").wait_for()
    page.get_by_test_id("stMetricValue").get_by_text("50%", exact=True).wait_for()
    page.get_by_test_id("stSelectbox").click()
    page.get_by_role("option", name="the kitchen").click()
    page.get_by_test_id("verdict").get_by_text("sad").wait_for()
    page.get_by_test_id("stMetricValue").get_by_text("25%", exact=True).wait_for()
    settle(page)
    page.get_by_role("radio", name="activation").first.click()
    settle(page)
    writer.close()
    page.get_by_test_id("status").get_by_text("Not listening").wait_for()


def go_to(page: Any, day: str) -> None:
    field = page.get_by_test_id("stDateInput")
    for part, value in zip(("year", "month", "day"), day.split("-"), strict=True):
        field.get_by_role("spinbutton", name=f"{part},").click()
        page.keyboard.type(value)
    page.keyboard.press("Escape")
    settle(page)


def test_the_journal_is_viewed_exported_and_a_day_deleted(
    visit: Any, journal: Path, a_week: list[str]
) -> None:
    page = visit("/journal")
    go_to(page, a_week[-1])
    # while the page runs again, what was there before may be beside it
    page.get_by_text("Each segment").first.wait_for()
    page.get_by_test_id("stMetricValue").get_by_text("6", exact=True).first.wait_for()
    page.get_by_role("radio", name="week").click()
    page.get_by_test_id("stMetricValue").get_by_text("42", exact=True).first.wait_for()
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert len(rows) == 1 + 7 * 8

    page.get_by_role("radio", name="day").click()
    page.get_by_role("button", name="Delete this day").click()
    sure = page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True)
    assert sure.is_disabled()
    assert (journal / f"{a_week[-1]}.jsonl").exists()
    page.get_by_role("dialog").get_by_text("I am sure").click()
    page.wait_for_function("button => !button.disabled", arg=sure.element_handle())
    sure.click()
    page.get_by_text(f"{a_week[-1]} was deleted").wait_for()
    assert not (journal / f"{a_week[-1]}.jsonl").exists()
    assert (journal / f"{a_week[-2]}.jsonl").exists()


def test_the_other_model_is_looked_at_measured_and_used(visit: Any) -> None:
    page = visit("/model")
    page.get_by_text("ravdess8-tiny", exact=True).click()
    page.get_by_text("44 KB").wait_for()
    page.get_by_text("Confusion matrix").wait_for()
    page.get_by_test_id("stExpander").get_by_text("Model card").click()
    page.get_by_role("heading", name="ravdess8-tiny").wait_for()
    page.get_by_role("button", name="Measure latency").click()
    page.get_by_text("Milliseconds, from").wait_for(timeout=120_000)  # it waits for the disk
    page.get_by_role("link", name="Classify").click()
    page.get_by_role("radio", name="angry").click()
    page.get_by_test_id("verdict").wait_for()


BEYOND_THE_EDGE = """() => [...document.querySelectorAll('img, canvas, table, td, th')]
    .filter(element => element.getBoundingClientRect().right > 390)
    .filter(element => !element.parentElement.closest('.stMarkdown table'))  // scrolls by itself
    .map(element => element.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("path", [*PAGES, "/journal"])
def test_a_phone_shows_the_whole_of_each_page(
    visit: Any, journal: Path, a_week: list[str], path: str
) -> None:
    if path in ("/", "/live"):
        writer = JournalWriter(journal)
        now = datetime.now().timestamp()
        verdict = Verdict.of({"happy": 0.9, "sad": 0.1}, activation=0.5)
        writer.write(SegmentEnded.of(now, 1.0, -20.0, verdict, "m", "0" * 64))
        writer.close()
    page = visit(path, width=390, scheme="dark")
    if path == "/classify":
        page.locator("input[type=file]").set_input_files(clips()[3:6])
        page.get_by_text("MFCC over time").wait_for()
    if path == "/model":
        page.get_by_text("Confusion matrix").wait_for()
        page.get_by_test_id("stExpander").get_by_text("Model card").click()
        page.get_by_role("heading", name="Each emotion").wait_for()
    page.locator("table").first.wait_for()
    whole(page)
    assert page.evaluate(BEYOND_THE_EDGE) == []
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth") == 390


def test_the_pages_lead_to_each_other_on_a_phone(visit: Any) -> None:
    page = visit("/", width=390)
    for name, title in (("Classify", PAGES["/classify"]), ("Model", PAGES["/model"])):
        page.get_by_role("link", name=name).click()
        page.get_by_role("heading", name=title).wait_for()
