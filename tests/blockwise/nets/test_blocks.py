"""Blocks learn alone: no gradient crosses a cut, whatever the head, the method and the regime."""

import copy
import functools
import itertools

import pytest
import torch
from inner import inner
from tiers import VARIED, quick, tiered
from torch.nn import functional as F

from blockwise import heads, models, quant
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.settings import NetworkSettings, TrainingSettings
from blockwise.heads.shared import ReadConv
from blockwise.nets.blocks import BlockNet, frozen_statistics
from blockwise.nets.cuts import cut
from blockwise.training.local import LocalLearning, block_step
from blockwise.training.local_resident import ResidentLocalLearning
from blockwise.training.phase import Phase
from devices.errors import InputError

REGIMES = [LocalLearning(), ResidentLocalLearning()]
NETWORKS = ["resnet20", "vgg8b", "mlp", "cnn"]
every_head = pytest.mark.parametrize("head", heads.CATALOGUE)
every_regime = pytest.mark.parametrize("regime", REGIMES, ids=lambda regime: regime.name)
every_network = pytest.mark.parametrize("name", NETWORKS)
every_method = pytest.mark.parametrize("method", tiered(quant.METHODS, ("lsq", "twn"), VARIED))


def build(name: str, head: str = "gap", method: str = "fp32", blocks: str = "stages") -> BlockNet:
    """A network of one's own, which is made once: the same every time."""
    return copy.deepcopy(made(name, head, method, blocks))


@functools.cache
def made(name: str, head: str, method: str, blocks: str) -> BlockNet:
    torch.manual_seed(0)
    chain = quant.quantize(models.build(name, (1, 8, 8), 10, 4), method)
    return BlockNet(chain, cut(chain.stages, blocks, lambda *_: 0), head).train()


def batch(size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, 1, 8, 8, generator=generator), torch.arange(size) % 10


def own(net: BlockNet, index: int) -> dict[str, torch.Tensor]:
    prefixes = (f"bodies.{index}.", f"heads.{index}.")
    return {name: p for name, p in net.named_parameters() if name.startswith(prefixes)}


def watch_inputs(net: BlockNet) -> list[torch.Tensor]:
    """Collects what each body is called with."""
    seen: list[torch.Tensor] = []
    for body in net.bodies:
        body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    return seen


def inputs_of_blocks(net: BlockNet, x: torch.Tensor) -> list[torch.Tensor]:
    """The inputs of all blocks, computed without any graph and without leaving traces in ``net``."""
    twin, found = copy.deepcopy(net), [x]
    with torch.no_grad():
        for index in range(len(twin) - 1):
            found.append(twin.run(found[-1], index, index + 1))
    return found


# --------------------------------------------------------------- gradients


@every_head
@every_regime
@pytest.mark.parametrize("method", ["fp32", "lsq"])
def test_a_blocks_step_gives_gradients_to_that_block_alone(regime, head, method):
    net = build("resnet20", head, method)
    x, y = batch()
    for index, block_input in enumerate(inputs_of_blocks(net, x)):
        net.zero_grad(set_to_none=True)
        regime.step(net, Phase("", index, index + 1, (index,)), block_input, y)
        reached = {name for name, p in net.named_parameters() if p.grad is not None}
        assert reached == own(net, index).keys()


@every_head
@every_regime
def test_the_input_of_every_block_is_cut_from_the_graph(regime, head):
    for name in NETWORKS:
        net = build(name, head)
        seen = watch_inputs(net)
        x, y = batch()
        for phase in regime.phases(net):
            with inner(network=name, phase=phase):
                starts = [x] if phase.first == 0 else inputs_of_blocks(net, x)[phase.first : phase.first + 1]
                seen.clear()
                regime.step(net, phase, starts[0], y)
                assert len(seen) == phase.last - phase.first
                assert all(tensor.grad_fn is None and not tensor.requires_grad for tensor in seen)


