"""What is said to be impossible is so in a real step, in every regime, and nothing else is."""

import pytest
import torch
from torch import nn

import devices
from blockwise import models
from blockwise.integer.arithmetic import Place
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.loss import MOST_CLASSES
from blockwise.integer.net import IntegerNet
from blockwise.integer.nitro import optimizer_of
from blockwise.integer.update import FIRST_MU
from blockwise.models import from_module
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import TrainOptions, make_regime
from blockwise.training.numerics import numerics_of
from devices.errors import InputError
from devices.network import IMAGES, LABELS, Block, Layer, Network
from devices.network.ops import CrossEntropy, Linear, ReLU
from devices.program.integer import FORMS
from devices.program.regimes import INTEGER_REGIMES as INTEGER
from devices.program.regimes import REGIMES, Step
from devices.trainability import obstacle

FLOAT = ("bp", "bp-checkpoint", "bp-micro", "local")
SHAPE = (1, 8, 8)


def parts(
    model: str, head: str, norm: str, shape: tuple[int, ...] = SHAPE, classes: int = 10, width: int = 4
) -> tuple[BlockNet, Network]:
    """The network to train and as it is planned, a block to each layer."""
    chain = models.build(model, shape, classes, width, norm)
    anatomy = Anatomy(chain, head)
    cut = anatomy.cut("layers", Step())
    return BlockNet(chain, cut, head), anatomy.network(cut)


def works(net: BlockNet | IntegerNet, regime: str, batch: int, micro: int = 1, shape=SHAPE) -> bool:
    step = make_regime(regime, micro)
    integer = isinstance(net, IntegerNet)
    x = torch.randint(256, (batch, *shape)).to(torch.uint8) if integer else torch.randn(batch, *shape)
    numerics_of(net).updater(net, TrainOptions(1, batch, "sgd", 0.1, True, 0), regime)
    try:
        step.step(net.train(), step.phases(net)[0], x, torch.arange(batch) % 10)
    except (InputError, ValueError):
        return False
    return True


