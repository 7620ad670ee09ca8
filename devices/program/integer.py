"""Training on integers alone: what its layers are, and the operations of a step.

Weights are integers that a step moves in place: no latent copy, no optimizer state. Sums of products
have 32 bits. NITI shifts them into few by their largest magnitude, which is known only when all of them
are. Two programs do that: one buffers the sums, the other computes them twice, first for the largest.
NITRO-D divides by a constant: no sum has to wait.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devices.network import Layer
from devices.network.bits import FIXED_LEVELS, Bits
from devices.network.ops import ReLU
from devices.program import categories as cat
from devices.program.accountings import INTEGER, CostTable
from devices.program.forward import Roles, inputs_of
from devices.program.integer_network import integer_network as integer_network  # its home for those that plan
from devices.program.integer_network import sums_behind
from devices.program.lower import Lowering
from devices.program.operation import Operand, Phase, Stored
from devices.program.parameter import Parameter
from devices.program.schedule import Tensor
from devices.program.state import State
from devices.program.updates import update_roles
from devices.program.values import maker_of, with_roles

EDGE_BITS = 8
"""At least so many for weights and activations of the first and last layer and of heads, in every form."""

SUM_BITS = 32

GENERATOR_BITS = 32
"""The state of a weight tensor's random numbers (xorshift32)."""


@dataclass(frozen=True)
class IntegerForm:
    """Bits of a weight as stored, and of an activation, of the inner layers."""

    weight_bits: int
    activation_bits: int
    error_bits: int = EDGE_BITS
    mask_bits: int = 1  # what an activation must remember of each of its inputs
    scaled: bool = False  # whether sums are divided by a constant, each as it is made
    one_layer: bool = False  # whether an error can pass one layer only
    most_classes: int = 8_191  # so many powers of two of the softmax add up within 31 bits
    draws: bool = False  # whether a step draws random numbers, of each inner weight tensor's own

    @property
    def narrow(self) -> bool:
        """Whether inner layers multiply numbers of 4 bits."""
        return self.activation_bits < EDGE_BITS

    @property
    def bits(self) -> Bits:
        """As the accounting takes them. Quantizers hold nothing: exponents are a few numbers."""
        return Bits(self.weight_bits, self.activation_bits, EDGE_BITS, FIXED_LEVELS, FIXED_LEVELS)

    @property
    def table(self) -> CostTable:
        """The rows of its layers."""
        relu = replace(ReLU.costs[INTEGER.name], mask_bits=self.mask_bits)
        return replace(INTEGER, changed={ReLU.kind: relu})


FORMS: dict[str, IntegerForm] = {
    "niti": IntegerForm(8, 8),
    "niti4": IntegerForm(8, 4),  # a state of 4 bits and a residue of 4
    "niti4-jump": IntegerForm(4, 4, draws=True),
    # The slope behind an activation is 1, 1/4 or 0. A step is divided by 2^17 for each class at its end.
    "nitro": IntegerForm(32, 8, error_bits=32, mask_bits=2, scaled=True, one_layer=True, most_classes=16_383),
}

LOCAL_SUFFIX = "-local"


def sums_of(name: str) -> str:
    """The buffer of the sums that become a tensor."""
    return f"{name}.sums"


def waiting_of(layer: str) -> str:
    """Where the gradients of several batches are added up until the states of a layer's weights jump."""
    return f"{layer}.waiting"


COUNT = "jumps.count"
"""How many batches have been added up since the last jump."""

SEED = "heads.seed"
"""Of first weights that are drawn where a block's turn comes."""


def is_weight(tensor: str) -> bool:
    """Whether a tensor of this name holds weights."""
    return tensor.endswith(".weight")


def is_buffer_of_sums(tensor: Tensor) -> bool:
    """Whether sums wait in it until the largest of them is known."""
    waits = tensor.category in (cat.WORKING_TENSORS, cat.WEIGHT_GRADIENTS)
    name, _, _ = tensor.name.partition("#")  # of a further pass
    return waits and tensor.bits == SUM_BITS and name.endswith((".sums", ".gradient"))


