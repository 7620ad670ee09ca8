"""An integer network made from a float one: the same layers in the same blocks with the same heads."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from blockwise.integer.arithmetic import Arithmetic, Place, Scored
from blockwise.integer.layers import (
    AvgPool,
    Flatten,
    IntegerLayer,
    Layers,
    MaxPool,
    Pixels,
    Weighted,
    weighted,
)
from blockwise.integer.tensor import IntTensor
from blockwise.integer.update import FIRST_MU
from blockwise.integer.xorshift import Xorshift32
from blockwise.nets.blocks import BlockNet
from devices.errors import InputError
from devices.network.trace import op_class

FIRST_STREAM = 1
"""Layer i draws its first weights, then its steps, from stream 1 + i of the seed."""


class IntegerHead(nn.Module):
    """A classifier behind a block, or nothing behind the last one, and the loss of its logits."""

    minimum_batch = 1

    def __init__(self, arithmetic: Arithmetic, layers: list[IntegerLayer]) -> None:
        super().__init__()
        self.arithmetic, self.classify = arithmetic, Layers(layers)

    def score(self, h: IntTensor, y: Tensor) -> Scored:
        """The loss of a block's output (B, ...) under labels (B,)."""
        return self.arithmetic.loss(self.classify(h), y)

    def forward(self, h: IntTensor, y: Tensor) -> float:
        """The mean loss, for people."""
        return self.arithmetic.mean_loss(int(self.score(h, y).total), len(y))

    def logits(self, h: IntTensor) -> Tensor:
        """Mantissas of the class scores (B, K)."""
        scores: IntTensor = self.classify(h)
        return scores.mantissa


class IntegerNet(nn.Module):
    """Blocks of integer layers with integer heads; takes uint8 images (B, C, H, W).

    ``mu`` is the learning rate of the steps to come, in bits.
    """

    def __init__(self, float_net: BlockNet, arithmetic: Arithmetic, seed: int) -> None:
        """Of the float network only the structure counts; biases are left out, as NITI has none.

        Raises InputError for a layer that has no integer form.
        """
        super().__init__()
        self.names, self.arithmetic, self.mu = float_net.names, arithmetic, FIRST_MU
        build = _Builder(arithmetic, float_net, seed)
        bodies = [build.layers(body) for body in float_net.bodies]
        self.bodies = nn.ModuleList(Layers(layers) for layers in ([Pixels(), *bodies[0]], *bodies[1:]))
        self.tails = nn.ModuleList(nn.Sequential() for _ in bodies)  # heads read what blocks give
        self.heads = nn.ModuleList(
            IntegerHead(arithmetic, build.layers(head, in_head=True)) for head in float_net.heads
        )

    def __len__(self) -> int:
        return len(self.names)

    def run(self, x: Any, start: int, end: int) -> Any:
        """Pass x through the blocks ``start`` .. ``end`` - 1."""
        for body in self.bodies[start:end]:
            x = body(x)
        return x

    def head(self, index: int) -> IntegerHead:
        """The head of block ``index``."""
        head = self.heads[index]
        assert isinstance(head, IntegerHead)
        return head

    def body(self, index: int) -> Layers:
        """The layers of block ``index``."""
        body = self.bodies[index]
        assert isinstance(body, Layers)
        return body

    @property
    def stored_bytes(self) -> int:
        """Bytes of all weights of the blocks as deployed; exponents follow from shapes."""
        bits = (x.weight.numel() * self.arithmetic.deployed_bits(x.place) for x in weighted(self.bodies))
        return sum(-(-count // 8) for count in bits)


class _Builder:
    """Turns the leaves of a float network into integer layers, in order."""

    def __init__(self, arithmetic: Arithmetic, net: BlockNet, seed: int) -> None:
        self.arithmetic, self.seed, self.count = arithmetic, seed, 0
        weighted = [m for m in net.bodies.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        self.first, self.last = weighted[0], weighted[-1]
        self.before_last = weighted[-2] if len(weighted) > 1 else None

    def layers(self, module: nn.Module, *, in_head: bool = False) -> list[IntegerLayer]:
        """The integer form of ``module``."""
        leaves = [(n, m) for n, m in module.named_modules() if _computes(m)]
        return list(self._convert([x for x in leaves if not isinstance(x[1], nn.Identity)], in_head))

    def _convert(self, leaves: list[tuple[str, nn.Module]], in_head: bool) -> Iterator[IntegerLayer]:
        for (name, module), (_, follower) in pairwise([*leaves, ("", nn.Identity())]):
            if isinstance(module, nn.Conv2d | nn.Linear):
                yield self._weighted(module, isinstance(follower, nn.ReLU), in_head)
            elif isinstance(module, nn.MaxPool2d):
                yield MaxPool()
            elif isinstance(module, nn.Flatten):
                yield Flatten()
            elif isinstance(module, nn.AdaptiveAvgPool2d):
                yield AvgPool(_side(module))
            elif not isinstance(module, nn.ReLU):
                raise InputError(
                    f"layer {name}", got=type(module).__name__, wanted="a layer with an integer form",
                    do="use --norm none and a plain network",
                )  # fmt: skip

    def _weighted(self, module: nn.Conv2d | nn.Linear, relu: bool, in_head: bool) -> Weighted:
        place = Place(
            shape=tuple(module.weight.shape),
            stride=module.stride[0] if isinstance(module, nn.Conv2d) else 1,
            padding=int(module.padding[0]) if isinstance(module, nn.Conv2d) else 0,
            relu=relu,
            edge=in_head or module in (self.first, self.last),
            wide=module is self.before_last,
            head=in_head or module is self.last,
            classes=self.last.weight.shape[0],
        )
        self.count += 1
        return Weighted(self.arithmetic, place, Xorshift32(self.seed, FIRST_STREAM + self.count - 1))


def _computes(module: nn.Module) -> bool:
    """Whether it does something of its own here: not a container, nor the float loss."""
    op = op_class(module)
    return op is not None and not op.is_loss


def _side(module: nn.AdaptiveAvgPool2d) -> int:
    size: Any = module.output_size
    return size if isinstance(size, int) else int(size[0])
