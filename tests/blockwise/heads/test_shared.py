"""A head that reads the next block's first convolution: what it computes, trains and holds."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from blockwise import heads, models, quant
from blockwise.heads.shared import ReadConv
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.compiling import compiled
from blockwise.quant.layers import QuantConv2d
from blockwise.training.local import block_step
from devices.program import categories as cat
from devices.program.regimes import Step, schedule

HEAD = "lookahead-shared:4"
SOURCE, READER = "stage2_1.conv1", "stage1_1.head.classify.conv1"


def built(method: str = "lsq", blocks: str = "stage2_1,stage3_1") -> BlockNet:
    torch.manual_seed(0)
    chain = models.build("resnet20", (3, 8, 8), 10, 4)
    groups = Anatomy(chain, HEAD).cut(blocks, Step())
    return BlockNet(quant.quantize(chain, method), groups, HEAD)


def test_its_parameters_are_those_of_lookahead_without_the_first_convolution():
    ahead = nn.Conv2d(16, 32, 3, 2, padding=1, bias=False)
    head = heads.make("lookahead-shared:64", (16, 32, 32), ahead=ahead)
    # a norm of 32 channels, a convolution 32 -> 64 with its norm, and the classifier
    assert models.count_parameters(head) == 2 * 32 + 9 * 32 * 64 + 2 * 64 + 650
    assert not any("conv1" in name for name in head.state_dict())
    assert [m.stride for m in head.modules() if isinstance(m, nn.Conv2d)] == [(1, 1)]  # the first has it
    kept = heads.make("lookahead-shared:64", (16, 32, 32), ahead=nn.Conv2d(16, 16, 3, padding=1))
    assert [m.stride for m in kept.modules() if isinstance(m, nn.Conv2d)] == [(2, 2)]


@pytest.mark.parametrize(
    ("shape", "ahead"),
    [((20,), nn.Conv2d(20, 8, 3)), ((16, 8, 8), None), ((16, 8, 8), nn.Conv2d(1, 8, 3))],
    ids=["flat features", "no convolution", "of other maps"],
)
def test_where_no_convolution_of_its_maps_follows_it_is_lookahead(shape, ahead):
    own, plain = (heads.make(name, shape, ahead=ahead) for name in (HEAD, "lookahead:4"))
    assert {n: t.shape for n, t in own.state_dict().items()} == {
        n: t.shape for n, t in plain.state_dict().items()
    }


@pytest.mark.parametrize("method", ["fp32", "lsq", "lq-net"])
def test_it_multiplies_by_the_weights_as_the_next_block_does_and_moves_nothing_of_it(method):
    net = built(method).train()
    source = net.bodies[1][0].conv1
    reader = next(m for m in net.heads[0].modules() if isinstance(m, ReadConv))
    assert reader.source is source
    x = torch.rand(4, 4, 8, 8)
    net.run(torch.rand(4, 3, 8, 8), 0, len(net))  # quantizers choose their constants
    before = {name: t.clone() for name, t in net.bodies[1].state_dict().items()}
    out = changed = reader(x)
    with torch.no_grad():  # at rest nothing follows, and levels are those with which the next pass begins
        quantizer = source.weight_quantizer.eval() if isinstance(source, QuantConv2d) else nn.Identity()
        weight = quantizer(source.weight)
    torch.testing.assert_close(out, F.conv2d(x, weight, None, source.stride, source.padding))
    assert all(t.equal(before[name]) for name, t in net.bodies[1].state_dict().items())
    quantizer.train()
    with torch.no_grad():
        source.weight.neg_()
    assert not torch.equal(reader(x), changed)


def test_no_gradient_of_its_loss_reaches_the_next_block_and_one_reaches_its_own():
    net = built()
    x, y = torch.rand(8, 3, 8, 8), torch.arange(8)
    net.run(x, 0, len(net))
    net.train()
    out, _ = block_step(net, 0, x, y)
    assert not out.requires_grad
    assert all(p.grad is None for i in (1, 2) for p in net.bodies[i].parameters())
    for part in (net.bodies[0], net.heads[0]):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())
    assert net.bodies[0][0].conv.weight.grad.abs().sum() > 0


@pytest.mark.long
def test_compiled_it_has_the_gradients_that_it_has_as_it_is_written():
    net = built()
    x, y = torch.rand(8, 3, 8, 8), torch.arange(8)
    net.run(x, 0, len(net))
    net.train()
    found = []
    for twin in (net, compiled(net)):
        net.zero_grad()
        block_step(twin, 0, x, y)
        found.append([p.grad.clone() for part in (net.bodies[0], net.heads[0]) for p in part.parameters()])
        assert all(p.grad is None for p in net.bodies[1].parameters())
    for eager, other in zip(*found, strict=True):
        torch.testing.assert_close(other, eager, rtol=1e-4, atol=1e-5)


def test_the_same_weights_are_read_in_a_copy_of_the_network_and_are_kept_once():
    net = built()
    twin = copy.deepcopy(net)
    (reader,) = (m for m in twin.heads[0].modules() if isinstance(m, ReadConv))
    assert reader.source is twin.bodies[1][0].conv1 is not net.bodies[1][0].conv1
    names = [name for name, _ in net.named_parameters()]
    assert len(names) == len(set(names)) == len(list(net.parameters()))


@pytest.mark.parametrize(
    ("regime", "read"),
    [
        ("local", {f"{SOURCE}.weight", f"{SOURCE}.step"}),
        ("local-paged", {f"{SOURCE}.weight.ahead", f"{SOURCE}.step.ahead"}),
        ("local-resident", {f"{SOURCE}.codes.before", f"{SOURCE}.step.before"}),
    ],
)
def test_a_plan_reads_the_weights_where_the_next_block_holds_them_without_gradient_and_state(regime, read):
    chain = models.build("resnet20", (3, 8, 8), 10, 4)
    network = chain.describe(blocks="stage1_2,stage2_1", head=HEAD)
    (reader,) = (x for x in network.all_layers if x.weights_of == SOURCE)
    plan = schedule(regime, network, Step(2))
    operations = [o for o in plan.operations if o.layer == reader.name]
    assert [o.action for o in operations] == ["forward", "backward (input)"]
    for operation in operations:
        held = {name for name in operation.reads if name.startswith(SOURCE)}
        assert held == read
        assert not held.intersection(operation.writes)
    own = {name: t for name, t in plan.tensors.items() if name.startswith(f"{reader.name}.")}
    assert {t.category for t in own.values()} <= {cat.WORKING_TENSORS, cat.SAVED_ACTIVATIONS, cat.SCRATCH}
    weights = 9 * 4 * 8
    copies = {name: t.bytes for name, t in plan.tensors.items() if name.endswith(".ahead")}
    assert copies.get(f"{SOURCE}.weight.ahead", 4 * weights) == 4 * weights
