"""What graphs of ONNX compute themselves, beside what was read of them."""

import warnings

import onnx_graphs
import pytest
import torch
from onnx_graphs import SHAPE, graph, needs_onnx, normal
from torch import nn

from blockwise import models
from blockwise.models.files import onnx_values
from blockwise.models.files.onnx_layers import LAYERS
from blockwise.system.notes import Note
from devices.errors import InputError

NODES: list[onnx_graphs.Node] = [
    ("Conv", ("x", "c.weight"), "a", {"strides": [2, 2], "pads": [1, 1, 1, 1]}), ("Relu", ("a",), "b", {}),
    ("MaxPool", ("b",), "z", {"kernel_shape": [2, 2], "strides": [2, 2]}), ("Flatten", ("z",), "f", {}),
    ("Gemm", ("f", "g.weight"), "g", {"transB": 1}), ("MatMul", ("g", "m.weight"), "y", {}),
]  # fmt: skip


def net(folder) -> str:
    weights = {"c.weight": normal(6, 1, 3, 3), "g.weight": normal(7, 24), "m.weight": normal(7, 5)}
    return graph(folder / "net.onnx", NODES, weights)


@needs_onnx
def test_layers_that_compute_something_else_are_refused(tmp_path, monkeypatch):
    path = net(tmp_path)
    with warnings.catch_warnings(action="error", category=Note):
        models.build(path, SHAPE)
    monkeypatch.setitem(LAYERS, "Relu", lambda x, constants, options: nn.SiLU())
    with pytest.raises(InputError, match=r"net.onnx: got other values from its layers than from the file"):
        models.build(path, SHAPE)


@needs_onnx
def test_graphs_that_take_long_are_not_compared_and_that_is_told(tmp_path, monkeypatch):
    import onnx

    path, made = net(tmp_path), {"a": (6, 4, 4), "z": (6, 2, 2), "g": (7,), "y": (5,)}
    values = {name: torch.zeros(1, *shape) for name, shape in made.items()}
    values |= {name: torch.zeros(shape) for name, shape in (("b", 1), ("f", 1))}
    model = onnx.load(path)
    values |= {
        x.name: torch.from_numpy(onnx.numpy_helper.to_array(x).copy()) for x in model.graph.initializer
    }
    products = 6 * 4 * 4 * 9 + 6 * 2 * 2 * 4 * onnx_values.IN_POOLS + 7 * 24 + 5 * 7
    assert onnx_values.products(model, values) == products
    for limit, told in ((products, 0), (products - 1, 1)):
        monkeypatch.setattr(onnx_values, "PRODUCTS", limit)
        with warnings.catch_warnings(record=True, action="always") as notes:
            models.build(path, SHAPE)
        assert sum("is not compared with its own values" in str(n.message) for n in notes) == told


@needs_onnx
@pytest.mark.filterwarnings("ignore")
def test_the_cumulative_mean_of_a_norm_stays_one(tmp_path):
    module = nn.Sequential(nn.BatchNorm2d(1, momentum=None), nn.Flatten(), nn.Linear(64, 5)).eval()
    torch.onnx.export(module, (torch.randn(2, *SHAPE),), tmp_path / "net.onnx", dynamo=False)
    chain = models.build(str(tmp_path / "net.onnx"), SHAPE)
    assert [m.momentum for m in chain.modules() if isinstance(m, nn.BatchNorm2d)] == [None]


@needs_onnx
@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_was_exported_while_it_trained_is_compared_at_rest(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 5)
    )
    module[1].running_var.fill_(9.0)
    how = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False, "dynamo": False}
    torch.onnx.export(module, (torch.randn(2, *SHAPE),), tmp_path / "net.onnx", **how)
    with warnings.catch_warnings(action="error", category=Note):
        chain, x = models.build(str(tmp_path / "net.onnx"), SHAPE), torch.randn(2, *SHAPE)
    (norm,) = (m for m in chain.modules() if isinstance(m, nn.BatchNorm2d))
    assert bool((norm.running_var > 7).all())
    module[1].load_state_dict(norm.state_dict())  # the pass of the export moved the module's
    assert any(isinstance(m, nn.Dropout) for m in chain.modules())
    torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-4, atol=1e-5)
