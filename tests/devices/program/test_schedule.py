"""Tensors, programs and ledgers on their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.program.categories import SAVED_ACTIVATIONS, SCRATCH, WORKING_TENSORS
from devices.program.ledger import Ledger
from devices.program.schedule import ACTIVATION, Program, Tensor


@given(
    elements=st.integers(1, 10_000),
    bits=st.sampled_from([1, 2, 3, 5, 8, 32]),
    alignment=st.sampled_from([1, 4, 8, 32]),
)
def test_bytes_are_rounded_up_to_whole_bytes_and_then_to_the_alignment(elements, bits, alignment):
    tensor = Tensor("t", (elements,), bits, SCRATCH, "b")
    assert (tensor.bytes - 1) * 8 < elements * bits <= tensor.bytes * 8
    size = tensor.aligned_bytes(alignment)
    assert size % alignment == 0
    assert 0 <= size - tensor.bytes < alignment


def three_steps() -> Program:
    program = Program()
    for name in ("kept", "passing", "last"):
        program.tensor(name, (10,), 8, ACTIVATION, "b")
    program.tensor("weights", (100,), 8, SCRATCH, "b", resident=True)
    program.emit("one", "forward", "b", writes=("kept",))
    program.emit("two", "forward", "b", reads=("kept",), writes=("passing",))
    program.emit("three", "forward", "b", reads=("passing",), writes=("last",))
    program.emit("four", "backward", "b", reads=("kept",))
    return program


def test_a_tensor_lives_from_its_first_to_its_last_touch_and_a_resident_one_throughout():
    schedule = three_steps().finish()
    assert schedule.lifetimes == {"kept": (0, 3), "passing": (1, 2), "last": (2, 2), "weights": (0, 3)}
    assert [m.live_bytes for m in Ledger(schedule, 1).timeline] == [110, 120, 130, 110]


def test_what_the_backward_pass_reads_is_a_saved_activation_and_nothing_else_is():
    tensors = three_steps().finish().tensors
    assert tensors["kept"].category == SAVED_ACTIVATIONS
    assert tensors["passing"].category == tensors["last"].category == WORKING_TENSORS


def test_the_peak_is_the_first_of_equal_moments():
    program = Program()
    program.tensor("t", (4,), 8, ACTIVATION, "b")
    program.emit("one", "forward", "b", writes=("t",))
    program.emit("two", "forward", "b", reads=("t",))
    assert Ledger(program.finish(), 8).peak_index == 0


def test_a_program_that_reads_what_nobody_wrote_is_refused():
    program = Program()
    program.tensor("t", (4,), 8, ACTIVATION, "b")
    program.emit("one", "forward", "b", reads=("t",))
    with pytest.raises(ValueError, match="one reads 't' before it is written"):
        program.finish()


def test_a_tensor_that_nobody_touches_is_refused():
    program = Program()
    program.tensor("t", (4,), 8, ACTIVATION, "b")
    program.emit("one", "forward", "b")
    with pytest.raises(ValueError, match="'t' is never touched"):
        program.finish()


def test_a_tensor_declared_twice_or_of_an_unknown_category_is_refused():
    program = Program()
    program.tensor("t", (4,), 8, "luggage", "b")
    with pytest.raises(ValueError, match="declared twice"):
        program.tensor("t", (4,), 8, ACTIVATION, "b")
    program.emit("one", "forward", "b", writes=("t",))
    with pytest.raises(ValueError, match="unknown category 'luggage'"):
        program.finish()


def test_a_second_instance_of_a_name_is_numbered():
    program = Program()
    assert [program.fresh("x"), program.fresh("x"), program.fresh("y")] == ["x", "x#2", "y"]
