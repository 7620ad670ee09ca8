"""The networks against published sizes, hand sums and real forward passes."""

import pytest
import torch
from torch.nn import functional as F

from blockwise import models, quant
from blockwise.models.parts import PadShortcut
from blockwise.nets import anatomy as describe
from devices.errors import InputError

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 33, 31)]
SHAPED = ("resnet20", "vgg8b", "vgg11b", "mlp", "cnn")  # deeper residual networks only repeat blocks
SMALL = {"mlp": 16}  # width for tests of shape; 4 for all others


def small(name: str, shape: tuple[int, ...], classes: int = 10) -> models.Chain:
    return models.build(name, shape, classes, SMALL.get(name, 4))


def resnet_by_hand(n: int, width: int = 16, channels: int = 3, classes: int = 10) -> int:
    """6n+2 layers: 2n convolutions at each of w, 2w and 4w channels, all followed by a norm."""
    w = width
    stem = 9 * channels * w + 2 * w
    plain = sum(2 * (9 * c * c + 2 * c) * n for c in (w, 2 * w, 4 * w))
    # The first convolution of stages 2 and 3 reads half the channels.
    narrower = 9 * w * 2 * w + 9 * 2 * w * 4 * w
    return stem + plain - narrower + 4 * w * classes + classes


@pytest.mark.parametrize(
    ("name", "n", "published"),
    # He et al. 2016, table 6: 0.27, 0.46, 0.66 and 0.85 million
    [("resnet20", 3, 0.27), ("resnet32", 5, 0.46), ("resnet44", 7, 0.66), ("resnet56", 9, 0.85)],
)
def test_residual_networks_have_the_published_number_of_parameters(name, n, published):
    count = models.count_parameters(models.build(name))
    assert count == resnet_by_hand(n)
    assert round(count / 1e6, 2) == published


def test_resnet20_has_269722_parameters():
    assert models.count_parameters(models.build("resnet20")) == 269_722


def test_vgg8b_has_the_published_8_9_million_parameters():
    # 3x3 convolutions:  3*128 + 128*256 + 256*256 + 256*512 + 512*512 + 512*512 = 754,048, times 9
    # hidden layer:      512 channels of 2x2 -> 1024
    # norms:             2 for each of 128 + 256 + 256 + 512 + 512 + 512 + 1024 = 3,200 channels
    # classifier:        1024 -> 10 and 10 biases
    count = models.count_parameters(models.build("vgg8b"))
    assert count == 9 * 754_048 + 2048 * 1024 + 2 * 3200 + 10_250 == 8_900_234


def test_vgg11b_counts_its_nine_convolutions_and_two_linear_layers():
    # 3x3 convolutions:  3*128 + 128*128 + 128*128 + 128*256 + 256*256 + 256*512 + 3 * 512*512
    # hidden layer:      512 channels of 2x2 -> 1024
    # norms:             3*128 + 2*256 + 4*512 + 1024 = 3,968 channels
    convolutions = 384 + 2 * 16_384 + 32_768 + 65_536 + 131_072 + 3 * 262_144
    count = models.count_parameters(models.build("vgg11b"))
    assert count == 9 * convolutions + 2048 * 1024 + 2 * 3968 + 10_250


def test_mlp_counts_three_hidden_layers_of_1024():
    # 784*1024 + 1024*1024 + 1024*1024, norms 2*3*1024, classifier 10,250
    count = models.count_parameters(models.build("mlp", (1, 28, 28)))
    assert count == 802_816 + 2 * 1_048_576 + 6144 + 10_250


def test_cnn_counts_three_convolutions_of_doubling_width():
    # 9 * (3*16 + 16*32 + 32*64), norms 2 * (16+32+64), classifier 64*10 + 10
    count = models.count_parameters(models.build("cnn"))
    assert count == 9 * 2608 + 224 + 650


