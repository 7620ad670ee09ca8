"""Programs of torch.export: what they compute of parameters, share and cast, and their outputs."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blockwise import models
from blockwise.models.files.exported_functions import FUNCTIONS
from blockwise.system.notes import Note
from devices.errors import InputError

SHAPE = (2, 8, 8)


class Net(nn.Module):
    """Of a convolution, what is done behind it, and a linear layer."""

    def __init__(self, middle: Callable[["Net", Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.conv, self.fc, self.middle = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(256, 5), middle
        self.gamma = nn.Parameter(torch.randn(4))
        self.register_buffer("spread", torch.rand(4) + 0.5)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.middle(self, self.conv(x)).flatten(1))


class Two(Net):
    """With features for another loss behind the logits."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x.mean((2, 3))


class Flagged(Net):
    def forward(self, x: Tensor, scaled: bool = False) -> Any:
        return super().forward(x) * (2 if scaled else 1)


class Masked(Net):
    def forward(self, x: Tensor, mask: Tensor) -> Any:
        return super().forward(x * mask)


def written(folder: Path, module: nn.Module, *others: Any, train: bool = False) -> str:
    """The file of ``module``, exported for a batch of 4."""
    module.train(train)
    program = torch.export.export(module, (torch.randn(4, *SHAPE), *others))
    torch.export.save(program, folder / "net.pt2")
    return f"{folder}/net.pt2"


