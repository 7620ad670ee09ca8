"""A network cut into blocks, each with its local head: what the training regimes work on."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from blockwise import heads
from blockwise.describe import block_name
from blockwise.heads import Head
from blockwise.models import Chain
from blockwise.partition import Cut
from blockwise.quant import Quantizer
from devices.trace import MODULE_KINDS

NORMS = tuple(kind for kind, name in MODULE_KINDS.items() if name == "batch_norm")


class BlockNet(nn.Module):
    """The bodies and heads of all blocks. The last head is the loss of the network's own output."""

    def __init__(self, chain: Chain, groups: Cut, head: str) -> None:
        super().__init__()
        units, names, shapes = list(chain.units.values()), chain.unit_names, chain.unit_shapes()
        self.names = tuple(block_name(tuple(names[i] for i in group)) for group in groups)
        self.bodies = nn.ModuleList(nn.Sequential(*(units[i] for i in group)) for group in groups)
        ends = [shapes[group[-1]] for group in groups]
        self.heads = nn.ModuleList(
            heads.make(head, shape, chain.num_classes, norm=chain.norm) for shape in ends[:-1]
        )
        self.heads.append(heads.OutputHead())

    def __len__(self) -> int:
        return len(self.names)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W)."""
        return self.run(x, 0, len(self))

    def run(self, x: Tensor, start: int, end: int) -> Tensor:
        """Pass x through the blocks ``start`` .. ``end`` - 1."""
        for body in self.bodies[start:end]:
            x = body(x)
        return x

    def head(self, index: int) -> Head:
        """The head of block ``index``."""
        head = self.heads[index]
        assert isinstance(head, Head)
        return head


class frozen_statistics:
    """Within this context, norms and quantizers leave what follows the data as it is."""

    def __init__(self, module: nn.Module) -> None:
        self.norms = [m for m in module.modules() if isinstance(m, NORMS)]
        self.quantizers = [m for m in module.modules() if isinstance(m, Quantizer)]

    def __enter__(self) -> None:
        self._set(False)

    def __exit__(self, *_: object) -> None:
        self._set(True)

    def _set(self, track: bool) -> None:
        for norm in self.norms:
            norm.track_running_stats = track  # type: ignore[assignment]
        for quantizer in self.quantizers:
            quantizer.tracks = track


class settled_weights(frozen_statistics):
    """Within this context weights are quantized as they were last: what follows them, and noise, stays."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.norms = []
        self.quantizers = [quantizer for quantizer in self.quantizers if quantizer.role == "weight"]


def compiled(net: BlockNet) -> BlockNet:
    """A twin of ``net`` that shares its parameters and whose blocks and heads are compiled."""
    import torch._dynamo  # slow to import, and seldom needed

    # All blocks share the code of nn.Sequential, and the compiler limits the versions of one code.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 8 * len(net))
    for module in net.modules():
        if isinstance(module, Quantizer):
            module.prepare_compile()
    twin = copy.copy(net)
    twin._modules = dict(net._modules)
    twin.bodies = nn.ModuleList(_compile(body) for body in net.bodies)
    twin.heads = nn.ModuleList(_compile(head) for head in net.heads)
    return twin


def _compile(module: nn.Module) -> nn.Module:
    result: Any = torch.compile(module)
    return result  # type: ignore[no-any-return]
