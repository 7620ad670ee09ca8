"""The layers of an integer network: each goes forward, keeps what it needs, and goes back once.

Weights are buffers of integers. What is kept going forward in training mode is freed going back.
"""

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import torch
from torch import Size, Tensor, nn

from blockwise.integer.arithmetic import Arithmetic, Error, Place
from blockwise.integer.images import from_pixels
from blockwise.integer.jumps import Waiting
from blockwise.integer.pool import avg_pool_gradient, max_pool, max_pool_gradient, wide_avg_pool
from blockwise.integer.shares import Share
from blockwise.integer.tensor import Accumulator, IntTensor
from blockwise.integer.xorshift import Xorshift32
from devices.errors import InputError


class IntegerLayer(nn.Module, ABC):
    """Integers in, integers out, and an error back."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Any = None

    def forward(self, x: IntTensor) -> IntTensor:
        """The output; in training mode what :meth:`backward` needs is kept."""
        out, kept = self.compute(x)
        self.kept = kept if self.training else None
        return out

    @abstractmethod
    def compute(self, x: IntTensor) -> tuple[IntTensor, Any]:
        """The output, and what going back needs."""

    def each(self, x: IntTensor) -> IntTensor:
        """The output for each image (B, ...) as a batch of one: see :mod:`blockwise.integer.each`."""
        return self.compute(x)[0]

    def backward(self, error: Error, mu: int, *, to_input: bool) -> Error | None:
        """The error of the input, if it is asked for; weights take their step."""
        kept, self.kept = self.kept, None
        return self.go_back(error, kept, mu, to_input=to_input)

    @abstractmethod
    def go_back(self, error: Error, kept: Any, mu: int, *, to_input: bool) -> Error | None:
        """As :meth:`backward`."""


class Weighted(IntegerLayer):
    """A convolution or linear layer with the activation behind it, if there is one.

    ``random_state`` is the layer's own generator, of which its first weights and its steps draw: what
    other layers draw cannot move it, so a block ends with the same bits whatever happens behind it.
    """

    weight: Tensor
    random_state: Tensor
    trained = True
    share: Share | None = None  # of which channels steps are taken, if not of all
    waiting: Waiting | None = None  # where gradients are added up, if not each of them is a step

    def __init__(self, arithmetic: Arithmetic, place: Place, rng: Xorshift32) -> None:
        super().__init__()
        self.arithmetic, self.place = arithmetic, place
        self.register_buffer("weight", arithmetic.initial(place, rng))
        self.register_buffer("random_state", torch.tensor(rng.word, dtype=torch.int32))

    def compute(self, x: IntTensor) -> tuple[IntTensor, Any]:
        """Kept are the input and what the activation needs."""
        out, saved = self.arithmetic.forward(x, self.weight, self.place)
        return out, (x, saved)

    def each(self, x: IntTensor) -> IntTensor:
        """As the arithmetic does it."""
        return self.arithmetic.each(x, self.weight, self.place)

    def go_back(self, error: Error, kept: Any, mu: int, *, to_input: bool) -> Error | None:
        """The input's error first, from the old weights; then the step."""
        x, saved = kept
        arithmetic, place = self.arithmetic, self.place
        error = arithmetic.activated(error, saved, place)
        back = arithmetic.input_error(error, self.weight, place, x.shape) if to_input else None
        if not self.trained:
            return back
        if self.share is None:
            gradient = arithmetic.weight_sums(error, x, place)
        else:
            gradient = self.share.weight_sums(arithmetic, error, x)
        summed = gradient if self.waiting is None else self.waiting.add(gradient)
        if summed is not None:
            self._step(summed, mu)
        return back

    def _step(self, gradient: Accumulator, mu: int) -> None:
        """Of all weights, or of those that are trained."""
        rng, old = Xorshift32.at(int(self.random_state)), self.weight
        if self.share is None:
            self.weight.copy_(self.arithmetic.updated(old, gradient, self.place, mu, rng))
        else:
            self.weight.copy_(self.share.updated(self.arithmetic, old, gradient, mu, rng))
        self.random_state.fill_(rng.word)


class Pixels(IntegerLayer):
    """uint8 images (B, C, H, W) as integer tensors: the first layer, behind which nothing goes back."""

    def forward(self, x: Any) -> IntTensor:
        """Centred mantissas."""
        return from_pixels(x)

    def compute(self, x: IntTensor) -> tuple[IntTensor, Any]:
        """Nothing is kept."""
        return x, None

    def each(self, x: Any) -> IntTensor:
        """Centred mantissas."""
        return from_pixels(x)

    def go_back(self, error: Error, kept: Any, mu: int, *, to_input: bool) -> Error | None:
        """Images have no error."""
        return None


