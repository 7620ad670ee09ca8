"""Code that asks for sizes, and other habits of code: what is read computes and differentiates the same."""

import random
from types import MappingProxyType

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from blockwise import models
from blockwise.models import from_module
from blockwise.system.notes import Note
from devices.errors import InputError

SHAPE = (3, 12, 12)


class Net(nn.Module):
    """``function`` of a map of 4 channels, between a convolution and a classifier of ``channels``."""

    def __init__(self, function, channels=4, **modules):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(channels, 5)
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.fc(self.function(self, self.conv(x)).mean((2, 3)))


class Causal(nn.Conv2d):
    """Padded in its own code, at the beginning alone."""

    def forward(self, x):
        return super().forward(F.pad(x, (2, 0, 2, 0)))


class Same(nn.Conv2d):
    """Padded as TensorFlow does, by a computation of its own."""

    def forward(self, x):
        height, width = x.size()[-2:]
        down, right = (max((-(-n // 2) - 1) * 2 + 3 - n, 0) for n in (height, width))
        if down > 0 or right > 0:
            x = F.pad(x, [right // 2, right - right // 2, down // 2, down - down // 2])
        return F.conv2d(x, self.weight, self.bias, (2, 2), 0, self.dilation, self.groups)


def counted(m, x):
    count = 1
    for size in x.size()[1:]:
        count *= size
    return x.view(-1, count).view(len(x), *x.shape[1:])


def branching(m, x):
    _, channels, height, width = x.shape
    assert channels == 4 and height == width, f"got {x.shape}"
    if x.dim() == 3 or x.ndim != 4 or x.is_cuda:
        x = x.unsqueeze(0)
    return F.relu(x) if width % 2 == 0 else x


def residues(m, x):
    """As Res2Net."""
    parts, made = torch.split(x, 2, 1), []
    for part in parts:
        made.append(F.relu(part if not made else part + made[-1]))
    return torch.cat(made, 1)


def shuffled(m, x):
    batch, channels, height, width = x.data.size()
    x = x.reshape(batch, 2, channels // 2, height, width).transpose(1, 2)
    return torch.concat([x.reshape(batch, -1, height, width), F.relu(x.reshape(batch, -1, height, width))], 1)


READ = MappingProxyType(
    {
        "branches": Net(branching),
        "unpacked": Net(lambda m, x: torch.cat([F.relu(part) for part in x.chunk(2, 1)], 1)),
        "a star": Net(lambda m, x: F.relu(x).view(*x.shape[:2], -1).view(x.shape)),
        "counted": Net(counted),
        "residues": Net(residues),
        "shuffled": Net(shuffled, 8),
        "a pool of that size": Net(lambda m, x: F.max_pool2d(x, kernel_size=x.size()[2:])),
        "of two sizes": Net(lambda m, x: F.avg_pool2d(x, (x.size(2), x.shape[3]))),
        "of a half": Net(lambda m, x: F.adaptive_avg_pool2d(x, (x.size(2) // 2, int(x.size(3) / 2)))),
        "float": Net(lambda m, x: F.relu(x.float())),
        "another kind": Net(lambda m, x: F.relu(x.to(m.fc.weight.dtype).to(x.device).to(device="cpu"))),
        "in place": Net(lambda m, x: x.clamp_(0, 6)),
        "maxima": Net(lambda m, x: x.max(3)[0].max(dim=2, keepdim=True).values.unsqueeze(3)),
        "constant": Net(lambda m, x: x - torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1, 1).to(x)),
        "causal": Net(lambda m, x: F.relu(m.causal(x)), causal=Causal(4, 4, 3, groups=2)),
        "as TensorFlow": Net(lambda m, x: F.relu(m.same(x)), same=Same(4, 4, 3, bias=False)),
        "weights elsewhere": Net(
            lambda m, x: F.conv2d(x, m.held.weight, padding="same", dilation=2), 6, held=nn.Conv2d(4, 6, 3)
        ),
        "a linear function": Net(
            lambda m, x: F.linear(x.flatten(1), m.held.weight, m.held.bias).view(-1, 4, 1, 1),
            held=nn.Linear(4 * 144, 4),
        ),
    }
)


def gradients(net, x):
    net.zero_grad()
    net(x).square().sum().backward()
    return sorted(float(p.grad.square().sum()) for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("case", READ)
@pytest.mark.parametrize("batch", [1, 5])
def test_a_chain_computes_and_differentiates_what_its_module_does(case, batch):
    module, x = READ[case], torch.randn(batch, *SHAPE)
    chain = from_module(module, SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-5, atol=1e-6)
    assert gradients(chain, x) == pytest.approx(gradients(module, x), rel=1e-4)


def test_weights_that_functions_take_are_found_by_their_paths():
    module = READ["as TensorFlow"]
    chain = from_module(module, SHAPE)
    (layer,) = (part for part in chain.modules() if isinstance(part, nn.Conv2d) and part.stride == (2, 2))
    assert torch.equal(layer.weight, module.same.weight) and layer.weight is not module.same.weight


class Options(nn.Module):
    """Arguments that keep their defaults."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(432, 5)

    def forward(self, x, mask=None, return_features=False):
        x = x.flatten(1)
        if mask is not None:
            x = x * mask
        return (self.fc(x), x) if return_features else self.fc(x)


def test_arguments_keep_their_defaults():
    module, x = Options(), torch.randn(3, *SHAPE)
    assert torch.equal(from_module(module, SHAPE)(x), module(x))


class Twice(nn.Module):
    """One layer under two names, as of the temporal convolutional network of Bai et al. 2018."""

    def __init__(self, second=None):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.net = nn.Sequential(
            self.conv1, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
        )

    def forward(self, x):
        return self.net(x)


def test_a_layer_of_two_names_is_one():
    module, x = Twice(), torch.randn(3, *SHAPE)
    chain = from_module(module, SHAPE)
    assert torch.equal(chain(x), module(x))
    assert sum(p.numel() for p in chain.parameters()) == 4 * 28 + 25


@pytest.mark.parametrize("end", [nn.LogSoftmax(1), nn.Softmax(-1), "log_softmax", "softmax"])
def test_a_softmax_at_the_end_is_left_to_the_loss(end):
    function = getattr(F, end) if isinstance(end, str) else end

    class Ending(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(432, 5)

        def forward(self, x):
            x = self.fc(x.flatten(1))
            return function(x, dim=1) if isinstance(end, str) else function(x)

    module, x = Ending(), torch.randn(3, *SHAPE)
    with pytest.warns(Note, match="Ending is trained without the (log-)?softmax at its end"):
        chain = from_module(module, SHAPE)
    made = chain(x)
    torch.testing.assert_close(made, module.fc(x.flatten(1)))
    torch.testing.assert_close(function(made, dim=1) if isinstance(end, str) else function(made), module(x))


@pytest.mark.parametrize("end", [nn.LogSoftmax(1), nn.Softmax(-1)], ids=["log-softmax", "softmax"])
@pytest.mark.parametrize("source", ["pt2", "core.pt2", "onnx", "dynamo.onnx"])
def test_so_is_that_of_a_file(tmp_path, source, end):
    row = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 5)).eval()
    module, x, path = nn.Sequential(*row, end), torch.randn(3, *SHAPE), tmp_path / f"net.{source}"
    if source.endswith("pt2"):
        program = torch.export.export(module, (x,))
        torch.export.save(program.run_decompositions() if "core" in source else program, path)
    else:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")
        torch.onnx.export(module, (x,), path, dynamo="dynamo" in source, verbose=False)
    with pytest.warns(Note, match="is trained without the (log-)?softmax at its end"):
        chain = models.build(str(path), SHAPE)
    torch.testing.assert_close(chain.eval()(x), row(x))


def test_a_layer_that_nobody_reads_is_none():
    module = Net(lambda m, x: (m.unread(x), F.relu(x))[1], unread=nn.Conv2d(4, 4, 3))
    chain = from_module(module, SHAPE)
    assert sum(p.numel() for p in chain.parameters()) == 4 * 28 + 25


class DropPath(nn.Module):
    """As in the code of ConvNeXt."""

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if self.drop_prob == 0.0 or not self.training:
            return x
        kept = 1 - self.drop_prob
        return x.div(kept) * (kept + torch.rand((x.shape[0], 1, 1, 1))).floor_()


def test_drop_paths_are_stochastic_depth():
    module = Net(lambda m, x: F.relu(x + m.path(m.more(x))), more=nn.Conv2d(4, 4, 1), path=DropPath(0.25))
    chain, x = from_module(module, SHAPE), torch.randn(64, *SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x))
    (path,) = (part for part in chain.modules() if isinstance(part, StochasticDepth))
    assert (path.p, path.mode) == (0.25, "row")
    made = path.train()(torch.ones(1000, 1, 2, 2))
    assert made.unique().tolist() == pytest.approx([0.0, 4 / 3]) and 0.9 < made.mean() < 1.1
    module.path.drop_prob = 0.0
    assert not [part for part in from_module(module, SHAPE).modules() if isinstance(part, StochasticDepth)]


class Lucky(nn.Module):
    """Leaves out a convolution by chance."""

    def __init__(self, draw):
        super().__init__()
        self.conv, self.fc, self.draw = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(432, 5), draw

    def forward(self, x):
        if self.training and self.draw() < 0.2:
            return self.fc(x.flatten(1))
        return self.fc((x + self.conv(x)).flatten(1))


@pytest.mark.parametrize("draw", [lambda: torch.rand(1).item(), random.random], ids=["torch", "random"])
def test_code_that_draws_is_refused_whatever_it_draws(draw):
    for seed in range(5):
        torch.manual_seed(seed)
        random.seed(seed)
        with pytest.raises(InputError, match="Lucky: got code that draws random numbers"):
            from_module(Lucky(draw), SHAPE)


REFUSED = {
    "values": (Net(lambda m, x: x if x.sum() > 0 else -x), "cannot be used as inputs to control flow"),
    "a number": (Net(lambda m, x: x * x.max().item()), "item asks for the values of a tensor"),
    "a list": (Net(lambda m, x: x * x.mean().tolist()), "tolist asks for the values of a tensor"),
    "a shape": (Net(lambda m, x: m.more(x[:, : x.size(1) - 1]), more=nn.Conv2d(4, 4, 3)), "on 3x12x12"),
    "weights that change": (
        Net(lambda m, x: F.conv2d(x, m.held.weight - 1), held=nn.Conv2d(4, 4, 3)),
        "'conv2d' of weights that are",
    ),
    "weights of two": (
        Net(lambda m, x: F.conv2d(F.conv2d(x, m.held.weight), m.held.weight), held=nn.Conv2d(4, 4, 3)),
        "'conv2d' of weights that are",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_looks_at_values_or_does_not_fit_is_refused(case):
    module, words = REFUSED[case]
    with pytest.raises(InputError) as refusal:
        from_module(module, SHAPE)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_module_that_keeps_what_it_computed_is_refused():
    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(432, 5)

        def forward(self, x):
            self.kept = self.fc(x.flatten(1))
            return self.kept

    module = Keeping()
    from_module(module, SHAPE)
    assert not hasattr(module, "kept")
    module(torch.randn(1, *SHAPE))
    with pytest.raises(InputError, match=r"Keeping: got RuntimeError: .*; make it anew"):
        from_module(module, SHAPE)


def test_an_own_network_of_many_features_is_described():
    net = nn.Sequential(nn.Linear(640, 8), nn.ReLU(), nn.Linear(8, 2))
    chain = models.as_chain(from_module(net, (640,)), (640,))
    with torch.device("meta"):
        described = chain.describe(blocks="1", head="gap")
    assert [layer.kind for layer in described.layers] == ["linear", "relu", "linear"]
