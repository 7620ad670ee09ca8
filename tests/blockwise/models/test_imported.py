"""Modules of one's own as chains: the same function, sensible units, and plans of the built-in networks."""

import copy

import own_modules as own
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import devices
from blockwise import models
from blockwise.firmware.form import check_views
from blockwise.layers.norms import ConstantNorm
from blockwise.models import from_module, functions
from devices.errors import InputError
from devices.program.regimes import REGIMES

SHAPE = (1, 8, 8)
BITS = {"weight_bits": 3, "activation_bits": 3, "batch_size": 4, "head": "lookahead:8"}


class Wrapped(nn.Module):
    """A function of the images as a module, with whatever modules it needs."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def classified(function, channels=4, **modules):
    """``function`` of a map of 4 channels, between a convolution and a classifier of ``channels``."""
    return Wrapped(
        lambda m, x: m.fc(torch.flatten(F.adaptive_avg_pool2d(function(m, m.conv(x)), 1), 1)),
        conv=nn.Conv2d(1, 4, 3, padding=1),
        fc=nn.Linear(channels, 10),
        **modules,
    )


@pytest.mark.parametrize("make", [own.Functions, own.Residuals, own.Branches, own.row])
def test_a_chain_computes_and_differentiates_what_its_module_does_to_the_bit(make):
    module, x = make(), torch.randn(4, *SHAPE)
    chain = from_module(module, SHAPE)
    assert torch.equal(chain.eval()(x), module.eval()(x))
    for net in (chain, module):
        net.train()
        torch.manual_seed(0)  # dropout
        net(x).square().sum().backward()
    of_module = sorted(p.grad.double().square().sum().item() for p in module.parameters())
    of_chain = sorted(p.grad.double().square().sum().item() for p in chain.parameters())
    assert of_chain == of_module
    assert len(of_chain) == len(list(module.parameters()))


def test_norms_that_code_calls_as_functions_are_layers_with_the_same_statistics():
    module, x = own.CalledNorms(), torch.randn(4, *SHAPE)
    nn.init.uniform_(module.bn1.weight, 0.5, 1.5)
    module.bn1.running_mean.normal_()
    module.bn1.running_var.uniform_(0.5, 2)
    chain = from_module(module, SHAPE)
    kinds = [layer.kind for layer in chain.describe(blocks="1", head="gap").layers]
    assert [kind for kind in kinds if "norm" in kind] == [
        "batch_norm",
        "batch_norm",
        "group_norm",
        "layer_norm",
    ]
    torch.testing.assert_close(chain.eval()(x), module.eval()(x))
    for net in (chain.train(), module.train()):
        net(x).square().sum().backward()
    norms = [m for m in chain.modules() if isinstance(m, nn.BatchNorm2d)]
    assert torch.equal(norms[0].running_mean, module.bn1.running_mean)
    assert torch.equal(norms[0].running_var, module.bn1.running_var)
    assert norms[1].running_mean is None and not norms[1].affine
    gradients = [
        sorted(p.grad.double().square().sum().item() for p in net.parameters()) for net in (chain, module)
    ]
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-6)
    assert models.count_parameters(chain) == models.count_parameters(module)


def test_modules_made_as_they_are_called_are_what_their_parts_and_functions_are():
    row = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2), nn.ReLU())

    def code(m, x):
        x = nn.MaxPool2d(2)(m.row[:2](x).clamp_min(0))
        return m.fc(nn.Flatten()(nn.AdaptiveAvgPool2d(1)(nn.Hardtanh(0.0, 6.0)(m.row[2:3](x)))))

    module, x = Wrapped(code, row=row, fc=nn.Linear(8, 10)), torch.randn(3, *SHAPE)
    chain = from_module(module, SHAPE)
    assert torch.equal(chain.eval()(x), module.eval()(x))
    layers = chain.describe(blocks="1", head="gap").layers
    kinds = ["conv", "relu", "relu", "max_pool", "conv", "relu", "avg_pool", "view", "linear"]
    assert [layer.kind for layer in layers] == kinds
    assert [layer.op.high for layer in layers if layer.kind == "relu"] == [None, None, 6.0]


def test_a_module_stays_as_it_is():
    module = own.Residuals()
    before = copy.deepcopy(module.state_dict())
    chain = from_module(module, SHAPE)
    chain(torch.randn(4, *SHAPE)).sum().backward()
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    assert all(p.grad is None for p in module.parameters())
    assert module.layers[0].relu.inplace


def test_units_are_cut_between_layers_with_weights_and_never_through_a_residual_block():
    chain = from_module(own.Residuals(), SHAPE)
    assert chain.unit_names == ("stem", "layers_0", "layers_1", "layers_2", "classifier")
    assert chain.stages == (0, 0, 1, 1, 1)
    assert (chain.norm, chain.num_classes) == ("batch", 10)


def test_units_are_cut_before_norms_of_what_goes_on_beside_them():
    chain = from_module(own.NormsFirst(), SHAPE)
    assert chain.unit_names == ("stem", "a", "free", "wider", "gate", "classifier")
    plans = [
        devices.plan(chain, "stm32", regime=regime, blocks="layers", head="gap")
        for regime in ("bp-fused", "local")
    ]
    assert plans[1].peak_bytes < 0.8 * plans[0].peak_bytes


def test_pools_end_a_unit_and_views_begin_one():
    chain = from_module(own.Functions(), SHAPE)
    assert chain.unit_names == ("c1", "c2", "f1", "classifier")
    assert list(dict(chain.units["c1"].named_children())) == ["c1", "relu", "max_pool2d", "drop"]
    assert list(dict(chain.units["f1"].named_children())) == ["view", "drop_1", "f1", "relu_2"]
    assert chain.norm == "none"  # local heads then have group norms


def test_branches_stay_whole_and_the_pool_behind_them_is_seen_by_heads():
    chain = from_module(own.Branches(), SHAPE)
    assert chain.unit_names == ("stem_0", "wide", "classifier")
    assert list(dict(chain.units["wide"].named_children())) == ["body", "max_pool2d_1"]
    assert chain.unit_shapes() == ((8, 8, 8), (16, 4, 4), (10,))
    assert chain.unit_shapes(before_pool=True) == ((8, 8, 8), (16, 8, 8), (10,))


def test_numbers_alone_name_no_unit():
    assert from_module(own.row(), SHAPE).unit_names == ("conv_0", "conv_4", "classifier")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("cnn", "layers"),
        pytest.param("resnet20", "residual", marks=pytest.mark.slow),
        pytest.param("plain4", "2", marks=pytest.mark.slow),
    ],
)
def test_a_built_in_network_given_as_a_module_has_the_plans_of_the_built_in_one(name, blocks):
    built_in = models.build(name, SHAPE, 10, 8)
    imported = from_module(nn.Sequential(*built_in.units.values()), SHAPE)
    imported.norm = built_in.norm
    for regime in REGIMES:
        plans = [devices.plan(c, "stm32", regime=regime, blocks=blocks, **BITS) for c in (built_in, imported)]
        assert plans[0].peak_bytes == plans[1].peak_bytes
        assert [m.live_bytes for m in plans[0].timeline] == [m.live_bytes for m in plans[1].timeline]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0"])
def test_a_network_of_torchvision_given_as_a_module_needs_what_the_named_one_needs(name):
    shape = (3, 64, 64)
    module = torchvision.models.get_model(name, weights=None, num_classes=10).eval()
    imported, named = from_module(module, shape), models.build(f"torchvision:{name}", shape, 10)
    with torch.no_grad():
        x = torch.randn(2, *shape)
        torch.testing.assert_close(imported.eval()(x), module(x), rtol=1e-4, atol=1e-5)
    for regime in ("bp", "bp-fused"):  # cuts change nothing in them
        plans = [devices.plan(c, "stm32", regime=regime, blocks="1", head="gap") for c in (imported, named)]
        assert plans[0].by_category == plans[1].by_category
        assert plans[0].schedule.macs == plans[1].schedule.macs


def test_a_network_that_cannot_be_cut_is_one_block_whose_local_step_is_that_of_bp_fused():
    around = Wrapped(
        lambda m, x: m.fc(torch.flatten(F.relu(m.b(F.relu(m.a(x))) + x), 1)),
        a=nn.Conv2d(1, 4, 3, padding=1), b=nn.Conv2d(4, 1, 3, padding=1), fc=nn.Linear(64, 10),
    )  # fmt: skip
    whole = Wrapped(lambda m, x: m.net(x) + m.net2(x), net=nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
                    net2=nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))  # fmt: skip
    assert len(from_module(around, SHAPE).unit_names) == 2
    chain = from_module(whole, SHAPE)
    assert chain.unit_names == ("classifier",)
    for blocks in ("auto", "layers", "each", "stages"):
        peaks = {
            regime: devices.plan(chain, "stm32", regime=regime, blocks=blocks, head="gap").peak_bytes
            for regime in ("bp-fused", "local")
        }
        assert peaks["local"] == peaks["bp-fused"]


FORMS = {
    "relu": lambda m, x: F.relu(x),
    "torch.relu": lambda m, x: torch.relu(x),
    "x.relu": lambda m, x: x.relu(),
    "leaky": lambda m, x: F.leaky_relu(x, 0.2),
    "silu": lambda m, x: F.silu(x),
    "hardswish": lambda m, x: F.hardswish(x),
    "sigmoid": lambda m, x: torch.sigmoid(x),
    "relu6": lambda m, x: F.relu6(x),
    "max pool with a stride": lambda m, x: F.max_pool2d(x, 3, stride=2, padding=1),
    "max pool of torch": lambda m, x: torch.max_pool2d(x, 2),
    "average pool": lambda m, x: F.avg_pool2d(x, 2),
    "average over all": lambda m, x: F.avg_pool2d(x, x.size(3)),
    "mean that keeps pixels": lambda m, x: x.mean((2, 3), keepdim=True),
    "sum": lambda m, x: torch.add(F.relu(x), x),
    "product": lambda m, x: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1)),
    "other shapes": lambda m, x: x.view(-1, 4, 4, 16).view(-1, 4, 8, 8),
    "a flatten of pixels": lambda m, x: x.flatten(2).unflatten(2, (8, 8)),
    "dropout that follows the mode": lambda m, x: F.dropout(x, 0.5, m.training),
    "nothing": lambda m, x: F.dropout(x.clone().contiguous(), 0.5, training=False),
    "numbers": lambda m, x: 1 - (2 * x + 0.5) / 3 - x,
    "numbers with factors": lambda m, x: torch.sub(torch.add(x, 1, alpha=2), 0.5, alpha=3) * -1,
    "a number with a factor of the map": lambda m, x: torch.rsub(x, 1, alpha=2),
    "twice": lambda m, x: x + x,
    "the other sign": lambda m, x: -x,
    "buffers": lambda m, x: (x - torch.arange(4.0).view(4, 1, 1)) * torch.full((1, 4, 1, 1), 0.5),
    "parts": lambda m, x: torch.cat([x[:, 2:], x[:, :2]], 1),
    "parts by sizes": lambda m, x: torch.cat(list(torch.split(x, [1, 3], dim=1)[i] for i in (1, 0)), 1),
    "parts by a size that is computed": lambda m, x: torch.cat([x[:, : x.size(1) // 2], x[:, ::2]], 1),
    "a single channel": lambda m, x: x * torch.sigmoid(x[:, 0].unsqueeze(1)),
    "parts of space": lambda m, x: x[:, :, 1:-1, ::2],
    "the last columns": lambda m, x: x[..., -2:],
    "narrowed": lambda m, x: x.narrow(2, 1, 3),
    "transposed": lambda m, x: x.transpose(2, 3).permute(0, 1, 3, 2).movedim(3, 2),
    "shuffled": lambda m, x: x.view(x.shape[0], 2, 2, 8, 8).transpose(1, 2).flatten(1, 2),
    "shuffled by a function": lambda m, x: F.channel_shuffle(x, 2),
    "places to channels and back": lambda m, x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2),
    "channels to places": lambda m, x: torch.cat([F.pixel_shuffle(x, 2)] * 4, 1),
    "a map beside itself": lambda m, x: torch.cat([x[:, :2]] * 2, 1),
    "a map on both sides of another": lambda m, x: torch.cat([y := x[:, :1], x[:, 2:], y], 1),
    "gated": lambda m, x: F.glu(torch.cat([x, x + 1], 1), 1),
    "a sum with a factor": lambda m, x: torch.add(F.relu(x), x, alpha=0.5),
    "a difference with a factor": lambda m, x: torch.sub(F.relu(x), x, alpha=2),
    "a difference the other way round, with a factor": lambda m, x: torch.rsub(F.relu(x), x, alpha=2),
    "a square": lambda m, x: x * x,
    "a square by its exponent": lambda m, x: x**2 + x.square() + torch.pow(x, 2.0),
    "maps of two sizes": lambda m, x: x + F.adaptive_avg_pool2d(x, 1),
    "a row and a column": lambda m, x: x.mean(2, keepdim=True) - x.amax(3, keepdim=True),
    "the channels' mean": lambda m, x: x - x.mean(1, keepdim=True),
    "the channels' mean without its dimension": lambda m, x: x - x.mean(-3)[:, None],
    "the channels' maximum": lambda m, x: x * torch.max(x, dim=1, keepdim=True).values,
    "a mean that is spread": lambda m, x: x + x.mean((2, 3), keepdim=True).expand_as(x),
    "a mean that is spread by sizes": (
        lambda m, x: torch.cat([x[:, 1:], x.mean((1, 3), True).expand(-1, 1, 8, x.size(3))], 1)
    ),
    "a row that is spread": lambda m, x: torch.broadcast_to(x[:, :, :1], x.shape),
    "below each other": lambda m, x: torch.cat([x, F.relu(x)], 2),
    "beside each other": lambda m, x: torch.cat((x, x[..., 1:], x), dim=-1),
    "a sum over space": lambda m, x: x * x.sum((2, 3), keepdim=True),
    "a sum over channels": lambda m, x: x + torch.sum(x, 1, keepdim=True),
    "a sum of a list": lambda m, x: sum([F.relu(x), x, F.silu(x)]),
    "a sum of a stack": lambda m, x: torch.stack([F.relu(x), x, F.silu(x)]).sum(0),
    "a mean of a stack": lambda m, x: torch.stack((F.relu(x), m.mix(x)), dim=-1).mean(dim=-1),
    "a mean whose dimension comes back": lambda m, x: (
        x * x.mean(1).unsqueeze(1) - torch.max(x, 2)[0][:, :, None]
    ),
    "places in a row": lambda m, x: (
        F.gelu(m.narrow(x.permute(0, 2, 3, 1).reshape(x.size(0), -1, 4))).transpose(1, 2).unflatten(2, (8, 8))
    ),
    "places in a row and back": lambda m, x: (
        m.narrow(x.permute(0, 2, 3, 1).flatten(1, 2)).view(-1, 8, 8, 4).permute(0, 3, 1, 2) + x
    ),
    "from a number on": lambda m, x: x.clamp(min=-0.25) * torch.clamp_min(x, 0.5),
    "up to a number": lambda m, x: x.clamp(max=0.5) + torch.clamp(x, max=-0.25),
    "a linear layer of rows": lambda m, x: F.relu(m.mix(x)),
    "a part of what a linear layer makes": lambda m, x: x + m.wider(x).split([4, 8], -1)[1],
    "two linear layers of rows": lambda m, x: x + m.mix(F.gelu(m.wider(x))[..., :8]),
    "a linear layer of columns": lambda m, x: m.mix(x.transpose(2, 3)).transpose(2, 3) + x,
    "a linear layer of channels and one of places": (
        lambda m, x: (
            m.mix((y := 2 * m.narrow(x.flatten(2).transpose(1, 2))).transpose(1, 2).unflatten(2, (8, 8)))
            + y.transpose(1, 2).reshape(x.shape)
        )
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_functions_are_the_modules_that_do_the_same(form):
    layers = {"mix": nn.Linear(8, 8), "wider": nn.Linear(8, 12), "narrow": nn.Linear(4, 4)}
    module, x = classified(FORMS[form], **layers), torch.randn(3, *SHAPE)
    chain = from_module(module, SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-6, atol=1e-6)
    assert devices.plan(chain, "stm32", blocks="1", head="gap").peak_bytes > 0


WRITTEN_OUT = {
    "hard swish": (lambda x: x * F.relu6(x + 3) / 6, nn.Hardswish),
    "hard swish by a factor": (lambda x: x * (F.relu6(3 + x) * (1 / 6)), nn.Hardswish),
    "hard swish by a clamp": (lambda x: x.mul(torch.clamp(x + 3, 0, 6).div(6)), nn.Hardswish),
    "hard swish by its gate": (lambda x: F.hardsigmoid(x) * x, nn.Hardswish),
    "hard sigmoid": (lambda x: F.relu6(x + 3) / 6, nn.Hardsigmoid),
    "silu": (lambda x: x * x.sigmoid(), nn.SiLU),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), nn.Mish),
    "mish by modules": (lambda x: nn.Tanh()(nn.Softplus()(x)) * x, nn.Mish),
    "gelu": (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), nn.GELU),
    "gelu by a rounded constant": (lambda x: x * 0.5 * (1.0 + torch.erf(x * 0.70711)), nn.GELU),
}


@pytest.mark.parametrize("form", WRITTEN_OUT)
def test_an_activation_that_is_written_out_is_one_layer(form):
    function, kind = WRITTEN_OUT[form]
    module, x = classified(lambda m, x: function(x)), torch.randn(3, *SHAPE)
    chain = from_module(module, SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-4, atol=1e-5)
    between = [m for m in chain.modules() if not list(m.children())]
    assert [type(m) for m in between] == [nn.Conv2d, kind, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]


def test_modules_and_buffers_may_be_called_like_functions():
    names = {"transpose": nn.Conv2d(4, 4, 1), "mul": nn.ReLU6(), "add": nn.Sigmoid(), "chunk": nn.Tanh()}
    module = classified(lambda m, x: m.mul(m.transpose(x - m.mean)) * m.add(x) / m.sqrt + m.chunk(x), **names)
    module.register_buffer("mean", torch.full((4, 1, 1), 0.5))
    module.register_buffer("sqrt", torch.tensor(6.0))
    x = torch.randn(3, *SHAPE)
    torch.testing.assert_close(from_module(module, SHAPE).eval()(x), module.eval()(x), rtol=1e-5, atol=1e-6)


def test_what_only_looks_like_an_activation_stays_what_it_is():
    for function in (lambda x: x * F.relu6(x + 2) / 6, lambda x: x * F.relu6(x + 3) / 5,
                     lambda x: x * torch.sigmoid(2 * x), lambda x: F.relu6(x + 3) / x.size(1)):  # fmt: skip
        module, x = classified(lambda m, x, f=function: f(x)), torch.randn(3, *SHAPE)
        chain = from_module(module, SHAPE)
        torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-6, atol=1e-6)
        kinds = {type(m) for m in chain.modules()}
        assert not kinds & {nn.Hardswish, nn.Hardsigmoid, nn.SiLU}


class ConvNeXt(nn.Module):
    """A block as people write it: norm, linear layers and factors on maps whose channels stand last."""

    def __init__(self, channels=4):
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up, self.down = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.gamma, self.drop = nn.Parameter(0.1 * torch.rand(channels) + 0.1), nn.Dropout(0.0)

    def forward(self, x):
        h = self.norm(self.dw(x).permute(0, 2, 3, 1))
        h = self.drop(self.gamma * self.down(F.gelu(self.up(h))))
        return x + h.permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    """A class of a layer's name that computes something else."""

    def forward(self, x):
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


