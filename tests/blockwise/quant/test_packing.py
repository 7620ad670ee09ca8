"""Weights of every method come back from their codes to the bit, and take the bytes that are counted."""

import math

import torch
from inner import inner
from quantizer_cases import EXTREMES, every_weight, new, values

from blockwise import quant


@every_weight
def test_packed_weights_come_back_to_the_bit_and_take_what_the_ledger_counts(name, bits, role):
    for shape in [(4, 6, 3, 3), (7, 20), (8, 4, 1, 1), (5, 3, 3, 3)]:
        with inner(shape=shape):
            x = values(3, shape)
            quantizer = new(name, bits, role, x)
            expected = quantizer(x).detach()
            packed = quant.pack(quantizer, x)
            assert torch.equal(quant.unpack(type(quantizer), packed), expected)
            memory, window = quantizer.memory(bits), math.prod(shape[2:])
            block = window if window > 1 else 4 if math.prod(shape[1:]) % 4 == 0 else 1
            codes = x.numel() // (block if memory.blocks else 1)
            numbers = memory.packed * (shape[0] if memory.per_channel else 1)
            numbers *= block if memory.blocks else 1
            assert packed.stored_bytes == -(-codes * bits // 8) + 4 * numbers


@every_weight
def test_extreme_weights_are_packed_to_the_bit_too(name, bits, role):
    for extreme, x in EXTREMES.items():
        with inner(extreme=extreme):
            quantizer = new(name, bits, role, x)
            expected = quantizer(x).detach()
            assert torch.equal(quant.unpack(type(quantizer), quant.pack(quantizer, x)), expected)