class IntegerMaxPool(IntegerLayer):
    """Over windows side by side."""

    def __init__(self, window: tuple[int, ...]) -> None:
        super().__init__()
        self.window = window

    def compute(self, x: IntTensor) -> tuple[IntTensor, Any]:
        """Kept is the place of each largest value."""
        window = _for_each_side(self.window, x.shape)
        out, which = max_pool(x, window)
        return out, (which, x.shape, window)

    def go_back(self, error: Error, kept: Any, mu: int, *, to_input: bool) -> Error | None:
        """To the largest."""
        return max_pool_gradient(error, *kept)


class IntegerAvgPool(IntegerLayer):
    """Means over windows side by side, or over as large ones as leave ``output`` values a side; as int8.

    ``by_shifts``: over powers of two alone.
    """

    def __init__(
        self, window: tuple[int, ...] = (), *, output: tuple[int, ...] = (), by_shifts: bool = False
    ) -> None:
        super().__init__()
        self.window, self.output, self.by_shifts = window, output, by_shifts

    def compute(self, x: IntTensor) -> tuple[IntTensor, Any]:
        """Only window and shape are kept. Raises InputError for windows that it cannot have."""
        if self.output:
            window = window_of(x.shape, _for_each_side(self.output, x.shape))
        else:
            window = _for_each_side(self.window, x.shape)
        count = prod(window)
        if self.by_shifts and count & count - 1:
            sides = "x".join(map(str, window))
            raise InputError(
                "average pool", got=f"a window of {sides}", wanted="a power of two: a shift divides",
                do="choose another image size or pool",
            )  # fmt: skip
        return wide_avg_pool(x, window), (window, x.shape)

    def go_back(self, error: Error, kept: Any, mu: int, *, to_input: bool) -> Error | None:
        """To all of the window."""
        return avg_pool_gradient(error, *kept)


def window_of(shape: Size | tuple[int, ...], output: tuple[int, ...]) -> tuple[int, ...]:
    """The windows of equal size that leave ``output`` of a map (B, C, ...)."""
    sides = shape[2:]
    if any(side % left for side, left in zip(sides, output, strict=True)):
        size, wanted = ("x".join(map(str, lengths)) for lengths in (sides, output))
        raise InputError(
            "average pool", got=f"a map of {size}", wanted=f"sides of multiples of {wanted}",
            do="use another image size or another model",
        )  # fmt: skip
    return tuple(side // left for side, left in zip(sides, output, strict=True))


def _for_each_side(lengths: tuple[int, ...], shape: Size) -> tuple[int, ...]:
    """One length for every dimension of space of a map (B, C, ...), where one is given for all."""
    rank = len(shape) - 2
    return lengths if len(lengths) == rank else lengths[:1] * rank


class Flatten(IntegerLayer):
    """(B, C, H, W) -> (B, C H W), or (B, *shape), row by row."""

    def __init__(self, shape: tuple[int, ...] = (-1,)) -> None:
        super().__init__()
        self.shape = shape

    def compute(self, x: IntTensor) -> tuple[IntTensor, Any]:
        """Only the shape is kept."""
        return x.reshape(x.shape[0], *self.shape), x.shape

    def go_back(self, error: Error, kept: Size, mu: int, *, to_input: bool) -> Error | None:
        """The same elements."""
        return reshaped(error, kept)


def reshaped(error: Error, shape: Size) -> Error:
    """An error in another shape; a map has its channels last in memory, as convolutions want it."""
    mantissa = error.mantissa.reshape(shape)
    if len(shape) == 4:
        mantissa = mantissa.contiguous(memory_format=torch.channels_last)
    return type(error)(mantissa, error.exponent)


class Layers(nn.Module):
    """Integer layers in order."""

    def __init__(self, layers: list[IntegerLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> IntTensor:
        """Through all of them."""
        for layer in self.layers:
            x = layer(x)
        return x  # type: ignore[no-any-return]

    def each(self, x: Any) -> IntTensor:
        """Through all of them, each image as a batch of one."""
        for layer in self.layers:
            assert isinstance(layer, IntegerLayer)
            x = layer.each(x)
        assert isinstance(x, IntTensor)
        return x

    def backward(self, error: Error, mu: int, *, to_input: bool) -> Error | None:
        """Back through all of them; below the first weights that are trained only if ``to_input``."""
        needed = to_input
        asked: list[bool] = []
        for layer in self.layers:  # whether something before a layer wants its error
            asked.append(needed)
            needed = needed or (isinstance(layer, Weighted) and layer.trained)
        found: Error | None = error
        for layer, wanted in zip(reversed(self.layers), reversed(asked), strict=True):
            assert isinstance(layer, IntegerLayer)
            if found is None:
                break
            found = layer.backward(found, mu, to_input=wanted)
        return found


def weighted(module: nn.Module) -> list[Weighted]:
    """All layers with weights, in order."""
    return [layer for layer in module.modules() if isinstance(layer, Weighted)]


def weights_of(module: nn.Module) -> list[torch.Tensor]:
    """All weights in order."""
    return [layer.weight for layer in weighted(module)]
