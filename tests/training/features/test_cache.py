"""The cache of features: what is computed, kept, computed again, and how long it will take."""

import dataclasses
import fcntl
import os
import resource
import shutil
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from miniature import train, write, write_ravdess
from msgspec.structs import replace

from undertone.errors import AudioSourceError
from undertone_training import recipe as recipes
from undertone_training.corpora import Clip, scan
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.errors import RunError
from undertone_training.features import cache, extraction
from undertone_training.features.cache import ClipFeatures, Estimate, FeatureCache
from undertone_training.features.extraction import Extraction
from undertone_training.features.shards import Frames
from undertone_training.features.waveform_augmentation import augmented
from undertone_training.jobs import Jobs

RECIPE = recipes.load("smoke")
NO_NOISE = NoiseRecordings(())


@pytest.fixture
def clips(tmp_path: Path) -> Sequence[Clip]:
    """Eight clips, of one shard."""
    write_ravdess(tmp_path / "data", (1,))
    return scan(tmp_path / "data").clips


@pytest.fixture
def kept(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache", Jobs(1))


@pytest.fixture
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once it is called."""

    def refuse(self: Extraction, clip: Clip) -> None:
        pytest.fail(f"{clip.clip_id} is computed")

    return lambda: monkeypatch.setattr(Extraction, "__call__", refuse)


def shards(cache: FeatureCache) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in cache.folder.glob("*/*.arrow")}


def only_shard(cache: FeatureCache) -> Path:
    (path,) = shards(cache)
    return path


def assert_same(found: Sequence[ClipFeatures], expected: Sequence[ClipFeatures]) -> None:
    assert [each.clip for each in found] == [each.clip for each in expected]
    for one, other in zip(found, expected, strict=True):
        for arrays, others in ((one.segments, other.segments), (one.copies, other.copies)):
            assert len(arrays) == len(others)
            for array, same in zip(arrays, others, strict=True):
                np.testing.assert_array_equal(array, same)


def spoil(source: Path) -> None:
    """Replace the content of a file that looks as before."""
    before = source.stat()
    source.write_bytes(b"x" * before.st_size)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_comes_from_the_cache_is_what_was_computed_and_reads_no_sound(
    clips: Sequence[Clip], kept: FeatureCache
) -> None:
    expected = [
        ClipFeatures(clip, *map(tuple, Extraction.of(RECIPE, NO_NOISE)(clip))) for clip in clips
    ]
    assert any(each.segments and each.copies for each in expected)
    for _ in ("computed", "read again"):
        assert_same(kept.compute(clips, RECIPE, noise=NO_NOISE), expected)
        for clip in clips:
            spoil(clip.source.path)
    assert_same(kept.compute(clips[2:5], RECIPE, noise=NO_NOISE), expected[2:5])
    assert len(shards(kept)) == 1


def test_a_clip_with_another_content_is_computed_again_and_no_other(
    clips: Sequence[Clip], kept: FeatureCache
) -> None:
    before = list(kept.compute(clips, RECIPE))
    shutil.copy(clips[3].source.path, clips[4].source.path)
    for clip in clips[:4]:
        spoil(clip.source.path)
    after = kept.compute(clips, RECIPE)
    np.testing.assert_array_equal(after[4].segments[0], before[3].segments[0])
    assert_same([after[number] for number in (0, 3, 7)], [before[number] for number in (0, 3, 7)])


@pytest.mark.parametrize("change", ["touched", "renamed"])
def test_a_clip_that_is_touched_or_renamed_is_compared_once_and_not_computed(
    change: str,
    clips: Sequence[Clip],
    kept: FeatureCache,
    nothing_is_computed: Callable[[], None],
) -> None:
    before = list(kept.compute(clips, RECIPE))
    folder = clips[0].source.path.parent
    if change == "touched":
        os.utime(clips[0].source.path, ns=(1, 1))
    else:
        folder.rename(folder.parent / "Actor_1")
    found = scan(folder.parent).clips
    estimates: list[Estimate] = []
    nothing_is_computed()
    for _ in ("compared", "known"):
        after = kept.compute(found, RECIPE, on_estimate=estimates.append)
        assert_same(
            after,
            [dataclasses.replace(old, clip=clip) for old, clip in zip(before, found, strict=True)],
        )
        for clip in found:
            spoil(clip.source.path)
    assert not estimates


def test_a_damaged_shard_is_said_once_and_computed_again(
    clips: Sequence[Clip], tmp_path: Path
) -> None:
    said: list[str] = []
    kept = FeatureCache(tmp_path / "cache", Jobs(1), say=said.append)
    first = list(kept.compute(clips[:1], RECIPE))
    path = only_shard(kept)
    whole = path.read_bytes()
    for content in (b"", whole[:200], whole[:-1], whole[1:], b"x" * len(whole)):
        path.unlink()  # what is mapped stays as it is
        path.write_bytes(content)
        for _ in ("computed", "read again"):
            assert_same(kept.compute(clips[:1], RECIPE), first)
        assert said == [f"{path} is damaged: what was in it is computed again"]
        assert path.read_bytes() == whole
        said.clear()


def test_the_shards_are_the_same_to_the_byte_however_many_processes_write_them(
    tmp_path: Path,
) -> None:
    write_ravdess(tmp_path / "data", (1, 2, 6))
    clips = scan(tmp_path / "data").clips
    one, two = (FeatureCache(tmp_path / str(n), Jobs(n)) for n in (1, 2))
    assert_same(one.compute(clips, RECIPE), two.compute(clips, RECIPE))
    found, same = (
        sorted((p.name, content) for p, content in shards(c).items()) for c in (one, two)
    )
    assert found == same
    assert len(found) == 3


def test_a_job_that_another_process_has_begun_is_waited_for(
    clips: Sequence[Clip],
    kept: FeatureCache,
    tmp_path: Path,
    nothing_is_computed: Callable[[], None],
) -> None:
    other = FeatureCache(tmp_path / "other", Jobs(1))
    expected = list(other.compute(clips, RECIPE))
    theirs = only_shard(other)
    shutil.copytree(theirs.parent, kept.folder / theirs.parent.name)
    ours = only_shard(kept)
    ours.unlink()
    nothing_is_computed()
    with ours.with_suffix(".part").open("ab") as begun, ThreadPoolExecutor() as threads:
        fcntl.flock(begun, fcntl.LOCK_EX)
        waiting = threads.submit(kept.compute, clips, RECIPE)
        begun.write(theirs.read_bytes())
        begun.flush()
        ours.with_suffix(".part").replace(ours)
        fcntl.flock(begun, fcntl.LOCK_UN)
        assert_same(waiting.result(), expected)
    assert sorted(path.suffix for path in ours.parent.iterdir()) == [".arrow", ".json"]


@pytest.mark.parametrize("left", ["failed", "killed"])
def test_a_job_that_another_process_has_not_finished_is_done_again(
    left: str, clips: Sequence[Clip], kept: FeatureCache
) -> None:
    expected = list(kept.compute(clips, RECIPE))
    path = only_shard(kept)
    whole = path.read_bytes()
    path.unlink()
    partial = path.with_suffix(".part")
    with partial.open("ab") as begun, ThreadPoolExecutor() as threads:
        fcntl.flock(begun, fcntl.LOCK_EX)
        begun.write(whole[: len(whole) // 2])
        begun.flush()
        waiting = threads.submit(kept.compute, clips, RECIPE)
        if left == "failed":
            partial.unlink()
        fcntl.flock(begun, fcntl.LOCK_UN)
        assert_same(waiting.result(), expected)
    assert path.read_bytes() == whole
    assert not partial.exists()


def test_a_full_storage_is_said_and_leaves_nothing_behind(
    clips: Sequence[Clip], kept: FeatureCache
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"Features can't be stored in .*make room, or name"):
            kept.compute(clips, RECIPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.suffix for path in kept.folder.glob("*/*")} == {".json"}
    assert len(kept.compute(clips, RECIPE)[0].segments) == 1


def test_a_recording_that_cannot_be_read_leaves_the_other_shards(
    tmp_path: Path, kept: FeatureCache
) -> None:
    write_ravdess(tmp_path / "data", (1, 2))
    clips = scan(tmp_path / "data").clips
    before = list(kept.compute(clips[:8], RECIPE))
    clips[-1].source.path.write_text("no sound")
    assert (
        train("prepare", "--data", tmp_path / "data", "--cache", kept.folder, "--recipe", "smoke")
        == 1
    )
    assert_same(kept.compute(clips[:8], RECIPE), before)
    assert not list(kept.folder.glob("*/*.part"))


def test_a_recording_that_is_changed_meanwhile_is_said(
    clips: Sequence[Clip], kept: FeatureCache
) -> None:
    path = clips[3].source.path
    with pytest.raises(AudioSourceError, match=rf"{path.name} was changed meanwhile: run the comm"):
        kept.compute(clips, RECIPE, on_estimate=lambda _: os.utime(path, ns=(1, 1)))
    assert len(kept.compute(clips, RECIPE)) == len(clips)


def mapped() -> set[str]:
    """The shards that are mapped into memory."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if line.endswith(".arrow")}


def test_few_shards_are_mapped_at_a_time(
    tmp_path: Path, kept: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own" / "mine" / "anna" / "sad"
    write(folder / "0.wav", np.zeros(8_000))
    for number in range(1, 160):
        (folder / f"{number}.wav").symlink_to(folder / "0.wav")
    clips = scan(tmp_path).clips
    kept.compute(clips, RECIPE)
    sizes = [len(content) for content in shards(kept).values()]
    assert len(sizes) == 20
    monkeypatch.setattr(cache, "_MAPPED_BYTES", 3 * max(sizes))
    found = kept.compute(clips, RECIPE)
    before = mapped()
    for each in found:
        assert not each.segments
    assert 1 <= len(mapped() - before) <= 3


def test_an_estimate_is_close_to_what_is_computed(tmp_path: Path, kept: FeatureCache) -> None:
    write_ravdess(tmp_path / "data", (1, 2))
    clips = scan(tmp_path / "data").clips
    estimates: list[Estimate] = []
    for _ in ("computed", "known"):
        kept.compute(clips, RECIPE, noise=NO_NOISE, on_estimate=estimates.append)
    (found,) = estimates
    size = sum(len(content) for content in shards(kept).values())
    assert found.n_clips == len(clips) == 16
    assert found.size_bytes == pytest.approx(size, rel=0.3)
    duration_s = sum(len(clip.source.read()) for clip in clips) / 16_000
    assert found.duration_s == pytest.approx(duration_s, rel=0.2)
    assert found.wait_s > 0


def test_prepare_says_how_much_work_it_is_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path / "data", (1,))
    args = ("--recipe", "smoke", "--data", tmp_path / "data", "--jobs", 1)
    assert train("prepare", *args, "--cache", tmp_path / "cache") == 0
    found, estimate, prepared = capsys.readouterr().out.splitlines()
    assert found == "ravdess speech: 8 clips of 1 speaker"
    assert estimate.startswith("8 clips, about 20 s of sound: about ")
    assert estimate.endswith(f" MB in {tmp_path / 'cache'}")
    assert prepared.startswith("8 clips prepared in ")
    assert train("prepare", *args, "--cache", tmp_path / "cache") == 0
    assert capsys.readouterr().out.splitlines() == [found, prepared]
    assert train("prepare", *args, "--cache", tmp_path / "other", "--dry-run") == 0
    assert not (tmp_path / "other").exists()


def silent_when(seeds: set[int]) -> Callable[[np.ndarray, object, int], np.ndarray]:
    """``augmented`` whose copies with these seeds have nothing but silence."""

    def changed(sound: np.ndarray, transform: object, seed: int) -> np.ndarray:
        return np.zeros_like(sound) if seed in seeds else augmented(sound, transform, seed)

    return changed


def test_a_copy_without_speech_keeps_its_place(
    clips: Sequence[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the copies of one number are those that went through the same changes."""
    clip, *_ = clips
    recipe = replace(RECIPE, augmentation=replace(RECIPE.augmentation, copies=3))
    (whole,) = FeatureCache(tmp_path / "whole", Jobs(1)).compute([clip], recipe, noise=NO_NOISE)
    second = zlib.crc32(f"{clip.clip_id}/1".encode())
    monkeypatch.setattr(extraction, "augmented", silent_when({second}))
    for _ in ("computed", "read again"):
        (found,) = FeatureCache(tmp_path / "found", Jobs(1)).compute([clip], recipe, noise=NO_NOISE)
        assert [len(copy) for copy in found.copies] == [
            len(whole.copies[0]), 0, len(whole.copies[2]),
        ]  # fmt: skip
        assert found.copies[1].shape == (0, recipe.frame_width)
        np.testing.assert_array_equal(found.copies[2], whole.copies[2])


@pytest.mark.parametrize("alike", ["clip", "speaker"])
def test_the_copies_of_one_speaker_are_changed_alike_if_the_recipe_says_so(
    alike: str, tmp_path: Path, kept: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ravdess(tmp_path / "data", (1, 2))
    clips = scan(tmp_path / "data").clips
    recipe = replace(RECIPE, augmentation=replace(RECIPE.augmentation, copies=2, alike=alike))
    asked: dict[tuple[str, int], list[int]] = {}
    compute = Extraction.__call__

    def named(self: Extraction, clip: Clip) -> tuple[list[Frames], list[Frames]]:
        seeds: list[int] = []

        def noted(sound: np.ndarray, transform: object, seed: int) -> np.ndarray:
            seeds.append(seed)
            return sound

        monkeypatch.setattr(extraction, "augmented", noted)
        found = compute(self, clip)
        for copy, seed in enumerate(seeds):
            asked.setdefault((clip.speaker, copy), []).append(seed)
        return found

    monkeypatch.setattr(Extraction, "__call__", named)
    kept.compute(clips, recipe, noise=NO_NOISE)
    assert len(asked) == 2 * 2
    assert all(len(seeds) > 4 for seeds in asked.values())
    different = {key: set(seeds) for key, seeds in asked.items()}
    if alike == "speaker":
        assert {len(each) for each in different.values()} == {1}
        assert len(set.union(*different.values())) == 2 * 2
    else:
        assert len(set.union(*different.values())) == sum(map(len, asked.values()))


def test_copies_made_alike_are_kept_apart_from_others(
    clips: Sequence[Clip], kept: FeatureCache
) -> None:
    (own,) = kept.compute(clips[:1], RECIPE, noise=NO_NOISE)
    alike = replace(RECIPE, augmentation=replace(RECIPE.augmentation, alike="speaker"))
    (other,) = kept.compute(clips[:1], alike, noise=NO_NOISE)
    assert not np.array_equal(own.copies[0], other.copies[0])
    np.testing.assert_array_equal(own.segments[0], other.segments[0])


def test_no_clips_leave_no_folder(tmp_path: Path) -> None:
    assert not FeatureCache(tmp_path / "cache").compute((), RECIPE)
    assert not (tmp_path / "cache").exists()
