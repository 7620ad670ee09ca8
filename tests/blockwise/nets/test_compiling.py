"""Steps that run compiled: in how many pieces, and with the losses and gradients of steps that do not."""

import copy

import pytest
import torch
from byte_products import NEEDS_BYTES
from tiers import shown
from torch import Tensor, nn

from blockwise import models, quant
from blockwise.nets import compiling
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.quant.precision import lower
from blockwise.training import REGIMES
from blockwise.training.bp_micro import MicroBatchBackpropagation
from devices.program.regimes import Step

pytestmark = pytest.mark.slow  # tracing takes seconds
REGIMES_SHOWN = ("bp", "local", "bp-micro")
CASES = [
    *((model, regime, "lsq") for model in ("mlp", "resnet8") for regime in REGIMES_SHOWN),
    *(("resnet8", regime, method) for regime in REGIMES_SHOWN for method in ("fp32", "twn", "dorefa")),
]


def network(model: str, method: str) -> BlockNet:
    torch.manual_seed(0)
    chain = models.build(model, (1, 8, 8), 10, 4)
    groups = Anatomy(chain, "gap").cut("stages" if model == "resnet8" else "layers", Step())
    quant.quantize(chain, method, residual="float")  # quantizers that several layers share
    return BlockNet(chain, groups, "gap").to(memory_format=torch.channels_last)


@pytest.fixture
def graphs(monkeypatch) -> list[object]:
    """What is compiled: one entry for each graph, of which a piece that cannot be traced has several."""
    found: list[object] = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> object:
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(compiling, "_compile", lambda module: torch.compile(module, backend=backend))
    torch._dynamo.reset()
    return found


def stepped(regime: str, net: BlockNet, original: BlockNet) -> tuple[Tensor, list[Tensor]]:
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    y = torch.arange(4)
    procedure = MicroBatchBackpropagation(2) if regime == "bp-micro" else REGIMES[regime]
    phase = procedure.phases(original)[0]
    original.train()
    with torch.no_grad():
        original.run(x, 0, len(original))
    loss = procedure.step(net, phase, x, y)
    return loss, [p.grad for p in original.parameters() if p.grad is not None]


@pytest.mark.parametrize(("model", "regime", "method"), shown(CASES, *CASES[:2], spread=True))
def test_a_step_runs_in_as_few_pieces_as_its_regime_has_and_comes_to_the_same(model, regime, method, graphs):
    eager = network(model, method)
    twin = copy.deepcopy(eager)
    expected, gradients = stepped(regime, eager, eager)
    found, own = stepped(regime, compiling.compiled(twin), twin)
    assert len(graphs) == (len(eager) if regime == "local" else 1)
    torch.testing.assert_close(found, expected)
    assert len(own) == len(gradients)
    for a, b in zip(own, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
        assert isinstance(a, Tensor) and a.stride() == b.stride()


@pytest.mark.long
@NEEDS_BYTES
@pytest.mark.parametrize("precision", ["codes", "bf16"])
def test_convolutions_of_codes_are_compiled_in_the_same_piece(precision, graphs):
    eager = network("resnet8", "lsq")
    lower([eager], precision)
    twin = network("resnet8", "lsq")
    lower([twin], precision)
    expected, gradients = stepped("bp", eager, eager)
    found, own = stepped("bp", compiling.compiled(twin), twin)
    assert len(graphs) == 1
    torch.testing.assert_close(found, expected)
    for a, b in zip(own, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_twin_shares_parameters_and_leaves_the_network_as_it_is():
    net = network("mlp", "lsq")
    twin = compiling.compiled(net)
    assert [id(p) for p in twin.parameters()] == [id(p) for p in net.parameters()]
    assert type(net) is BlockNet and not any(isinstance(m, type(twin.bodies[0])) for m in net.modules())
    assert isinstance(twin, nn.Module) and twin.names == net.names
