"""Hostile input to every reader: damaged copies of good files, a few hundred in each test run.

``make fuzz`` tries 100,000 of each kind, new ones every time.  What was found before is tried
first.
"""

import io
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from itertools import islice, product
from operator import getitem
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undertone.audio.block import Block
from undertone.audio.files import read_blocks
from undertone.audio.pipe import Pipe
from undertone.bench.model import accuracy
from undertone.cli.options import known_settings
from undertone.cli.settings import load_default_map
from undertone.errors import AudioSourceError, BundleError, ConfigError
from undertone.events import (
    DaysRemoved,
    EventsLost,
    Gap,
    SegmentEnded,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)
from undertone.journal import summary_cache
from undertone.journal.format import to_line
from undertone.journal.plot import svg
from undertone.journal.reader import JournalReader
from undertone.journal.writer import cut_partial_line
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.interpreter import installed_runtimes, try_out
from undertone.recognition.pipeline import classify
from undertone.samples import clips

MANY = "UNDERTONE_FUZZ_EXAMPLES"
EXAMPLES = int(os.environ.get(MANY, 200))
BLOCKS = 100
"""Blocks that are read of one sound: a header may promise years of it."""

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=MANY not in os.environ,  # a test run is the same each time
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

Damage = list[tuple[int, int, bytes]]
"""Replacements: where, how many bytes, and by what."""

BYTES = [b"", b"\0", b"\xff", b"\x7f", b"\x80", b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"]
JSON = [b"-1", b"0", b"1e999", b"1e-400", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b'"']
JSON += [b"9" * 30, b"\\ud800", b"\\u0000", b"\n", b"[" * 2000, b"0.5", b'"a":', b"\xc3\x28"]
TOML = [b"[[", b"]]", b"=", b"\n", b"#", b"'''", b'"', b"inf", b"nan", b"-1", b"1e400", b"true"]
TOML += [b"{", b"1979-05-27", b"threads = 2", b"[model]", b"[" * 2000, b"\xff", b"\\U00110000"]


def damage(chance: random.Random, content: bytes, words: list[bytes]) -> Damage:
    """One to five replacements, by one of ``words`` or by any bytes."""
    made = []
    for _ in range(chance.randint(1, 5)):
        by = (
            chance.choice(words)
            if chance.random() < 0.5
            else chance.randbytes(chance.randint(0, 6))
        )
        length = chance.choice(
            [0, len(by), len(by), chance.randint(0, 8), chance.randint(0, 10_000)]
        )
        made.append((chance.randint(0, len(content)), length, by))
    return made


def damaged(content: bytes, damage: Damage) -> bytes:
    for start, length, by in damage:
        content = content[:start] + by + content[start + length :]
    return content


def tried(
    seeds: list[bytes],
    words: list[bytes],
    read: Callable[[bytes], None],
    found: list[bytes],
    examples: int = EXAMPLES,
) -> None:
    """Give ``read`` what was found before, then damaged ``seeds``, and say how many."""
    count = 0

    @settings(fuzzed, max_examples=examples)
    @given(st.integers(0, 2**64))  # a number is cheap to draw, and names the input that failed
    def one(number: int) -> None:
        nonlocal count
        count += 1
        chance = random.Random(number)
        seed = chance.choice(seeds)
        read(damaged(seed, damage(chance, seed, words)))

    for content in found:
        read(content)
    one()
    assert count >= examples
    sys.stdout.write(f"{count:,} inputs\n")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A tenth of a second in every kind of file that libsndfile writes."""
    folder = tmp_path_factory.mktemp("sounds")
    noise = np.random.default_rng(0).normal(0, 0.1, (1600, 2)).clip(-1, 1)
    kinds = [
        *(("WAV", subtype) for subtype in ("PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ULAW")),
        *(("WAV", subtype) for subtype in ("IMA_ADPCM", "MS_ADPCM", "GSM610")),
        *(("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16")),
        *(("AU", "PCM_16"), ("CAF", "ALAC_16"), ("CAF", "PCM_16"), ("VOC", "PCM_16")),
        *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
    ]
    made = []
    for kind, subtype in kinds:
        path = folder / f"{kind}.{subtype}"
        channels = 1 if subtype == "GSM610" else 2
        soundfile.write(path, noise[:, :channels], 16_000, subtype, format=kind)
        made.append(path.read_bytes())
    return made


def test_sound_files(sounds: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "sound"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            for block in islice(read_blocks(path), BLOCKS):
                assert block.samples.dtype == np.int16
                assert len(block.samples) < 10 * 16_000
        except AudioSourceError as error:
            assert str(path) in str(error)

    loud = io.BytesIO()  # finite values whose sum or scale is none
    soundfile.write(loud, np.full((9, 2), 3e38, np.float32), 16_000, "FLOAT", format="WAV")
    tried(sounds, BYTES, read, [loud.getvalue()])


def test_sound_in_a_pipe(sounds: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "sound"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        with path.open("rb") as file, suppress(AudioSourceError):
            for item in islice(Pipe(file.fileno()), BLOCKS):
                assert not isinstance(item, Block) or len(item.samples) < 10 * 16_000

    # a chunk of the header that promises 4 GB; 65,535 channels at 4 billion Hz
    endless = b"RIFF    WAVEjunk" + b"\xff" * 4
    format_ = b"fmt \x10\0\0\0\1\0" + b"\xff" * 6 + b"\0\0\0\0\2\0\x10\0"
    wide = b"RIFF    WAVE" + format_ + b"data" + b"\xff" * 99
    tried(sounds[:1], BYTES, read, [endless, wide])


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packaged bundle, to be damaged."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    shutil.copytree(bundle.installed_bundles()[bundle.DEFAULT_BUNDLE], folder)
    return folder


def test_manifests(packaged: Path) -> None:
    path = packaged / bundle.MANIFEST_FILE
    good = path.read_bytes()
    compact = json.dumps(json.loads(good) | {"figures": {}}).encode()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            bundle.load(packaged)
        except BundleError as error:
            assert str(packaged) in str(error)

    tried([compact], JSON, read, [])
    path.write_bytes(good)


NUMBERS: list[float | str] = [0, -1, 1, 2, 3, 22, 79, 80, 256, 257, 2048, 8000, 8192, 8193]
NUMBERS += [0.5, -0.5, 0.01, 1e-6, 1e-300, 1e-320, 50, 1000, 1e6, 1e300, 1.7e308, -1.7e308]
NUMBERS += [2**15, 2**20, 2**30, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, -(10**400)]
NUMBERS += ["nan", "inf", "1"]


@dataclass(frozen=True)
class Unopened(bundle.Bundle):
    """A bundle with networks that answer by the outermost values."""

    def open(self, *_: Any) -> Any:
        def network(*shape: int) -> SimpleNamespace:
            outputs = np.resize(np.array([-128, 127], np.int8), shape)
            return SimpleNamespace(runtime="none", invoke=lambda values: outputs)

        manifest = self.manifest
        return network(1, len(manifest.labels)), network(1, manifest.detector.piece, 1)


def numbers(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value numbers stand; of a list, its first alone."""
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree[:1])
    for key, value in parts:
        if isinstance(value, dict | list):
            yield from numbers(value, (*path, key))
        elif type(value) in (int, float):
            yield (*path, key)


