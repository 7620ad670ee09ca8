"""Steps of the first channels of integer weights: against whole gradients, and what they leave alone."""

import pytest
import torch
from integer_steps import IntegerSteps
from torch import nn

from blockwise.integer.layers import weighted
from blockwise.integer.shares import Share
from blockwise.integer.tensor import IntTensor
from devices.program.categories import WEIGHT_GRADIENTS
from devices.program.regimes import INTEGER_REGIMES

pytestmark = pytest.mark.floats  # the float network from which an integer one is made

SPEC = '[weights]\n"*" = {inputs = 0.6, outputs = 0.5}\n'


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "part.toml"
    path.write_text(SPEC)
    return f"sparse:{path}"


def noise(*shape):
    return IntTensor(torch.randint(-127, 128, shape, dtype=torch.int8), -7)


@pytest.mark.parametrize("model", ["plain4", "ds-cnn"])
def test_the_gradient_of_a_share_is_that_part_of_the_whole_one(model, spec):
    torch.manual_seed(0)
    steps = IntegerSteps("niti", model, batch=2, in_shape=(1, 12, 10), train=spec)
    layers = {layer.name: layer for layer in steps.network.layers if layer.weights}
    modules = dict(zip(layers, weighted(steps.net.bodies), strict=True))
    kinds = set()
    for name, module in modules.items():
        share, place = Share.of(layers[name], module.place), module.place
        assert share is not None and share == module.share
        channels = place.shape[1] * place.steps.groups
        sides = () if len(place.shape) == 2 else (8, 8)
        x, out = (
            noise(2, channels, *sides),
            module.arithmetic.sums(noise(2, channels, *sides), module.weight, place),
        )
        error = noise(*out.mantissa.shape)
        whole = module.arithmetic.weight_sums(error, x, place).mantissa
        outputs, inputs = layers[name].trained_outputs, layers[name].trained_inputs
        mine = share.weight_sums(module.arithmetic, error, x).mantissa
        assert torch.equal(mine, whole[:outputs, :inputs]) and mine.numel() < whole.numel()
        kinds.add((len(place.shape), place.steps.groups > 1))
    assert kinds == {(4, False), (2, False), *({(4, True)} if model == "ds-cnn" else ())}


@pytest.mark.parametrize("regime", ["niti", "niti4-jump", "nitro-local", "niti-zo"])
def test_a_step_moves_the_share_and_no_bit_of_the_rest(regime, spec, integers_only):
    """The largest gradient, by which all are shifted, is that of the share."""
    steps = IntegerSteps(regime, batch=4, train=spec)
    before = [layer.weight.clone() for layer in weighted(steps.net.bodies)]
    with integers_only():
        assert steps.run(2) == []
    for layer, old in zip(weighted(steps.net.bodies), before, strict=True):
        share, moved = layer.share, layer.weight != old
        assert moved[: share.outputs, : share.inputs].any()
        moved[: share.outputs, : share.inputs] = False
        assert not moved.any()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("regime", INTEGER_REGIMES)
def test_steps_on_bytes_end_with_the_bits_of_the_simulation(regime, spec):
    models = (("plain4", True), ("ds-cnn", False))  # whose means are not of powers of two, as NITRO-D's are
    for model, twice in models[: 1 if regime == "nitro-local" else 2]:
        assert IntegerSteps(regime, model, 2, twice, in_shape=(1, 16, 16), train=spec).run(2) == [], model


@pytest.mark.parametrize("regime", ["niti", "niti-local", "niti4-jump-resident"])
def test_blocks_of_which_biases_alone_are_chosen_do_not_learn(regime, tmp_path):
    """Integer layers have none: their heads are neither planned nor trained."""
    torch.manual_seed(0)
    conv, act = nn.Conv2d, nn.ReLU
    network = nn.Sequential(
        conv(1, 4, 3, padding=1), act(), conv(4, 4, 3, padding=1), act(), nn.Flatten(), nn.Linear(256, 3)
    )
    (tmp_path / "part.toml").write_text('biases = "all"\n[weights]\n"classifier*" = 1.0\n')
    train = f"sparse:{tmp_path}/part.toml"
    steps = IntegerSteps(regime, network, 4, in_shape=(1, 8, 8), train=train)
    before = {name: value.clone() for name, value in steps.net.state_dict().items()}
    assert len(steps.net.part.blocks) == 1
    assert steps.run(2) == []
    moved = {name for name, value in steps.net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith("bodies.1") for name in moved)
    planned = {name for name in steps.plan.tensors if name.endswith(".weight")}
    assert not any(".head." in name for name in planned)


def test_only_the_sums_of_a_share_wait(spec):
    plan = IntegerSteps("niti", train=spec).plan
    found = [t.elements for t in plan.tensors.values() if t.category == WEIGHT_GRADIENTS]
    layers = [layer for layer in plan.layers.values() if layer.weights and ".head." not in layer.name]
    assert found == [layer.trained_weights for layer in reversed(layers)]
    assert all(layer.trained_weights < layer.weights for layer in layers)
