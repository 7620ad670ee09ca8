"""Levels are told as whole numbers and a scale exactly where these give them back to the bit."""

import torch

from blockwise.deployed.even import even


def told(levels: torch.Tensor) -> tuple[int, int, list[float]] | None:
    found = even(levels)
    return None if found is None else (found.low, found.stride, found.scale.tolist())


def test_whole_numbers_and_scales_are_read_off_the_levels():
    step = torch.tensor(0.3)
    assert told((torch.arange(-4, 4) * step)[None]) == (-4, 1, [step.item()])
    assert told((torch.arange(0, 4) * step)[None]) == (0, 1, [step.item()])
    assert told(torch.tensor([[-0.7, 0.7]])) == (-1, 2, [torch.tensor(0.7).item()])
    assert told(torch.tensor([[-3.0, -1, 1, 3]]) / 4) == (-3, 2, [0.25])


def test_every_row_has_its_own_scale_and_the_same_numbers():
    steps = torch.tensor([[0.1], [0.7], [1e-6]])
    assert told(torch.arange(-127, 128) * steps) == (-127, 1, steps.flatten().tolist())
    assert told(torch.tensor([[0.0, 1, 2], [1.0, 2, 3]])) is None


def test_sixteen_bits_are_found_though_their_distances_are_rounded():
    step = torch.tensor(1.2345e-4)
    assert told((torch.arange(-(1 << 15), 1 << 15) * step)[None]) == (-(1 << 15), 1, [step.item()])


def test_levels_that_no_scale_gives_to_the_bit_have_none():
    assert told(torch.tensor([[0.0, 1, 2, 4]])) is None
    assert told(torch.tensor([[0.5]])) is None
    assert told(torch.tensor([[0.5, 0.5]])) is None
    assert told(torch.tensor([[0.1, 1.1, 2.1]])) is None
    nearly = torch.arange(0, 8) * torch.tensor(0.3)
    nearly[5] = torch.nextafter(nearly[5], torch.tensor(9.0))
    assert told(nearly[None]) is None
