"""The heads of Nøkland & Eidnes 2019 as they publish them: sizes, place, loss and gradient."""

import math

import numpy as np
import pytest
import torch
from tiers import quick

from blockwise import heads, models
from blockwise.experiment.presets import PRESETS
from blockwise.heads.place import read_layer, split
from blockwise.heads.pred import decoder_windows
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.nets.cuts import cut

BETA = 0.99
PUBLISHED = ("pred", "sim", "predsim")

# Of VGG8B on 3x32x32 with predsim heads: a block's own parameters, and its head's.
SIZES = {
    "conv1": (3_840, 167_946),
    "conv2": (295_680, 610_314),
    "conv3": (590_592, 610_314),
    "conv4": (1_181_184, 2_379_786),
    "conv5": (2_360_832, 2_379_786),
    "conv6": (2_360_832, 2_379_786),
    "hidden": (2_100_224, 1_058_826),
    "classifier": (10_250, 0),
}


def chain(width: int = 4, shape: tuple[int, ...] = (3, 32, 32), dropout: float = 0.2) -> models.Chain:
    torch.manual_seed(0)
    style = models.Style("leaky-relu", dropout, True, "pytorch")
    return models.build("vgg8b", shape, 10, width, style=style)


def blocks(net: models.Chain, head: str = "predsim") -> BlockNet:
    return BlockNet(net, cut(net.stages, "each", lambda *_: 0), head)


def batch(shape: tuple[int, ...], size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, *shape, generator=generator), torch.arange(size) % 4


# ------------------------------------------------------------------- sizes


def test_vgg8b_of_the_preset_has_the_published_parameters_in_every_body_and_head():
    network = PRESETS["local-loss"].network
    net = models.build(network.model, (3, 32, 32), 10, network.width, style=network.style)
    groups = cut(net.stages, network.blocks, lambda *_: 0)
    trained = BlockNet(net, groups, network.head)
    parts = zip(trained.names, trained.bodies, trained.heads, strict=True)
    assert {
        name: (models.count_parameters(body), models.count_parameters(head)) for name, body, head in parts
    } == SIZES
    assert sum(body for body, _ in SIZES.values()) == 8_903_434  # the paper's 8.9 M
    planned = Anatomy(net, network.head).network(groups).blocks
    assert {
        block.name: tuple(sum(x.weights + x.biases for x in part) for part in (block.layers, block.head))
        for block in planned
    } == SIZES


@pytest.mark.parametrize(
    ("shape", "windows", "pooled"),
    [
        ((128, 32, 32), (8, 8), (4, 4)),
        ((256, 32, 32), (16, 8), (2, 4)),  # halved one side at a time: 8x8 leaves 4,096
        ((256, 16, 16), (8, 4), (2, 4)),
        ((512, 16, 16), (8, 8), (2, 2)),
        ((512, 8, 8), (4, 4), (2, 2)),
        ((512, 4, 4), (2, 2), (2, 2)),
        ((512, 7, 7), (4, 4), (2, 2)),  # 28x28 images: sides that no window divides
        ((128, 4, 4), (1, 1), (4, 4)),
        ((4096, 4, 4), (4, 4), (1, 1)),
        ((8, 2, 1024), (2, 4), (1, 256)),  # a side of one pixel is not halved again
    ],
    ids=str,
)
def test_the_pool_of_pred_halves_one_side_at_a_time_the_height_first(shape, windows, pooled):
    assert decoder_windows(shape) == windows
    head = heads.make("pred", shape, 10)
    assert head.classify.pool(torch.zeros(2, *shape)).shape[2:] == pooled
    assert models.count_parameters(head) == 10 * shape[0] * math.prod(pooled) + 10
    assert not head.classify.linear.weight.any()


def test_a_number_behind_the_colon_is_the_most_features_that_pred_reads():
    assert models.count_parameters(heads.make("pred:4096", (256, 32, 32))) == 10 * 4096 + 10
    assert models.count_parameters(heads.make("predsim:1024", (4, 32, 32))) == 10 * 1024 + 10 + 9 * 4 * 4


# ------------------------------------------------------------------- place


@pytest.mark.parametrize("head", heads.CATALOGUE)
def test_published_heads_read_the_activation_and_all_others_what_the_block_gives(head):
    net, (x, y) = blocks(chain(), head).train(), batch((3, 32, 32))
    seen: list[tuple[int, ...]] = []
    for local in net.heads[:-1]:
        local.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[1:])))
    for index in range(len(net) - 1):
        net.heads[index](net.bodies[index](x), y)
        x = net.run(x, index, index + 1)
    before = [(4, 32, 32), (8, 32, 32), (8, 16, 16), (16, 16, 16), (16, 8, 8), (16, 4, 4), (32,)]
    behind = [(4, 32, 32), (8, 16, 16), (8, 16, 16), (16, 8, 8), (16, 4, 4), (16, 2, 2), (32,)]
    assert seen == (before if head in PUBLISHED else behind)


@pytest.mark.parametrize("head", PUBLISHED)
def test_a_blocks_own_dropout_does_not_change_its_loss(head):
    net, (x, y) = blocks(chain(dropout=0.5), head).train(), batch((3, 32, 32))
    losses, outputs = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        h = net.bodies[0](x)
        losses.append(net.heads[0](h, y).item())
        outputs.append(net.tails[0](h))
    assert losses[0] == losses[1]
    assert not torch.equal(*outputs)