def test_maps_with_channels_last_are_computed_with_channels_first():
    module = classified(lambda m, x: m.norm(m.block(x)), block=ConvNeXt(), norm=LayerNorm2d(4))
    for p in module.norm.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    chain, x = from_module(module, SHAPE), torch.randn(3, *SHAPE)
    torch.testing.assert_close(chain(x), module(x), rtol=1e-5, atol=1e-6)
    layers = chain.describe(blocks="1", head="gap").layers
    kinds = [layer.kind for layer in layers if layer.kind not in ("view", "dropout")]
    block = ["conv", "conv", "channel_norm", "conv", "gelu", "conv", "affine", "add", "channel_norm"]
    assert kinds == [*block, "avg_pool", "linear"]
    assert next(layer for layer in layers if layer.kind == "affine").biases == 4
    assert [layer.op.norm_groups for layer in layers if layer.kind == "channel_norm"] == [64, 64]
    chain(x).square().sum().backward()
    module(x).square().sum().backward()
    gradients = [sorted(p.grad.norm().item() for p in net.parameters()) for net in (chain, module)]
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-4)


def written_by_variance(m, x):
    return (x - x.mean(1, keepdim=True)) * torch.rsqrt(x.var(1, unbiased=False, keepdim=True) + 1e-6)


def written_by_squares(m, x):
    u = x.mean(1, keepdim=True)
    s = (x - u).pow(2).mean(1, keepdim=True)
    x = (x - u) / torch.sqrt(s + 1e-6)
    return m.weight[:, None, None] * x + m.bias[:, None, None]


