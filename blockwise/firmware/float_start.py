"""Firmware of a float regime, of a configuration: its plan, and what training starts from."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from blockwise.data import batches
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.trainer import options_of
from blockwise.firmware.check.float_training import AnyUpdater
from blockwise.firmware.float_facts import FloatFacts, float_facts
from blockwise.firmware.phases import packs
from blockwise.firmware.program import Firmware, fitting, placed
from blockwise.nets.blocks import BlockNet, frozen_statistics
from blockwise.nets.chain import Chain
from blockwise.nets.partial import holding
from blockwise.quant import ParameterRules
from blockwise.training.directions import DirectionUpdater
from blockwise.training.numerics import FloatNumerics
from blockwise.training.on_board import machine_of
from blockwise.training.start import first_images
from blockwise.training.updater import Updater
from devices.program.inference import float_inference
from devices.program.kernels.zeroth_order import PLAIN
from devices.program.regimes import find
from devices.program.regimes.builder import quantized
from devices.program.schedule import Schedule

ONE = 1.0
"""The learning rate at which paces are read: what they are relative to."""


Load = Callable[[BlockNet], None]
"""Puts a run's weights into its network."""


def float_firmware(prepared: Prepared, regime: str, load: Load | None = None) -> Firmware:
    """Training from the seed, or from the weights that ``load`` puts into the network.

    Raises InputError for a plan that does not fit the board, and for what has no C form.
    """
    plan = fitting(prepared.plan_of_last_stage(regime))
    stretches, spots = placed(plan.placement)
    step = prepared.step(regime)
    network = quantized(prepared.network, step)
    prediction = float_inference(network, step, packed=packs(plan.schedule))
    facts = replace(facts_of(prepared, regime, plan.schedule, load), prediction=prediction)
    seed, batch = prepared.config.training.seed, plan.batch_size
    return Firmware(
        regime, batch, seed, plan.schedule, network, stretches, spots, facts, plan.device
    )  # fmt: skip


def facts_of(prepared: Prepared, regime: str, schedule: Schedule, load: Load | None = None) -> FloatFacts:
    """Of the network as it stands before the first step, its quantizers and constant norms set up."""
    chain, net = start_of(prepared, regime, load)
    updater = updater_of(prepared, net, regime, ONE)
    optimizer = prepared.config.training.optimizer if find(regime).has_optimizer else PLAIN.name
    facts = _facts(prepared, chain, net, updater, schedule, optimizer, regime)
    return replace(facts, rate=highest_rate(prepared, regime))


def start_of(prepared: Prepared, regime: str, load: Load | None = None) -> tuple[Chain, BlockNet]:
    """The network before the first step, by its own names and in blocks."""
    chain, net = prepared.build_parts()
    if load is not None:
        prepared.config.stages.enter(net.bodies, prepared.config.stages.last)
        load(net)
    else:
        if prepared.zeroes_output(regime):
            net.zero_output()
        _set_up(prepared, net)
    net.hold()
    return chain, net


def highest_rate(prepared: Prepared, regime: str) -> float:
    """Of the run's; where nothing goes back, that of directions."""
    return options_of(prepared, regime).learning_rate


def updater_of(prepared: Prepared, net: BlockNet, regime: str, rate: float) -> AnyUpdater:
    """Of what is trained now, as the run moves it at the learning rate ``rate``.

    Beside it that of directions is what it is beside the run's.
    """
    training = prepared.config.training
    if find(regime).perturbs:
        return _along_directions(prepared, net, regime, rate)
    updater = Updater(
        (p for p in net.parameters() if p.requires_grad), training.optimizer, fused=False,
        rules=holding(net, ParameterRules.of(net)), weight_decay=training.weight_decay,
    )  # fmt: skip
    updater.set_learning_rate(rate)
    return updater


def _along_directions(prepared: Prepared, net: BlockNet, regime: str, rate: float) -> AnyUpdater:
    options = options_of(prepared, regime)
    updater = FloatNumerics().updater(net, options, regime)
    assert isinstance(updater, DirectionUpdater)
    updater.rate = rate * options.perturbation.rate / options.learning_rate
    if updater.rear:
        updater.rear.set_learning_rate(rate)
    return updater


def _facts(
    prepared: Prepared, chain: Chain, net: BlockNet, updater: AnyUpdater, schedule: Schedule, optimizer: str,
    regime: str,
) -> FloatFacts:  # fmt: skip
    normalize = prepared.dataset.normalize
    batch = next(byte_batches(prepared))
    machine = machine_of(chain, net, updater, optimizer, batch, normalize, schedule.layers, regime)
    return float_facts(machine, prepared.dataset.in_shape[0], ONE)


def _set_up(prepared: Prepared, net: BlockNet) -> None:
    """By the first images, as a training does before its first step."""
    normalize = prepared.dataset.normalize
    images = first_images(normalize(images) for images, _ in byte_batches(prepared))
    with torch.no_grad(), frozen_statistics(net):
        net.train()
        net.run(images, 0, len(net))


def byte_batches(prepared: Prepared, epochs: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """uint8 images (B, C, H, W) and labels (B,) in the order of the training, without augmentation."""
    training = prepared.config.training
    for epoch in range(epochs):
        yield from batches(
            prepared.dataset.train, training.batch_size, normalize=lambda images: images, seed=training.seed,
            epoch=epoch, shuffle=True, drop_last=True,
        )  # fmt: skip
