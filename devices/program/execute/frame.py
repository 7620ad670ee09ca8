"""What a kernel sees: the operands of its operation by role, and where to put the results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from devices.network import Layer
from devices.program.execute.memory import Memory, Misread
from devices.program.operation import Operand, Operation, Stored
from devices.program.schedule import Loop, Schedule
from devices.program.values import with_roles

Found = TypeVar("Found")
AnyMachine = TypeVar("AnyMachine")
Parameters = Mapping[str, Tensor]


class Machine(Protocol):
    """The arithmetic of a step, and what comes from outside the RAM."""

    @property
    def integers(self) -> bool:
        """Whether words of 32 bits are integers."""
        ...

    def initial(self, name: str) -> Tensor | None:
        """What a resident tensor holds before the step, or one that is read from flash; None: nothing."""
        ...

    def kernel(self, operation: Operation, layer: Layer | None) -> "Kernel":
        """What performs an operation."""
        ...

    def meaning(self, stored: Stored, value: Tensor, levels: list[Tensor]) -> Tensor:
        """What a tensor's elements stand for: codes by their levels."""
        ...

    def derived(self, frame: "Frame", layer: Layer, inputs: list[Tensor], parameters: Parameters) -> Tensor:
        """What a layer that is never stored makes of its inputs; its parameters go by role."""
        ...


@dataclass(frozen=True)
class Frame:
    """One operation, in one pass of the loop around it if there is one."""

    schedule: Schedule
    operation: Operation
    memory: Memory
    machine: Machine
    loop: Loop | None = None
    turn: int = 0  # which pass of the loop

    @property
    def layer(self) -> Layer:
        """The layer that the operation works on."""
        return self.schedule.layers[self.operation.layer]

    @property
    def images(self) -> slice:
        """Those of the step that this pass takes; all of them where there is no loop."""
        if self.loop is None:
            return slice(None)
        return slice(self.turn * self.loop.images, (self.turn + 1) * self.loop.images)

    def has(self, role: str) -> bool:
        """Whether there is an operand of this role."""
        return any(found == role for found, _ in self.operation.operands)

    def makes(self, role: str) -> bool:
        """Whether there is a result of this role."""
        return any(found == role for found, _ in self.operation.results)

    def values(self, role: str) -> list[Tensor]:
        """The operands of this role, as the numbers that they stand for."""
        return [self._value(operand) for found, operand in self.operation.operands if found == role]

    def value(self, role: str) -> Tensor:
        """The only operand of this role. Raises Misread if there is none."""
        return _only(self.values(role), role, self.operation)

    def raws(self, role: str) -> list[Tensor]:
        """The operands of this role as they lie in memory, read in the order that their readers want."""
        found = (self._raw(operand) for name, operand in self.operation.operands if name == role)
        return [value for value in found if value is not None]

    def raw(self, role: str) -> Tensor:
        """The only operand of this role, as it lies in memory."""
        return _only(self.raws(role), role, self.operation)

    def operand(self, role: str) -> Operand:
        """The first operand of this role."""
        return _only([x for found, x in self.operation.operands if found == role], role, self.operation)

    def result(self, role: str) -> str:
        """The tensor of the first result of this role."""
        return _only([name for found, name in self.operation.results if found == role], role, self.operation)

    def put(self, role: str, value: Tensor) -> None:
        """Write the result of this role, or add to it."""
        for name in [name for found, name in self.operation.results if found == role]:
            self.store(name, value)

    def store(self, name: str, value: Tensor) -> None:
        """Write, or add to, one of the results or the scratch."""
        if name not in self.operation.writes:
            raise Misread(f"{self.operation.name} writes {name}, which is none of its results")
        if self.schedule.tensors[name].mapped:
            raise Misread(f"{self.operation.name} writes {name}, which is in flash")
        if name in self.operation.adds:
            there = self.memory.load(name)
            value = there + value.reshape(there.shape).to(there.dtype)
        if self.schedule.is_row(name, self.loop):
            whole = self.memory.load(name)
            whole[self.turn : self.turn + 1] = value.reshape(whole[:1].shape)
            value = whole
        self.memory.store(name, value)

    def through(self, scratch: str, rows: Tensor) -> Tensor:
        """Codes of one filter (a row) at a time, written to the scratch and read from it."""
        found = []
        for row in rows:
            self.store(scratch, row)
            found.append(self.memory.load(scratch))
        return torch.stack(found)

    def words(self, role: str) -> Tensor:
        """The int32 words in the bytes of the operand of this role, which is none of them itself."""
        operand = self.operand(role)
        assert isinstance(operand, Stored)
        return self.memory.words(operand.tensor)

    def put_words(self, role: str, words: Tensor) -> None:
        """Write int32 words into the bytes of the result of this role."""
        self.memory.store_words(self.result(role), words)

    def _value(self, operand: Operand) -> Tensor:
        if isinstance(operand, Stored):
            levels = [self._levels(operand, name) for name in operand.levels]
            return self.machine.meaning(operand, self._load(operand.tensor), levels)
        inputs = [self._value(source) for source in operand.inputs]
        layer = self.schedule.layers[operand.layer]
        roles = [role for role, _ in with_roles(layer, operand.parameters)]
        loaded = [self.memory.load(name) for name in operand.parameters]
        return self.machine.derived(self, layer, inputs, dict(zip(roles, loaded, strict=True)))

    def _levels(self, operand: Stored, name: str) -> Tensor:
        """What gives codes their values; at rest without what stands behind it for a pass in training."""
        found = self.memory.load(name)
        return found[: len(found) // 2] if operand.at_rest and ".levels" in name else found

    def _raw(self, operand: Operand) -> Tensor | None:
        """The elements of a tensor; None of what is computed of them."""
        if isinstance(operand, Stored):
            return self._load(operand.tensor)
        layer = self.schedule.layers[operand.layer]
        within = self._raw(operand.inputs[0]) if layer.op.rearranges else None
        return None if within is None else self.machine.derived(self, layer, [within], {})

    def _load(self, name: str) -> Tensor:
        found = self.memory.load(name)
        return found[self.turn : self.turn + 1] if self.schedule.is_row(name, self.loop) else found


Kernel = Callable[[Frame], None]


def found_for(
    layers: Mapping[tuple[str, str], Found], others: Mapping[str, Found], operation: Operation,
    layer: Layer | None,
) -> Found | None:  # fmt: skip
    """What serves an operation: by the kind of its layer and its action, else by its action alone."""
    found = layers.get((layer.kind, operation.action)) if layer is not None else None
    return found or others.get(operation.action)


def found_kernel(
    machine: AnyMachine, layers: Mapping[tuple[str, str], Callable[[AnyMachine, Frame], None]],
    others: Mapping[str, Callable[[AnyMachine, Frame], None]], operation: Operation, layer: Layer | None,
) -> Kernel:  # fmt: skip
    """By the kind of layer and the action, else by the action alone. Raises Misread where there is none."""
    found = found_for(layers, others, operation, layer)
    if found is None:
        raise Misread(f"{operation.name}: no kernel for {layer.kind if layer else 'no layer'}")
    return partial(found, machine)


def _only(found: list[Found], role: str, operation: Operation) -> Found:
    if not found:
        raise Misread(f"{operation.name} needs {role!r}, which is not among its operands or results")
    return found[0]