@pytest.mark.slow
@every_method
def test_a_local_step_gives_the_gradients_of_each_blocks_own_loss(method):
    """torch.autograd.grad of each loss with respect to its own block, one block at a time."""
    check_gradients(method, {*itertools.product(["cnn"], heads.CATALOGUE), *((n, "gap") for n in NETWORKS)})


@pytest.mark.long
@pytest.mark.parametrize("method", quant.METHODS)
def test_so_it_does_with_every_head_on_every_network(method):
    check_gradients(method, set(itertools.product(NETWORKS, heads.CATALOGUE)))


def check_gradients(method: str, cases: set[tuple[str, str]]) -> None:
    """Of blocks of networks with heads."""
    for name, head in sorted(cases):
        with inner(network=name, head=head):
            net = build(name, head, method)
            compare_with_own_losses(net, copy.deepcopy(net), *batch())


def compare_with_own_losses(net: BlockNet, twin: BlockNet, x: torch.Tensor, y: torch.Tensor) -> None:
    """A local step of ``net`` beside the gradients that ``twin`` finds block by block."""
    (phase,) = LocalLearning().phases(net)
    LocalLearning().step(net, phase, x, y)
    for index, body in enumerate(twin.bodies):
        x = x.detach()
        out = body(x)
        parameters = own(twin, index)
        loss = twin.loss_weight(index) * twin.heads[index](out, y)
        expected = torch.autograd.grad(loss, list(parameters.values()))
        for key, gradient in zip(parameters, expected, strict=True):
            assert torch.equal(net.get_parameter(key).grad, gradient), key
        x = twin.tails[index](out)


@every_head
def test_what_follows_a_block_has_no_influence_on_its_gradients(head):
    """But the weights that its head reads there, if it does."""
    net, other = build("cnn", head, blocks="layers"), build("cnn", head, blocks="layers")
    readers = [module for module in other.heads[0].modules() if isinstance(module, ReadConv)]
    read = {id(parameter) for reader in readers for parameter in reader.source.parameters()}
    assert bool(read) == heads.kind(head).reads_next
    with torch.no_grad():
        for module in (*other.bodies[1:], *other.heads[1:]):
            for parameter in module.parameters():
                if id(parameter) not in read:
                    parameter.add_(torch.rand_like(parameter))
    for twin in (net, other):
        (phase,) = LocalLearning().phases(twin)
        LocalLearning().step(twin, phase, *batch())
    assert all(torch.equal(p.grad, own(other, 0)[name].grad) for name, p in own(net, 0).items())
    assert not all(torch.equal(p.grad, own(other, 1)[name].grad) for name, p in own(net, 1).items())


def test_one_block_alone_is_backpropagation():
    net = build("resnet20", blocks="1")
    x, y = batch()
    twin = copy.deepcopy(net)
    (loss,) = LocalLearning().step(net, LocalLearning().phases(net)[0], x, y)
    expected = F.cross_entropy(twin(x), y)
    expected.backward()
    assert torch.equal(loss, expected.detach())
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)


def test_a_block_step_returns_its_output_and_loss_without_a_graph():
    net = build("cnn")
    x, y = batch()
    twin = copy.deepcopy(net)
    out, loss = block_step(net, 0, x, y)
    assert out.grad_fn is None
    assert loss.grad_fn is None
    expected = twin.bodies[0](x)
    assert torch.equal(out, expected)
    assert torch.equal(loss, twin.heads[0](expected, y))


@every_regime
def test_the_phases_train_every_block_once_in_order(regime):
    net = build("resnet20", blocks="residual")
    trained = [i for phase in regime.phases(net) for i in range(phase.first, phase.last)]
    scored = [i for phase in regime.phases(net) for i in phase.heads]
    assert trained == scored == list(range(10))


# ------------------------------------------------------------- the network


