"""Networks that others run on microcontrollers: their sizes are the published ones.

MLPerf Tiny's reference models (github.com/mlcommons/tiny, benchmark/training) have biases before their norms,
and Keras counts running statistics among the parameters.
"""

import math

import pytest
import torch
from one_step import OneStep
from tiers import shown
from torch import nn

from blockwise import models
from blockwise.models import Style
from devices.errors import InputError

# Parameters as Keras counts them, and multiply-accumulates. DS-CNN: model.summary() of the reference model
# (24,908, of which 23,756 are trained); 5.4 million operations, two each, in Zhang et al. 2017.
PUBLISHED = {
    "ds-cnn": ((1, 49, 10), 12, 24_908, 2_656_768),
    "resnet8": ((3, 32, 32), 10, 78_666, 12_501_632),
    "mobilenet-0.25": ((3, 96, 96), 2, 221_794, 7_489_664),
}


FEW = {"separable": ("mobilenet-0.25", 2, 16), "inverted": ("mcunet-5fps", 4, 8)}
"""What a step on bytes is made of: a network, how many units, and the channels of the last one."""


def macs(chain: models.Chain) -> int:
    return sum(layer.macs for layer in chain.describe(blocks="stages", head="gap").layers)


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_of_mlperf_tiny_have_its_parameters_and_operations(name):
    shape, classes, parameters, operations = PUBLISHED[name]
    width = models.width_of(name, None)
    assert width == models.CATALOGUE[name].width
    chain = models.build(name, shape, classes, width, style=Style(bias=True))
    statistics = sum(
        b.numel() for n, b in chain.named_buffers() if n.endswith(("running_mean", "running_var"))
    )
    assert models.count_parameters(chain) + statistics == parameters
    assert macs(chain) == operations


def test_ds_cnn_trains_as_many_parameters_as_published():
    chain = models.build("ds-cnn", (1, 49, 10), 12, 64, style=Style(bias=True))
    assert models.count_parameters(chain) == 23_756


def test_the_network_of_mcunet_has_its_parameters_and_operations():
    """mcunet-5fps at 96x96 in 1000 classes: 0.64 M and 12.8 M (github.com/mit-han-lab/mcunet, model zoo)."""
    chain = models.build("mcunet-5fps", (3, 96, 96), 1000, models.width_of("mcunet-5fps", None))
    assert round(models.count_parameters(chain) / 1e6, 2) == 0.64
    assert round(macs(chain) / 1e6, 1) == 12.8
    kinds = [layer.kind for layer in chain.describe(blocks="stages", head="gap").layers]
    assert kinds.count("add") == 7


def test_cnn1d_has_the_weights_of_four_convolutions():
    chain = models.build("cnn1d", (6, 256), 7, 16)
    convolutions = 5 * (6 * 16 + 16 * 32 + 32 * 64 + 64 * 64)
    assert models.count_parameters(chain) == convolutions + 2 * (16 + 32 + 64 + 64) + 64 * 7 + 7
    assert macs(chain) == 5 * (6 * 16 * 256 + 16 * 32 * 128 + 32 * 64 * 64 + 64 * 64 * 32) + 64 * 7


def test_cnn1d_takes_signals_alone():
    with pytest.raises(InputError, match=r"model cnn1d: got inputs of shape 3x32x32, wanted signals"):
        models.build("cnn1d", (3, 32, 32))


@pytest.mark.parametrize("name", [*PUBLISHED, "mcunet-5fps"])
def test_small_images_pass_and_learn(name):
    torch.manual_seed(0)
    chain = models.build(name, (1, 8, 8), 10, 8)
    chain.train()(torch.randn(4, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None for p in chain.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds-cnn", "resnet8 of mlperf", "separable", "inverted", "cnn1d"])
@pytest.mark.parametrize("regime", shown(["bp", "local", "local-resident"], "bp", "local-resident"))
def test_a_step_on_bytes_is_that_of_the_simulation(name, regime):
    shape = (3, 32) if name == "cnn1d" else (2, 16, 16)
    model: object = name
    if name.startswith("resnet8"):  # the helper has another one of that name
        torch.manual_seed(0)
        model = nn.Sequential(*models.build("resnet8", shape, 3, 4).units.values())
    elif name in FEW:  # of their blocks: many of them multiply rounding errors
        torch.manual_seed(0)
        whole, count, channels = FEW[name]
        units = list(models.build(whole, shape, 3, 8).units.values())[:count]
        ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)
        model = nn.Sequential(*units, *ends)
    for method in ("fp32", "lsq"):
        step = OneStep(regime, model, method=method, in_shape=shape, width=8, blocks="2")
        assert step.run() < 1e-5, (method, step.worst())
        assert step.flips <= 1e-3 * step.codes


def test_a_multiplier_scales_a_mobilenet_of_torchvision_as_published():
    """mobilenet_v2_0.35_128 of TensorFlow's slim: 1.66 M parameters, 20 M multiply-accumulates."""
    chain = models.build("torchvision:mobilenet_v2", (3, 128, 128), 1001, 0.35)
    assert round(models.count_parameters(chain) / 1e6, 2) == pytest.approx(1.66, abs=0.03)
    assert round(macs(chain) / 1e6) == 20
    assert chain.width == 0.35


@pytest.mark.parametrize(
    ("name", "width", "words"),
    [
        (
            "torchvision:resnet18",
            0.5,
            "--width: got 0.5 with torchvision:resnet18, wanted a network with a mult",
        ),
        ("torchvision:mobilenet_v2", 0.0, "--width: got 0.0, wanted a multiplier up to 16"),
        ("cnn", 0.35, "--width: got 0.35, wanted a whole number of channels; round it"),
        ("cnn", math.inf, "--width: got inf, wanted a whole number of channels; round it"),
        ("cnn", math.nan, "--width: got nan, wanted a whole number of channels; round it"),
    ],
)
def test_a_width_that_a_network_cannot_have_is_refused(name, width, words):
    from blockwise.experiment.settings import NetworkSettings

    with pytest.raises(InputError, match=words):
        models.build(name, (3, 32, 32), 10, NetworkSettings(name, width).width)
