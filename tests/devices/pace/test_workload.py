"""What operations count: products that are made, turns of loops, and what is no part of a step."""

import pytest
import torch
from small_networks import build
from torch.nn.functional import conv2d

from devices.boards.profile import load
from devices.network import IMAGES, Block, Layer, Network
from devices.network.ops import Conv, CrossEntropy
from devices.network.partial import choice
from devices.pace.step import step_time
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


@pytest.mark.parametrize(("regime", "train"), [("local-resident", "all"), ("bp", "last:1")])
def test_what_passes_one_by_one_touches_of_a_batch_one_image_a_turn(regime, train):
    net = choice(train).of(build("cnn", (1, 8, 8)).describe(blocks="each", head="gap"))
    few, many = (schedule(regime, net, Step(batch)) for batch in (2, 8))
    (less, more) = (dict(workloads(step, integer=False)) for step in (few, many))
    inside = [i for loop in many.loops for i in range(loop.first, loop.last + 1)]
    assert inside and [loop.first for loop in few.loops] == [loop.first for loop in many.loops]
    for index in inside:
        assert more[index].counts == pytest.approx([4 * count for count in less[index].counts])


@pytest.mark.parametrize(("regime", "train"), [("local-resident", "all"), ("bp", "last:1")])
def test_the_instructions_of_an_image_are_the_same_in_every_batch(regime, train):
    board = load("stm32")
    net = choice(train).of(build("cnn", (3, 32, 32)).describe(blocks="each", head="gap"))

    def an_image(batch):
        step = schedule(regime, net, Step(batch))
        return step_time(step, board, integer=False, kernels=True).instructions / batch

    assert an_image(128) == pytest.approx(an_image(16), rel=0.02)


def with_loss(net):
    (block,) = net.blocks
    head = (Layer("loss", CrossEntropy(), ("conv", "labels"), ()),)
    return Network(net.in_shape, (Block(block.name, block.layers, head),))
