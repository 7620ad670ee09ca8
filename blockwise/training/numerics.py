"""What the shared loop does otherwise with floats than with integers."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Protocol, cast

from torch import Tensor, nn

from blockwise.data import Dataset, Split, ToInput
from blockwise.integer.canary import check_exact
from blockwise.integer.layers import weights_of
from blockwise.integer.net import IntegerNet
from blockwise.integer.update import NITI_SCHEDULE
from blockwise.nets.blocks import BlockNet
from blockwise.nets.compiling import compiled
from blockwise.nets.partial import holding
from blockwise.quant import ParameterRules, stored_bytes
from blockwise.quant.precision import lower
from blockwise.training.directions import DirectionUpdater
from blockwise.training.evaluate import accuracy_one_by_one
from blockwise.training.integer import IntegerUpdater
from blockwise.training.integer_zeroth_order import IntegerDirectionUpdater
from blockwise.training.options import TrainOptions
from blockwise.training.phase import Net
from blockwise.training.schedules import SCHEDULES
from blockwise.training.updater import Updater
from devices.program.regimes import find


class WeightUpdater(Protocol):
    """Moves the weights that are to be trained; one for each phase of a training."""

    def set_progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are behind the next one."""
        ...

    def finish_step(self) -> None:
        """Apply what waits for the end of a step."""
        ...

    def forget_resized(self) -> None:
        """Drop the state of weights that have changed their size."""
        ...

    def tensors(self) -> list[Tensor]:
        """The state that it keeps."""
        ...

    def state_dict(self) -> list[dict[str, Any]]:
        """The same, for a checkpoint."""
        ...

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what :meth:`state_dict` gave."""
        ...

    def close(self) -> None:
        """Leave the weights alone."""
        ...


class Numerics(Protocol[Net]):
    """Inputs, updates, losses and weights of one kind of network."""

    def check(self, device: str) -> None:
        """Refuse a device that computes otherwise than is assumed."""
        ...

    def inputs(self, data: Dataset) -> ToInput:
        """What makes a network's input of uint8 images."""
        ...

    def updater(self, net: Net, options: TrainOptions, regime: str) -> WeightUpdater:
        """What moves the weights that ``regime`` trains."""
        ...

    def compiled(self, net: Net) -> Net:
        """The network that runs compiled, where it can; it shares all state."""
        ...

    def lower(self, net: Net, options: TrainOptions, regime: str) -> None:
        """Let it compute in the precision of the options."""
        ...

    def mean_loss(self, net: Net, total: float, steps: int, batch_size: int) -> float:
        """Per image, of the sum over all steps of what the regime returned."""
        ...

    def weights(self, part: nn.Module) -> list[Tensor]:
        """All that is learnt in a part of the network."""
        ...

    def rates(self, options: TrainOptions) -> dict[str, Any]:
        """The learning rate as :class:`~blockwise.experiment.result.Training` has it."""
        ...

    def rate(self, options: TrainOptions, done: int, total: int) -> float | None:
        """The learning rate of the step that has ``done`` of its schedule's ``total`` behind it."""
        ...

    def stored_bytes(self, net: Net) -> int:
        """Bytes of all weights of the blocks as deployed, with what decodes them."""
        ...

    def accuracy_one_by_one(self, net: Net, split: Split, device: str) -> float | None:
        """Of images in batches of one; None where the images beside one change nothing."""
        ...


