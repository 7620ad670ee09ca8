"""What a schedule could have wrong is found by executing it: six kinds of faults, each planted by hand."""

from dataclasses import replace

import pytest
from one_step import OneStep

from devices.memory.arena import buffers_of, pack
from devices.program.execute import Misread
from devices.program.operation import Operation, Stored
from devices.program.schedule import Schedule

TOLERANCE = 1e-5


def with_operations(plan: Schedule, change: dict[int, Operation]) -> Schedule:
    """The plan with other operations in some places."""
    operations = tuple(change.get(i, o) for i, o in enumerate(plan.operations))
    return replace(plan, operations=operations)


def position(plan: Schedule, name: str) -> int:
    """Of the first operation of this name."""
    return next(i for i, o in enumerate(plan.operations) if o.name == name)


def is_found(step: OneStep, plan: Schedule, offsets: dict[str, int] | None = None) -> bool:
    """Whether the step ends elsewhere than the simulation, or does not end."""
    try:
        return not step.run(plan, offsets) < TOLERANCE
    except (Misread, TypeError, ValueError):
        return True


def test_without_a_fault_nothing_is_found():
    step = OneStep("local", method="lsq")
    assert not is_found(step, step.plan)


@pytest.mark.parametrize(
    ("tensor", "method"),
    [("conv2.relu.mask", "dorefa"), ("conv1.pool.out", "lsq"), ("conv2.norm.statistics", "lsq")],
)
def test_a_lifetime_that_is_an_operation_short(tensor, method):
    step = OneStep("bp", method=method)
    plan = replace(step.plan)
    first, last = plan.lifetimes[tensor]
    plan.lifetimes[tensor] = (first, last - 1)
    assert is_found(step, plan, pack(buffers_of(plan, 8), 8).offsets)


def test_a_step_size_that_is_read_after_its_update():
    step = OneStep("local", method="lsq")

    def with_new_step(operation: Operation) -> Operation:
        operands = tuple(
            (role, replace(x, levels=("conv2.relu.step",)))
            if isinstance(x, Stored) and x.levels == ("conv2.relu.step.kept",)
            else (role, x)
            for role, x in operation.operands
        )
        return replace(operation, operands=operands)

    changed = {i: with_new_step(o) for i, o in enumerate(step.plan.operations)}
    assert any(changed[i] != o for i, o in enumerate(step.plan.operations))
    assert is_found(step, with_operations(step.plan, changed))


def test_addresses_that_overlap():
    step = OneStep("bp", method="lsq")
    offsets = dict(pack(buffers_of(step.plan, 8), 8).offsets)
    offsets["conv2.conv.out"] = offsets["conv1.conv.out"]
    assert is_found(step, step.plan, offsets)


@pytest.mark.parametrize(
    ("role", "method"), [("saved mask", "dorefa"), ("saved input", "lsq"), ("step", "lsq")]
)
def test_a_read_that_is_missing(role, method):
    step = OneStep("bp", method=method)
    index = position(step.plan, "conv2.relu backward")
    operation = step.plan.operations[index]
    operands = tuple((r, x) for r, x in operation.operands if r != role)
    assert len(operands) < len(operation.operands)
    assert is_found(step, with_operations(step.plan, {index: replace(operation, operands=operands)}))


def test_a_statistic_that_is_stale():
    step = OneStep("bp", method="lsq")
    index = position(step.plan, "conv2.norm forward")
    operation = step.plan.operations[index]
    results = tuple((r, name) for r, name in operation.results if r != "running")
    assert len(results) < len(operation.results)
    assert is_found(step, with_operations(step.plan, {index: replace(operation, results=results)}))


def test_a_basis_that_has_moved_before_it_is_read_again():
    """LQ-Net's weights go back by the basis of the forward pass, not by the one it has moved to."""
    step = OneStep("bp", method="lq-net", blocks="2")
    index = position(step.plan, "conv2.conv forward")
    operation = step.plan.operations[index]
    results = tuple((r, name) for r, name in operation.results if r != "levels")
    assert len(results) < len(operation.results)
    assert is_found(step, with_operations(step.plan, {index: replace(operation, results=results)}))
