"""The integer machine: exponents and largest sums, which are a board's variables, and the kernels' table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from blockwise.integer.arithmetic import Arithmetic, Error, Place
from blockwise.integer.layers import Layers, Weighted, weighted
from blockwise.integer.net import IntegerNet
from blockwise.integer.nitro import Nitro
from blockwise.integer.on_board import kernels, weights, zeroth_order
from blockwise.integer.on_board.zeroth_order import Drawn
from blockwise.integer.shares import trained
from blockwise.integer.tensor import INT8, Accumulator, Format, IntTensor, shared
from blockwise.integer.xorshift import WORD
from devices.network import IMAGES, Layer, Network
from devices.network.ops import MaxPool, ReLU
from devices.program.execute import Frame
from devices.program.execute.frame import Kernel, found_kernel
from devices.program.execute.memory import WORD_BITS
from devices.program.integer import COUNT, SEED, waiting_of
from devices.program.kernels import pools
from devices.program.operation import Derived, Operand, Operation, Stored, tensors_of
from devices.program.schedule import Schedule

IntegerKernel = Callable[["IntegerMachine", Frame], None]

LAYERS: dict[tuple[str, str], IntegerKernel] = {
    ("conv", "forward"): kernels.sums,
    ("conv", "largest sum"): kernels.largest_sum,
    ("linear", "forward"): kernels.sums,
    ("linear", "largest sum"): kernels.largest_sum,
    ("relu", "forward"): kernels.requantize_forward,
    ("relu", "backward"): kernels.relu_backward,
    ("quantize", "forward"): kernels.requantize_forward,
    ("quantize", "backward"): kernels.pass_back,
    ("max_pool", "forward"): kernels.max_pool_forward,
    ("max_pool", "backward"): kernels.max_pool_backward,
    ("avg_pool", "forward"): kernels.avg_pool_forward,
    ("avg_pool", "backward"): kernels.avg_pool_backward,
    ("cross_entropy", "forward"): kernels.loss,
    ("cross_entropy", "backward"): kernels.loss_backward,
}
OTHERS: dict[str, IntegerKernel] = {
    "load batch": kernels.load,
    "backward (input)": kernels.input_error,
    "backward (input, largest)": kernels.largest_input_error,
    "backward (requantize)": kernels.requantize_error,
    "backward (weight)": weights.weight_sums,
    "backward (weight, largest)": weights.largest_weight_sum,
    "backward (weight) and update": weights.update_by_sums,
    "update": weights.update,
    "jump": weights.jump,
    "count batch": weights.count_batch,
    "begins": weights.begin,
    "ends": weights.end,
    "zero differences": zeroth_order.zero,
    "perturb forth": zeroth_order.forth,
    "perturb back": zeroth_order.back,
    "restore": zeroth_order.restore,
    "update along directions": zeroth_order.update,
}


@dataclass(eq=False)
class IntegerMachine:
    """What an integer step starts from: ``start`` are weights and generators as they are stored.

    ``places`` say where each layer with weights stands; ``batch`` are uint8 images (B, C, H, W) and labels.
    """

    arithmetic: Arithmetic
    places: Mapping[str, Place]
    start: Mapping[str, Tensor]
    batch: tuple[Tensor, Tensor]
    mu: int
    drawn: Drawn | None = None  # of a zeroth-order step
    every: int = 1  # batches behind which states of weights jump
    exponents: dict[str, int] = field(default_factory=dict)  # of tensors in memory
    largest: dict[str, int] = field(default_factory=dict)  # of sums that are computed twice
    integers = True

    def initial(self, name: str) -> Tensor | None:
        """Weights and generators."""
        return self.start.get(name)

    def kernel(self, operation: Operation, layer: Layer | None) -> Kernel:
        """Raises Misread where there is none."""
        return found_kernel(self, LAYERS, OTHERS, operation, layer)

    def meaning(self, stored: Stored, value: Tensor, levels: list[Tensor]) -> Tensor:
        """Integers mean themselves."""
        return value

    def derived(
        self, frame: Frame, layer: Layer, inputs: list[Tensor], parameters: Mapping[str, Tensor]
    ) -> Tensor:
        """Views, and errors through the positions of a max pool."""
        if isinstance(layer.op, MaxPool):
            shape = frame.schedule.layers[layer.inputs[0]].shape
            return pools.spread(layer, inputs[0], inputs[1], (len(inputs[0]), *shape))
        return inputs[0].reshape(len(inputs[0]), *layer.shape)

    # ---------------------------------------------------------------- numbers

    def activation(self, frame: Frame, role: str) -> IntTensor:
        """An operand as an integer tensor: mantissas of images, codes in the format of whoever made them."""
        value, stored = frame.value(role), _leaf(frame.operand(role))
        format = INT8 if stored.maker == IMAGES else self.format_of(frame.schedule, stored)
        return IntTensor(_signed(value, format.bits, format), self.exponents[stored.tensor], format)

    def format_of(self, schedule: Schedule, stored: Stored) -> Format:
        """Of codes: what stands behind an activation is not negative."""
        maker = schedule.layers[stored.maker]
        return self.output_format(maker, schedule.tensors[stored.tensor].bits)

    def output_format(self, layer: Layer, bits: int) -> Format:
        """Of what a layer makes in so many bits."""
        inner = getattr(self.arithmetic, "activations", INT8)
        narrow = isinstance(layer.op, ReLU) and bits == inner.bits < INT8.bits
        return inner if narrow else INT8

    def error(self, frame: Frame, role: str = "gradient") -> Error:
        """An error, read through the positions of a max pool if it is held so."""
        name = tensors_of(frame.operand(role))[0]
        value, bits = frame.value(role), frame.memory.tensors[name].bits
        shape = (len(self.batch[1]), *frame.layer.shape) if frame.layer.shape else value.shape
        value = value.view(shape)
        if bits == WORD_BITS:
            return Accumulator(value.to(torch.int32), self.exponents[name])
        return IntTensor(_signed(value, bits, INT8), self.exponents[name])

    def put(self, frame: Frame, role: str, number: IntTensor | Accumulator) -> None:
        """Write an integer tensor, and note its exponent."""
        name = frame.result(role)
        self.put_integers(frame, name, number.mantissa)
        self.exponents[name] = shared(number.exponent)

    def weights(self, frame: Frame, layer: str) -> Tensor:
        """Weights as stored, in their shape."""
        bits = frame.memory.tensors[f"{layer}.weight"].bits
        return self.stored(frame.raw("weight"), bits).view(self.places[layer].shape)

    def stored(self, raw: Tensor, bits: int) -> Tensor:
        """Weights as they are stored, with their signs."""
        return raw if bits == WORD_BITS else _signed(raw, bits, INT8)

    def put_integers(self, frame: Frame, name: str, value: Tensor) -> None:
        """Write words as they are, and narrower integers as codes in two's complement."""
        bits = frame.memory.tensors[name].bits
        value = value.contiguous()
        frame.store(name, value if bits == WORD_BITS else value.to(torch.int64) & (1 << bits) - 1)

    def update_place(self, frame: Frame) -> tuple[str, Place]:
        """The layer whose weights an update moves."""
        layer = frame.operation.layer or frame.operation.subject.removesuffix(".weight")
        return layer, self.places[layer]

    @property
    def scaled(self) -> bool:
        """Whether sums are divided by constants instead of shifted."""
        return isinstance(self.arithmetic, Nitro)


