"""What operations count: products that are made, turns of loops, and what is no part of a step."""

import pytest
import torch
from small_networks import build
from torch.nn.functional import conv2d

from devices.network import IMAGES, Block, Layer, Network
from devices.network.ops import Conv, CrossEntropy
from devices.pace.workload import ONCE, share_made, workloads
from devices.program.regimes import Step, schedule


def network(side, conv):
    height = torch.nn.Conv2d(1, 1, conv.kernel, conv.stride, conv.padding, conv.dilation)
    shape = (conv.channels, *height(torch.zeros(1, 1, side, side)).shape[2:])
    layers = (Layer("conv", conv, (IMAGES,), shape),)
    return Network((conv.in_channels, side, side), (Block("all", layers, ()),))


@pytest.mark.parametrize("side", [1, 2, 5, 8])
@pytest.mark.parametrize("geometry", [(3, 1, 1, 1), (3, 2, 1, 1), (5, 1, 2, 1), (3, 1, 2, 2), (1, 1, 0, 1)])
def test_products_with_the_padding_are_not_counted(side, geometry):
    kernel, stride, padding, dilation = geometry
    conv = Conv(3, 4, *((n, n) for n in (kernel, stride, padding, dilation)))
    net = network(side, conv)
    ones = torch.ones(1, 3, side, side)
    weight = torch.ones(4, 3, kernel, kernel)
    made = int(conv2d(ones, weight, stride=stride, padding=padding, dilation=dilation).sum())
    layer = net.blocks[0].layers[0]
    step = schedule("bp", with_loss(net), Step(1))
    assert round(layer.macs * share_made(step.layers["conv"], step)) == made


def plans(regime, batch, micro_batch=1):
    net = build("plain4", (1, 8, 8)).describe(blocks="2", head="gap")
    return schedule(regime, net, Step(batch, micro_batch=micro_batch))


def products(step):
    return sum(work.counts[0] for _, work in workloads(step, integer=False))


def test_what_is_passed_on_a_few_images_at_a_time_makes_as_many_products_in_more_turns():
    whole, parts = plans("bp-micro", 4, 4), plans("bp-micro", 4, 1)
    assert products(parts) == pytest.approx(products(whole))
    calls = [sum(work.counts[4] for _, work in workloads(step, integer=False)) for step in (whole, parts)]
    assert calls[1] > 3 * calls[0] / 2


def test_packing_and_unpacking_a_block_is_no_part_of_a_step():
    step = plans("local-resident", 4)
    numbers = {number for number, _ in workloads(step, integer=False)}
    left_out = {o.action for number, o in enumerate(step.operations) if number not in numbers}
    assert left_out and left_out <= ONCE


def with_loss(net):
    (block,) = net.blocks
    head = (Layer("loss", CrossEntropy(), ("conv", "labels"), ()),)
    return Network(net.in_shape, (Block(block.name, block.layers, head),))