class IntegerState(State):
    """Weights in the form in which they are trained and deployed."""

    draws = False

    def trainable(
        self, layer: Layer, owner: str, *, resident: bool, states: bool = True
    ) -> tuple[Parameter, ...]:
        """One tensor for a layer with weights, and the state of its random numbers if its steps draw any."""
        if not layer.weights or not layer.trained.weights:
            return ()
        bits, name = self.bits.weight_of(layer), f"{layer.name}.weight"
        shape = (layer.weights,)
        value = self.program.tensor(name, shape, bits, cat.PACKED_WEIGHTS, owner, resident=resident)
        return (Parameter(value, layer.weights, owner, self._generator(layer, owner, resident)),)

    def frozen(self, layer: Layer, owner: str, *, mapped: bool) -> tuple[str, ...]:
        """Weights that no step moves."""
        if not layer.weights or layer.trained.weights:
            return ()
        name, shape, bits = f"{layer.name}.weight", (layer.weights,), self.bits.weight_of(layer)
        declare, category = self.program.tensor, cat.PACKED_WEIGHTS
        return (declare(name, shape, bits, category, owner, resident=not mapped, mapped=mapped),)

    def _generator(self, layer: Layer, owner: str, resident: bool) -> tuple[str, ...]:
        if not self.draws or layer.precision != "inner":
            return ()
        name, category = f"{layer.name}.generator", cat.OPTIMIZER_STATE
        return (self.program.tensor(name, (1,), GENERATOR_BITS, category, owner, resident=resident),)


