"""Level, peak and clipping of a stretch of sound."""

import numpy as np
import pytest

from undertone.audio.level import measure


def test_a_full_scale_sine_is_3_db_below_its_peak() -> None:
    sine = np.rint(32766 * np.sin(np.linspace(0, 200 * np.pi, 16_000))).astype(np.int16)
    level = measure(sine)
    assert level.peak_dbfs == pytest.approx(0.0, abs=0.01)
    assert level.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert not level.clips


@pytest.mark.parametrize("count", [0, 100])
def test_silence_has_no_level(count: int) -> None:
    level = measure(np.zeros(count, np.int16))
    assert (level.rms_dbfs, level.peak_dbfs, level.clips) == (-np.inf, -np.inf, False)


@pytest.mark.parametrize("value", [32767, -32768])
def test_a_few_samples_at_full_scale_are_clipping_one_is_not(value: int) -> None:
    samples = np.zeros(1_600, np.int16)
    samples[:1] = value
    assert not measure(samples).clips
    samples[:3] = value
    assert measure(samples).clips
