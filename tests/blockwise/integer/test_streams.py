"""A layer's steps against a scalar loop over its own stream, as a board would run it."""

import pytest
import torch

from blockwise.integer import IntTensor, Xorshift32, reference
from blockwise.integer.arithmetic import Place
from blockwise.integer.layers import Weighted
from blockwise.integer.niti import NITI4_JUMP
from blockwise.integer.xorshift import scramble, step

SHAPE, SEED, STREAM, MU = (6, 5), 4, 3, 5


def int8(shape: tuple[int, ...], rng: Xorshift32) -> torch.Tensor:
    return (rng.uniform(shape[0] * shape[1], 255) - 127).to(torch.int8).view(shape)


def jumped(states: list[int], gradients: list[int], generator: int) -> tuple[list[int], int]:
    """docs/integer-arithmetic.md, updates in 4 bits: mu is 4 less than that of 8 bits."""
    k, after = max(map(abs, gradients)).bit_length() - (MU - 4), []
    assert k >= 1
    for state, g in zip(states, gradients, strict=True):
        generator = step(generator)
        up = (generator >> 32 - k) < (abs(g) & (1 << k) - 1)
        kappa = (abs(g) >> k) + up
        after.append(min(max(state - (kappa if g > 0 else -kappa), -7), 7))
    return after, generator


@pytest.mark.parametrize("bystanders", [0, 3])
def test_first_weights_and_jumps_are_those_of_a_scalar_loop_over_the_layers_own_stream(bystanders):
    layer = Weighted(NITI4_JUMP, Place(SHAPE), Xorshift32(SEED, STREAM)).train()
    others = [Weighted(NITI4_JUMP, Place(SHAPE), Xorshift32(SEED, STREAM + 1 + i)) for i in range(bystanders)]
    generator, states = scramble(SEED, STREAM), []
    for _ in range(SHAPE[0] * SHAPE[1]):
        generator = step(generator)
        states.append((generator >> 16) * 15 >> 16)
    states = [state - 7 for state in states]
    assert layer.weight.flatten().tolist() == states
    data = Xorshift32(9)
    for _ in range(4):
        x, error = IntTensor(int8((8, SHAPE[1]), data), -7), IntTensor(int8((8, SHAPE[0]), data), -7)
        for one in (*others, layer):
            one.train()(x)
            one.backward(error, MU, to_input=False)
        gradients = reference.linear_weight_gradient(error.mantissa, x.mantissa).flatten().tolist()
        states, generator = jumped(states, gradients, generator)
        assert layer.weight.flatten().tolist() == states
        assert int(layer.random_state) & 0xFFFFFFFF == generator