@pytest.mark.parametrize(("function", "learns"), [(written_by_squares, True), (written_by_variance, False)])
def test_a_norm_over_channels_that_is_written_out_is_one_layer(function, learns):
    module, x = classified(function), torch.randn(3, *SHAPE)
    if learns:
        module.weight, module.bias = nn.Parameter(torch.rand(4) + 0.5), nn.Parameter(torch.rand(4))
    chain = from_module(module, SHAPE)
    torch.testing.assert_close(chain.eval()(x), module.eval()(x), rtol=1e-5, atol=1e-6)
    layers = chain.describe(blocks="1", head="gap").layers
    kinds = ["conv", "channel_norm", *["affine"] * 2 * learns, "avg_pool", "view", "linear"]
    assert [layer.kind for layer in layers] == kinds
    assert layers[1].op.eps == 1e-6
    other = classified(lambda m, x: (x - x.mean(1, True)) / torch.sqrt(x.var(1, keepdim=True) + 1e-6))
    with pytest.raises(InputError, match="got the operation 'var'"):
        from_module(other, SHAPE)


def test_tokens_lie_on_a_board_as_the_map_that_they_were():
    """However they are written, and whatever reads them behind."""
    for function in (lambda m, x: m.mix(x.flatten(2).transpose(1, 2)).mean(1),
                     lambda m, x: m.mix(x.permute(0, 2, 3, 1).reshape(x.size(0), -1, 4)).mean(1),
                     lambda m, x: m.mix(m.norm(x.permute(0, 2, 3, 1).flatten(1, 2))).mean(1)):  # fmt: skip
        module = Wrapped(lambda m, x, f=function: m.fc(f(m, m.conv(x))), conv=nn.Conv2d(1, 4, 2, 2),
                         fc=nn.Linear(4, 10), mix=nn.Linear(4, 4), norm=nn.LayerNorm(4))  # fmt: skip
        chain, x = from_module(module, SHAPE), torch.randn(3, *SHAPE)
        torch.testing.assert_close(chain(x), module(x))
        kinds = [layer.kind for layer in chain.describe(blocks="1", head="gap").layers]
        assert "permute" not in kinds
        check_views(chain.describe(blocks="1", head="gap"))


