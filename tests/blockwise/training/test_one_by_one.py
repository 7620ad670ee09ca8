"""Accuracy of integer regimes image by image, as a board predicts, held against batches of one."""

from dataclasses import replace

import pytest
import torch

from blockwise import models
from blockwise.data import Dataset, Split, load
from blockwise.integer.arithmetics import arithmetic_of
from blockwise.integer.net import IntegerNet
from blockwise.nets.anatomy import Anatomy
from blockwise.nets.blocks import BlockNet
from blockwise.training import INTEGER_REGIMES, Run, TrainOptions
from blockwise.training.evaluate import accuracy_one_by_one
from devices.program.regimes import Step

IMAGES = 80


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = load("digits", seed=0)
    return replace(data, train=first(data.train, 128), test=first(data.test, IMAGES))


def first(split: Split, count: int) -> Split:
    return replace(split, images=split.images[:count], labels=split.labels[:count])


def build(regime: str) -> IntegerNet:
    torch.manual_seed(0)
    chain = models.build("plain4", (1, 8, 8), 10, 8)
    groups = Anatomy(chain, "pred-pooled").cut("layers", Step())
    return IntegerNet(BlockNet(chain, groups, "pred-pooled"), arithmetic_of(regime), seed=1)


def trained(data: Dataset, regime: str) -> tuple[IntegerNet, float | None, float | None]:
    net = build(regime)
    options = TrainOptions(2, 16, "sgd", 0.1, True, seed=3)
    found = Run(net, data, INTEGER_REGIMES[regime], options).train()[0]
    return net, found.test_accuracy, found.test_accuracy_one_by_one


def scores(net: IntegerNet, images: torch.Tensor) -> torch.Tensor:
    """By the layers' forward pass of all of them in one batch."""
    logits = net.eval().head(len(net) - 1).logits(net.run(images, 0, len(net)))
    assert logits is not None
    return logits


@pytest.mark.slow
@pytest.mark.parametrize("regime", INTEGER_REGIMES)
def test_scores_of_each_image_are_those_of_a_batch_of_one(digits, regime):
    net, _, told = trained(digits, regime)
    alone = torch.cat([scores(net, image[None]) for image in digits.test.images])
    assert torch.equal(net.each(digits.test.images), alone)
    right = int((alone.argmax(1) == digits.test.labels).sum()) / IMAGES
    assert told == right == accuracy_one_by_one(net, digits.test, "cpu")
    whole = torch.equal(alone, scores(net, digits.test.images))
    assert whole is (INTEGER_REGIMES[regime].name == "nitro-local")  # whose divisors follow from shapes


def test_float_regimes_have_no_other_accuracy_one_by_one(digits):
    from blockwise.training import REGIMES

    torch.manual_seed(0)
    chain = models.build("plain4", (1, 8, 8), 10, 8)
    net = BlockNet(chain, Anatomy(chain, "gap").cut("layers", Step()), "gap")
    found = Run(net, digits, REGIMES["bp"], TrainOptions(1, 16, "sgd", 0.1, False, seed=3)).train()[0]
    assert found.test_accuracy is not None and found.test_accuracy_one_by_one is None
