"""Weight updates of 8 and 4 bits against their definitions."""

from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blockwise.integer import INT4, INT8, Accumulator, IntTensor, Xorshift32, residue
from blockwise.integer.residue import ResidueWeights
from blockwise.integer.rounding import nearest, pseudo_stochastic, stochastic
from blockwise.integer.update import NITI_SCHEDULE, STATE_SCHEDULE, BitSchedule, update
from blockwise.integer.xorshift import scramble, step

LARGEST = 2**31 - 1


def pseudo_by_hand(x: int, s: int) -> int:
    q, f, h = abs(x) >> s, abs(x) % 2**s, s // 2
    p, r = f >> h, (f % 2**h) << (s % 2)
    return (q + (p > r)) * (-1 if x < 0 else 1)


def accumulator(values: list[int]) -> Accumulator:
    return Accumulator(torch.tensor(values, dtype=torch.int64).int(), -3)


gradients = st.lists(st.integers(-LARGEST, LARGEST) | st.integers(-40, 40), min_size=1, max_size=30)


@settings(max_examples=100)
@given(gs=gradients, mu=st.integers(-1, 7), seed=st.integers(0, 99))
@example(gs=[LARGEST, -LARGEST, 1, 0], mu=5, seed=0)
@example(gs=[LARGEST, -LARGEST, 1, 0], mu=-1, seed=0)
@example(gs=[0, 0], mu=5, seed=0)
@example(gs=[31, -31], mu=5, seed=0)
@example(gs=[32, -32, 16], mu=5, seed=0)
def test_int8_weights_move_by_the_gradient_at_mu_bits(gs, mu, seed):
    start = Xorshift32(seed).uniform(len(gs), 255).sub(127).to(torch.int8)
    found = update(IntTensor(start, -9), accumulator(gs), mu)
    k = max(abs(g) for g in gs).bit_length() - mu
    steps = [pseudo_by_hand(g, k) if k > 0 and any(gs) else g for g in gs]
    expected = [min(max(w - g, -127), 127) for w, g in zip(start.tolist(), steps, strict=True)]
    assert found.mantissa.tolist() == expected
    assert (found.exponent, found.format) == (-9, INT8)
    assert max(map(abs, steps)) <= max(2**mu, 1)


def transitions_by_hand(states: list[int], gs: list[int], mu: int, seed: int) -> list[int]:
    """kappa states for sure, one more where k random bits are below nu."""
    length = max(abs(g) for g in gs).bit_length()
    k, state, out = length - mu, scramble(seed), []
    for s, g in zip(states, gs, strict=True):
        if length == 0 or k < 1:
            jump = abs(g)
        else:
            state = step(state)
            kappa, nu = abs(g) >> k, abs(g) & (2**k - 1)
            jump = kappa + (state >> (32 - k) < nu)
        out.append(min(max(s - (jump if g > 0 else -jump), -7), 7))
    return out


@settings(max_examples=100)
@given(gs=gradients, mu=st.integers(-1, 3), seed=st.integers(0, 99))
@example(gs=[LARGEST, -LARGEST, 2**30, 0], mu=-1, seed=0)
@example(gs=[0, 0], mu=-1, seed=0)
@example(gs=[1, -1], mu=1, seed=0)
def test_int4_states_jump_at_random(gs, mu, seed):
    start = Xorshift32(seed, stream=1).uniform(len(gs), 15).sub(7).to(torch.int8)
    found = update(IntTensor(start, -4, INT4), accumulator(gs), mu, stochastic(Xorshift32(seed)))
    assert found.mantissa.tolist() == transitions_by_hand(start.tolist(), gs, mu, seed)
    assert found.check_range().format == INT4


def test_jumps_are_as_likely_as_the_gradient_is_large():
    gs = [2**19] + [2**17] * 20_000  # k = 20 - 1: 2^17 / 2^19 is a quarter
    start = IntTensor(torch.zeros(len(gs), dtype=torch.int8), 0, INT4)
    jumps = update(start, accumulator(gs), 1, stochastic(Xorshift32(3))).mantissa
    assert jumps[0] == -1 and abs(Fraction(int(-jumps[1:].int().sum()), 20_000) - Fraction(1, 4)) < Fraction(
        1, 50
    )


