"""Programs of torch.export after ``run_decompositions()``: the same network as before."""

import copy
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blockwise import models
from blockwise.nets.chain import Chain
from blockwise.system.notes import Note
from devices.errors import InputError

MAPS, SIGNALS = (4, 8, 8), (4, 8)


class Net(nn.Module):
    """A convolution, what is done behind it, and a linear layer."""

    def __init__(self, middle: Callable[[Any, Tensor], Tensor], shape: tuple[int, ...], **parts: Any) -> None:
        super().__init__()
        conv = nn.Conv2d if len(shape) == 3 else nn.Conv1d
        self.conv, self.middle = conv(4, 4, 3, stride=1, padding=1, groups=2), middle
        for name, part in parts.items():
            setattr(self, name, part)
        features = middle(self, self.conv(torch.randn(2, *shape))).flatten(1).shape[1]
        self.fc = nn.Linear(features, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.middle(self, self.conv(x)).flatten(1))


def places(m: Any, x: Tensor) -> Tensor:
    """As in ConvNeXt: linear layers on each place of maps with channels last."""
    return x + m.second(F.gelu(m.first(m.norm(x.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)


def statistics() -> nn.BatchNorm2d:
    """A norm that has seen something."""
    norm = nn.BatchNorm2d(4, eps=1e-3, momentum=0.2)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    return norm


def attending(m: nn.Module, x: Tensor) -> Tensor:
    """Of two heads, between all places."""
    joined = m.joined(x.flatten(2).transpose(1, 2))
    q, k, v = (part.unflatten(-1, (2, 2)).transpose(1, 2) for part in joined.chunk(3, -1))
    return ((q @ k.mT * 0.5).softmax(-1) @ v).transpose(1, 2).flatten(2).transpose(1, 2)


NETS: dict[str, Callable[[], Net]] = {
    "batch norm": lambda: Net(lambda m, x: m.norm(x), MAPS, norm=statistics()),
    "batch norm alone": lambda: Net(
        lambda m, x: m.norm(x), MAPS, norm=nn.BatchNorm2d(4, affine=False, track_running_stats=False)
    ),
    "group norm": lambda: Net(lambda m, x: m.norm(x), MAPS, norm=nn.GroupNorm(2, 4)),
    "layer norm": lambda: Net(lambda m, x: m.norm(x.flatten(1)), MAPS, norm=nn.LayerNorm(256)),
    "linear layers without bias": lambda: Net(
        lambda m, x: m.middle_layer(x.flatten(1)), MAPS, middle_layer=nn.Linear(256, 6, bias=False)
    ),
    "linear layers on places": lambda: Net(
        places, MAPS, norm=nn.LayerNorm(4), first=nn.Linear(4, 8), second=nn.Linear(8, 4)
    ),
    "attention": lambda: Net(attending, MAPS, joined=nn.Linear(4, 12)),
    "linear layers on tokens": lambda: Net(
        lambda m, x: m.second(F.gelu(m.first(x.flatten(2).transpose(1, 2)))).transpose(1, 2), MAPS,
        first=nn.Linear(4, 8), second=nn.Linear(8, 4, bias=False),
    ),
    "linear layers on rows of places": lambda: Net(
        lambda m, x: m.first(x.permute(0, 2, 3, 1).reshape(x.size(0), -1, 4)).transpose(1, 2), MAPS,
        first=nn.Linear(4, 6),
    ),
    "a linear layer on places as they lie": lambda: Net(
        lambda m, x: m.first(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), MAPS,
        first=nn.Linear(4, 6, bias=False),
    ),
    "hard swish": lambda: Net(lambda m, x: F.hardswish(x), MAPS),
    "hard sigmoid": lambda: Net(lambda m, x: x * F.hardsigmoid(x), MAPS),
    "clamps": lambda: Net(lambda m, x: x.clamp(-1, 2).clamp(min=0), MAPS),
    "ELU": lambda: Net(lambda m, x: F.elu(F.elu(x), 0.5), MAPS),
    "SELU": lambda: Net(lambda m, x: F.selu(x), MAPS),
    "SiLU": lambda: Net(lambda m, x: F.silu(x), MAPS),
    "max pool": lambda: Net(lambda m, x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), MAPS),
    "average pool": lambda: Net(lambda m, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), MAPS),
    "adaptive pool": lambda: Net(lambda m, x: F.adaptive_avg_pool2d(x, 2), MAPS),
    "halves": lambda: Net(lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1), MAPS),
    "max pool of signals": lambda: Net(lambda m, x: F.max_pool1d(x, 3, 2, 1), SIGNALS),
    "average pool of signals": lambda: Net(lambda m, x: F.avg_pool1d(x, 2), SIGNALS),
    "adaptive pool of signals": lambda: Net(lambda m, x: F.adaptive_avg_pool1d(x, 4), SIGNALS),
    "mean of signals": lambda: Net(lambda m, x: F.adaptive_avg_pool1d(x, 1), SIGNALS),
    "dropout": lambda: Net(lambda m, x: F.relu(m.drop(x)), MAPS, drop=nn.Dropout(0.2)),
    "dropout in place": lambda: Net(lambda m, x: F.relu(m.drop(x)), MAPS, drop=nn.Dropout(0.2, inplace=True)),
    "dropout of channels": lambda: Net(lambda m, x: F.relu(m.drop(x)), MAPS, drop=nn.Dropout2d(0.3)),
}  # fmt: skip