def test_numbers_of_manifests(packaged: Path) -> None:
    """Any value in the place of one to three numbers: refused, or a clip has finite scores."""
    good = json.loads((packaged / bundle.MANIFEST_FILE).read_bytes())
    good["training"]["recipe"] = good["detector"]["training"] = {}
    good["figures"] = {"protocol": "p", "forms": {"int8": {"uar": 0.5, "accuracy": 0.5}}}
    del good["detector"]["mfcc"]  # the same as those of the model, below
    places = list(numbers(good))
    sound = np.concatenate([block.samples for block in read_blocks(clips()[4])])[12_000:40_000]
    used = judged = 0

    def read(changes: list[tuple[tuple[Any, ...], float | str]]) -> None:
        nonlocal used, judged
        manifest = json.loads(json.dumps(good))
        for (*outer, last), value in changes:
            reduce(getitem, outer, manifest)[last] = value
        count = manifest["mfcc"]["n_coefficients"]
        if type(count) is int and 0 <= count <= 512:  # else the lists below refuse every other
            for norm in (manifest["normalization"], manifest["detector"]):
                norm["mean"] = (norm["mean"] * 512)[:count]
                norm["deviation"] = (norm["deviation"] * 512)[:count]
        manifest["detector"]["mfcc"] = manifest["mfcc"]
        try:
            checked = bundle.parse_manifest(json.dumps(manifest).encode(), packaged)
        except BundleError as error:
            assert str(packaged) in str(error)
            return
        used += 1
        accuracy(checked)
        found = classify([Block(sound, 0.0)], Classifier(Unopened(packaged, checked, b"", b"")))
        if found.overall:  # a gate may let nothing through
            judged += 1
            assert np.isfinite([*found.overall.scores.values()]).all()

    @fuzzed
    @given(st.integers(0, 2**64))
    def one(number: int) -> None:
        chance = random.Random(number)
        chosen = chance.sample(places, chance.randint(1, 3))
        read([(place, chance.choice(NUMBERS)) for place in chosen])

    for place in places:
        for value in NUMBERS:
            read([(place, value)])
    one()
    assert used > judged > EXAMPLES // 10


@pytest.mark.parametrize("network", ["model", "detector"])
@pytest.mark.parametrize("runtime", installed_runtimes())
def test_models(packaged: Path, runtime: str, network: str) -> None:
    """Models that their manifest vouches for; each is tried out in a process of its own.

    With tflite-runtime only there: it reads beyond a damaged model, so that what a child
    survives may end its parent (docs/security.md).
    """
    good = bundle.load(packaged)
    whole = getattr(good, network)

    def read(content: bytes) -> None:
        with suppress(BundleError):
            if runtime == "tflite-runtime":
                try_out([content], runtime)
            else:
                for opened in replace(good, **{network: content}).open(runtime):
                    opened.invoke(np.zeros(opened.input.shape, np.int8))

    found = [damaged(good.model, damage) for damage in MODELS_FOUND]
    # a process for each: fewer, unless many are wanted
    few = EXAMPLES if MANY in os.environ else 40
    tried([whole], BYTES, read, found, few)


