"""Training on the other people, on a computer, and what is deployed of it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from blockwise.adapt.split import Parts
from blockwise.adapt.ways import FLOAT, Way
from blockwise.data import Dataset
from blockwise.experiment.config import Config
from blockwise.experiment.initial.integers import floats_of
from blockwise.experiment.initial.run import copied
from blockwise.experiment.initial.weights import Weights
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.trainer import options_of, run_of
from blockwise.integer.net import IntegerNet
from blockwise.nets.blocks import BlockNet
from blockwise.training import Run
from blockwise.training.calibration import calibration_images
from blockwise.training.phase import Phase, whole
from devices.program.regimes import LEANEST, PLAIN

TRAINED_NORM = "batch"
"""Of the network in float while it is trained; deployed, its norms are constants."""


@dataclass(frozen=True)
class WithHeads:
    """Backpropagation, and beside it every local head on what its block gives; no block learns from those.

    All but the heads ends with the bits of ``bp``.
    """

    name: str = FLOAT

    def phases(self, net: BlockNet) -> tuple[Phase, ...]:
        """All blocks and all heads at once."""
        return whole(net, heads=tuple(range(len(net))))

    def step(self, net: BlockNet, phase: Phase, x: Tensor, y: Tensor) -> Tensor:
        """All losses (blocks,)."""
        losses = []
        for index in range(len(net)):
            h, last = net.bodies[index](x), index == len(net) - 1
            losses.append(net.heads[index](h if last else h.detach(), y))
            x = net.tails[index](h)
        torch.stack(losses).sum().backward()
        return torch.stack([loss.detach() for loss in losses])


def deployed(way: Way, config: Config, parts: Parts) -> tuple[Weights, dict[str, Any]]:
    """The network that ``config`` trains on the others, as ``way`` takes it up; and facts of its training."""
    made = _floats if way.base == FLOAT else _integers
    return made(way, config, parts.others)


def _integers(way: Way, config: Config, others: Dataset) -> tuple[Weights, dict[str, Any]]:
    """Trained in the arithmetic in which it adapts."""
    config = replace(config, training=replace(config.training, regimes=(way.base,)))
    prepared = prepare(config, others)
    run = run_of(prepared, way.base, options_of(prepared, way.base))
    training, _ = run.train()
    assert isinstance(run.net, IntegerNet)
    tensors, heads = floats_of(run.net, *prepared.integer_parts(way.base))
    weights = Weights("the others", way.base, tensors, heads, "", prepared.blocks_of(way.base))
    return weights, {"validation_accuracy": training.validation_accuracy, "epoch": training.best_epoch}


def _floats(way: Way, config: Config, others: Dataset) -> tuple[Weights, dict[str, Any]]:
    """In float32 with batch norms; deployed quantized, norms as constants, its steps chosen on the others."""
    target = prepare(config, others)
    floats = replace(config, quantization=replace(config.quantization, method="fp32", weight_bits=None,
                                                  activation_bits=None, weight_method=None,
                                                  activation_method=None))  # fmt: skip
    floats = replace(floats, network=replace(floats.network, norm=TRAINED_NORM))
    prepared = Prepared(floats, target.device, others, target.own)
    chain = prepared.chain()
    chain.norm = config.network.norm  # which heads follow: they are deployed as they were trained
    net = BlockNet(chain, target.cut, target.head)
    run = Run(net, others, WithHeads(), options_of(prepared, PLAIN))
    training, _ = run.train()
    heads = copied(net.heads)
    trained = Weights("the others", FLOAT, copied(chain.units), heads, "", target.blocks_of(LEANEST))
    facts = {"validation_accuracy": training.validation_accuracy, "epoch": training.best_epoch}
    return _calibrated(replace(target, initial=trained), others), facts


def _calibrated(target: Prepared, others: Dataset) -> Weights:
    """With the steps of quantizers that the images of the others give."""
    chain, net = target.build_parts()
    net.train()
    with torch.no_grad():
        net.run(calibration_images(others.train, others.normalize), 0, len(net))
    kind = target.quantization_of(PLAIN)
    return Weights(
        "the others", FLOAT, copied(chain.units), copied(net.heads), kind, target.blocks_of(LEANEST)
    )
