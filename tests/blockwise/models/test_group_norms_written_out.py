"""A group norm that is written out as a norm of rows is one group norm again."""

import pytest
import torch
from torch import Tensor, nn

import blockwise
from blockwise import models

SHAPES = {1: (4, 12), 2: (4, 6, 6)}


def network(dimensions: int) -> nn.Sequential:
    """With factors that are not 1."""
    torch.manual_seed(0)
    norm = nn.GroupNorm(2, 6, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    conv = (nn.Conv1d, nn.Conv2d)[dimensions - 1](4, 6, 3)
    net = nn.Sequential(conv, norm, nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    net(torch.zeros(2, *SHAPES[dimensions]))
    return net


class WrittenOut(nn.Module):
    """The network with its norm written out; ``read`` adds a second reader of what is normed."""

    def __init__(self, own: nn.Sequential, rows: nn.Module, *, read: bool = False) -> None:
        super().__init__()
        self.conv, norm, _, _, self.fc = own
        self.rows, self.read = rows, read
        self.scale, self.shift = (nn.Parameter(p.detach()[:, None, None]) for p in (norm.weight, norm.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Rows of three channels each."""
        x = self.conv(x)
        rows = x.view(-1, 2, 3 * 4 * 4)
        normed = self.rows(rows)
        if self.read:
            normed = normed + rows
        return self.fc(torch.flatten(torch.relu(normed.view(x.shape) * self.scale + self.shift), 1))


def norm_of(chain: nn.Module) -> nn.GroupNorm:
    (norm,) = (part for part in chain.modules() if isinstance(part, nn.GroupNorm))
    return norm


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["torchscript", "in training", "dynamo"])
@pytest.mark.parametrize("dimensions", SHAPES)
def test_what_exporters_to_onnx_write_is_the_norm_that_it_was(tmp_path, dimensions, exporter):
    pytest.importorskip("onnx")
    options = {"dynamo": exporter == "dynamo", "verbose": False}
    if exporter == "dynamo":
        pytest.importorskip("onnxscript")
    if exporter == "in training":
        options |= {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}
    module, shape, path = network(dimensions), SHAPES[dimensions], str(tmp_path / "net.onnx")
    x = torch.randn(2, *shape)
    torch.onnx.export(module, (x,), path, **options)
    chain = models.build(path, shape, 5)
    torch.testing.assert_close(chain.eval()(x), module(x), rtol=1e-4, atol=1e-5)
    assert torch.equal(norm_of(chain).weight, module[1].weight)
    assert torch.equal(norm_of(chain).bias, module[1].bias)
    assert models.count_parameters(chain) == models.count_parameters(module)
    plans = [
        blockwise.plan(net, regime="bp", in_shape=shape, method="fp32", batch_size=4)
        for net in (module, chain)
    ]
    assert plans[0].peak_bytes == plans[1].peak_bytes


@pytest.mark.parametrize("rows", [nn.InstanceNorm1d(2, eps=1e-3), nn.GroupNorm(2, 2, eps=1e-3)])
def test_a_norm_of_rows_in_code_is_one_group_norm_with_its_scale_and_shift(rows):
    own = network(2)
    chain = models.from_module(WrittenOut(own, rows), SHAPES[2])
    x = torch.randn(3, *SHAPES[2])
    torch.testing.assert_close(chain.eval()(x), own(x), rtol=1e-4, atol=1e-5)
    assert torch.equal(norm_of(chain).weight, own[1].weight)
    assert models.count_parameters(chain) == models.count_parameters(own)


def test_rows_with_scales_that_are_trained_or_other_readers_stay_rows():
    own, trained = network(2), nn.GroupNorm(2, 2)
    nn.init.normal_(trained.weight)
    for module in (WrittenOut(own, trained), WrittenOut(own, nn.InstanceNorm1d(2), read=True)):
        chain, x = models.from_module(module, SHAPES[2]), torch.randn(3, *SHAPES[2])
        assert norm_of(chain).num_channels == 2
        torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-4, atol=1e-5)
