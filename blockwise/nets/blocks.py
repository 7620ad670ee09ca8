"""A network cut into blocks, each with its local head: what the training regimes work on."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from blockwise import heads
from blockwise.heads import Head, Targets
from blockwise.heads.place import split
from blockwise.layers.norms import BATCH_NORMS
from blockwise.layers.weighted import Convolution
from blockwise.nets.chain import Chain
from blockwise.nets.cuts import Cut, block_name
from blockwise.nets.trainable import TrainableNet
from blockwise.quant import Quantizer
from blockwise.quant.layers import QuantLinear


class BlockNet(TrainableNet):
    """Bodies, heads and tails of all blocks. The last head is the loss of the network's own output.

    A head reads what the body gives. The tail is what only the next block reads: dropout and max pool,
    if the head stands before them, otherwise nothing.
    """

    def __init__(self, chain: Chain, groups: Cut, head: str) -> None:
        super().__init__()
        units, names, kind = list(chain.units.values()), chain.unit_names, heads.kind(head)
        self.names = tuple(block_name(tuple(names[i] for i in group)) for group in groups)
        self.last_units = tuple(names[group[-1]] for group in groups)
        parts = [_parts([units[i] for i in group], published=kind.published) for group in groups]
        self.bodies = nn.ModuleList(body for body, _ in parts)
        self.tails = nn.ModuleList(tail for _, tail in parts)
        # one block has no local head
        shapes = chain.unit_shapes(before_pool=kind.published) if len(groups) > 1 else ()
        ahead = [first_conv(units[group[0]]) for group in groups[1:]]
        self.heads = nn.ModuleList(
            heads.make(head, shapes[group[-1]], chain.num_classes, norm=chain.norm, ahead=following)
            for group, following in zip(groups, ahead, strict=False)
        )
        self.heads.append(heads.OutputHead())
        # Published for an output layer that learns alone: nothing before it depends on its loss.
        self.published_output = kind.published and len(groups[-1]) == 1
        self.output_weight = kind.output_weight if self.published_output else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W)."""
        logits: Tensor = self.run(x, 0, len(self))
        return logits

    def loss(self, x: Tensor, y: Tensor, first: int = 0) -> Tensor:
        """Of the network's own output, a scalar; ``x`` is the input of block ``first``, ``y`` (B,) labels."""
        loss: Tensor = self.heads[-1](self.run(x, first, len(self)), y)
        return loss

    def taught(self, index: int, x: Tensor, y: Targets) -> tuple[Tensor, Tensor]:
        """What block ``index`` hands on, detached, and the loss of its head."""
        return taught(*self.parts(index), x, y)

    def answer(self, x: Tensor, first: int = 0) -> Tensor:
        """Logits (B, K) of the network as it would be deployed now; ``x`` is the input of block ``first``."""
        with resting(self), torch.no_grad():
            logits: Tensor = self.run(x, first, len(self))
        return logits

    def head(self, index: int) -> Head:
        """The head of block ``index``."""
        head = self.heads[index]
        assert isinstance(head, Head)
        return head

    def block(self, index: int) -> nn.Module:
        """Block ``index`` as one module, without its head."""
        return nn.Sequential(self.bodies[index], self.tails[index])

    def zero_output(self) -> None:
        """Let an output layer that learns alone start at zero where its heads do, as published.

        One that is quantized does not: its quantizer starts from the weights.
        """
        for layer in self.bodies[-1].modules():
            if self.published_output and isinstance(layer, nn.Linear) and not isinstance(layer, QuantLinear):
                nn.init.zeros_(layer.weight)

    def loss_weight(self, index: int) -> float:
        """Of the loss of block ``index`` where blocks learn locally."""
        return self.output_weight if index == len(self) - 1 else 1.0


def first_conv(unit: nn.Module) -> nn.Module | None:
    """The first convolution of a unit, in the order of its modules; None where it has none."""
    return next((m for m in unit.modules() if isinstance(m, Convolution)), None)


def taught(body: nn.Module, tail: nn.Module, head: nn.Module, x: Tensor, y: Targets) -> tuple[Tensor, Tensor]:
    """What a block hands on, detached, and the loss of its head: no gradient leaves the block."""
    h = body(x)
    with torch.no_grad():  # the head stands before the tail: no gradient comes back through it
        out: Tensor = tail(h.detach())
    return out, head(h, y)


def _parts(units: list[nn.Module], *, published: bool) -> tuple[nn.Sequential, nn.Sequential]:
    """Body and tail of a block of these units."""
    *front, last = units
    last, tail = split(last) if published else (last, nn.Sequential())
    return nn.Sequential(*front, last), tail


@contextlib.contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """Within this context it works as deployed: norms by their running statistics, dropout idle."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


class frozen_statistics:
    """Within this context, norms and quantizers leave what follows the data as it is."""

    def __init__(self, module: nn.Module) -> None:
        self.norms = [m for m in module.modules() if isinstance(m, BATCH_NORMS)]
        self.quantizers = [m for m in module.modules() if isinstance(m, Quantizer)]

    def __enter__(self) -> None:
        self._set(False)

    def __exit__(self, *_: object) -> None:
        self._set(True)

    def _set(self, track: bool) -> None:
        for norm in self.norms:
            norm.track_running_stats = track
        for quantizer in self.quantizers:
            quantizer.tracks = track


class settled_weights(frozen_statistics):
    """Within this context weights are quantized as they were last: what follows them, and noise, stays."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.norms = []
        self.quantizers = [quantizer for quantizer in self.quantizers if quantizer.role == "weight"]