class IntegerLowering(Lowering):
    """Sums are buffered, or computed twice, or scaled as they are made."""

    scaled = False
    twice: bool | frozenset[str] = False  # all sums, or those of these names
    waits: frozenset[str] = frozenset()  # layers whose weights jump once in several batches
    jump_every = 1  # so many

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fronts: dict[str, str] = {}  # layer that requantizes -> its output, where sums wait

    def _unbuffered(self, sums: str) -> bool:
        """Whether these sums are never held together."""
        return self.scaled or self._is_twice(sums)

    def _is_twice(self, sums: str) -> bool:
        """Whether they are made twice, the first time for the largest alone."""
        if self.scaled:
            return False
        return sums in self.twice if isinstance(self.twice, frozenset) else self.twice

    def forward(
        self, layers: Sequence[Layer], *, phase: Phase = "forward", keep: bool = True, training: bool = True,
        until: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Forward pass; a layer that requantizes makes the sums before it if they are not kept."""
        makers = {layer.name: layer for layer in layers}
        heirs = {m.name: x for x in layers if x.op.makes_codes and (m := sums_behind(x, makers)) is not None}
        for layer in layers:
            row = self.table.row(layer)
            again = sums_behind(layer, makers)
            again = again if again is not None and self._unbuffered(sums_of(again.name)) else None
            if row.output == "view":  # behind sums that are not kept: whoever makes them again reads on
                self._pass_on(layer, idle=again is not None)
                continue
            sources = self.values.of(layer.inputs)
            sums = layer.op.accumulates and self._unbuffered(sums_of(layer.name))
            if layer.op.accumulates and not sums:
                self._buffer(layer, heirs.get(layer.name), sources, phase, keep=keep)
                continue
            front, told = self._fronts.pop(layer.name, ""), self._told(layer)
            unread = bool(told) and not keep  # of a loss that is only told nothing goes back
            output = "" if sums or unread else front or self._new_output(layer, row, sources)
            extras = self._save(layer, row, sources, output) if keep else ()
            self.values.outputs[layer.name] = sources[0] if sums else Stored(output)
            self.values.makers[output] = maker_of(sources[0]) if layer.op.passes_codes else layer.name
            if sums and self.scaled:
                continue
            made = () if unread else (("output", output),)
            results = () if sums else (*made, *extras, *told)
            self.program.emit(
                "largest sum" if sums else "forward", phase, self._owners[layer.name], layer=layer.name,
                operands=(*inputs_of(sources), *self._in_front(front), *self._held(again or layer)),
                results=results, adds=[name for _, name in told], macs=(again or layer).macs * self.images,
                draw=self.tells.draw if self.tells and told else 0,
            )  # fmt: skip

    def _buffer(
        self, layer: Layer, heir: Layer | None, sources: Sequence[Operand], phase: Phase, *, keep: bool
    ) -> None:
        """Sums that wait. The first of them lie where their codes will: code i overwrites no sum behind i."""
        if keep:
            self._save(layer, self.table.row(layer), sources, "")
        front = "" if heir is None else self._new_output(heir, self.table.row(heir), sources)
        if heir is not None:
            self._fronts[heir.name] = front
        output = self._sums(layer.name, (self.batch, *layer.shape), front, self._owners[layer.name])
        self.values.outputs[layer.name] = Stored(output)
        self.program.emit(
            "forward", phase, self._owners[layer.name], layer=layer.name,
            operands=(*inputs_of(sources), *self._held(layer)),
            results=(*(("front", front) for _ in self._in_front(front)), ("output", output)),
            macs=layer.macs * self.images,
        )  # fmt: skip

    def _sums(self, name: str, shape: tuple[int, ...], front: str, owner: str) -> str:
        """Room for sums, but for those that lie in ``front``."""
        size = (math.prod(shape) - self._sums_in(front),) if front else shape
        return self._declare(sums_of(name), size, SUM_BITS, cat.WORKING_TENSORS, owner)

    def _sums_in(self, front: str) -> int:
        """How many have their bytes in the codes that are made of them."""
        return self.program.declared(front).bytes * 8 // SUM_BITS if front else 0

    def _in_front(self, front: str) -> Roles:
        """The operand in which the first of the sums lie, if a whole one does."""
        return [("front", Stored(front))] if self._sums_in(front) else []

    def _backward_weighted(self, layer: Layer, targets: list[str], gradient: str, fused: bool) -> None:
        """The input's error first, from the old weights; then the gradient, which moves them at once."""
        for name in targets:
            self._input_error(layer, name, gradient)
        if layer.trained.weights:
            self._step_weights(layer, gradient)

    def _part(self, layer: Layer, sources: Sequence[Operand]) -> dict[str, tuple[str, ...]]:
        """None: the input is kept whole where a share of the weights is trained."""
        return {}

    def _input_error(self, layer: Layer, name: str, gradient: str) -> None:
        owner = self._owners[layer.name]
        arriving: Roles = [("gradient", self._arriving(gradient)), *self._held(layer)]
        (target, _), macs = self._target(name, None, owner), layer.macs * self.images
        sums = sums_of(f"{name}.gradient")
        if self._is_twice(sums):
            self._emit(layer, "backward (input, largest)", arriving, [], macs)
        made = [("input gradient", target)]
        if self._unbuffered(sums):
            self._emit(layer, "backward (input)", arriving, made, macs)
            return
        front = [("front", target) for _ in self._in_front(target)]
        sums = self._sums(f"{name}.gradient", (self.batch, *self._shapes[name]), target, owner)
        self._emit(layer, "backward (input)", arriving, [*front, ("sums", sums)], macs)
        self._emit(layer, "backward (requantize)", [("sums", Stored(sums)), *self._in_front(target)], made)

    def _step_weights(self, layer: Layer, gradient: str) -> None:
        saved, owner = self._saved(layer), self._owners[layer.name]
        macs = layer.weight_macs * self.images
        (parameter,) = self.parameters[layer.name]
        operands: Roles = [("gradient", self._arriving(gradient)), *saved]
        if layer.name in self.waits:
            self._add_and_jump(layer, operands, parameter, macs)
            return
        sums = f"{parameter.latent}.gradient"
        if self._is_twice(sums):
            self._emit(layer, "backward (weight, largest)", operands, [], macs=macs)
        if self._unbuffered(sums):
            value, moved = with_roles(layer, parameter.tensors), parameter.tensors
            results = [(role, name) for (role, _), name in zip(value, moved, strict=True)]
            self._emit(layer, "backward (weight) and update", [*operands, *value], results, macs=macs)
            return
        sums = self._declare(sums, (layer.trained_weights,), SUM_BITS, cat.WEIGHT_GRADIENTS, owner)
        self._emit(layer, "backward (weight)", operands, [("sums", sums)], macs=macs)
        self.pending.append((parameter, sums, owner))
        self.update()

    def _add_and_jump(self, layer: Layer, operands: Roles, parameter: Parameter, macs: int) -> None:
        """The gradient is added to those of earlier batches; behind the last weights jump by the sum."""
        sums, owner = waiting_of(layer.name), self._owners[layer.name]
        self._emit(layer, "backward (weight)", operands, [("sums", sums)], macs, adds=[sums])
        given, made = update_roles(parameter, sums)
        self.program.emit(
            "jump", "update", owner, subject=parameter.latent, operands=[*given, ("count", Stored(COUNT))],
            results=[*made, ("gradient", sums)], share=1 / self.jump_every,
        )  # fmt: skip

    def count_batch(self, owner: str) -> None:
        """One more has been added up, or the first of those to come is the next."""
        operands, results = [("count", Stored(COUNT))], [("count", COUNT)]
        self.program.emit("count batch", "update", owner, operands=operands, results=results)

    def _emit(
        self, layer: Layer, action: str, operands: Roles, results: Sequence[tuple[str, str]],
        macs: int = 0, adds: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.program.emit(
            action, "backward", self._owners[layer.name], layer=layer.name, operands=operands,
            results=results, macs=macs, adds=adds,
        )  # fmt: skip
