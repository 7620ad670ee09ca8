"""What a part of a network is, by how it is asked for."""

import pytest
from tiny import NETWORK

from devices.errors import InputError
from devices.network import IMAGES, Block, Layer, Network
from devices.network.ops import BatchNorm, Conv, FrozenNorm, ShiftedNorm
from devices.network.partial import Choice, choice
from devices.network.sparse import Sparse
from devices.network.trained import BIASES, FROZEN, WHOLE, Trained


def trained(network: Network) -> list[str]:
    return [layer.name for layer in network.layers if layer.learns]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("all", ["conv1", "norm1", "conv2", "norm2", "linear"]),
        ("last:2", ["conv1", "norm1", "conv2", "norm2", "linear"]),
        ("last:1", ["conv2", "norm2", "linear"]),
        ("blocks:1", ["conv1", "norm1"]),
        ("blocks:1..2", ["conv1", "norm1", "conv2", "norm2", "linear"]),
        ("head", ["linear"]),
        ("bias", ["norm1", "norm2", "linear"]),
        ("conv*", ["conv1", "conv2"]),
        ("*1,linear", ["conv1", "norm1", "linear"]),
        ("norm?", ["norm1", "norm2"]),
    ],
)
def test_each_form_of_asking_names_its_layers(spec, expected):
    assert trained(choice(spec).of(NETWORK)) == expected


def test_all_of_a_network_is_the_network_itself():
    assert choice("all").of(NETWORK) is NETWORK
    assert not NETWORK.is_partial
    assert choice("last:1").of(NETWORK).is_partial


def test_what_is_not_trained_is_frozen_and_its_norm_is_a_scale_and_a_shift():
    layers = {layer.name: layer for layer in choice("last:1").of(NETWORK).layers}
    assert {name for name, layer in layers.items() if layer.trained == FROZEN} == {"conv1", "norm1", "relu1"}
    assert layers["norm1"].op == FrozenNorm(4)
    assert layers["norm2"].op == BatchNorm(4)
    assert layers["relu2"].trained == WHOLE


def test_of_biases_alone_weights_and_levels_stay():
    layers = {layer.name: layer for layer in choice("bias").of(NETWORK).layers}
    assert [layers[name].trained for name in ("conv1", "norm1", "relu1")] == [FROZEN, BIASES, FROZEN]
    assert (layers["linear"].trained, layers["norm1"].op) == (BIASES, BatchNorm(4))


def test_a_block_that_does_not_learn_has_no_head_of_its_own():
    early, last = choice("last:1").of(NETWORK).blocks
    assert (early.learns, early.head) == (False, ())
    assert last.head == NETWORK.blocks[-1].head
    assert choice("blocks:1").of(NETWORK).blocks[1].head == NETWORK.blocks[-1].head


@pytest.mark.parametrize(
    "spec",
    ["last:0", "last:", "last:x", "blocks:2..1", "blocks:0..1", "blocks:a..b", "first:2", "", "conv1,,conv2"],
)
def test_what_can_be_a_part_of_no_network_is_refused_when_it_is_asked_for(spec):
    with pytest.raises(InputError, match="--train"):
        choice(spec)


@pytest.mark.parametrize("spec", ["last:3", "blocks:2..3", "blocks:3", "conv3*", "relu*", "conv1,conv3"])
def test_what_is_no_part_of_this_network_is_refused_in_one_line(spec):
    with pytest.raises(InputError, match="--train") as caught:
        choice(spec).of(NETWORK)
    assert "\n" not in str(caught.value)


def asked(tmp_path, text: str, name: str = "part.toml"):
    path = tmp_path / name
    path.write_text(text)
    return choice(f"sparse:{path}")


def test_a_file_says_shares_of_channels_and_biases(tmp_path):
    found = asked(tmp_path, 'biases = 2\n[weights]\nconv2 = 0.5\n"lin*" = {outputs = 0.7}\n').of(NETWORK)
    layers = {layer.name: layer for layer in found.layers}
    assert layers["conv2"].trained == Trained(biases=False, levels=False, inputs=2)
    assert layers["linear"].trained == Trained(levels=False, outputs=2)
    assert (layers["conv2"].trained_weights, layers["linear"].trained_weights) == (4 * 2 * 9, 2 * 64)
    assert (layers["norm2"].op, layers["norm1"].op) == (ShiftedNorm(4), FrozenNorm(4))
    assert layers["relu2"].trained == FROZEN
    same = '{"biases": 2, "weights": {"conv2": 0.5, "lin*": {"outputs": 0.7}}}'
    assert asked(tmp_path, same, "part.json").of(NETWORK) == found


def test_of_a_depthwise_layer_a_share_is_of_its_channels():
    depthwise = Layer("deep", Conv.square(8, 8, groups=8), (IMAGES,), (8, 4, 4))
    network = Network((8, 4, 4), (Block("A", (depthwise,), ()),))
    (found,) = Choice("", Sparse((("deep", 0.25, 1.0),)).find, by_shares=True).of(network).layers
    assert (found.trained_outputs, found.trained_inputs, found.trained_weights) == (2, 1, 2 * 9)


@pytest.mark.parametrize(
    "text",
    [
        "", "shares = 1", "weights = 3", "[weights]\nconv2 = 0", "[weights]\nconv2 = 1.5", "biases = -1",
        "biases = 'some'", "[weights]\nconv2 = {rows = 0.5}", "[weights]\nconv9 = 0.5", "biases = 0",
        "weights = ", "[weights]\nconv2 = true",
    ],
)  # fmt: skip
def test_what_no_file_may_say_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(InputError, match="--train sparse") as caught:
        asked(tmp_path, text).of(NETWORK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_a_file_that_is_nested_without_end_is_refused_in_one_line(tmp_path, ending):
    (path := tmp_path / f"deep.{ending}").write_text("a = " * (ending == "toml") + "[" * 100_000)
    with pytest.raises(InputError, match=r"--train sparse:.*: got maximum recursion depth") as caught:
        choice(f"sparse:{path}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"--train sparse:nowhere\.toml: got No such file"):
        choice("sparse:nowhere.toml")
