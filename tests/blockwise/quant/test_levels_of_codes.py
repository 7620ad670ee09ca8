"""Whether a step changes what an activation's codes mean: what a board must keep beside codes it hands on."""

import pytest
import torch

from blockwise import quant

METHODS = [name for name, entry in quant.METHODS.items() if entry.activation and name != "fp32"]


@pytest.mark.parametrize("name", METHODS)
def test_codes_outlive_a_step_of_their_quantizer_exactly_where_the_ledger_keeps_nothing(name):
    widths = quant.method(name).bits("activation")
    bits = 3 if 3 in widths else widths[-1]
    quantizer = quant.make(name, bits, "activation").train()
    x = 5 * torch.randn(8, 50, generator=torch.Generator().manual_seed(0))
    quantizer(x)  # the first batch sets it up
    handed_on = quantizer(x)
    parameters = list(quantizer.parameters())
    if parameters:
        (handed_on * x.cos()).sum().backward()
        torch.optim.SGD(parameters, lr=0.05).step()
    quantizer.tracks = False  # a repeated pass: by whatever values of this step are still held
    after = quantizer(torch.linspace(-30, 30, 20_001)[None])
    distance = (handed_on.detach().unique()[:, None] - after.detach().unique()).abs().amin(1)
    memory = quantizer.memory(bits)
    assert memory.kept + memory.trained >= (memory.levels or 0)
    moves = memory.trained > 0 and memory.levels != 0
    assert bool((distance > 1e-6).any()) == moves