@pytest.mark.slow
@every_method
def test_blocks_in_a_row_are_the_network(method):
    x, _ = batch()
    for name, blocks in itertools.product(NETWORKS, ("stages", "layers", "1")):
        with inner(network=name, blocks=blocks):
            torch.manual_seed(0)
            chain = quant.quantize(models.build(name, (1, 8, 8), 10, 4), method).eval()
            net = BlockNet(chain, cut(chain.stages, blocks, lambda *_: 0), "gap").eval()
            assert torch.equal(net(x), chain(x))
            middle = len(net) // 2
            assert torch.equal(net.run(net.run(x, 0, middle), middle, len(net)), chain(x))


def test_blocks_share_the_parameters_of_the_network_they_cut():
    chain = models.build("cnn", (1, 8, 8), 10, 4)
    net = BlockNet(chain, cut(chain.stages, "layers", lambda *_: 0), "gap")
    assert all(a is b for a, b in zip(net.bodies.parameters(), chain.parameters(), strict=True))


def test_blocks_are_named_after_their_first_and_last_unit():
    assert build("resnet20").names == ("stem..stage1_3", "stage2_1..stage2_3", "stage3_1..stage3_3")
    assert build("cnn", blocks="layers").names == ("conv1", "conv2", "conv3")
    assert build("mlp", blocks="1").names == ("hidden1..hidden3",)


@pytest.mark.slow
@every_network
@pytest.mark.parametrize("head", quick(heads.CATALOGUE, "gap", "predsim-lean"))
def test_a_batch_of_one_is_refused_exactly_where_a_step_on_one_image_fails(head, name):
    """Tried on digits: norms of 1x1 maps in a network or a head, and heads that compare samples."""
    network, training = NetworkSettings(name, 4, "layers", head), TrainingSettings(batch_size=2)
    setup = prepare(Config(network=network, training=training))
    net, regime = setup.build().train(), LocalLearning()
    try:
        regime.step(net, regime.phases(net)[0], *batch(1))
    except (InputError, ValueError):
        works = False
    else:
        works = True
    alone = Config(network=network, training=TrainingSettings(batch_size=1))
    if works:
        assert prepare(alone).config is alone
    else:
        with pytest.raises(InputError, match="--batch-size: got 1, wanted at least 2"):
            prepare(alone)


# ------------------------------------------------------- frozen statistics


def statistics(net: BlockNet) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in net.named_buffers()}


def unchanged(net: BlockNet, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


@every_network
def test_frozen_statistics_stay_to_the_bit_while_outputs_are_those_of_training(name):
    net = build(name)
    x, _ = batch()
    net(x)
    twin, before = copy.deepcopy(net), statistics(net)
    with frozen_statistics(net):
        out = net(3 * x + 1)
    assert unchanged(net, before)
    assert torch.equal(out, twin(3 * x + 1))
    assert not unchanged(twin, before)


@every_network
def test_statistics_thaw_after_use_and_after_an_error(name):
    net = build(name)
    x, _ = batch()
    twin = copy.deepcopy(net)
    with frozen_statistics(net):
        net(x)
    with pytest.raises(ZeroDivisionError), frozen_statistics(net):
        net(x) / (1 // 0)
    net(x)
    twin(x)
    assert unchanged(net, statistics(twin))
    settings = [(m.momentum, m.track_running_stats) for m in net.modules() if hasattr(m, "momentum")]
    assert settings
    assert set(settings) == {(0.1, True)}


def test_frozen_statistics_still_pass_gradients_through_the_batch_statistics():
    net = build("cnn")
    x, y = batch()
    twin = copy.deepcopy(net)
    with frozen_statistics(net):
        F.cross_entropy(net(x), y).backward()
    F.cross_entropy(twin(x), y).backward()
    bodies = zip(net.bodies.parameters(), twin.bodies.parameters(), strict=True)
    assert all(torch.equal(p.grad, q.grad) for p, q in bodies)


def test_evaluation_inside_frozen_statistics_still_uses_the_running_ones():
    net = build("cnn").eval()
    x, _ = batch()
    expected = net(x)
    with frozen_statistics(net):
        assert torch.equal(net(x), expected)
