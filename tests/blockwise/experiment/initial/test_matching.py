"""Which tensor of a file is which of a network: by name, by its ending, by order; and what is refused."""

import own_modules as own
import pytest
import torch
import torchvision
from torch import nn

from blockwise.experiment.initial.matching import matched
from blockwise.experiment.initial.taking import take
from blockwise.experiment.initial.weights import Weights
from blockwise.models import from_module
from blockwise.models.imported import replica
from blockwise.models.style import PLAIN
from blockwise.models.torchvision_nets import torchvision_chain
from devices.errors import InputError

OURS = {
    "conv1.conv.weight": torch.zeros(4, 3, 3, 3),
    "conv1.norm.weight": torch.zeros(4),
    "conv1.norm.num_batches_tracked": torch.zeros(()),
    "classifier.linear.weight": torch.zeros(5, 4),
    "classifier.linear.bias": torch.zeros(5),
}


def numbered(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Tensors of these shapes, each filled with its number from 1."""
    return {name: torch.full(shape, float(i)) for i, (name, shape) in enumerate(shapes.items(), start=1)}


def like(names: list[str]) -> dict[str, torch.Tensor]:
    tensors = [tensor for tensor in OURS.values() if tensor.ndim]
    return numbered({name: tuple(t.shape) for name, t in zip(names, tensors, strict=True)})


@pytest.mark.parametrize(
    ("names", "by_order"),
    [
        (["conv1.conv.weight", "conv1.norm.weight", "classifier.linear.weight", "classifier.linear.bias"], 0),
        ([f"module.units.{n}" for n in OURS if "tracked" not in n], 0),
        (["conv.weight", "norm.weight", "linear.weight", "linear.bias"], 0),
        (["features.0.weight", "features.1.weight", "fc.weight", "fc.bias"], 1),
    ],
)
def test_every_tensor_finds_its_place_whatever_it_is_called(names, by_order):
    found = matched("file", like(names), OURS)
    assert [int(t.flatten()[0]) for t in found.found.values()] == [1, 2, 3, 4]
    assert (found.by_order, found.left, found.classifier, found.unused) == (bool(by_order), (), "", ())


def test_names_that_say_nothing_are_refused_where_tensors_have_no_order_either():
    source = like(["features.0.weight", "features.1.weight", "fc.weight", "fc.bias"])
    with pytest.raises(InputError, match=r"conv1\.conv\.weight"):
        matched("file", source, OURS, told_in_order=False)


def test_a_classifier_of_other_classes_is_left_whole_and_what_nobody_wants_is_told():
    source = numbered({
        "conv1.conv.weight": (4, 3, 3, 3), "classifier.linear.weight": (7, 4), "classifier.linear.bias": (7,),
        "conv9.conv.weight": (2, 2),
    })  # fmt: skip
    found = matched("file", source, OURS)
    assert list(found.found) == ["conv1.conv.weight"]
    assert found.classifier == "7x4 where 5x4 is wanted"
    assert found.left == ("conv1.norm.weight",)
    assert found.unused == ("conv9.conv.weight",)


@pytest.mark.parametrize(
    "kind", [own.Residuals, own.Shuffled, own.Branches, own.row, own.nested, own.Outside]
)
@pytest.mark.parametrize("before", ["", "module."])
def test_the_state_of_one_s_own_module_is_found_by_name_in_its_chain(kind, before):
    """However deep its rows are, and also where its tensors are the chain's in another order."""
    torch.manual_seed(0)
    chain, other = from_module(kind(), (1, 8, 8)), kind()
    state = {f"{before}{name}": tensor for name, tensor in reversed(other.state_dict().items())}
    found = take(Weights("file", "", state), chain)
    assert not found.by_order and set(found.unused) <= {f"{before}mean"}  # a constant of the code
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(chain.eval()(x), other.eval()(x))


@pytest.mark.parametrize("before", ["", "module."])
def test_layers_whose_names_a_wrapper_may_have_are_not_mixed_up(before):
    """``model.fc`` and ``fc``, ``net.0`` and ``model.0``: each has its own tensors."""
    for kind in (own.Wrapping, own.Twice):
        torch.manual_seed(0)
        chain, other = from_module(kind(), (1, 8, 8)), kind()
        other(torch.randn(16, 1, 8, 8) + 1)
        state = {f"{before}{name}": tensor for name, tensor in other.state_dict().items()}
        found = take(Weights("file", "", state), chain)
        assert not found.by_order and not found.unused
        x = torch.randn(2, 1, 8, 8)
        torch.testing.assert_close(chain.eval()(x), other.eval()(x))


def test_the_norms_of_one_s_own_module_become_constants_by_its_names():
    torch.manual_seed(0)
    other = own.nested()
    other(torch.randn(16, 1, 8, 8) + 1)
    chain = replica(from_module(own.nested(), (1, 8, 8)), "frozen", PLAIN, None)
    take(Weights("file", "", other.state_dict()), chain)
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(chain.eval()(x), other.eval()(x))


def test_the_state_of_a_torchvision_network_is_found_by_name():
    chain = torchvision_chain("mobilenet_v2", (3, 32, 32), 10, 0.35, trained=True)
    other = torchvision.models.mobilenet_v2(num_classes=10, width_mult=0.35)
    found = take(Weights("file", "", other.state_dict()), chain)
    assert not found.by_order and not found.unused and not found.classifier
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(chain.eval()(x), other.eval()(x))


class Encoded(nn.Module):
    """A layer of PyTorch's transformers between a convolution and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 8, 2, 2), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True)

    def forward(self, x):
        return self.head(self.layer(self.stem(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("kind", [own.CalledNorms, own.Compact, Encoded])
def test_the_state_of_what_code_calls_as_functions_is_found(kind):
    torch.manual_seed(0)
    network = kind()
    chain = from_module(network, (1, 8, 8))
    state = {name: torch.rand_like(tensor.float()) + 0.5 for name, tensor in network.state_dict().items()}
    found = take(Weights("file", "", state), chain)
    assert not found.by_order and not found.unused and not found.left
    network.load_state_dict(state)
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(chain.eval()(x), network.eval()(x))


def test_the_layer_scales_of_a_torchvision_network_are_found_though_they_stand_in_no_layer():
    torch.manual_seed(0)
    network = torchvision.models.convnext.ConvNeXt(
        [torchvision.models.convnext.CNBlockConfig(8, None, 2)], layer_scale=0.5, num_classes=10
    )
    chain = from_module(network, (3, 16, 16))
    state = {name: torch.randn_like(tensor) for name, tensor in network.state_dict().items()}
    found = take(Weights("file", "", state), chain)
    assert not found.by_order and not found.unused and not found.left
    network.load_state_dict(state)
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(chain.eval()(x), network.eval()(x))


def test_the_weights_of_a_linear_layer_are_those_of_a_convolution_of_one_place():
    source, wanted = numbered({"up.weight": (4, 3)}), numbered({"up.weight": (4, 3, 1, 1)})
    found = matched("file", source, wanted).found["up.weight"]
    assert found.shape == (4, 3, 1, 1)
    assert found.flatten().tolist() == source["up.weight"].flatten().tolist()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"conv1.conv.weight": (8, 3, 3, 3)}, "file: got 8x3x3x3 for conv1.conv.weight, wanted 4x3x3x3"),
        ({"classifier.linear.weight": (5, 4)}, "file: got no weights for conv1.conv.weight, wanted 4x3x3x3"),
        ({"a": (1, 2), "b": (3,)}, "file: got no weights for conv1.conv.weight"),
    ],
)
def test_weights_of_another_network_are_refused_in_one_line(source, message):
    with pytest.raises(InputError, match=message):
        matched("file", numbered(source), OURS)
