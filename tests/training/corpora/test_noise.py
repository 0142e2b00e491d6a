"""Which recordings of noise train and which test."""

from pathlib import Path

import pytest

from undertone_training.corpora import noise


def write(folder: Path, *names: str) -> Path:
    (folder / "noise").mkdir()
    for name in names:
        (folder / "noise" / name).write_bytes(name.encode())
    return folder


def names(recordings: noise.NoiseRecordings) -> list[str]:
    return [path.name for path in recordings.files]


def test_the_last_kind_by_name_is_kept_for_tests(tmp_path: Path) -> None:
    write(tmp_path, "street_1.flac", "fan_0.wav", "wind_10.flac", "wind_9.flac", "rain.ogg", "x.md")
    assert names(noise.for_testing(tmp_path)) == ["wind_10.flac", "wind_9.flac"]
    assert names(noise.for_training(tmp_path)) == ["fan_0.wav", "rain.ogg", "street_1.flac"]
    assert len(noise.every(tmp_path)) == 5


def test_recordings_without_a_number_are_kinds_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "rain.flac", "river.flac")
    assert names(noise.for_training(tmp_path)) == ["rain.flac"]
    assert names(noise.for_testing(tmp_path)) == ["river.flac"]


def test_only_a_number_is_no_part_of_the_kind(tmp_path: Path) -> None:
    write(tmp_path, "rain_roof_0.flac", "rain_wood.flac", "rain_roof_1.flac")
    assert names(noise.for_training(tmp_path)) == ["rain_roof_0.flac", "rain_roof_1.flac"]
    assert names(noise.for_testing(tmp_path)) == ["rain_wood.flac"]


def test_a_single_kind_trains_and_nothing_tests(tmp_path: Path) -> None:
    write(tmp_path, "fan_0.flac", "fan_1.flac")
    assert names(noise.for_training(tmp_path)) == ["fan_0.flac", "fan_1.flac"]
    assert names(noise.for_testing(tmp_path)) == []


@pytest.mark.parametrize("choose", [noise.for_training, noise.for_testing])
def test_without_a_folder_there_is_no_noise(choose: object, tmp_path: Path) -> None:
    assert names(choose(tmp_path)) == []


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    write(tmp_path, "fan_0.flac", "wind_0.flac")
    before = noise.for_training(tmp_path).digest
    (tmp_path / "noise" / "wind_0.flac").write_bytes(b"for tests")
    assert noise.for_training(tmp_path).digest == before
    (tmp_path / "noise" / "fan_0.flac").write_bytes(b"other")
    assert noise.for_training(tmp_path).digest != before