class FloatNumerics:
    """Normalised float32 images, torch's optimizers, mean losses."""

    def check(self, device: str) -> None:
        """Any will do."""

    def inputs(self, data: Dataset) -> ToInput:
        """Zero mean and unit variance per channel."""
        return data.normalize

    def updater(self, net: BlockNet, options: TrainOptions, regime: str) -> WeightUpdater:
        """Of the parameters that want gradients; of a zeroth-order regime those behind its front do."""
        if not find(regime).perturbs:
            return _by_gradients(net.parameters(), net, options)
        front = find(regime).front(len(net), options.perturbation.backprop_blocks)
        rear = [p for part in (net.bodies, net.heads) for p in part[front:].parameters()]
        return DirectionUpdater(net, front, options, _by_gradients(rear, net, options) if rear else None)

    def compiled(self, net: BlockNet) -> BlockNet:
        """By torch.compile, in pieces as large as the regime allows."""
        return compiled(net)

    def lower(self, net: BlockNet, options: TrainOptions, regime: str) -> None:
        """Its convolutions; where blocks step by themselves, each of them is a piece."""
        parts = [nn.ModuleList(net.parts(index)) for index in range(len(net))]
        lower(parts if find(regime).heads else [net], options.precision)

    def mean_loss(self, net: BlockNet, total: float, steps: int, batch_size: int) -> float:
        """A step returns its mean."""
        return total / steps

    def weights(self, part: nn.Module) -> list[Tensor]:
        """The parameters."""
        return list(part.parameters())

    def rates(self, options: TrainOptions) -> dict[str, Any]:
        """A float."""
        return {"learning_rate": options.learning_rate}

    def rate(self, options: TrainOptions, done: int, total: int) -> float | None:
        """Of the schedule."""
        return options.learning_rate * SCHEDULES[options.schedule](done, total)

    def stored_bytes(self, net: BlockNet) -> int:
        """Codes with scales and codebooks."""
        return stored_bytes(net.bodies)

    def accuracy_one_by_one(self, net: BlockNet, split: Split, device: str) -> None:
        """Norms use their statistics, quantizers their steps: images stand alone."""


class IntegerNumerics:
    """Images as they are, layers that step themselves, sums of losses."""

    def check(self, device: str) -> None:
        """RuntimeError unless sums of products are exact, over the full range; tried once a program."""
        _check_exact(device)

    def inputs(self, data: Dataset) -> ToInput:
        """uint8: the network's first layer centres them."""
        return lambda images: images

    def updater(self, net: IntegerNet, options: TrainOptions, regime: str) -> IntegerUpdater:
        """The schedule of mu."""
        found, told = find(regime), options.perturbation
        schedule = NITI_SCHEDULE.starting_at(options.mu) if found.goes_back else NITI_SCHEDULE
        if not found.perturbs:
            return IntegerUpdater(net, schedule, jump_every=options.jump_every if found.jumps else 1)
        front = found.front(len(net), told.backprop_blocks)
        return IntegerDirectionUpdater(net, schedule, front, options.seed, told)

    def compiled(self, net: IntegerNet) -> IntegerNet:
        """As it is: integer layers choose their way by the values they meet."""
        return net

    def lower(self, net: IntegerNet, options: TrainOptions, regime: str) -> None:
        """It is of integers."""

    def mean_loss(self, net: IntegerNet, total: float, steps: int, batch_size: int) -> float:
        """A step returns the sum over its images."""
        return net.arithmetic.mean_loss(int(total), steps * batch_size)

    def weights(self, part: nn.Module) -> list[Tensor]:
        """Mantissas, or states with their residues."""
        return weights_of(part)

    def rates(self, options: TrainOptions) -> dict[str, Any]:
        """Bits."""
        return {"learning_rate": None, "mu": options.mu}

    def rate(self, options: TrainOptions, done: int, total: int) -> float | None:
        """None: it is in bits."""
        return None

    def stored_bytes(self, net: IntegerNet) -> int:
        """Mantissas, or states without their residues."""
        return net.stored_bytes

    def accuracy_one_by_one(self, net: IntegerNet, split: Split, device: str) -> float:
        """A batch shares its exponents."""
        return accuracy_one_by_one(net, split, device)


def _by_gradients(parameters: Iterable[nn.Parameter], net: BlockNet, options: TrainOptions) -> Updater:
    return Updater(
        (p for p in parameters if p.requires_grad), options.optimizer, fused=options.fused,
        rules=holding(net, ParameterRules.of(net)), peak=options.learning_rate, schedule=options.schedule,
        weight_decay=options.weight_decay,
    )  # fmt: skip


@cache
def _check_exact(device: str) -> None:
    check_exact(device)


def numerics_of(net: Net) -> Numerics[Net]:
    """By the kind of network."""
    return cast(Numerics[Net], IntegerNumerics() if isinstance(net, IntegerNet) else FloatNumerics())
