import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.recognition.windows import WindowConfig, WindowCutter, split_windows


@given(
    length=st.integers(1, 400),
    frames=st.integers(1, 100),
    hop_share=st.floats(0.01, 1),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_windows_cover_every_frame_whatever_the_pieces(length, frames, hop_share, cuts):
    config = WindowConfig(frames, max(1, int(frames * hop_share)))
    segment = np.arange(length, dtype=float)[:, np.newaxis]
    cutter = WindowCutter(config, 1)
    windows = []
    for piece in np.split(segment, sorted(min(end, length) for end in cuts)):
        windows += cutter.push(piece)
    windows += cutter.flush()
    np.testing.assert_array_equal(np.stack(windows), split_windows(segment, config))
    assert all(window.shape == (frames, 1) for window in windows)
    assert {int(frame) for window in windows for frame in window[:, 0]} == set(range(length))
    if length >= frames:
        assert windows[-1][-1, 0] == length - 1
        assert all((np.diff(window[:, 0]) == 1).all() for window in windows)


def test_a_short_segment_is_repeated():
    window = split_windows(np.array([[1.0], [2.0], [3.0]]), WindowConfig(7, 1))
    assert window[0, :, 0].tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_nothing_makes_no_window():
    assert WindowCutter(WindowConfig(), 3).flush() == []


@pytest.mark.parametrize(("frames", "hop"), [(0, 1), (10, 0), (10, 11)])
def test_impossible_windows_are_refused(frames, hop):
    with pytest.raises(ValueError, match="must be"):
        WindowConfig(frames, hop)