def test_with_nearest_rounding_only_sure_jumps_remain():
    start = IntTensor(torch.tensor([0, 0, 7, -7], dtype=torch.int8), 0, INT4)
    found = update(start, accumulator([1000, 200, -1000, 1000]), 1, nearest)
    assert found.mantissa.tolist() == [-2, 0, 7, -7]  # 1000 / 512 rounds to 2, 200 / 512 to 0


@settings(max_examples=60)
@given(gs=gradients, mu=st.integers(0, 7), seed=st.integers(0, 99))
def test_residues_add_up_until_the_state_moves(gs, mu, seed):
    byte = Xorshift32(seed).uniform(len(gs), 240).sub(112).to(torch.int8)
    found = residue.update(ResidueWeights(byte, -4), accumulator(gs), mu)
    k = max(abs(g) for g in gs).bit_length() - mu
    steps = [pseudo_by_hand(g, k) if k > 0 and any(gs) else g for g in gs]
    latent = [min(max(b - g, -112), 127) for b, g in zip(byte.tolist(), steps, strict=True)]
    assert found.byte.tolist() == latent
    states = found.states.check_range()
    assert states.mantissa.tolist() == [b // 16 for b in latent]
    assert (states.format, states.exponent) == (INT4, -4)


def test_every_byte_is_a_state_and_a_residue():
    byte = torch.arange(residue.LOW, residue.HIGH + 1).to(torch.int8)
    states = ResidueWeights(byte, 0).states.check_range().mantissa
    assert states.tolist() == sorted(list(range(-7, 8)) * 16)
    left = (byte.int() - 8 - 16 * states.int()).tolist()
    assert left == list(range(-8, 8)) * 15
    centred = residue.from_states(IntTensor(torch.arange(-7, 8).to(torch.int8), 2, INT4))
    assert centred.byte.tolist() == list(range(-104, 121, 16))
    assert centred.states.mantissa.tolist() == list(range(-7, 8)) and centred.exponent == 2


def test_small_steps_are_lost_without_a_residue_and_kept_with_one():
    gradient = accumulator([4, 4, 64])  # at mu = 3 the small ones are half a residue
    weights, states = residue.from_states(IntTensor(torch.zeros(3, dtype=torch.int8), 0, INT4)), None
    for _ in range(40):
        weights = residue.update(weights, gradient, 3, stochastic(Xorshift32(1)))
        states = weights.states.mantissa.tolist()
    assert states is not None and states[2] == -7 and states[0] < 0


def test_nitis_schedule_changes_at_a_half_and_three_quarters():
    assert [NITI_SCHEDULE.at(epoch, 200) for epoch in (0, 99, 100, 149, 150, 199)] == [5, 5, 4, 4, 3, 3]
    assert [STATE_SCHEDULE.at(epoch, 200) for epoch in (0, 100, 150)] == [1, 0, -1]
    assert [NITI_SCHEDULE.at(epoch, 3) for epoch in range(3)] == [5, 5, 4]  # 1/3 and 2/3


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ((Fraction(1, 2), 5),),
        ((Fraction(0), 5), (Fraction(0), 4)),
        ((Fraction(0), 8),),
        ((Fraction(0), -2),),
    ],
)
def test_schedules_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError, match="changes"):
        BitSchedule(changes)


def test_updates_change_no_tensor_in_place():
    start, gradient = torch.tensor([3, -3], dtype=torch.int8), accumulator([900, 20])
    for rounding in (nearest, pseudo_stochastic, stochastic(Xorshift32(0))):
        update(IntTensor(start, 0), gradient, 5, rounding)
        residue.update(ResidueWeights(start, 0), gradient, 5, rounding)
    assert start.tolist() == [3, -3] and gradient.mantissa.tolist() == [900, 20]
