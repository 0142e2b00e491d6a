"""``make arm`` without qemu: the estimate, its page, and the messages if it can't run."""

import json
import subprocess
import sys
from typing import Any

import pytest

import arm
import arm_figures
from arm_figures import BOARDS, CORES, STAGES, Board

FIGURES: dict[str, Any] = {
    "golden_deviation": 0.00002,
    "tests": {"passed": 3, "skipped": 2, "left_out": {"test_a.py": "no b"}},
    "counts": {core: {"small": dict.fromkeys(STAGES, 12_345_678)} for core in CORES},
}


def test_the_estimate_is_instructions_by_clock_and_instructions_per_cycle() -> None:
    board = Board("b", "cortex-a53", (1.0, 2.0))
    slow, fast = CORES["cortex-a53"].instructions_per_cycle
    assert board.seconds(1e9) == (1 / (2.0 * fast), 1 / slow)


def test_every_range_rises_and_every_core_has_a_board() -> None:
    for core in CORES.values():
        assert 0 < core.instructions_per_cycle[0] < core.instructions_per_cycle[1]
    for board in BOARDS:
        assert board.clock_ghz[0] <= board.clock_ghz[1]
        best, worst = board.seconds(1e6)
        assert 0 < best < worst
    assert {board.core for board in BOARDS} == set(CORES)


def test_the_tables_have_every_stage_core_and_board() -> None:
    lines = arm_figures.tables(FIGURES).splitlines()
    assert any("3 device tests passed under emulation, 2 were skipped" in line for line in lines)
    assert "- `test_a.py`: no b" in lines
    for title in STAGES.values():
        assert f"| {title} | 12.35 | 12.35 | 12.35 |" in lines
    zero = next(line for line in lines if line.startswith("| Pi Zero 2 W"))
    assert zero.split(" | ")[1:4] == ["1 GHz", "1.2–3.1 % of a core", "1.2–3.1 % of a core"]
    assert zero.split(" | ")[4] == "32–81 per core"
    assert zero.endswith(" 12–31 ms per window | 12–31 ms per window |")
    assert all(any(board.name in line for line in lines) for board in BOARDS)


def test_a_step_that_was_not_done_has_no_figures() -> None:
    assert "golden" not in arm_figures.tables({"counts": FIGURES["counts"]})
    assert "Pi 5" not in arm_figures.tables({"tests": FIGURES["tests"]})


def golden(*shares: float) -> dict[str, Any]:
    """A golden.json of two clips."""
    clips = {f"{number}.wav": {"sad": share} for number, share in enumerate(shares)}
    return {"small": {"model_sha256": "0" * 64, "probabilities": clips}}


def test_the_largest_deviation_of_the_golden_outputs_is_reported() -> None:
    assert arm_figures.largest_deviation(golden(0.5, 0.25), golden(0.5, 0.25)) == 0
    deviation = arm_figures.largest_deviation(golden(0.5, 0.25), golden(0.500001, 0.249))
    assert deviation == 0.001
    wide = FIGURES | {"golden_deviation": deviation}
    assert "deviate by at most 0.001000" in arm_figures.tables(wide)


def test_the_page_has_the_figures_of_this_tree() -> None:
    assert arm_figures.PAGE.read_text() == arm_figures.current(), "run make arm STEPS=page"


def test_new_figures_leave_the_others(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_figures, "FIGURES", tmp_path / "arm.json")
    arm_figures.update(tests={"passed": 1})
    arm_figures.update(counts={"a": 1})
    arm_figures.update(tests={"passed": 2})
    found = json.loads((tmp_path / "arm.json").read_bytes())
    assert found == {"tests": {"passed": 2}, "counts": {"a": 1}}


def test_a_machine_without_the_programs_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arm.shutil, "which", lambda name: None if "qemu" in name else name)
    with pytest.raises(arm.ArmError, match="Debian packages qemu-user qemu-user-static"):
        arm.check_machine()


def test_a_user_other_than_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm.shutil, "which", lambda name: name)
    monkeypatch.setattr(arm.os, "geteuid", lambda: 1000)
    with pytest.raises(arm.ArmError, match="sudo make arm"):
        arm.check_machine()


def test_a_step_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, arm.__file__, "rot"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "there is no step rot; they are root, wheels" in done.stderr


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(arm.ArmError, match="`false` failed with status 1"):
        arm.run(["false"])
