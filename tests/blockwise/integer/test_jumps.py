"""Gradients of several batches that are added up until states of weights jump, by hand and on bytes."""

import pytest
import torch
from integer_steps import IntegerSteps

from blockwise.integer import INT4, Accumulator, IntTensor, Xorshift32
from blockwise.integer.arithmetic import Place
from blockwise.integer.jumps import Jumps, Waiting
from blockwise.integer.layers import Weighted, weighted
from blockwise.integer.niti import NITI4_JUMP
from blockwise.integer.on_board import weights
from blockwise.integer.on_board.machine import OTHERS
from blockwise.integer.rounding import stochastic
from blockwise.integer.update import update
from devices.errors import InputError
from devices.program.integer import COUNT, waiting_of
from devices.program.ledger import Ledger

FIRST_OUTPUTS = [270369, 67634689]
"""Of the state 1 (docs/integer-arithmetic.md): their top bits are 0."""


def accumulator(*values: int) -> Accumulator:
    return Accumulator(torch.tensor(values, dtype=torch.int32), -14)


def int8(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def test_the_example_of_the_document_in_two_batches():
    """States 0, -7, 3, 1 become -2, -7, 3, 1 by the sum, as by a single batch of these gradients."""
    jumps = Jumps(2)
    waiting = Waiting(jumps)
    assert waiting.add(accumulator(600, -100, 255, 4)) is None
    jumps.count()
    summed = waiting.add(accumulator(400, -200, 0, 0))
    jumps.count()
    assert summed is not None and summed.mantissa.tolist() == [1000, -300, 255, 4]
    states = IntTensor(int8([0, -7, 3, 1])[0], 0, INT4)
    assert update(states, summed, 1, stochastic(Xorshift32(1))).mantissa.tolist() == [-2, -7, 3, 1]
    assert waiting.sums is not None and waiting.sums.tolist() == [0, 0, 0, 0]
    assert (jumps.waiting, jumps.due) == (0, False)


def test_a_layer_keeps_its_states_and_its_generator_until_the_last_batch():
    """Errors 3, -2 by inputs (1, 4), (5, 0), then 1 by (2, 2): G = (-7, 12) + (2, 2) = (-5, 14).

    Its largest has 4 bits, so k = 3 at mu = 5 - 4: 5/8 of a state of the first, 1 + 6/8 of the second.
    Both draws are 0, so both go up: steps -1 and 2.
    """
    layer = Weighted(NITI4_JUMP, Place((1, 2)), Xorshift32(0))
    layer.weight.copy_(int8([3, 3]))
    layer.random_state.fill_(1)
    jumps = Jumps(2)
    layer.waiting = Waiting(jumps)
    found = []
    for error, x in ((int8([3], [-2]), int8([1, 4], [5, 0])), (int8([1]), int8([2, 2]))):
        layer.kept = (IntTensor(x, 0), None)
        layer.backward(IntTensor(error, 0), 5, to_input=False)
        jumps.count()
        found.append((layer.weight.tolist(), int(layer.random_state)))
    assert found == [([[3, 3]], 1), ([[4, 1]], FIRST_OUTPUTS[1])]


def test_a_sum_that_leaves_32_bits_is_refused_and_not_wrapped():
    waiting = Waiting(Jumps(3))
    waiting.add(accumulator(2**31 - 2))
    waiting.add(accumulator(1))
    with pytest.raises(InputError, match="sum of gradients: got up to 2,147,483,648, wanted at most 2,147"):
        waiting.add(accumulator(1))


@pytest.mark.floats
@pytest.mark.parametrize(
    ("regime", "every", "train"),
    [
        ("niti4-jump", 3, "all"),
        ("niti4-jump-local", 2, "all"),
        ("niti4-jump-local", 2, "blocks:2"),
        ("niti4-jump-resident", 2, "all"),
    ],
)
def test_steps_on_bytes_end_with_the_bits_of_the_simulation(regime, every, train, integers_only):
    steps = IntegerSteps(regime, batch=2, jump_every=every, train=train)
    with integers_only():
        assert steps.run(2 * every) == []


@pytest.mark.floats
def test_so_do_jumps_of_one_block_after_the_other(integers_only, monkeypatch):
    """A program of all blocks begins each anew: here behind a batch without gradients, so that they jump."""

    def behind_one(machine, frame):
        weights.begin(machine, frame)
        frame.store(COUNT, torch.tensor([machine.every - 1], dtype=torch.int32))

    monkeypatch.setitem(OTHERS, "begins", behind_one)
    steps = IntegerSteps("niti4-jump-resident", batch=2, jump_every=2, due=True)
    layers = [layer for layer in weighted(steps.net.bodies) if layer.arithmetic.jumps(layer.place)]
    before = [(layer.weight.clone(), int(layer.random_state)) for layer in layers]
    with integers_only():
        assert steps.run(2) == []
    assert len(layers) == 3
    for layer, (weight, state) in zip(layers, before, strict=True):
        assert int(layer.random_state) != state and not torch.equal(layer.weight, weight)


@pytest.mark.floats
def test_what_has_8_bits_steps_with_every_batch_and_states_jump_behind_the_last():
    steps = IntegerSteps("niti4-jump", batch=2, jump_every=3)
    moved: list[set[bool]] = []
    layers = [layer for layer in weighted(steps.net.bodies) if layer.arithmetic.jumps(layer.place)]
    for count in range(3):
        before = [int(layer.random_state) for layer in layers]
        first = weighted(steps.net)[0].weight.clone()
        images = torch.randint(256, (2, 1, 8, 8), generator=torch.Generator().manual_seed(count))
        steps.take(images.to(torch.uint8), torch.tensor([0, 2]))
        moved.append({int(layer.random_state) != b for layer, b in zip(layers, before, strict=True)})
        assert not torch.equal(first, weighted(steps.net)[0].weight)
    assert len(layers) == 3 and moved == [{False}, {False}, {True}]


STATES = {"conv2.conv": 288, "conv3.conv": 1152, "conv4.conv": 2304}
"""Of plain4 at width 4: 4 x 8 x 9, 8 x 16 x 9 and 16 x 16 x 9 weights."""


def waiting_bytes(regime: str, every: int) -> tuple[int, int]:
    """The most bytes in which gradients wait at any time, and the peak of the step."""
    plan = IntegerSteps(regime, jump_every=every).plan
    sizes = {name: plan.tensors[waiting_of(name)].bytes for name in STATES} if every > 1 else {}
    spans = {name: plan.lifetimes[waiting_of(name)] for name in sizes}
    at = (
        sum(size for name, size in sizes.items() if spans[name][0] <= index <= spans[name][1])
        for index in range(len(plan.operations))
    )
    return max(at), Ledger(plan, alignment=1).peak_bytes


@pytest.mark.floats
def test_one_block_at_a_time_holds_the_sums_of_one_block_and_others_those_of_all():
    everything = 4 * sum(STATES.values())
    for regime in ("niti4-jump", "niti4-jump-local"):
        before, after = waiting_bytes(regime, 1), waiting_bytes(regime, 2)
        assert (before[0], after[0]) == (0, everything)
        assert before[1] < after[1] <= before[1] + everything + 4
    resident = waiting_bytes("niti4-jump-resident", 2)
    assert resident[0] == 4 * STATES["conv4.conv"] < everything
    assert resident[1] < waiting_bytes("niti4-jump-local", 2)[1]
