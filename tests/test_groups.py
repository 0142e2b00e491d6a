"""Tests that share a server, a microphone or a training stay on one worker."""

import pytest


@pytest.mark.xdist_group("together")
def test_a_group_of_tests_is_kept_together(request: pytest.FixtureRequest) -> None:
    if not hasattr(request.config, "workerinput"):
        pytest.skip("there is one worker only")
    assert request.node.nodeid.endswith("@together"), "pytest-xdist ignores xdist_group"
