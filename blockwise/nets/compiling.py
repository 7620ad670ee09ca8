"""A network whose steps run compiled, in pieces as large as the regime allows.

A compiler chooses the layout of what lies within a piece and fuses what follows a convolution with what
precedes the next one. At the seams it hands on tensors as eager PyTorch would: the fewer seams, the better.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from blockwise.heads import Targets
from blockwise.nets.blocks import BlockNet, resting, taught
from blockwise.quant import Quantizer
from blockwise.system.compiler import use_compiler

VERSIONS = 1 << 10
"""More than there are pieces in the networks of a program: the compiler limits the versions of one code."""


class CompiledNet(BlockNet):
    """A twin of a network that shares its parameters.

    Global backpropagation is one piece, local learning one for each block with its head. What goes through
    bodies, tails and heads one by one, as checkpointing does, finds these compiled too. Nothing is compiled
    before it is called.
    """

    originals: tuple[BlockNet]  # the network that runs as it is written; no part of this one
    pieces: dict[tuple[str, int], nn.Module]

    def loss(self, x: Tensor, y: Tensor, first: int = 0) -> Tensor:
        """In one piece."""
        key = "behind", first
        if key not in self.pieces:
            self.pieces[key] = _compile(_Behind(self.originals[0], first))
        loss: Tensor = self.pieces[key](x, y)
        return loss

    def taught(self, index: int, x: Tensor, y: Targets) -> tuple[Tensor, Tensor]:
        """In one piece."""
        key = "taught", index
        if key not in self.pieces:
            self.pieces[key] = _compile(_Taught(*self.originals[0].parts(index)))
        out, loss = self.pieces[key](x, y)
        return out, loss

    def answer(self, x: Tensor, first: int = 0) -> Tensor:
        """In one piece."""
        key = "answer", first
        if key not in self.pieces:
            self.pieces[key] = _compile(_Run(self.originals[0], first))
        with resting(self.originals[0]), torch.no_grad():
            logits: Tensor = self.pieces[key](x)
        return logits


class _Run(nn.Module):
    """The blocks from ``first`` on."""

    def __init__(self, net: BlockNet, first: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(net.block(i) for i in range(first, len(net)))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class _Behind(_Run):
    """The blocks from ``first`` on and the loss behind them."""

    def __init__(self, net: BlockNet, first: int) -> None:
        super().__init__(net, first)
        self.head = net.heads[-1]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        loss: Tensor = self.head(super().forward(x), y)
        return loss


class _Taught(nn.Module):
    """A block with its head."""

    def __init__(self, body: nn.Module, tail: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.tail, self.head = body, tail, head

    def forward(self, x: Tensor, y: Targets) -> tuple[Tensor, Tensor]:
        return taught(self.body, self.tail, self.head, x, y)


def compiled(net: BlockNet) -> CompiledNet:
    """A twin of ``net`` that runs compiled; what is set in one of them, other than modules, stays there."""
    allow_versions()
    for module in net.modules():
        if isinstance(module, Quantizer):
            module.prepare_compile()
    twin = copy.copy(net)
    twin.__class__ = CompiledNet
    assert isinstance(twin, CompiledNet)
    vars(twin).update(originals=(net,), pieces={})
    twin._modules = dict(net._modules)
    twin.bodies = nn.ModuleList(_compile(body) for body in net.bodies)
    twin.tails = nn.ModuleList(_compile(tail) if list(tail.children()) else tail for tail in net.tails)
    twin.heads = nn.ModuleList(_compile(head) for head in net.heads)
    return twin


def allow_versions() -> None:
    """Let the compiler make as many versions of a code as there are pieces that share it.

    Beyond its limit it would leave the rest as they are without a word.
    """
    import torch._dynamo  # slow to import, and seldom needed

    use_compiler()
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, VERSIONS)
    config.accumulated_recompile_limit = max(config.accumulated_recompile_limit, VERSIONS)


def _compile(module: nn.Module) -> nn.Module:
    result: Any = torch.compile(module)
    return result  # type: ignore[no-any-return]
