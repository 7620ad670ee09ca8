"""What an operation of a step has to do, in counts that its instructions grow with.

Products are those that are made: a tap of a filter that lies on the padding is not, so that a 3x3 filter on
a map of one pixel makes one product of nine. Instructions are a sum of the counts, each with a weight of its
own for every kind of operation (:mod:`devices.pace.kernels`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from devices.network import Layer
from devices.network.ops import Conv, Linear, MatMul
from devices.program.operation import Operand, Operation, tensors_of
from devices.program.schedule import Loop, Schedule

COUNTS = ("products", "products / inputs", "products / outputs", "elements", "calls")
"""Products; the same by the channels that a filter reads, and by the filters, since sums run over one or the
other; elements that are read and written; and the operation itself, once."""

ONCE = frozenset({"deployed network", "unpack", "begins", "pack", "ends"})
"""Actions that begin or end the training of a block, and are no part of a step."""

FLASH = frozenset({"page in", "page out"})
"""Actions whose time is the flash's."""

NARROW = 8
"""Codes of fewer bits lie several to a byte, in float regimes across bytes."""


@dataclass(frozen=True)
class Workload:
    """One operation, of all its turns in a step: its kind as kernels know it, and :data:`COUNTS` of it.

    Of one that some steps skip the counts are those expected.
    """

    kind: str
    counts: tuple[float, ...]


def workloads(schedule: Schedule, *, integer: bool) -> Iterator[tuple[int, Workload]]:
    """The operations of a step by number: those of :data:`ONCE` and :data:`FLASH` are none."""
    loops = {index: loop for loop in schedule.loops for index in range(loop.first, loop.last + 1)}
    for index, operation in enumerate(schedule.operations):
        if operation.action not in ONCE | FLASH:
            yield index, _workload(operation, schedule, loops.get(index), integer)


class Workloads:
    """Those of several schedules, each made once: the same step is timed on many boards."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Schedule, tuple[Workload, ...]]] = {}

    def of(self, schedule: Schedule, *, integer: bool) -> tuple[Workload, ...]:
        """As :func:`workloads`."""
        if id(schedule) not in self._made:  # the schedule is kept: none takes its identity
            made = tuple(work for _, work in workloads(schedule, integer=integer))
            self._made[id(schedule)] = schedule, made
        return self._made[id(schedule)][1]


def _workload(operation: Operation, schedule: Schedule, loop: Loop | None, integer: bool) -> Workload:
    layer = _multiplying(operation, schedule)
    turns = (loop.passes if loop else 1) * operation.share
    products = operation.macs * operation.share * (share_made(layer, schedule) if layer else 1.0)
    inputs, outputs = _channels(layer)
    names = {*operation.reads, *operation.writes}
    elements = turns * sum(_touched(name, schedule, loop) for name in names)
    counts = (products, products / inputs, products / outputs, float(elements), float(turns))
    return Workload(_kind(operation, schedule, integer), counts)


def _touched(name: str, schedule: Schedule, loop: Loop | None) -> int:
    """Elements of a tensor that one pass reads or writes: of a batch that outlives the loop one image."""
    elements = schedule.tensors[name].elements
    return elements // loop.passes if loop and schedule.is_row(name, loop) else elements


def _multiplying(operation: Operation, schedule: Schedule) -> Layer | None:
    """The layer whose products an operation makes: its own, or one before it whose sums it makes again."""
    name = operation.layer if operation.macs else ""
    while name in schedule.layers and not schedule.layers[name].macs:
        name = schedule.layers[name].inputs[0]
    return schedule.layers.get(name)


def _kind(operation: Operation, schedule: Schedule, integer: bool) -> str:
    """Arithmetic, action, layer, and how wide its operands are."""
    layer = schedule.layers.get(operation.layer)
    operands = [_width(operand, schedule, integer) for role, operand in operation.operands]
    if layer is None:  # parameters: by their numbers alone
        operands = [*dict.fromkeys(operands), str(len(operation.operands))]
    of = layer.kind if layer else operation.phase
    return " ".join(("int" if integer else "float", operation.action, of, "/".join(operands)))


def _width(operand: Operand, schedule: Schedule, integer: bool) -> str:
    """Bits of what is read, and whether more than one tensor makes it."""
    tensors = [schedule.tensors[name] for name in tensors_of(operand)]
    widest = max((tensor.bits for tensor in tensors), default=0)
    width = "few" if widest < NARROW and not integer else str(widest)
    return width + ("+" if len(tensors) > 1 else "")


def _channels(layer: Layer | None) -> tuple[int, int]:
    """What a filter reads at one place, and how many filters read it."""
    op = layer.op if layer else None
    if isinstance(op, Conv):
        return op.in_channels // op.groups, op.channels // op.groups
    if isinstance(op, Linear):
        return op.filter_size, op.weights // op.filter_size
    if layer is not None and isinstance(op, MatMul):
        return op.inner, layer.shape[-1]
    return 1, 1


def share_made(layer: Layer, schedule: Schedule) -> float:
    """Of a layer's products those whose taps do not lie on the padding."""
    op = layer.op
    if not isinstance(op, Conv) or not any(op.padding):
        return 1.0
    sizes = _source_shape(layer, schedule)[1:]
    if len(sizes) != len(op.kernel):
        sizes = op.least_input(layer.shape)
    share = 1.0
    for axis, size in enumerate(sizes):
        made, kernel, first = layer.shape[1 + axis], op.kernel[axis], -op.padding[axis]
        places = (
            first + op.stride[axis] * i + op.dilation[axis] * k for i in range(made) for k in range(kernel)
        )
        share *= sum(0 <= place < size for place in places) / (made * kernel)
    return share


def _source_shape(layer: Layer, schedule: Schedule) -> tuple[int, ...]:
    """Of what a layer reads, without the batch: another layer's output, or the images."""
    name = layer.inputs[0]
    if name in schedule.layers:
        return schedule.layers[name].shape
    images = schedule.tensors.get(f"batch.{name}")
    return images.shape[1:] if images is not None else ()