@pytest.mark.parametrize("width", [1, 5, 8, 32])
def test_width_scales_every_layer_of_a_residual_network(width):
    net = models.build("resnet20", width=width)
    assert models.count_parameters(net) == resnet_by_hand(3, width)


def fitting(name, shape):
    """``shape``, or as much of it as the inputs of the network ``name`` have dimensions."""
    return shape[: max(models.CATALOGUE[name].ranks)]


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_doubled_width_doubles_every_inner_dimension_of_every_weight(name):
    """Twice the inputs and outputs, except for the image's channels and the classes."""
    narrow, wide = (models.build(name, fitting(name, (3, 32, 32)), 10, w).state_dict() for w in (4, 8))
    assert narrow.keys() == wide.keys()
    weights = [key for key in narrow if narrow[key].ndim > 1]
    for key in weights:
        out, inner = (wide[key].shape[i] / narrow[key].shape[i] for i in (0, 1))
        assert out == (1 if key == weights[-1] else 2), key
        depthwise = wide[key].shape[1] == 1
        assert inner == (1 if key == weights[0] or depthwise else 2), key


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SHAPED)
def test_logits_have_one_row_per_image_and_one_column_per_class(name, shape):
    net = small(name, shape, classes=7)
    assert net(torch.randn(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SHAPED)
def test_unit_shapes_are_those_of_a_real_forward_pass(name, shape):
    net = small(name, shape)
    seen, x = [], torch.randn(2, *shape)
    for unit in net.units.values():
        x = unit(x)
        seen.append(tuple(x.shape[1:]))
    assert net.unit_shapes() == tuple(seen)


def test_unit_shapes_leave_the_network_as_it_is():
    net = small("resnet20", (3, 32, 32)).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.unit_shapes()
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_unit_shapes_set_no_quantizer_up_and_leave_its_width():
    net = small("resnet20", (3, 32, 32)).train()
    shapes = net.unit_shapes()
    quant.quantize(net, "ptq-mse")
    quantizers = [module for module in net.modules() if isinstance(module, quant.Quantizer)]
    before = [(module.bits, module.training) for module in quantizers]
    assert net.unit_shapes() == shapes
    assert before == [(module.bits, module.training) for module in quantizers]
    assert not any(module.ready for module in quantizers if module.needs_data)
    net(torch.randn(2, 3, 32, 32))
    assert all(module.ready for module in quantizers if module.needs_data)


def test_resnet20_halves_the_map_and_doubles_the_channels_twice():
    shapes = models.build("resnet20").unit_shapes()
    assert shapes == ((16, 32, 32),) * 4 + ((32, 16, 16),) * 3 + ((64, 8, 8),) * 3 + ((10,),)


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_a_single_pixel_is_an_image(name):
    shape = fitting(name, (1, 1, 1))
    assert small(name, shape).eval()(torch.randn(3, *shape)).shape == (3, 10)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (7, 5), (1, 1)])
