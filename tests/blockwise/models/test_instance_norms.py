"""Instance norms are group norms of one channel each, from wherever a network comes."""

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from blockwise import models
from blockwise.system.notes import Note
from devices.errors import InputError

SHAPES = {1: (4, 12), 2: (4, 6, 6)}


def network(dimensions: int, *, affine: bool) -> nn.Sequential:
    """With factors that are not 1."""
    torch.manual_seed(0)
    norm = (nn.InstanceNorm1d, nn.InstanceNorm2d)[dimensions - 1](3, eps=1e-3, affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    conv = (nn.Conv1d, nn.Conv2d)[dimensions - 1](4, 3, 3)
    return nn.Sequential(conv, norm, nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))


@pytest.mark.parametrize("source", ["module", "pt2", "onnx"])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("dimensions", SHAPES)
def test_an_instance_norm_is_a_group_norm_of_single_channels(tmp_path, dimensions, affine, source):
    module, shape = network(dimensions, affine=affine).eval(), SHAPES[dimensions]
    x = torch.randn(2, *shape)
    expected = module(x)
    if source == "pt2":
        torch.export.save(torch.export.export(module, (x,)), tmp_path / "net.pt2")
    if source == "onnx":
        pytest.importorskip("onnx")
        torch.onnx.export(module, (x,), tmp_path / "net.onnx", dynamo=False)
    made = models.from_module(module, shape) if source == "module" else None
    with warnings.catch_warnings(action="error", category=Note):
        chain = made or models.build(f"{tmp_path}/net.{source}", shape)
    torch.testing.assert_close(chain.eval()(x), expected)
    (norm,) = (part for part in chain.modules() if isinstance(part, nn.GroupNorm))
    assert (norm.num_groups, norm.num_channels, norm.eps) == (3, 3, pytest.approx(1e-3))
    if affine:
        assert torch.equal(norm.weight, module[1].weight)


class OfVolumes(nn.Module):
    """Images as volumes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 3, 3), nn.InstanceNorm3d(3, affine=True)
        self.fc = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.norm(self.conv(x.view(x.size(0), 1, 4, 4, 4))).flatten(1))


def test_that_of_volumes_is_one_too():
    module, x = OfVolumes().eval(), torch.randn(2, 1, 8, 8)
    nn.init.normal_(module.norm.weight)
    chain = models.from_module(module, (1, 8, 8)).eval()
    torch.testing.assert_close(chain(x), module(x))
    (norm,) = (part for part in chain.modules() if isinstance(part, nn.GroupNorm))
    assert (norm.num_groups, norm.num_channels) == (3, 3)


def test_it_learns_what_the_instance_norm_does():
    module, x = network(2, affine=True), torch.randn(4, 4, 6, 6)
    module(x)
    chain = models.from_module(copy.deepcopy(module), SHAPES[2])
    for net in (module, chain):
        net(x).square().sum().backward()
    for mine, own in zip(chain.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, own.grad)


@pytest.mark.parametrize("inside", [False, True])
def test_one_that_keeps_statistics_is_refused(inside):
    norm = nn.InstanceNorm2d(4, track_running_stats=True)
    module = nn.Sequential(nn.Sequential(norm), nn.Flatten(), nn.Linear(144, 5)) if inside else norm
    name = "Sequential.0.0" if inside else "InstanceNorm2d"
    with pytest.raises(InputError, match=f"{name}: got an instance norm that keeps statistics"):
        models.from_module(module, SHAPES[2])