def written(folder: Path, module: nn.Module, *, decomposed: bool) -> str:
    program = torch.export.export(module, (torch.randn(2, *shape_of(module)),))
    path = folder / f"{'decomposed' if decomposed else 'plain'}.pt2"
    torch.export.save(program.run_decompositions() if decomposed else program, path)
    return str(path)


def shape_of(module: nn.Module) -> tuple[int, ...]:
    return MAPS if isinstance(module.conv, nn.Conv2d) else SIGNALS


def layers(chain: Chain, without: str = "nothing") -> list[str]:
    """But for flat maps that are flattened, and ``without`` what is no longer in a program at rest."""
    found = (repr(module) for module in chain.modules() if not list(module.children()))
    return [layer for layer in found if layer != "Reshape()" and without not in layer]


@pytest.mark.parametrize("train", [False, True], ids=["at rest", "in training"])
@pytest.mark.parametrize("name", NETS)
def test_a_decomposed_program_is_the_network_that_the_program_is(tmp_path, name, train):
    torch.manual_seed(0)
    module = NETS[name]().train(train)
    twin, shape = copy.deepcopy(module).eval(), shape_of(module)
    with warnings.catch_warnings(action="error", category=Note):  # both are compared with their files
        plain, core = (models.build(written(tmp_path, module, decomposed=d), shape) for d in (False, True))
    assert layers(core) == layers(plain, without="nothing" if train else "Dropout")
    assert {path for path, _ in core.named_parameters()} == {path for path, _ in plain.named_parameters()}
    x = torch.randn(3, *shape)
    torch.testing.assert_close(core.eval()(x), twin(x))


@pytest.mark.parametrize("train", [False, True], ids=["at rest", "in training"])
def test_a_decomposed_program_takes_any_batch_that_it_was_exported_for(tmp_path, train):
    module, batch = models.build("resnet8", (3, 16, 16)).train(train), torch.export.Dim("batch", min=2)
    program = torch.export.export(module, (torch.randn(3, 3, 16, 16),), dynamic_shapes=({0: batch},))
    torch.export.save(program.run_decompositions(), tmp_path / "net.pt2")
    chain = models.build(f"{tmp_path}/net.pt2", (3, 16, 16))
    x = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x))


REFUSED: dict[str, tuple[Callable[[], Net], str]] = {
    "a cut gradient": (lambda: Net(lambda m, x: F.relu(x.detach()), MAPS), "got the operation aten::alias"),
    "a reflection": (
        lambda: Net(lambda m, x: F.pad(x, (1, 1, 1, 1), mode="reflect"), MAPS),
        "got the operation aten::index.Tensor",
    ),
    "a product of maps": (
        lambda: Net(lambda m, x: x.flatten(1) @ m.turned.T, MAPS, turned=torch.randn(3, 256)),
        "whose weight is no parameter",
    ),
    "a transposed convolution": (
        lambda: Net(lambda m, x: m.up(x), MAPS, up=nn.ConvTranspose2d(4, 4, 2, 2)),
        "got the operation aten::convolution",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_lost_by_decomposing_is_refused_in_one_line(tmp_path, name):
    make, message = REFUSED[name]
    path = written(tmp_path, make(), decomposed=True)
    with pytest.raises(InputError, match=f"{re.escape(message)}.*without run_decompositions") as refusal:
        models.build(path, MAPS)
    assert "\n" not in str(refusal.value)


def test_a_convolution_without_a_border_says_so_of_each_side(tmp_path):
    module = Net(lambda m, x: m.inner(x), MAPS, inner=nn.Conv2d(4, 4, 3, padding="valid"))
    chain = models.build(written(tmp_path, module, decomposed=True), MAPS)
    convs = [x for x in chain.modules() if isinstance(x, nn.Conv2d)]
    assert [(x.padding, x.stride, x.dilation) for x in convs] == [((p, p), (1, 1), (1, 1)) for p in (1, 0)]


def test_noise_of_ones_own_is_no_constant(tmp_path):
    module = Net(lambda m, x: x * torch.rand(4, 1, 1), MAPS)
    with pytest.raises(InputError, match="with rand, which is computed"):
        models.build(written(tmp_path, module, decomposed=False), MAPS)
