"""A project as a folder: complete, the same every time, and never half of one."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from firmware_steps import firmware_of
from integer_steps import IntegerSteps

from blockwise.firmware.emit import project as emitted
from blockwise.firmware.prediction import prediction
from devices.errors import InputError

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


@pytest.fixture(scope="module")
def firmware():
    return firmware_of(IntegerSteps("niti-local", batch=1))


@pytest.mark.slow
@needs_make
def test_make_host_builds_the_check_and_the_example_without_a_warning(firmware, tmp_path):
    emitted.project(firmware, tmp_path / "project")
    compiler = f"CC={sys.executable} -m ziglang cc -fno-sanitize=all -g0 -Werror"
    subprocess.run(["make", "-s", "host", compiler], cwd=tmp_path / "project", check=True)
    assert subprocess.run([tmp_path / "project" / "main_host"], check=False).returncode == 0


def test_two_projects_of_one_plan_are_the_same_text(firmware):
    assert emitted.files(firmware) == emitted.files(firmware)


def test_every_operation_of_the_schedule_is_a_function_that_the_step_calls_in_order(firmware):
    text = emitted.files(firmware)["step.c"]
    body = text[text.index("void blockwise_step(void)") :]
    calls = [line.strip() for line in body[: body.index("}")].splitlines()[1:] if line.strip()]
    count = len(firmware.schedule.operations)
    assert calls == [f"operation_{index}();" for index in range(count)]
    for index, operation in enumerate(firmware.schedule.operations):
        assert f"/* {operation.name} */\nstatic NOINLINE void operation_{index}(void)" in text


def test_no_operation_going_back_knows_an_exponent(firmware):
    text = emitted.files(firmware)["step.c"]
    for index, operation in enumerate(firmware.schedule.operations):
        start = text.index(f"operation_{index}(void)")
        told = "exponents[" in text[start : text.index("\n}", start)]
        assert told == (operation.phase == "forward")


def test_a_project_is_written_anew_and_nothing_else_is_overwritten(firmware, tmp_path):
    emitted.project(firmware, tmp_path / "project")
    (tmp_path / "project" / "check.out").write_bytes(b"of a check")
    emitted.project(firmware, tmp_path / "project")
    assert not (tmp_path / "project" / "check.out").exists()
    assert (tmp_path / "project" / "step.c").read_text() == emitted.files(firmware)["step.c"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="a folder that holds something else"):
        emitted.project(firmware, tmp_path / "other")
    with pytest.raises(InputError, match="got a file"):
        emitted.project(firmware, tmp_path / "other" / "letter.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "project"]
    assert (tmp_path / "other" / "letter.txt").read_text() == "dear"


def test_prediction_lies_beside_all_that_outlives_a_step(firmware):
    found = prediction(firmware)
    taken = {
        byte
        for tensor in firmware.resident
        for byte in range(
            firmware.spots[tensor.name].offset, firmware.spots[tensor.name].offset + tensor.bytes
        )
    }
    for name, tensor in found.schedule.tensors.items():
        if not tensor.resident:
            start = found.spots[name].offset
            assert start + tensor.bytes <= firmware.stretches[0].height
            assert not taken.intersection(range(start, start + tensor.bytes))


def test_where_prediction_has_no_room_the_project_has_none(firmware):
    ends = [firmware.spots[tensor.name].offset + tensor.bytes for tensor in firmware.resident]
    (stretch,) = firmware.stretches
    full = replace(firmware, stretches=(replace(stretch, height=max(ends)),))
    assert prediction(full) is None
    assert "BLOCKWISE_PREDICTS" not in emitted.files(full)["blockwise.h"]
    assert "BLOCKWISE_PREDICTS" in emitted.files(firmware)["blockwise.h"]


@pytest.mark.parametrize(("regime", "twice"), [("niti-local", False), ("niti4-jump", True), ("niti", False)])
def test_the_largest_sum_is_read_by_the_operation_behind_the_one_that_makes_it(regime, twice):
    """One variable holds it: nothing else may be made in between."""
    text = emitted.files(firmware_of(IntegerSteps(regime, model="vgg8b", batch=1, twice=twice)))["step.c"]
    bodies = [body[: body.index("\n}")] for body in text.split("static NOINLINE void operation_")[1:]]
    makes = ["largest = " in body for body in bodies]
    reads = ["(largest" in body for body in bodies]
    assert any(makes)
    assert [False, *makes[:-1]] == reads