TAKEN: dict[str, Callable[[], Net]] = {
    "a view of a parameter": lambda: Net(lambda m, x: F.relu(x) * m.gamma.view(1, -1, 1, 1)),
    "what is computed of a buffer": lambda: Net(lambda m, x: x / m.spread.sqrt()[:, None, None]),
    "a group norm alone": lambda: Net(lambda m, x: m.norm(x), norm=nn.GroupNorm(2, 4, affine=False)),
    "a batch norm alone": lambda: Net(
        lambda m, x: m.norm(x), norm=nn.BatchNorm2d(4, affine=False, track_running_stats=False)
    ),
    "squares": lambda: Net(lambda m, x: x**2 - torch.square(x) * x.mean(2, keepdim=True)),
    "a linear layer of rows that are flattened": lambda: Net(
        lambda m, x: m.narrow(F.relu(m.rows(x)).reshape(len(x), -1)).view(-1, 4, 8, 8),
        rows=nn.Linear(8, 6), narrow=nn.Linear(192, 256),
    ),
    "sums": lambda: Net(lambda m, x: torch.stack([x, x.sum((2, 3), True) + x, F.relu(x)]).mean(0)),
    "maxima": lambda: Net(
        lambda m, x: x * F.adaptive_max_pool2d(x, 1) + torch.max(x, 1, keepdim=True)[0]
    ),
    "slices": lambda: Net(lambda m, x: F.pad(x[..., 1:8], (0, 1)) + F.pad(x[:, :, 1:], (0, 0, 1, 0))),
    "a slice of the last dimension": lambda: Net(
        lambda m, x: F.pad(torch.ops.aten.slice.Tensor(x, -1, 1, 8), (0, 1))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_a_program_computes_and_trains_what_its_module_does(tmp_path, name):
    torch.manual_seed(0)
    module, x = TAKEN[name](), torch.randn(3, *SHAPE)
    chain = models.build(written(tmp_path, module), SHAPE).eval()
    torch.testing.assert_close(chain(x), module(x))
    gamma = [p for p in chain.parameters() if torch.equal(p.flatten(), module.gamma)]
    assert len(gamma) == (name == "a view of a parameter")
    kept = models.count_parameters(module) - (0 if gamma else 4)
    assert models.count_parameters(chain) == kept


def test_a_flag_is_what_it_was_when_the_program_was_exported(tmp_path):
    module, x = Flagged(lambda m, x: F.relu(x)), torch.randn(3, *SHAPE)
    chain = models.build(written(tmp_path, module, True), SHAPE).eval()
    torch.testing.assert_close(chain(x), 2 * module(x))


def test_the_cumulative_mean_of_a_norm_stays_one(tmp_path):
    module = Net(lambda m, x: m.norm(x), norm=nn.BatchNorm2d(4, momentum=None))
    chain = models.build(written(tmp_path, module), SHAPE)
    assert [m.momentum for m in chain.modules() if isinstance(m, nn.BatchNorm2d)] == [None]


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "two outputs": (lambda: Two(lambda m, x: x), "got 2 outputs, 2 of its input, wanted one, the logits"),
    "a cast to integers": (
        lambda: Net(lambda m, x: (x * 9).to(torch.int32).float()), "got a cast to int32",
    ),
    "a layer that is called twice": (
        lambda: Net(lambda m, x: m.twice(m.twice(x)), twice=nn.Conv2d(4, 4, 1)),
        "twice.weight: got weights that two layers share, wanted each layer's own",
    ),
    "a factor of two maps": (
        lambda: Net(lambda m, x: F.relu(x * m.gamma[:, None, None]) * m.gamma[:, None, None]),
        "gamma: got weights that two layers share",
    ),
    "computed weights": (
        lambda: Net(lambda m, x: F.conv2d(x, m.k.weight * 2), k=nn.Conv2d(4, 4, 1)),
        "got the operation aten.mul.Tensor of the parameter k.weight",
    ),
    "a map as weights": (
        lambda: Net(lambda m, x: F.conv2d(x, x[:, :, :1, :1])), "whose weight is no parameter",
    ),
    "a fixed filter": (
        lambda: Net(lambda m, x: F.conv2d(x, m.spread[:, None, None, None], groups=4)),
        "whose weight is no parameter",
    ),
    "an exponential of a parameter": (
        lambda: Net(lambda m, x: x * m.gamma.exp()[:, None, None]),
        "got the operation aten.exp.default of the parameter gamma",
    ),
    "a group norm without shift": (
        lambda: Net(lambda m, x: F.group_norm(x, 2, m.gamma)), "group_norm.default with a scale and no shift",
    ),
    "places of maxima": (
        lambda: Net(lambda m, x: x + torch.max(x, 1, keepdim=True)[1]), "got the places of max",
    ),
    "values without gradient": (
        lambda: Net(lambda m, x: x.detach()), "got the operation aten::detach",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_layer_computes_is_refused_in_one_line(tmp_path, name):
    make, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as refusal:
        models.build(written(tmp_path, make()), SHAPE)
    assert "\n" not in str(refusal.value)


def test_a_second_tensor_is_refused(tmp_path):
    path = written(tmp_path, Masked(lambda m, x: x), torch.ones(4, *SHAPE))
    with pytest.raises(InputError, match=r"got inputs of \(2, 8, 8\) and \(2, 8, 8\), wanted one of"):
        models.build(path, SHAPE)


@pytest.mark.parametrize("train", [False, True])
def test_what_was_read_is_compared_with_the_program_at_rest(tmp_path, monkeypatch, train):
    norms = {"norm": nn.BatchNorm2d(4), "alone": nn.BatchNorm2d(4, affine=False, track_running_stats=False)}
    module = Net(lambda m, x: F.dropout(F.relu(m.alone(m.norm(x))), 0.5, m.training), **norms)
    module.norm.running_var.fill_(9.0)
    path = written(tmp_path, module, train=train)
    with warnings.catch_warnings(action="error", category=Note):
        models.build(path, SHAPE)
    monkeypatch.setitem(FUNCTIONS, "relu", F.silu)
    with pytest.raises(InputError, match=r"net.pt2: got other values from its layers than from the file"):
        models.build(path, SHAPE)


def test_functions_that_do_not_take_what_they_are_given_are_refused_in_one_line(tmp_path, monkeypatch):
    path = written(tmp_path, Net(lambda m, x: F.relu(x)))
    monkeypatch.setitem(FUNCTIONS, "relu", F.pad)
    with pytest.raises(InputError, match=r"net.pt2: got TypeError: .*export it again") as refusal:
        models.build(path, SHAPE)
    assert "\n" not in str(refusal.value)


def test_a_program_that_does_not_run_here_is_read_and_told(tmp_path, monkeypatch):
    path = written(tmp_path, Net(lambda m, x: F.relu(x)))

    def fail(self: Any) -> None:
        raise RuntimeError("no such device")

    monkeypatch.setattr(torch.export.ExportedProgram, "module", fail)
    with pytest.warns(Note, match="not compared with its own values: RuntimeError: no such device"):
        models.build(path, SHAPE)


def test_programs_of_lower_precision_are_compared_by_what_it_rounds(tmp_path):
    def halved(m: Net, x: Tensor) -> Tensor:
        return F.relu(x.to(torch.bfloat16)).to(torch.float32)

    with warnings.catch_warnings(action="error", category=Note):
        assert models.build(written(tmp_path, Net(halved)), SHAPE).num_classes == 5