@pytest.mark.parametrize("norm", ["batch", "batch-recompute", "group", "none"])
@pytest.mark.parametrize("head", ["gap", "predsim", "sim", "lookahead:4"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_step_has_an_obstacle_exactly_where_it_fails_in_pytorch(model, head, norm):
    net, network = parts(model, head, norm)
    for regime in FLOAT:
        for batch, micro in ((1, 1), (2, 1), (3, 2), (4, 2)):
            can = works(net, regime, batch, micro)
            assert bool(obstacle(network, regime, batch, micro)) != can, (regime, batch, micro)


def test_only_what_a_regime_trains_stands_in_its_way():
    _, network = parts("cnn", "predsim", "batch")
    blocked = {regime for regime in REGIMES if obstacle(network, regime, 1)}
    assert blocked == {"local", "local-paged", "local-resident"}


def test_the_rest_of_a_batch_is_a_micro_batch_of_its_own():
    _, network = parts("mlp", "gap", "batch")
    alone = [
        (batch, micro)
        for batch in range(2, 9)
        for micro in range(1, 9)
        if obstacle(network, "bp-micro", batch, micro)
    ]
    by_hand = [
        (batch, micro)
        for batch in range(2, 9)
        for micro in range(1, 9)
        if micro < batch and 1 in [len(part) for part in torch.arange(batch).split(micro)]
    ]
    assert alone == by_hand


@pytest.mark.parametrize("regime", INTEGER)
def test_an_integer_step_works_where_there_is_no_obstacle(regime):
    net, network = parts("plain4", "gap", "none")
    assert obstacle(network, regime, 4) is None
    assert works(IntegerNet(net, arithmetic_of(regime), 0), regime, 4)


@pytest.mark.parametrize("regime", [r for r in INTEGER if r != "nitro-local"])
def test_integer_batches_end_where_a_step_is_refused(regime):
    shape = (1, 32, 32)
    net, network = parts("plain4", "gap", "none", shape, width=1)
    for batch in (130, 131):  # 133,144 products of 127 x 127 over 1,024 positions of the first layer's error
        can = batch == 130 or INTEGER[regime].perturbs
        assert (obstacle(network, regime, batch) is None) == can
        assert works(IntegerNet(net, arithmetic_of(regime), 0), regime, batch, shape=shape) == can


@pytest.mark.parametrize("regime", [r for r in INTEGER if r != "nitro-local"])
@pytest.mark.parametrize("pixels", [364, 366])
def test_integer_layers_end_where_a_sum_is_refused(regime, pixels):
    shape = (
        1,
        pixels,
        pixels,
    )  # 132,496 and 133,956 inputs of the first layer, of which 133,144 are too many
    net, network = parts("mlp", "gap", "none", shape, width=2)
    can = pixels == 364
    assert (obstacle(network, regime, 2) is None) == can
    assert works(IntegerNet(net, arithmetic_of(regime), 0), regime, 2, shape=shape) == can


def three_linear_layers(features: int) -> Network:
    layers = (
        Layer("a", Linear(1, features), (IMAGES,), (features,), precision="edge"),
        Layer("relu_a", ReLU(), ("a",), (features,)),
        Layer("b", Linear(features, 2), ("relu_a",), (2,)),
        Layer("relu_b", ReLU(), ("b",), (2,)),
        Layer("c", Linear(2, 10), ("relu_b",), (10,), precision="edge"),
    )
    loss = Layer("loss", CrossEntropy(), ("c", LABELS), (), precision="float")
    return Network((1, 1, 1), (Block("all", layers, (loss,)),))


@pytest.mark.parametrize(
    ("regime", "product"), [("niti", 127 * 127), ("niti4", 15 * 7), ("niti4-jump", 15 * 7)]
)
def test_sums_of_inner_layers_are_as_long_as_the_largest_product_lets_them_be(regime, product):
    most = (2**31 - 1) // product
    assert obstacle(three_linear_layers(most), regime, 2) is None
    found = obstacle(three_linear_layers(most + 1), regime, 2)
    assert found is not None and found.subject == "layer b"


def test_integer_classes_end_where_the_loss_ends_and_divisors_leave_32_bits():
    assert FORMS["niti"].most_classes == FORMS["niti4"].most_classes == MOST_CLASSES == 8_191
    slowest = (
        optimizer_of(Place((1, 1), classes=FORMS["nitro"].most_classes + more), FIRST_MU - 2)
        for more in (0, 1)
    )
    within, beyond = (o.inverse_rate * o.amplification for o in slowest)
    assert within < 2**31 <= beyond
    for regime, most in (("niti-local", 8_191), ("nitro-local", 16_383)):
        for classes in (most, most + 1):
            _, network = parts("plain4", "gap", "none", classes=classes)
            assert (obstacle(network, regime, 2) is None) == (classes == most)


def test_a_plan_in_python_refuses_what_the_command_line_refuses():
    model = models.build("mlp", SHAPE, 10, 4)
    with pytest.raises(InputError, match="at least 2 images at a time"):
        devices.plan(model, "stm32", regime="bp", batch_size=1)
    assert devices.plan(model, "stm32", regime="bp", batch_size=2).fits


def test_a_plan_in_python_computes_sums_twice_where_asked():
    model = models.build("plain4", SHAPE, 10, 4)
    once, twice = (devices.plan(model, "stm32", regime="niti", requantize=r) for r in ("buffered", "twice"))
    assert twice.peak_bytes < once.peak_bytes
    assert twice.schedule.macs == 2 * once.schedule.macs
    with pytest.raises(InputError, match="requantize: got 'often'"):
        devices.plan(model, "stm32", regime="niti", requantize="often")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Conv2d(4, 4, 3, padding=1, groups=2), ""),
        (nn.Conv2d(4, 4, 3, padding=2, dilation=2), ""),
        (nn.Conv2d(4, 4, (3, 1), padding=(1, 0)), ""),
        (nn.Conv2d(4, 4, 2, padding="same"), "a border that is wider on one side, or of other than zeros"),
        (
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            "a border that is wider on one side, or of other than zeros",
        ),
        (nn.ReLU6(), "an activation with limits"),
        (nn.SiLU(), "swish"),
        (nn.MaxPool2d(2, 1), "windows of max pool that overlap or reach beyond the map,"),
        (nn.MaxPool2d(3, ceil_mode=True), "windows of max pool that overlap or reach beyond the map,"),
        (nn.MaxPool2d(2, dilation=2), "windows of max pool that overlap or reach beyond the map,"),
        (nn.AvgPool2d(3, 2, 1), "windows of avg pool that overlap or reach beyond the map,"),
        (nn.AdaptiveAvgPool2d(3), "an average of 8x8 down to 3x3"),
        (nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), ""),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2), nn.ReLU()), "an activation behind avg pool"),
        (nn.MaxPool2d(4, 4), ""),
        (nn.AvgPool2d(2), ""),
        (nn.MaxPool2d(2), ""),
        (nn.Conv2d(4, 4, 3, stride=2, padding=1), ""),
    ],
)
def test_integers_refuse_a_layer_whose_geometry_they_do_not_compute(module, reason):
    layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), module, nn.Flatten())
    layers.append(nn.Linear(layers(torch.zeros(1, *SHAPE)).shape[1], 10))
    found = obstacle(from_module(layers, SHAPE).describe(blocks="1", head="gap"), "niti", 4)
    assert (found.reason if found else "") == (f"{reason} on integers" if reason else "")


def test_integers_note_the_place_of_a_largest_value_in_a_byte():
    def network(window: int) -> Network:
        layers = [nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool1d(window), nn.Flatten()]
        module = nn.Sequential(*layers, nn.Linear(4 * 512 // window, 3))
        return from_module(module, (1, 512)).describe(blocks="1", head="gap")

    assert obstacle(network(256), "niti", 4) is None
    found = obstacle(network(512), "niti", 4)
    assert found is not None and "windows of 512, wanted at most 256 places" in str(found.error)


@pytest.mark.parametrize("regime", ["niti4-jump", "niti4-jump-local", "niti4-jump-resident"])
def test_batches_wait_for_a_jump_as_long_as_the_largest_sum_that_there_can_be_fits(regime):
    """On maps of 32x32: 8 batches of 128 have 1,024 images there, whose products are of 127 by 15 at most."""
    _, network = parts("vgg-small-7", "gap", "none", (3, 32, 32))
    assert 8 * 128 * 32 * 32 * 127 * 15 < 2**31 <= 9 * 128 * 32 * 32 * 127 * 15
    assert obstacle(network, regime, 128, jump_every=8) is None
    found = obstacle(network, regime, 128, jump_every=9)
    assert found is not None and str(found.error).startswith(
        f"--jump-every: got 9 batches of 128 with regime {regime}, wanted at most 8, for sums of gradients"
    )
    assert obstacle(network, "niti4-local", 128, jump_every=9) is None  # which does not wait
