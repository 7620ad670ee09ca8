"""A trained network of floats, or of codes that stand for floats, as steps and tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blockwise.data import Normalize
from blockwise.deployed.even import even
from blockwise.deployed.staircase import staircase
from blockwise.deployed.steps import OUTSIDE, SAME, Call, Part, Step, call, parts
from blockwise.deployed.weights import Coded, coded
from blockwise.nets.chain import Chain
from blockwise.quant import FLOAT_BITS, Quantizer
from blockwise.quant.layers import FloatReLU, QuantActivation, QuantReLU, QuantWeighted, Shared, Signed
from devices.errors import InputError
from devices.network import IMAGES, Layer
from devices.network.ops import BatchNorm, Cat
from devices.network.ops.beside import by_channel
from devices.network.trace import trace

Levels = Quantizer | Signed
FORMS: tuple[Call, ...] = (("relu", {}), ("hardtanh", {"min_val": -1.0, "max_val": 1.0}))
"""What a quantized activation is where its floats are read."""
PROBE = torch.linspace(-3, 3, 25)


class Steps:
    """The steps of ``chain``, in evaluation mode, on bytes that ``normalize`` makes floats of.

    Raises InputError for a layer that is no function of its input alone.
    """

    def __init__(self, chain: Chain, normalize: Normalize) -> None:
        self.steps: list[Step] = []
        self.tensors: dict[str, Tensor] = {}
        self.coded: list[Coded] = []
        self.shapes: dict[str, tuple[int, ...]] = {IMAGES: chain.in_shape}
        self.values = {IMAGES: IMAGES}  # layer -> the step whose value is its output
        self.quantized: dict[int, str] = {}  # quantizer of several readers -> its step
        constants = dict(zip(("scale", "shift"), normalize.coefficients, strict=True))
        beside = by_channel(chain.in_shape[0], chain.in_shape)
        part = Part(("normalise", {}), chain.in_shape, beside=beside)
        self.values[IMAGES] = self._part("input", "input", part, (IMAGES,), constants)
        source, shape = IMAGES, chain.in_shape
        for name, unit in chain.units.items():
            for layer in trace(unit, {source: shape}, name):
                self.shapes[layer.name] = layer.shape
                self._layer(layer, _module(unit, layer.name.removeprefix(f"{name}.")))
                source, shape = layer.name, layer.shape

    def _layer(self, layer: Layer, module: nn.Module | None) -> None:
        inputs = tuple(self.values[name] for name in layer.inputs)
        if isinstance(module, QuantWeighted):
            self._weighted(layer, module, inputs[0])
        elif isinstance(module, QuantReLU):
            self.values[layer.name] = self._levels(layer.name, module.quantizer, inputs[0], layer.shape)
        elif isinstance(module, QuantActivation):
            floats = self._step(f"{layer.name}.form", call(layer.op), inputs, layer.shape)
            self.values[layer.name] = self._levels(layer.name, module.quantizer, floats, layer.shape)
        elif isinstance(module, FloatReLU):
            form = _form(layer.name, module.form(PROBE))
            self.values[layer.name] = self._step(layer.name, form, inputs, layer.shape)
        else:
            self._plain(layer, inputs, _arguments(layer, module))

    def _plain(self, layer: Layer, inputs: tuple[str, ...], constants: Mapping[str, Tensor]) -> None:
        """The functions of a layer one after the other; the last has its name and its tensors."""
        if isinstance(layer.op, Cat) and len(inputs) == 1:  # of a tensor with itself
            inputs *= layer.shape[layer.op.dim - 1] // self.shapes[layer.inputs[0]][layer.op.dim - 1]
        found = list(parts(layer, self.shapes))
        self.values[layer.name] = inputs[0]
        for number, part in enumerate(found, 1):
            name = layer.name if number == len(found) else f"{layer.name}.{part.call[0]}"
            inputs = (self._part(name, layer.name, part, inputs, constants),)
            self.values[layer.name] = name

    def _weighted(self, layer: Layer, module: QuantWeighted, source: str) -> None:
        if module.input_quantizer is not None:
            shape = self.shapes[layer.inputs[0]]
            source = self._levels(f"{layer.name}.input", module.input_quantizer, source, shape)
        if module.weight_quantizer.bits == FLOAT_BITS:
            self._plain(layer, (source,), _arguments(layer, module))
            return
        found = coded(module.weight_quantizer, module.weight.detach())
        self.coded.append(found)
        self.tensors |= {f"{layer.name}.{part}": tensor for part, tensor in found.tensors.items()}
        bias = {} if module.bias is None else {"bias": module.bias}
        self._plain(layer, (source,), bias)
        step = self.steps.pop()
        tensors = {"weight": f"{layer.name}.weight", **step.tensors}
        self.steps.append(
            Step(step.name, step.op, step.inputs, step.shape, step.options, tensors, found.told)
        )

    def _levels(self, name: str, module: nn.Module, source: str, shape: tuple[int, ...]) -> str:
        """The step of a quantizer of activations; of several readers there is one."""
        key, quantizer = id(module), module.quantizer if isinstance(module, Shared) else module
        assert isinstance(quantizer, Levels)
        if key in self.quantized:
            return self.quantized[key]
        if quantizer.bits == FLOAT_BITS:
            return self._step(name, _form(name, quantizer(PROBE[None])[0]), (source,), shape)
        function, constants = _quantizer(quantizer)
        self.quantized[key] = self._step(name, function, (source,), shape, constants)
        return self.quantized[key]

    def _step(
        self, name: str, function: Call, inputs: tuple[str, ...], shape: tuple[int, ...],
        constants: Mapping[str, Tensor] | None = None,
    ) -> str:  # fmt: skip
        """A function whose tensors have the names of its arguments."""
        given = constants or {}
        return self._part(name, name, Part(function, shape, {key: key for key in given}), inputs, given)

    def _part(
        self, name: str, owner: str, part: Part, inputs: tuple[str, ...], constants: Mapping[str, Tensor]
    ) -> str:
        """The step ``name``, whose tensors have the names that they have in the layer ``owner``."""
        op, options = part.call
        names = {}
        for argument, own in part.takes.items():
            if own in constants:
                names[argument] = f"{owner}.{own}"
                tensor = constants[own].detach().clone().contiguous()
                self.tensors[names[argument]] = tensor.view(part.beside) if part.beside else tensor
        self.steps.append(Step(name, op, inputs, part.shape, options, names))
        return name

    @property
    def foreign(self) -> tuple[str, ...]:
        """The operations from outside."""
        found = {step.op for step in self.steps if step.op.startswith(OUTSIDE)}
        return tuple(sorted(op.removeprefix(OUTSIDE) for op in found))


def _quantizer(quantizer: Levels) -> tuple[Call, dict[str, Tensor]]:
    """Whole numbers times a scale where that is what it computes, to the bit; else its thresholds."""
    found = staircase(quantizer)
    grid = even(found.levels[None])
    if grid is not None and grid.stride == 1:
        low, scale = grid.low, grid.scale[0]
        high = low + len(found.levels) - 1
        if found.is_that_of(lambda x: (x / scale).clamp(low, high).round() * scale):
            return ("quantize", {"bits": quantizer.bits, "low": low, "high": high}), {"scale": scale}
    constants = {"thresholds": found.thresholds, "levels": found.levels}
    return ("levels", {"bits": quantizer.bits}), constants


def _form(name: str, values: Tensor) -> Call:
    """The function that gives these values for :data:`PROBE`."""
    for op, options in FORMS:
        if torch.equal(values, getattr(nn.functional, op)(PROBE, **options)):
            return op, options
    raise InputError(
        f"layer {name}", got="an activation in float of the method's own",
        wanted=f"one of {', '.join(op for op, _ in FORMS)}", do="export it under --residual codes",
    )  # fmt: skip


def _arguments(layer: Layer, module: nn.Module | None) -> dict[str, Tensor]:
    """The tensors that the layer's function takes."""
    if isinstance(layer.op, BatchNorm) and not layer.op.tracks:
        raise InputError(
            f"layer {layer.name}", got="a norm by the statistics of each batch",
            wanted="one that predicts an image alone", do="give it running statistics",
        )  # fmt: skip
    found = {name: getattr(module, name, None) for name in SAME}
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


def _module(unit: nn.Module, path: str) -> nn.Module | None:
    """The module of a layer; None for a function."""
    try:
        return unit.get_submodule(path)
    except AttributeError:
        return None
