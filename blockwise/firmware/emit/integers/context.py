"""What the statements of one operation are made from: its operands by role, as C values."""

from dataclasses import dataclass

from blockwise.firmware.emit.integers.exponents import Exponents
from blockwise.firmware.emit.text import address, literal
from blockwise.firmware.layout import filters_shape
from blockwise.firmware.program import Firmware
from blockwise.firmware.shapes import as_map, as_sides
from blockwise.integer.arithmetic import Place
from blockwise.integer.forms import Residue4
from blockwise.integer.niti import Niti
from blockwise.integer.nitro import Nitro
from devices.network import Layer
from devices.network.ops import AvgPool, Conv, MaxPool, ReLU, View
from devices.program.execute.memory import WORD_BITS
from devices.program.operation import Derived, Operand, Operation, Stored, tensors_of
from devices.program.schedule import Loop, Tensor

WORD_BYTES = 4
STATE_BITS = 4


@dataclass(frozen=True, eq=False)
class Context:
    """One operation of a firmware."""

    firmware: Firmware
    exponents: Exponents
    operation: Operation
    batch: int
    loop: Loop | None = None  # of images, each of which passes alone

    # ------------------------------------------------------------------ roles

    @property
    def layer(self) -> Layer:
        """The one that the operation works on."""
        return self.firmware.layers[self.operation.layer]

    @property
    def scaled(self) -> bool:
        """Whether sums are divided by constants instead of shifted."""
        return isinstance(self.firmware.facts.arithmetic, Nitro)

    def has(self, role: str) -> bool:
        """Whether there is an operand of this role."""
        return any(found == role for found, _ in self.operation.operands)

    def operand(self, role: str) -> Operand:
        """The first of this role."""
        return next(operand for found, operand in self.operation.operands if found == role)

    def result(self, role: str) -> str:
        """The first result of this role; empty if there is none."""
        return next((name for found, name in self.operation.results if found == role), "")

    def tensor(self, role: str) -> Tensor:
        """What the operand of this role is read from."""
        return self.planned(tensors_of(self.operand(role))[0])

    def planned(self, name: str) -> Tensor:
        """A tensor of the schedule."""
        return self.firmware.schedule.tensors[name]

    def is_read(self, name: str) -> bool:
        """Whether an operation behind this one reads a tensor."""
        operations = self.firmware.schedule.operations
        return any(name in later.reads for later in operations[operations.index(self.operation) + 1 :])

    def at(self, name: str) -> str:
        """Where a tensor lies, of the batch that outlives a loop the row of its pass; 0 for none."""
        if not name:
            return "0"
        found, schedule = address(self.firmware, name), self.firmware.schedule
        if self.loop is None or not schedule.is_row(name, self.loop):
            return found
        return f"{found} + turn * {schedule.tensors[name].bytes // self.loop.passes}"

    def words(self, name: str) -> str:
        """Integers of 32 bits."""
        return f"(int32_t *)(void *)({self.at(name)})"

    # ------------------------------------------------------------------ layers

    def place(self, layer: str) -> Place:
        """Where a layer with weights stands."""
        return self.firmware.facts.places[layer]

    def maker(self) -> Layer:
        """The layer whose sums the operation's layer requantizes, behind views."""
        layers, name = self.firmware.layers, self.layer.inputs[0]
        while isinstance(layers[name].op, View):
            name = layers[name].inputs[0]
        return layers[name]

    def elements(self, layer: Layer) -> int:
        """Of the output, all images."""
        return self.batch * layer.elements

    # ------------------------------------------------------------------ C values

    def geometry(self, layer: Layer, *, drawn: bool = False) -> str:
        """Of a layer with weights. Of a linear one behind a map, a row of features has no sides; where random
        numbers are drawn in the order of its channels, its kernel is as large as the map."""
        filters, channels, rows, columns = filters_shape(self.firmware, layer)
        op = layer.op
        if not (drawn or isinstance(op, Conv)):
            channels, rows, columns = channels * rows * columns, 1, 1
        strides, paddings, dilations, groups = (1, 1), (0, 0), (1, 1), 1
        sides, outputs = (rows, columns), (1, 1)
        if isinstance(op, Conv):
            strides, paddings = as_sides(op.stride), as_sides(op.padding, 0)
            dilations, groups, channels = as_sides(op.dilation), op.groups, op.in_channels
            sides, outputs = as_sides(self.firmware.source_shape(layer)[1:]), as_sides(layer.shape[1:])
        return literal("geometry", {
            "images": self.batch, "height": sides[0], "width": sides[1], "channels": channels,
            "rows": outputs[0], "columns": outputs[1], "filters": filters, "kernel_height": rows,
            "kernel_width": columns, "stride_y": strides[0], "stride_x": strides[1],
            "padding_y": paddings[0], "padding_x": paddings[1], "dilation_y": dilations[0],
            "dilation_x": dilations[1], "groups": groups,
        })  # fmt: skip

    def share(self, layer: Layer) -> str:
        """Of a layer of whose weights some are trained: features behind a map go by channel."""
        _, _, rows, columns = filters_shape(self.firmware, layer)
        positions = 1 if isinstance(layer.op, Conv) else rows * columns
        inputs, more = divmod(layer.trained_inputs, positions)
        return literal("share", {"outputs": layer.trained_outputs, "inputs": inputs, "more": more})

    def map(self, shape: tuple[int, ...]) -> str:
        """A map (C, H, W), a signal (C, L), or a row of features."""
        channels, rows, columns = as_map(shape)
        sides = {"images": self.batch, "rows": rows, "columns": columns, "channels": channels}
        return literal("map", sides)

    def codes(self, role: str) -> str:
        """Activations: images, which are centred when they are loaded, or codes."""
        tensor = self.tensor(role)
        coding = "UINT4" if tensor.bits == STATE_BITS else "INT8"
        return literal("integers", {"at": self.at(tensor.name), "coding": coding})

    def magnitude_bits(self, role: str) -> int:
        """Of the codes of an operand: those of 4 bits are never negative."""
        bits = self.tensor(role).bits
        return bits if bits == STATE_BITS else bits - 1

    def weights(self, layer: Layer) -> str:
        """As they are stored."""
        name = f"{layer.name}.weight"
        return literal("integers", {"at": self.at(name), "coding": coding(self.firmware, name)})

    def errors(self) -> str:
        """The error of the layer's output; read through the positions of a max pool if it is held so."""
        return self.held(self.tensor("gradient"), *_positions(self.operand("gradient"), self.firmware))

    def held(self, tensor: Tensor, positions: str, pool: Layer | None) -> str:
        """An error; with the positions in the windows of a max pool, through which it is read."""
        values = literal("integers", {"at": self.at(tensor.name), "coding": width(tensor)})
        told: dict[str, int | str] = {"values": values, "positions": self.at(positions)}
        if pool is not None:
            rows, columns = self.windows(pool)
            bits = self.planned(positions).bits
            told |= {"window_y": rows, "window_x": columns, "position_bits": bits}
        return literal("errors", told)

    def windows(self, pool: Layer) -> tuple[int, int]:
        """Sides of the windows of a pool."""
        op = pool.op
        if isinstance(op, MaxPool | AvgPool):
            return as_sides(op.kernel)
        (_, height, width), (_, rows, columns) = as_map(self.firmware.source_shape(pool)), as_map(pool.shape)
        return height // rows, width // columns

    def sums(self, front: str, rest: str) -> str:
        """Sums that wait; the first where their codes will lie."""
        words = self.planned(front).bytes // WORD_BYTES if front else 0
        return literal("sums", {
            "front": f"(int32_t *)({self.at(front)})" if front else "0",
            "rest": f"(int32_t *)({self.at(rest)})", "in_front": words,
        })  # fmt: skip


def width(error: Tensor) -> str:
    """How an error is stored."""
    return "INT32" if error.bits == WORD_BITS else "INT8"


def coding(firmware: Firmware, name: str) -> str:
    """How weights are stored."""
    tensor, facts = firmware.schedule.tensors[name], firmware.facts
    if tensor.bits == WORD_BITS:
        return "INT32"
    if tensor.bits == STATE_BITS:
        return "STATES"
    arithmetic, place = facts.arithmetic, facts.places[name.removesuffix(".weight")]
    with_residue = isinstance(arithmetic, Niti) and isinstance(arithmetic.form(place), Residue4)
    return "RESIDUE" if with_residue else "INT8"


def _positions(operand: Operand, firmware: Firmware) -> tuple[str, Layer | None]:
    """The positions of the max pool through which an error is read, and the pool; none of a whole error."""
    while isinstance(operand, Derived):
        pool = firmware.layers[operand.layer]
        if isinstance(pool.op, MaxPool):
            where = operand.inputs[1]
            assert isinstance(where, Stored)
            return where.tensor, pool
        operand = operand.inputs[0]
    return "", None


def is_relu(layer: Layer) -> bool:
    """Whether nothing behind it is negative."""
    return isinstance(layer.op, ReLU)