def _leaf(operand: Operand) -> Stored:
    while isinstance(operand, Derived):
        (operand,) = operand.inputs
    return operand


def _signed(value: Tensor, bits: int, format: Format) -> Tensor:
    """Codes as mantissas: two's complement, unless nothing is negative."""
    if format.low < 0:
        value = value - ((value >> bits - 1) << bits)
    return value.to(torch.int8)


def placed_layers(net: IntegerNet, network: Network) -> Iterator[tuple[str, Weighted]]:
    """The layers with weights of an integer network by the names of the planned one."""
    for index, block in enumerate(network.blocks):
        classify = net.head(index).classify
        assert isinstance(classify, Layers)
        for layers, module in ((block.layers, net.body(index)), (block.head, classify)):
            names = [layer.name for layer in layers if layer.weights]
            if layers:  # a block that does not learn has no head
                yield from zip(names, weighted(module), strict=True)


def machine_of(net: IntegerNet, network: Network, batch: tuple[Tensor, Tensor]) -> IntegerMachine:
    """A machine that starts where ``net`` stands, which stays as it is."""
    layers = dict(placed_layers(net, network))
    places = {name: layer.place for name, layer in layers.items()}
    drawn = _drawn(net, layers) if net.directions is not None else None
    every = 1 if net.jumps is None else net.jumps.every
    return IntegerMachine(net.arithmetic, places, stored(layers, net), batch, net.mu, drawn, every)


def _drawn(net: IntegerNet, layers: Mapping[str, Weighted]) -> Drawn:
    """The directions of the step to come."""
    given, steps = net.directions, net.directions.steps
    numbers = {id(layer): number for number, layer in given.layers.items()}
    return Drawn(
        lambda name, index: given.draw(numbers[id(layers[name])], index, steps), given.largest, given.mu
    )


def stored(layers: Mapping[str, Weighted], net: IntegerNet) -> dict[str, Tensor]:
    """Weights and generators of named layers as tensors of a schedule hold them: words, or codes (flat).

    With them what waits for a jump: sums of gradients, and the count of batches; and the seed.
    """
    arithmetic = net.arithmetic
    waiting = 0 if net.jumps is None else net.jumps.waiting
    words = {COUNT: waiting, SEED: net.seed & WORD}
    found = {name: torch.tensor([value]).to(torch.int32) for name, value in words.items()}
    for name, layer in layers.items():
        bits = INT8.bits if layer.weight.dtype == torch.int8 else WORD_BITS
        weights = layer.weight.flatten().clone()
        if bits < WORD_BITS:
            form = getattr(arithmetic, "inner", None)
            width = form.deployed.bits if form is not None and _alone(form) and not layer.place.edge else bits
            weights = weights.to(torch.int64) & (1 << width) - 1
        found[f"{name}.weight"] = weights
        found[f"{name}.generator"] = layer.random_state.view(1).clone()
        if layer.trained and arithmetic.jumps(layer.place):
            found[waiting_of(name)] = _waiting(layer)
    return found


def _waiting(layer: Weighted) -> Tensor:
    """Sums of gradients of what is trained of the weights (flat)."""
    sums = None if layer.waiting is None else layer.waiting.sums
    if sums is not None:
        return sums.flatten().clone()
    return torch.zeros_like(trained(layer.share, layer.weight), dtype=torch.int32).flatten()


def _alone(form: object) -> bool:
    """Whether states are stored without a residue."""
    return hasattr(form, "format")