def test_the_shortcut_is_every_second_pixel_between_zero_channels(height, width):
    x = torch.randn(2, 3, height, width)
    y = PadShortcut(3, 8)(x)
    assert y.shape == (2, 8, -(-height // 2), -(-width // 2))
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            assert torch.equal(y[:, 2:5, i, j], x[:, :, 2 * i, 2 * j])
    assert not y[:, :2].any()
    assert not y[:, 5:].any()


def test_the_shortcut_has_no_parameters():
    assert models.count_parameters(PadShortcut(16, 32)) == 0


def test_a_residual_block_is_its_formula():
    block = small("resnet20", (3, 8, 8)).units["stage2_1"].eval()
    for norm in (block.norm1, block.norm2):  # statistics and scales that are not 0 and 1
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)

    def normalised(x, norm):
        mean, var, scale, shift = (
            t.view(-1, 1, 1) for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    x = torch.randn(2, 4, 8, 8)
    inner = normalised(F.conv2d(x, block.conv1.weight, stride=2, padding=1), block.norm1).clamp_min(0)
    outer = normalised(F.conv2d(inner, block.conv2.weight, padding=1), block.norm2)
    skip = torch.zeros(2, 8, 4, 4)
    skip[:, 2:6] = x[:, :, ::2, ::2]
    torch.testing.assert_close(block(x), (outer + skip).clamp_min(0))


def test_convolutions_start_with_the_deviation_of_he_et_al():
    torch.manual_seed(0)
    weight = models.build("vgg8b").units["conv6"].conv.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in small("resnet20", (3, 8, 8)).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_an_unknown_network_names_its_nearest_match():
    with pytest.raises(InputError, match=r"model: got 'ResNet-20'.*did you mean 'resnet20'\?"):
        models.build("ResNet-20")


def test_an_unlike_name_lists_what_exists():
    with pytest.raises(InputError) as error:
        models.build("zzz")
    assert all(name in str(error.value) for name in models.CATALOGUE)


@pytest.mark.parametrize("width", [0, -1])
def test_a_width_below_one_is_refused_with_the_published_one(width):
    with pytest.raises(InputError, match=rf"--width: got {width}, wanted at least 1; published: 16"):
        models.build("resnet20", width=width)


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(InputError, match=f"classes: got {classes}, wanted at least 2"):
        models.build("cnn", num_classes=classes)


@pytest.mark.parametrize("shape", [(3, 0, 32), (), (-1, 8, 8)])
def test_a_shape_that_is_no_image_is_refused(shape):
    with pytest.raises(InputError, match=r"image shape: got .*wanted \(channels, height, width\)"):
        models.build("cnn", shape)


@pytest.mark.parametrize("shape", [(32, 32), (32,), (1, 3, 32, 32)])
def test_a_network_of_images_refuses_other_ranks_and_names_those_that_take_them(shape):
    text = "x".join(map(str, shape))
    do = "use other data" if len(shape) > 3 else "use --model .*mlp"
    match = rf"model cnn: got inputs of shape {text}, wanted images \(C, H, W\); {do}"
    with pytest.raises(InputError, match=match):
        models.build("cnn", shape)


@pytest.mark.parametrize("shape", [(30,), (6, 5), (2, 3, 5)])
def test_a_multilayer_perceptron_of_signals_is_that_of_as_many_pixels(shape):
    chain = models.build("mlp", shape, 4, 8)
    assert chain(torch.randn(2, *shape)).shape == (2, 4)
    layers = chain.describe(blocks="layers", head="gap").layers
    first = next(layer for layer in layers if layer.weights)
    assert (first.weights, first.macs) == (30 * 8, 30 * 8)


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_the_catalogue_tells_which_networks_have_residual_sums(name):
    chain = models.build(name, fitting(name, (3, 16, 16)), 10, 4)
    kinds = {layer.kind for layer in chain.describe(blocks="stages", head="gap").layers}
    assert models.has_skips(name) == ("add" in kinds)


@pytest.mark.parametrize("head", ["gap", "sim", "predsim", "lookahead:16"])
@pytest.mark.parametrize("name", ["resnet20", "vgg8b", "mlp", "cnn"])
def test_a_network_in_no_memory_is_described_like_one_of_weights(name, head, monkeypatch):
    found = []
    for large in (2**20, 0):  # as it is, and on the meta device
        monkeypatch.setattr(describe, "LARGE", large)
        with describe.shapes_alone(32):
            chain = models.build(name, (3, 32, 32), 10, 8)
        assert next(chain.parameters()).is_meta == (large == 0)
        found.append(chain.describe(blocks="stages", head=head))
    assert found[0] == found[1]


def test_a_leaky_relu_stands_in_the_place_of_every_relu():
    style = models.Style(activation="leaky-relu")
    for name in ("mcunet-5fps", "resnet20"):
        kinds = {type(m).__name__ for m in models.build(name, (3, 32, 32), 10, 4, style=style).modules()}
        assert "LeakyReLU" in kinds and not kinds & {"ReLU", "ReLU6"}
