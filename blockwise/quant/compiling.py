"""A check that a compiler leaves the gradients of quantizers what they are.

Quantizers differentiate by functions of their own. Compilers of some versions lose the gradients of such
functions without a word, and a network then trains its norms and biases alone.
"""

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from blockwise.quant.quantizer import Quantizer
from blockwise.system.compiler import use_compiler
from devices.errors import InputError

ELEMENTS = 1 << 12
"""About as many activations are tried."""

VERSIONS = 1 << 10
"""More than there are networks in a program."""

TOLERANCE = 1e-2
"""Of the largest gradient: far above rounding and a code that falls the other way, far below a loss."""


def check_compiled(net: nn.Module, backend: str = "inductor") -> None:
    """Raise InputError if compiled quantizers of ``net`` have other gradients than eager ones.

    One of each kind and width is tried, on a small input of random numbers, all in one graph; ``net`` and
    the state of random generators stay as they are.
    """
    kinds = _kinds(net)
    if not kinds:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = [_input(quantizer) for quantizer in kinds]
    module = _together(kinds, inputs)
    twin = copy.deepcopy(module)
    expected, found = _gradients(module, module, inputs), _gradients(twin, _compiled(twin, backend), inputs)
    for quantizer, theirs, ours in zip(kinds, expected, found, strict=True):
        if not all(map(_agree, theirs, ours)):
            raise InputError(
                "--compile",
                got=f"PyTorch {torch.__version__}, whose compiled {type(quantizer).__name__} has other "
                "gradients than the eager one",
                wanted="equal ones", do="leave --compile out, or use another version of PyTorch",
            )  # fmt: skip


def _kinds(net: nn.Module) -> list[Quantizer]:
    """One quantizer of each kind, role and width: of weights the smallest."""
    found: dict[tuple[type[Quantizer], str, int], Quantizer] = {}
    for module in net.modules():
        if isinstance(module, Quantizer):
            key = type(module), module.role, module.bits
            if key not in found or math.prod(module.shape) < math.prod(found[key].shape):
                found[key] = module
    return list(found.values())


def _input(quantizer: Quantizer) -> Tensor:
    """Weights as small as a layer's are, or activations of both signs, on the device of the quantizer."""
    tensors = (*quantizer.parameters(), *quantizer.buffers())
    device = next((t.device for t in tensors), torch.device("cpu"))
    if quantizer.role == "weight":
        return (0.1 * torch.randn(quantizer.shape)).to(device)
    return torch.randn(8, ELEMENTS // 8).to(device)


class _Together(nn.Module):
    """Several quantizers, each on its own input: one graph to compile."""

    def __init__(self, quantizers: Iterable[Quantizer]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(quantizers)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """What each makes of its input."""
        return [part(x) for part, x in zip(self.parts, inputs, strict=True)]


def _together(kinds: Iterable[Quantizer], inputs: list[Tensor]) -> _Together:
    """Copies in training, whose levels are set where they start from data."""
    module = _Together(copy.deepcopy(list(kinds))).train()
    with torch.no_grad():
        module(inputs)
    return module


def _compiled(module: _Together, backend: str) -> nn.Module:
    import torch._dynamo  # slow to import, and seldom needed

    use_compiler()
    # Every network's kinds are another version of one code, of which the compiler makes but a few.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, VERSIONS)
    for part in module.modules():
        if isinstance(part, Quantizer):
            part.prepare_compile()
    return torch.compile(module, backend=backend)  # type: ignore[return-value]


def _gradients(module: _Together, runs: nn.Module, inputs: list[Tensor]) -> list[list[Tensor | None]]:
    """Of each quantizer's input and own parameters, under a gradient that differs by element."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    losses = [(y * x.cos()).sum() for y, x in zip(runs(leaves), inputs, strict=True)]
    torch.stack(losses).sum().backward()
    parts = zip(leaves, module.parts, strict=True)
    return [[leaf.grad, *(p.grad for p in part.parameters())] for leaf, part in parts]


def _agree(expected: Tensor | None, found: Tensor | None) -> bool:
    if expected is None or found is None:
        return expected is found
    return bool((expected - found).norm() <= TOLERANCE * expected.norm())
