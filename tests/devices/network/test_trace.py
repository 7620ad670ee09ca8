"""Reading a network leaves it as it is, and a row of layers is read as torch.fx would."""

import pytest
import torch
from torch import nn

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy
from devices.errors import InputError
from devices.network import trace as tracing
from devices.network.trace import links, symbolic, trace


def nodes(graph):
    return [(node.op, node.name, str(node.target), [str(x) for x in node.args]) for node in graph.nodes]


@pytest.mark.parametrize(
    "row",
    [
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)),
        nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Sequential(nn.MaxPool2d(2))),
        nn.Sequential(*[nn.ReLU()] * 2, nn.Identity()),
    ],
    ids=["layers", "rows in a row", "one layer twice"],
)
def test_a_row_of_layers_has_the_graph_that_torch_fx_finds(row):
    assert tracing._row(row) is not None
    assert nodes(symbolic(row, "")) == nodes(tracing.Tracer().trace(row))


class Halved(nn.Sequential):
    def forward(self, x):
        return super().forward(x) / 2


def test_what_is_no_row_is_left_to_torch_fx():
    hooked = nn.Sequential(nn.Sequential(nn.ReLU()))
    hooked[0].register_forward_hook(lambda module, inputs, made: made * 2)
    for module in (Halved(nn.ReLU()), nn.ReLU(), hooked, nn.Sequential(nn.Sequential(Halved(nn.ReLU())))):
        assert tracing._row(module) is None
    assert [node.op for node in symbolic(hooked, "").nodes].count("call_function") == 1


@pytest.mark.parametrize("method", ["", "lsq"])
def test_a_network_is_afterwards_what_it_was(method):
    chain = models.build("cnn", (1, 8, 8), 10, 4)
    if method:  # quantizers that have seen nothing yet
        quant.quantize(chain, quant.scheme(method, None, None, 3, 3), 3, 3, "codes")
    next(iter(chain.units.values())).eval()
    modes = [part.training for part in chain.modules()]
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    held = [value.data_ptr() for value in chain.parameters()]
    Anatomy(chain, "gap")
    assert [part.training for part in chain.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in chain.state_dict().items())
    assert [value.data_ptr() for value in chain.parameters()] == held


class Counting(nn.ReLU):
    """An operation of one's own, with something to lose."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        return super().forward(x)


def test_operations_of_ones_own_are_run_on_a_copy():
    module = nn.Sequential(nn.Conv2d(1, 4, 3), Counting())
    trace(module, {"images": (1, 8, 8)}, "net")
    assert module[1].seen == 0


def test_heads_are_traced_once_and_draw_as_ever():
    def described():
        torch.manual_seed(0)
        chain = models.build("cnn", (1, 8, 8), 10, 4)
        anatomy = Anatomy(chain, "lookahead:4")
        heads = [anatomy.head_after(end) for end in range(1, len(anatomy.units) + 1)]
        return heads, torch.rand(3)

    (first, drawn), (second, again) = described(), described()
    assert first == second and torch.equal(drawn, again)
    assert len({head[0].inputs for head in first}) == len(first)  # each reads its own block


@pytest.mark.parametrize("function", [lambda x: torch.cat([x, x], 1), lambda x: x + x, lambda x: x * x])
def test_a_map_that_a_layer_reads_twice_is_refused_where_it_would_be_read_once(function):
    class Twice(nn.Module):
        def forward(self, x):
            return function(x)

    with pytest.raises(InputError, match="got the same map twice, wanted each input once"):
        trace(Twice(), {"images": (4, 8, 8)}, "net")
    with pytest.raises(InputError, match="got the same map twice, wanted each input once"):
        links(Twice(), "net")