def test_a_mean_over_places_and_a_flatten_see_channels_where_the_code_has_them():
    last = {"norm": nn.LayerNorm(4)}
    for function in (lambda m, x: m.norm(x.permute(0, 2, 3, 1)).mean((1, 2)),
                     lambda m, x: m.norm(x.permute(0, 2, 3, 1)).flatten(1)[:, :4]):  # fmt: skip
        module = Wrapped(lambda m, x, f=function: m.fc(f(m, m.conv(x))), conv=nn.Conv2d(1, 4, 3),
                         fc=nn.Linear(4, 10), **last)  # fmt: skip
        x = torch.randn(3, *SHAPE)
        torch.testing.assert_close(from_module(module, SHAPE)(x), module(x), rtol=1e-5, atol=1e-6)


def test_what_derives_from_a_layer_and_computes_something_else_is_not_that_layer():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight - self.weight.mean(), self.bias, padding=1)

    with pytest.raises(InputError, match="got 'conv2d' of weights that are computed"):
        from_module(classified(lambda m, x: m.other(x), other=Standardised(4, 4, 3, padding=1)), SHAPE)


TAKING = classified(lambda m, x: x - m.shift)
TAKING.shift = nn.Parameter(torch.rand(4, 1, 1))

REFUSED = {
    "a loop over values": (Wrapped(lambda m, x: x if x.sum() > 0 else -x), "leave out branches and loops"),
    "a layer of another kind": (
        classified(lambda m, x: m.up(x), up=nn.ConvTranspose2d(4, 4, 3)),
        "layer up of Wrapped: got ConvTranspose2d, wanted layers that can be planned and trained",
    ),
    "an activation": (
        classified(lambda m, x: F.softplus(x)), "layer softplus of Wrapped: got the operation 'softplus'",
    ),
    "a softplus of its own in a Mish": (
        classified(lambda m, x: x * torch.tanh(F.softplus(x, 2))), "got the operation 'softplus'",
    ),
    "its line": (classified(lambda m, x: F.softplus(x)), "replace it in test_imported.py, line"),
    "a class of torch.nn": (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softplus()), "layer 2 of Sequential: got Softplus",
    ),
    "a constant of each image": (
        classified(lambda m, x: x + torch.arange(2.0)[:, None, None, None]),
        "got a constant of (2, 1, 1, 1) beside a map of (4, 8, 8)",
    ),
    "a constant by a map": (classified(lambda m, x: 1 / x), "got 'truediv' of a constant by a map"),
    "a parameter that is taken away": (TAKING, "got 'sub' of a trained constant the other way round"),
    "a drop path of one's own": (
        classified(lambda m, x: x * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(0.9)),
        "wanted what is random in modules of its own; use nn.Dropout or torchvision.ops.StochasticDepth",
    ),
    "a power": (classified(lambda m, x: x**3), "got the operation 'pow'"),
    "places of maxima": (
        classified(lambda m, x: F.max_pool2d(x, 2, return_indices=True)[0]),
        "got several results of 'max_pool2d_with_indices'",
    ),
    "places of maxima by a module": (
        classified(lambda m, x: m.pool(x)[0], pool=nn.MaxPool2d(2, return_indices=True)),
        "layer pool of Wrapped: got several results of 'pool'",
    ),
    "maxima and their places": (
        classified(lambda m, x: x.max(3)[0].unsqueeze(3) + x.max(3)[1].unsqueeze(3)), "results of 'max'",
    ),
    "an error function by itself": (classified(lambda m, x: torch.erf(x)), "got the operation 'erf'"),
    "a gate of places": (classified(lambda m, x: F.glu(x), 4), "got a gated linear unit along dimension -1"),
    "maps of two ranks": (classified(lambda m, x: x[:, :2] + x.mean(1), 2), "got a sum of maps of"),
    "images one behind the other": (classified(lambda m, x: torch.cat([x, x])), "along dimension 0"),
    "a part of a batch": (classified(lambda m, x: x[:2]), "got a part of a batch"),
    "all parts": (classified(lambda m, x: torch.cat(x.chunk(2, 1), 1)), "got all parts of a map"),
    "half of the batch": (classified(lambda m, x: x.chunk(2)[0]), "got a division of the batch, by 'chunk'"),
    "every other place by a mask": (
        classified(lambda m, x: x[:, torch.tensor([0, 2])], 2), "got a part of a map by something else",
    ),
    "a transposition": (
        classified(lambda m, x: x.transpose(0, 1).transpose(0, 1)), "got a transposition of the batch",
    ),
    "images that become others": (
        classified(lambda m, x: x.view(-1, 2, 8, 8), 2), "got the operation 'view'",
    ),
    "weights of two layers": (
        Wrapped(lambda m, x: m.fc(m.conv(m.conv(x)).flatten(1)), conv=nn.Conv2d(1, 1, 3, padding=1),
                fc=nn.Linear(64, 10)), "layer conv of Wrapped: got weights that two layers share",
    ),
    "no weights": (nn.Flatten(), "Flatten: got no layer with weights"),
    "a map at the end": (nn.Conv2d(1, 4, 3), "got an output of shape (4, 6, 6) per image, wanted the logits"),
    "one class": (nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), "got an output of shape (1,) per image"),
    "other images": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2)), "on 1x8x8: got Given"),
    "a linear layer of four dimensions": (
        classified(lambda m, x: m.mix(x.unflatten(3, (2, 4))).flatten(3), mix=nn.Linear(4, 4)),
        "got a linear layer on each place of",
    ),
    "a divisor of its own": (
        Wrapped(lambda m, x: m.fc(m.pool(m.conv(x).unflatten(1, (1, 4))).flatten(1)), fc=nn.Linear(32, 10),
                conv=nn.Conv2d(1, 4, 3, padding=1), pool=nn.AvgPool3d(2, divisor_override=3)),
        "got an average with a divisor of its own",
    ),
    "a mean over everything": (
        Wrapped(lambda m, x: m.fc((m.conv(x) - x.mean()).mean((2, 3))), conv=nn.Conv2d(1, 8, 3, padding=1),
                fc=nn.Linear(8, 10)), "got the operation 'mean'",
    ),
    "two outputs": (
        Wrapped(lambda m, x: (m.fc(x.flatten(1)), x), fc=nn.Linear(64, 10)), "got a tuple as output",
    ),
    "two inputs": (Wrapped(None), "got 2 inputs, wanted one"),
    "weights made in the code": (
        classified(lambda m, x: nn.Conv2d(4, 4, 1)(x)),
        "Wrapped: Conv2d in test_imported.py, line",
    ),
    "a batch norm that stays at rest": (
        Wrapped(lambda m, x: m.fc(F.batch_norm(m.conv(x), m.n.running_mean, m.n.running_var).mean((2, 3))),
                conv=nn.Conv2d(1, 4, 3), n=nn.BatchNorm2d(4, affine=False), fc=nn.Linear(4, 10)),
        "got the operation 'batch_norm'",
    ),
    "a group norm without shift": (
        Wrapped(lambda m, x: m.fc(F.group_norm(m.conv(x), 2, m.n.weight).mean((2, 3))),
                conv=nn.Conv2d(1, 4, 3), n=nn.GroupNorm(2, 4), fc=nn.Linear(4, 10)),
        "got the operation 'group_norm'",
    ),
    "statistics made in the code": (
        classified(lambda m, x: nn.BatchNorm2d(4, affine=False)(x)),
        "got weights or statistics made where it is called",
    ),
    "statistics of several devices": (
        classified(lambda m, x: m.norm(x), norm=nn.SyncBatchNorm(4)), "Wrapped.norm: got SyncBatchNorm",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_planned_is_refused_in_one_line(case):
    module, words = REFUSED[case]
    if case == "two inputs":
        module = type("Two", (nn.Module,), {"forward": lambda self, x, y: x + y})()
    with pytest.raises(InputError) as refusal:
        from_module(module, SHAPE)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("in_shape", [(), (8, -8), (1, 8, 0), (1, 8, 8, 8), (1, 8, 8.0)])
def test_a_shape_that_is_none_of_an_input_is_refused(in_shape):
    with pytest.raises(InputError, match=r"in_shape: got .*wanted \(channels, height, width\)"):
        from_module(own.row(), in_shape)


def test_tied_weights_are_named():
    tied = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    tied[3].weight = tied[1].weight
    with pytest.raises(InputError, match=r"Sequential.3.weight: got weights that two layers share"):
        from_module(tied, SHAPE)


def test_frozen_weights_are_named():
    module = own.Residuals()
    module.stem.weight.requires_grad_(False)
    with pytest.raises(InputError, match=r"Residuals.stem.weight: got frozen weights"):
        from_module(module, SHAPE)


def test_values_show_what_was_taken_for_something_else(monkeypatch):
    monkeypatch.setitem(functions.TORCH, "relu", nn.ReLU6)
    module = classified(lambda m, x: F.relu(x))
    module.conv.bias.data.fill_(20)
    with pytest.raises(InputError, match="got other values from its layers than from its own code"):
        from_module(module, SHAPE)


def test_an_operation_in_place_on_a_map_that_has_two_names_is_refused():
    """Its graph has the sum beside the map, which the code has overwritten."""

    def twice(m, y):
        z = y
        y += 1.0
        return F.relu(y) + z

    module = classified(twice)
    with pytest.raises(InputError, match="got other values from its layers than from its own code") as raised:
        from_module(module, SHAPE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("drop", [F.dropout, F.dropout2d])
def test_a_dropout_that_is_never_told_to_rest_makes_no_other_values(drop):
    from_module(classified(lambda m, x: drop(F.relu(x))), SHAPE)


GATES = {
    "view": lambda x, y: x * y.view(y.size(0), 4, 1, 1),
    "unsqueeze": lambda x, y: x * y.unsqueeze(-1).unsqueeze(-1),
    "none": lambda x, y: x * y[:, :, None, None],
    "dots and none": lambda x, y: y[..., None, None] * x,
    "expand_as": lambda x, y: x * y.view(y.size(0), 4, 1, 1).expand_as(x),
    "expand": lambda x, y: x * y[:, :, None, None].expand(-1, -1, x.size(2), x.size(3)),
}  # fmt: skip


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_is_spread_over_its_map_however_that_is_written(gate):
    """As in squeeze-and-excitation (Hu et al. 2018, arXiv 1709.01507)."""

    def squeezed(name):
        torch.manual_seed(0)
        return classified(
            lambda m, x: GATES[name](F.relu(x), torch.sigmoid(m.f2(F.relu(m.f1(x.mean((2, 3))))))),
            f1=nn.Linear(4, 2), f2=nn.Linear(2, 4),
        )  # fmt: skip

    module, x = squeezed(gate).eval(), torch.randn(3, *SHAPE)
    chain = from_module(module, SHAPE).eval()
    torch.testing.assert_close(chain(x), module(x))
    plans = [devices.plan(from_module(squeezed(name), SHAPE), "stm32", **BITS) for name in (gate, "view")]
    assert len({plan.peak_bytes for plan in plans}) == 1


@pytest.mark.parametrize("function", [lambda m, x: F.relu(x).mul_(2.0) + x, lambda m, x: x // 0.1])
def test_code_through_which_no_gradient_goes_back_is_refused(function):
    """What the ReLU's gradient is made of is written over; a floor has none."""
    with pytest.raises(InputError, match="wanted code through which gradients go back") as raised:
        from_module(classified(function), SHAPE)
    assert "\n" not in str(raised.value)


def test_code_that_does_something_else_at_rest_is_refused():
    def other(m, x):
        return F.relu(x) if m.training else F.relu6(4 * x)

    with pytest.raises(InputError, match="other values from its layers than from its own code"):
        from_module(classified(other), SHAPE)


def test_norms_that_take_their_constants_from_the_first_images_wait_for_real_ones():
    frozen = models.build("cnn", SHAPE, 10, 4, norm="frozen")
    chain = from_module(nn.Sequential(*frozen.units.values()), SHAPE)
    norms = [m for m in chain.modules() if isinstance(m, ConstantNorm)]
    assert len(norms) == 3
    assert not any(bool(norm.ready) for norm in norms)


def test_a_module_in_double_precision_is_trained_in_single():
    chain = from_module(own.Residuals().double(), SHAPE)
    assert {p.dtype for p in chain.parameters()} == {torch.float32}


def test_norms_without_parameters_or_statistics_are_planned():
    for norm in (nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, track_running_stats=False)):
        chain = from_module(classified(lambda m, x: F.relu(m.norm(x)), norm=norm), SHAPE)
        assert devices.plan(chain, "stm32", batch_size=2, blocks="1", head="gap").peak_bytes > 0


def test_a_free_parameter_is_named():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.fc = nn.Parameter(torch.ones(1)), nn.Linear(64, 10)

        def forward(self, x):
            return self.fc(x.flatten(1) * self.scale.exp())

    with pytest.raises(InputError, match="got a function of the parameter scale"):
        from_module(Scaled(), SHAPE)


def test_a_dropout_of_rate_0_is_no_layer():
    class Kept(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.drop, self.head = nn.Conv2d(1, 4, 3), nn.Dropout(0.0), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(F.dropout(self.drop(F.relu(self.stem(x)).mean((2, 3))), 0.0))

    network = from_module(Kept(), (1, 8, 8)).describe(blocks="1", head="gap")
    assert {layer.kind for layer in network.layers} == {"conv", "relu", "avg_pool", "view", "linear"}


class Backbone(nn.Module):
    """Features that its own code does not train, by one of the ways in which people write that."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(256, 10)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self.way == "rests":
            self.features.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.way == "no_grad":
            with torch.no_grad():
                x = self.features(x)
        else:
            x = self.features(x)
        return self.fc(x.flatten(1))


def test_what_the_code_of_a_module_freezes_is_refused_and_not_trained():
    from_module(Backbone("all"), (1, 8, 8))
    with pytest.raises(InputError, match=r"Backbone\.features\.0\.weight: got a parameter .* no gradient"):
        from_module(Backbone("no_grad"), (1, 8, 8))
    with pytest.raises(InputError, match=r"Backbone\.features\.1: got a layer that stays in evaluation mode"):
        from_module(Backbone("rests"), (1, 8, 8))
    unused = own.Residuals()
    unused.other = nn.Linear(3, 3)  # of which nothing is read: no gradient in any form
    from_module(unused, (1, 8, 8))


def test_functions_whose_arguments_modules_do_not_have_are_layers_or_refused_in_one_line():
    def norms(x: torch.Tensor, form: str) -> torch.Tensor:
        if form == "dropout":
            return torch.dropout(x, 0.5, True)
        return F.layer_norm(x, (4, 8, 8)) if form == "layer_norm" else F.group_norm(x, 2)

    class Formed(nn.Module):
        def __init__(self, form: str) -> None:
            super().__init__()
            self.form, self.conv, self.fc = form, nn.Conv2d(1, 4, 3, padding=1), nn.Linear(256, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(norms(self.conv(x), self.form).flatten(1))

    x = torch.randn(2, 1, 8, 8)
    for form in ("layer_norm", "group_norm"):
        module = Formed(form)
        chain = from_module(module, (1, 8, 8))
        torch.testing.assert_close(chain.eval()(x), module.eval()(x))
        assert sum(p.numel() for p in chain.parameters()) == sum(p.numel() for p in module.parameters())
    assert any(isinstance(m, nn.Dropout) for m in from_module(Formed("dropout"), (1, 8, 8)).modules())