@pytest.mark.parametrize("name", ["vgg8b", "vgg11b", "cnn", "mlp", "plain4", "resnet20"])
def test_plan_and_training_put_the_head_at_the_same_layer(name):
    net = models.build(name, (3, 32, 32), 10, 4)
    shapes = net.unit_shapes(before_pool=True)
    for unit, layers, shape in zip(net.units.values(), Anatomy(net, "pred").units, shapes, strict=True):
        front, behind = split(unit)
        assert read_layer(layers).shape == shape
        assert len(layers) - layers.index(read_layer(layers)) - 1 == len(behind)
        assert front is unit or len(behind) or len(front) == len(unit)


def test_dropout_takes_channels_of_maps_and_single_features():
    net = chain()
    kinds = [type(m) for m in net.modules() if isinstance(m, torch.nn.Dropout | torch.nn.Dropout2d)]
    assert kinds == [torch.nn.Dropout2d] * 6 + [torch.nn.Dropout]
    activations = [m for m in net.modules() if isinstance(m, torch.nn.LeakyReLU)]
    assert [m.negative_slope for m in activations] == [0.01] * 7


# -------------------------------------------------------------------- loss


def pooled(h: np.ndarray, windows: tuple[int, int]) -> np.ndarray:
    """Means over windows, written with loops; zeros stand around a map that they do not divide."""
    height, width = windows
    sides = [-(-side // window) for side, window in zip(h.shape[2:], windows, strict=True)]
    top, left = ((w * (n - s // w)) // 2 for w, n, s in zip(windows, sides, h.shape[2:], strict=True))
    wide = np.pad(h, ((0, 0), (0, 0), (top, height), (left, width)))
    means = np.zeros((*h.shape[:2], *sides))
    for i in range(sides[0]):
        for j in range(sides[1]):
            rows, columns = slice(i * height, (i + 1) * height), slice(j * width, (j + 1) * width)
            means[:, :, i, j] = wide[:, :, rows, columns].mean(axis=(2, 3))
    return means


def cross_entropy(logits: np.ndarray, y: np.ndarray) -> float:
    return float(
        np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, y, strict=True)])
    )


def similarity(rows: np.ndarray) -> np.ndarray:
    """Section 2.2: the cosine of every pair of centred rows."""
    centred = [row - row.mean() for row in rows]
    return np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in centred] for a in centred])


def convolved(h: np.ndarray, weight: np.ndarray) -> np.ndarray:
    wide, (height, width) = np.pad(h, ((0, 0), (0, 0), (1, 1), (1, 1))), h.shape[2:]
    places = [(i, j) for i in range(3) for j in range(3)]
    return sum(
        np.einsum(
            "bchw,oc->bohw", wide[:, :, i : i + height, j : j + width], weight[:, :, i, j], optimize=True
        )
        for i, j in places
    )


def published_loss(name: str, h: np.ndarray, y: np.ndarray, own: dict[str, np.ndarray]) -> float:
    """From the paper, in numpy."""
    pred = sim = 0.0
    if name != "sim":
        limit = own["linear.weight"].shape[1]
        flat = h.reshape(len(h), -1) if h.ndim == 2 else pooled(h, decoder_windows(h.shape[1:], limit))
        pred = cross_entropy(flat.reshape(len(h), -1) @ own["linear.weight"].T + own["linear.bias"], y)
    if name != "pred":
        weight = own["branch.weight"]
        rows = h @ weight.T if h.ndim == 2 else convolved(h, weight).reshape(*h.shape[:2], -1).std(2, ddof=1)
        sim = float(np.mean((similarity(rows) - similarity(np.eye(10)[y])) ** 2))
    return {"pred": pred, "sim": sim, "predsim": (1 - BETA) * pred + BETA * sim}[name]


def parameters(head: heads.Head) -> dict[str, torch.Tensor]:
    """By the last parts of their names, as the formula above has them."""
    found = {}
    for name, parameter in head.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3)
        found["branch.weight" if "branch" in name else name.partition("classify.")[2]] = parameter
    return found


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(
    "shape", quick([(8, 8, 8), (256, 4, 4), (300, 7, 7), (20,)], (8, 8, 8), (256, 4, 4), (20,)), ids=str
)
def test_the_loss_is_that_of_the_paper_and_its_gradient_a_finite_difference_of_it(name, shape):
    torch.manual_seed(3)
    head = heads.make(name, shape, 10).double()
    own = parameters(head)
    h, y = batch(shape)
    h = h.double().requires_grad_()
    loss = head(h, y)
    values = {key: value.detach().numpy() for key, value in own.items()}
    assert loss.item() == pytest.approx(published_loss(name, h.detach().numpy(), y.numpy(), values), rel=1e-6)
    loss.backward()
    generator = np.random.default_rng(0)
    for leaf, key in ((h, None), *((value, key) for key, value in own.items())):
        direction, step = generator.standard_normal(leaf.shape), 1e-6
        along = []
        for sign in (1, -1):
            moved = leaf.detach().numpy() + sign * step * direction
            inputs = (moved, values) if key is None else (h.detach().numpy(), values | {key: moved})
            along.append(published_loss(name, inputs[0], y.numpy(), inputs[1]))
        expected = (along[0] - along[1]) / (2 * step)
        assert (leaf.grad.numpy() * direction).sum() == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_similarities_in_channels_last_are_those_of_the_plain_layout():
    head, (h, y) = heads.make("sim", (8, 6, 6), 10), batch((8, 6, 6))
    torch.testing.assert_close(head(h.to(memory_format=torch.channels_last), y), head(h, y))


@pytest.mark.parametrize("head", ["pred", "sim", "predsim"])
def test_the_weight_of_the_output_layers_loss_is_that_of_its_head(head):
    net = blocks(chain(), head)
    assert net.loss_weight(7) == pytest.approx(1 - BETA if head == "predsim" else 1.0)
    assert all(net.loss_weight(index) == 1.0 for index in range(7))
