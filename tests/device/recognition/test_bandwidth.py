"""Sound whose band ends far below what the model knows is uncertain, with a reason."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
import soundfile
import soxr
from msgspec.structs import replace

from undertone.audio.block import SAMPLE_RATE_HZ, Block, to_int16
from undertone.audio.files import read_blocks
from undertone.cli import run, undertone
from undertone.recognition import bundle
from undertone.recognition.bandwidth import NEEDED_SHARE, missing_band
from undertone.recognition.classifier import Classifier
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.pipeline import Pipeline, classify
from undertone.samples import clips


@pytest.fixture(scope="module")
def classifier():
    return Classifier(bundle.load())


def samples_of(clip):
    return np.concatenate([block.samples for block in read_blocks(clip)])


def through(samples, rate_hz, gain=1.0):
    """As a recording at ``rate_hz``, brought back to the device's rate."""
    sound = samples / 32768 * gain
    low = to_int16(soxr.resample(sound, SAMPLE_RATE_HZ, rate_hz))
    return to_int16(soxr.resample(low / 32768, rate_hz, SAMPLE_RATE_HZ))


def coded(samples, rate_hz, **how):
    """Through a codec at ``rate_hz`` and back."""
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(samples / 32768, SAMPLE_RATE_HZ, rate_hz), rate_hz, **how)
    file.seek(0)
    sound, rate_hz = soundfile.read(file)
    return to_int16(soxr.resample(sound, rate_hz, SAMPLE_RATE_HZ))


def in_noise(samples, snr_db):
    noise = np.random.default_rng(0).normal(size=len(samples))
    level = np.sqrt(np.mean(np.square(samples, dtype=float))) * 10 ** (-snr_db / 20)
    return to_int16((samples + level * noise) / 32768)


NARROW = {
    "8 kHz": lambda samples: through(samples, 8000),
    "8 kHz, quiet": lambda samples: through(samples, 8000, gain=0.1),
    "8 kHz, in noise": lambda samples: through(in_noise(samples, 20), 8000),
    "telephone": lambda samples: coded(samples, 8000, subtype="ULAW", format="WAV"),
    "mobile telephone": lambda samples: coded(samples, 8000, subtype="GSM610", format="WAV"),
}
WIDE = {
    "16 kHz": lambda samples: samples,
    "quiet": lambda samples: to_int16(samples / 32768 * 0.1),
    "in noise": lambda samples: in_noise(samples, 10),
    "11 kHz": lambda samples: through(samples, 11025),
    "Opus": lambda samples: coded(
        samples, 16_000, subtype="OPUS", format="OGG", compression_level=0.95
    ),
}


@pytest.mark.parametrize("kind", NARROW)
def test_telephone_sound_has_no_verdict(classifier, kind):
    for clip in clips()[::2]:
        found = classify([Block(NARROW[kind](samples_of(clip)), 0.0)], classifier, threshold=0.0)
        assert found.verdict == "uncertain"
        assert "4.8 kHz" in found.overall.reason
        assert all(segment.verdict.reason for segment in found.segments)
        assert found.overall.confidence > 0


@pytest.mark.parametrize("kind", WIDE)
def test_any_other_sound_has_one(classifier, kind):
    for clip in clips()[::2]:
        found = classify([Block(WIDE[kind](samples_of(clip)), 0.0)], classifier, threshold=0.0)
        assert found.overall.reason is None
        assert found.verdict == found.overall.label


def test_a_file_is_classified_by_its_segments_with_the_whole_band(classifier):
    """A caller on the telephone, and one in the room."""
    pause = np.zeros(16_000, np.int16)
    room = np.append(samples_of(clips()[4]), pause)
    caller = np.append(through(samples_of(clips()[6]), 8000), pause)
    alone = classify([Block(room, 0.0)], classifier)
    both = classify([Block(np.append(caller, room), 0.0)], classifier)
    assert [segment.verdict.reason is None for segment in both.segments] == [False, True]
    assert both.verdict == alone.verdict == "angry"
    assert both.overall.scores == pytest.approx(alone.overall.scores, abs=0.1)


def test_a_provisional_verdict_has_its_reason_too(classifier):
    pipeline = Pipeline(classifier)
    provisional = []
    sound = through(samples_of(clips()[4]), 8000)
    for start in range(0, len(sound), 1600):
        pipeline.process(Block(sound[start : start + 1600], start / SAMPLE_RATE_HZ))
        provisional += filter(None, [pipeline.provisional()])
    assert provisional
    assert {verdict.verdict for verdict in provisional} == {"uncertain"}
    assert all(verdict.reason for verdict in provisional)


def test_what_the_model_needs_follows_from_its_mfcc():
    """A model of the telephone's band takes what another refuses."""
    narrow = MfccConfig(high_hz=4000.0)

    def loudest(samples):
        mfcc = Mfcc(narrow)
        mfcc.push(samples)
        return mfcc.log_energies.max(axis=0)

    assert missing_band(loudest(through(samples_of(clips()[4]), 8000)), narrow) is None
    assert "2.4 kHz" in missing_band(loudest(through(samples_of(clips()[4]), 4000)), narrow)


def test_a_bundle_says_how_wide_the_band_must_be():
    """One that was trained on telephone sound judges it; another may refuse even 11 kHz."""
    packaged = bundle.load()
    call = [Block(through(samples_of(clips()[4]), 8000), 0.0)]
    radio = [Block(through(samples_of(clips()[4]), 11025), 0.0)]

    def reason(blocks, share):
        manifest = replace(packaged.manifest, needed_share=share)
        classifier = Classifier(dataclasses.replace(packaged, manifest=manifest))
        return classify(blocks, classifier).overall.reason

    assert packaged.manifest.needed_share == NEEDED_SHARE
    assert reason(call, NEEDED_SHARE) == "no sound above 4.8 kHz"
    assert reason(call, 0.4) is None
    assert reason(radio, NEEDED_SHARE) is None
    assert reason(radio, 0.8) == "no sound above 6.4 kHz"


@pytest.fixture
def telephone(tmp_path):
    path = tmp_path / "call.wav"
    sound = soxr.resample(samples_of(clips()[4]) / 32768, SAMPLE_RATE_HZ, 8000)
    soundfile.write(path, sound, 8000)
    return path


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_reason_is_shown(telephone, capsys, form):
    arguments = ["classify", str(telephone), str(clips()[4]), "--format", form]
    assert run(undertone, "undertone", arguments) == 0
    shown = capsys.readouterr().out
    if form == "json":
        call, sample = map(json.loads, shown.splitlines())
        assert call["verdict"] == call["segments"][0]["verdict"] == "uncertain"
        assert call["reason"] == call["segments"][0]["reason"]
        assert "reason" not in sample and "reason" not in sample["segments"][0]
    elif form == "csv":
        call, sample = csv.DictReader(io.StringIO(shown))
        assert "4.8 kHz" in call["reason"]
        assert sample["reason"] == ""
    else:
        assert shown.count("4.8 kHz") == 1


def test_the_journal_keeps_the_reason(telephone, tmp_path, capsys):
    journal = tmp_path / "journal"
    for source in (telephone, clips()[4]):
        arguments = ["listen", "--source", str(source), "--fast", "--journal", str(journal)]
        assert run(undertone, "undertone", arguments) == 0
    said = capsys.readouterr().out
    (file,) = journal.glob("*.jsonl")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    call, sample = [event for event in events if event["event"] == "segment"]
    assert call["verdict"] == "uncertain"
    assert "4.8 kHz" in call["reason"]
    assert "reason" not in sample
    assert said.count(call["reason"]) == 1
