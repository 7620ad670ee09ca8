"""The steps of an integer network give the scores that it has for each image alone, all of them whole."""

import pytest
import torch
from deployed_files import images, predicted, written
from tiers import quick

from blockwise import models
from blockwise.deployed.integers import IntegerSteps
from blockwise.integer.arithmetics import ARITHMETICS
from blockwise.integer.net import IntegerNet
from blockwise.nets.blocks import BlockNet


@pytest.mark.parametrize("arithmetic", quick(ARITHMETICS, "niti", "niti4", "nitro"))
@pytest.mark.parametrize("name", quick(["plain4", "vgg-small-7", "cnn1d"], "plain4"))
def test_scores_are_those_of_each_image_alone(arithmetic, name, tmp_path):
    shape = (2, 64) if name == "cnn1d" else (1, 8, 8) if name == "plain4" else (3, 32, 32)
    chain = models.build(name, shape, 10, 8, "none")
    blocks = BlockNet(chain, tuple((i,) for i in range(len(chain.units))), "gap")
    net = IntegerNet(blocks, ARITHMETICS[arithmetic], 0).eval()
    samples = images(16, shape)
    samples[0], samples[1] = 128, 255  # nothing at all, and one value
    samples[2] = samples[2] // 32 + 112  # faint: fewer bits than most
    steps = IntegerSteps(net, chain, blocks)
    found, path = written(tmp_path / "net.safetensors", steps), tmp_path / "net.safetensors"
    expected = net.each(samples)
    for scores in (found.program()(samples), predicted(path, samples)):
        assert torch.equal(scores, expected.double())
    names = [step.tensors["weight"] for step in found.steps if step.codes is not None]
    assert names == [
        f"{n}.weight" for n, m in chain.units.named_modules() if getattr(m, "weight", None) is not None
    ]
    assert all(step.exponent is not None for step in found.steps if step.codes is not None)


def test_weights_are_told_as_floats_by_their_exponents(tmp_path):
    chain = models.build("plain4", (1, 8, 8), 10, 8, "none")
    blocks = BlockNet(chain, ((0, 1, 2, 3, 4),), "gap")
    net = IntegerNet(blocks, ARITHMETICS["niti"], 0).eval()
    found = written(tmp_path / "net.safetensors", IntegerSteps(net, chain, blocks)).weights()
    layers = [layer for layer in net.modules() if hasattr(layer, "place")]
    expected = [net.arithmetic.floats(layer.weight, layer.place) for layer in layers]
    assert all(torch.equal(a, b) for a, b in zip(found.values(), expected, strict=True))
