"""Zeroth order: weights go a little along a random direction and back, and two losses tell how far to step.

SPSA (Spall 1992) in place, as in MeZO (Malladi et al. 2023, arXiv 2305.17333): the direction is drawn again
from the seed wherever it is needed, so that nothing of it is held; nothing is saved for a backward pass, no
weight has a gradient, and no optimizer has state. ``zo-hybrid`` trains the last blocks by backpropagation, as
ElasticZO does (Sugiura & Matsutani 2025, arXiv 2501.04287).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from devices.errors import InputError
from devices.network import LABELS, Block, Layer, Network
from devices.program import categories as cat
from devices.program.accountings import FLOAT_BITS
from devices.program.lower import Lowering
from devices.program.operation import Stored
from devices.program.parameter import Parameter
from devices.program.passes import LossTarget
from devices.program.regimes.bp import bp
from devices.program.regimes.builder import Builder, Step
from devices.program.regimes.gather import gather
from devices.program.schedule import Schedule

DIFFERENCES = "loss.differences"
"""Of each direction the loss on the one side less the loss on the other."""
FORTH, BACK, RESTORE, ALONG = "perturb forth", "perturb back", "restore", "update along directions"
"""w + e z; from there w - e z; from there w; and the step."""


def zo(network: Network, step: Step) -> Schedule:
    """Two forward passes for each direction, and the step of every weight along all of them."""
    return _program(network, step, len(network.blocks))


def zo_hybrid(network: Network, step: Step) -> Schedule:
    """The same of the front; the last pass goes back through the last blocks. Without front it is ``bp``."""
    front = front_of(network, step.backprop_blocks)
    return _program(network, step, front) if front else bp(network, step)


def front_of(network: Network, backprop_blocks: int) -> int:
    """How many blocks are before the last ones; none if there is nothing of them to train."""
    blocks = network.blocks[: max(0, len(network.blocks) - backprop_blocks)]
    trained = any(layer.trained.anything for block in blocks for layer in block.layers)
    return len(blocks) if trained else 0


def _program(network: Network, step: Step, front: int) -> Schedule:
    if not step.table.packs:
        raise InputError(
            "zeroth-order regimes", got=f"the {step.table.name} accounting", wanted="the device's",
            do="leave the table out: what PyTorch holds of a direction is no program's",
        )  # fmt: skip
    build = Builder(network, step)
    return perturbed(build, front, fused=step.fused)


def perturbed(build: Builder, front: int, *, fused: bool) -> Schedule:
    """The program of a builder whose first ``front`` blocks are perturbed, whatever its arithmetic."""
    blocks, step, count = build.network.blocks, build.step, build.step.perturbations
    for index, block in enumerate(blocks):
        build.train(block, head=index == len(blocks) - 1, states=index >= front)
    passes = _Passes(build, blocks[:front], blocks[front:])
    name, owner = DIFFERENCES, blocks[-1].name
    build.program.tensor(name, (count,), FLOAT_BITS, cat.WEIGHT_GRADIENTS, owner)
    build.load()
    build.program.emit("zero differences", "load", owner, writes=(name,))
    for draw in range(count):
        passes.move(FORTH, draw)
        passes.run(LossTarget("loss plus", name, draw), first=draw == 0)
        passes.move(BACK, draw)
        last = draw == step.perturbations - 1
        passes.run(LossTarget("loss minus", name, draw), back=fused if last else None)
        passes.move(RESTORE, draw)
    passes.step()
    return build.finish()


@dataclass(frozen=True)
class _Passes:
    """The passes of one step through blocks that are perturbed, and through those that are not."""

    build: Builder
    front: Sequence[Block]
    rear: Sequence[Block]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What is perturbed: weights, biases, scales and shifts; steps of quantizers stay as they are."""
        layers = [layer for block in self.front for layer in block.layers]
        found = (p for layer in layers for p in self.build.lowering.parameters.get(layer.name, ()))
        return tuple(p for p in found if not p.latent.endswith(".step"))

    def move(self, action: str, draw: int) -> None:
        """Every parameter along, or against, the direction."""
        for p in self.parameters:
            self.build.program.emit(
                action, "update", p.owner, subject=p.latent, operands=(("value", Stored(p.latent)),),
                results=(("value", p.latent),), draw=draw,
            )  # fmt: skip

    def step(self) -> None:
        """Each parameter by the directions, drawn again, and the differences of their losses."""
        for p in self.parameters:
            self.build.program.emit(
                ALONG, "update", p.owner, subject=p.latent,
                operands=(("value", Stored(p.latent)), ("differences", Stored(DIFFERENCES))),
                results=(("value", p.latent),),
            )  # fmt: skip

    def run(self, tells: LossTarget, *, first: bool = False, back: bool | None = None) -> None:
        """One forward pass to the loss; ``back`` through the last blocks (fused or not) if it is given.

        What follows the data moves in the first pass of a step alone.
        """
        front = tuple(layer for block in self.front for layer in block.layers)
        rear = tuple(layer for block in self.rear for layer in block.layers)
        loss = (*self.front, *self.rear)[-1].head
        alone = self._alone(front)
        if not rear:
            self._whole((*front, *loss), tells, first, alone=alone)
            return
        if alone:
            gather(self.build, front, self.rear[0].name, lambda one: self._front(one, front, first=first))
        else:
            self._front(self.build.lowering, front, first=first)
        lowering = self._told(self.build.lowering, tells, first=first)
        lowering.forward((*rear, *loss), keep=back is not None)
        if back is not None:
            lowering.backward((*rear, *loss), fused=back)

    def _whole(self, layers: Sequence[Layer], tells: LossTarget, first: bool, *, alone: bool) -> None:
        """Through a network all of which is perturbed; image by image if each is ``alone``."""
        lowering, source = self.build.lowering, self.build.network.source
        if not alone:
            self._told(lowering, tells, first=first).forward(layers, keep=False)
            return
        one = self._told(self.build.lower(1), tells, first=first)
        for name in (source, LABELS):
            one.values.take_over(lowering.values, name)
        with self.build.program.loop(self.build.step.batch):
            one.forward(layers, keep=False)

    def _front(self, lowering: Lowering, layers: Sequence[Layer], *, first: bool) -> None:
        self._told(lowering, None, first=first).forward(layers, keep=False)

    def _told(self, lowering: Lowering, tells: LossTarget | None, *, first: bool) -> Lowering:
        """A lowering of the next pass, of all images or of one."""
        whole = self.build.lowering
        lowering.parameters, lowering.held = whole.parameters, whole.held
        lowering.tells, lowering.moves, lowering.streams = tells, first, True
        return lowering

    def _alone(self, layers: Sequence[Layer]) -> bool:
        """Whether each image may pass alone: no norm and no level of activations looks at the batch."""
        return self.build.alone and not any(
            layer.op.batch_statistics or (layer.op.makes_codes and self._follows(layer)) for layer in layers
        )

    def _follows(self, layer: Layer) -> bool:
        held = self.build.lowering.held.get(layer.name, ())
        return any(name == f"{layer.name}.levels" for name in held)