def test_settings_files(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    known = known_settings()
    good = b'model = "ravdess8-compact"\nmicrophone = "USB"\nchannel = 1\nthreads = 2\n'
    good += b'gain_db = 6.0\nruntime = "auto"\nthreshold = 0.5\njournal = "~/emotions"\n'
    good += b"journal_flush_s = 1.5\njournal_max_mb = 50\njournal_keep_days = 30\n"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            for name in load_default_map(path, known):
                assert name in known
        except ConfigError as error:
            assert str(path) in str(error)

    tried([good], TOML, read, [])


def lines() -> bytes:
    scores = {"happy": 0.75, "sad": 0.2, "uncertain": 0.05}
    start_s = datetime(2026, 11, 21, 23, 59, tzinfo=UTC).timestamp()
    events = [
        Started(moment(start_s), "USB", "m", "0" * 64, "1"),
        SegmentEnded.of(start_s + 1, 2.0, -30.0, Verdict.of(scores, 0.5), "m", "0" * 64),
        Gap(moment(start_s + 5), 160, "the sound stood still"),
        SourceLost(moment(start_s + 6), "USB", "its stream ended"),
        EventsLost(moment(start_s + 7), 3, "No space left on device"),
        DaysRemoved(
            moment(start_s + 8), "2025-10-16, 2025-10-17", "older than journal_keep_days (400)"
        ),
        Stopped(moment(start_s + 9), "interrupted", 9.0, 1),
    ]
    return b"".join(to_line(event).encode() + b"\n" for event in events)


def test_journals(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-21.jsonl"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        reader = JournalReader(tmp_path)
        records = list(reader)
        for record in records:
            to_line(record)
        summary = JournalReader(tmp_path).summary()
        assert summary.damaged == reader.damaged
        assert summary.segments == sum(isinstance(r, SegmentEnded) for r in records)
        assert len(records) + reader.damaged == content.count(b"\n")
        assert summary.listened_s >= 0 and svg(summary)
        cut_partial_line(path)
        assert list(JournalReader(tmp_path)) == records

    found = lines().replace(b'"listened_s": 9.0', b'"listened_s": -9.0')
    tried([lines()], JSON, read, [found])


def test_stored_summaries(tmp_path: Path) -> None:
    file = tmp_path / "2026-11-21.jsonl"
    file.write_bytes(lines())
    summary_cache.store(file)
    good = summary_cache.path_of(file).read_bytes()
    whole = JournalReader(tmp_path).summary()
    used = 0

    def read(content: bytes) -> None:
        nonlocal used
        summary_cache.path_of(file).write_bytes(content)
        stored = summary_cache.load(file)
        summary = JournalReader(tmp_path).summary()
        if stored is None:  # damaged, or of another state of the file: that is read instead
            assert summary == whole
        else:  # another one of the same file that is valid and agrees with itself
            used += 1
            written, now = json.loads(content), file.stat()
            assert written.keys() == json.loads(good).keys()
            assert written["heard"].keys() <= set(stored.__struct_fields__)
            assert (written["size_bytes"], written["changed_ns"]) == (now.st_size, now.st_mtime_ns)
            assert summary == stored
            assert sum(map(sum, (c.values() for c in summary.by_day.values()))) == summary.segments
        assert svg(summary) and summary.listened_s >= 0

    stored = json.loads(good)
    found = [json.dumps(part).encode() for part in (stored | {"surprise": 1}, stored)]
    some = [-1, 0, 1, 0.5, 2**63, 1e300, 10**400, "1"]
    for (*outer, last), value in product(numbers(stored), some):
        changed = json.loads(good)
        reduce(getitem, outer, changed)[last] = value
        found.append(json.dumps(changed).encode())
    tried([good], JSON, read, found)
    assert 0 < used < len(found)
    summary_cache.path_of(file).unlink()
    assert JournalReader(tmp_path).summary() == whole


MODELS_FOUND: list[Damage] = [  # each ended the process within tflite-runtime 2.14
    [(1, 1, b"J")],
    [
        (1136, 1, b"\xf7"),
        (76460, 1, b"/"),
        (197, 1, b"{"),
        (103356, 1, b"\x14"),
        (105538, 1, b"B"),
        (1909, 1, b"\x8f"),
        (107779, 1, b"\xe1"),
        (110492, 1, b"3"),
    ],
    [
        (104259, 1, b"\x83"),
        (105314, 1, b")"),
        (3997, 1, b"\xf9"),
        (551, 1, b"O"),
        (979, 1, b"V"),
        (108501, 1, b")"),
        (108890, 1, b"\x11"),
        (25894, 1, b"\xda"),
    ],
]
