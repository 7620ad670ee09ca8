"""Networks as people write them, for images of 1x8x8 in 10 classes."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Functions(nn.Module):
    """Operations as functions, one dropout for all, a reshape by the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 16, 3)
        self.f1, self.f2 = nn.Linear(16, 32), nn.Linear(32, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Any:
        x = self.drop(F.max_pool2d(F.relu(self.c1(x)), 2))
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = self.drop(x.view(x.size(0), -1))
        return self.f2(F.relu(self.f1(x)))


class Residual(nn.Module):
    """One in-place ReLU for both places, a sum in place."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.shortcut = shortcut if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Any:
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        h += self.shortcut(x)
        return self.relu(h)


class Residuals(nn.Module):
    """Residual blocks between a stem and a mean over space; an argument that nobody gives."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()
        self.layers = nn.Sequential(Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor, features: object = None) -> Any:
        return self.head(self.layers(self.relu(self.stem(x))).mean((2, 3)))


class Branches(nn.Module):
    """Two branches, one of which begins with a pool, and a pool behind their concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
        self.wide, self.pooled = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        x = torch.cat([F.relu(self.wide(x)), F.relu(self.pooled(pooled))], 1)
        return self.head(F.max_pool2d(x, 2))


def row() -> nn.Sequential:
    """Layers in a row, in a flat nn.Sequential."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


class NormsLast(nn.Module):
    """A block as in ConvNeXt: norm, linear layers and factors on maps whose channels stand last."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem, self.dw = nn.Conv2d(1, width, 2, 2), nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.gamma, self.fc = nn.Parameter(torch.full((width,), 0.5)), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        h = self.up(self.norm(self.dw(x).permute(0, 2, 3, 1)))
        h = self.gamma * self.down(F.gelu(h))
        return self.fc(self.last((x + h.permute(0, 3, 1, 2)).mean((2, 3))))


class Shuffled(nn.Module):
    """A unit as in ShuffleNet V2: half of the channels pass by, then the halves are shuffled."""

    mean: Tensor

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        half = width // 2
        self.stem, self.norm = nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width)
        self.a, self.n = nn.Conv2d(half, half, 3, padding=1), nn.BatchNorm2d(half)
        self.fc = nn.Linear(width, 10)
        self.register_buffer("mean", torch.full((1, 1, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.norm(self.stem((x - self.mean) / 2)))
        left, right = x.chunk(2, dim=1)
        x = torch.cat([left, F.relu(self.n(self.a(right)))], 1)
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        return self.fc(x.mean((2, 3)))


class Wrapping(nn.Module):
    """A norm and a classifier beside a ``model`` that has layers of the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(4)
        self.model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3), bn=nn.BatchNorm2d(4), act=nn.ReLU()))
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.bn(self.model(x)).relu().mean((2, 3)))


class Twice(nn.Module):
    """Two rows, by names that programs put before those of networks."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        self.model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.model(self.net(x)).mean((2, 3)))


class Gated(nn.Module):
    """Gated linear units, a hard swish that is written out, factors, and a convolution that looks back."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(8, 2 * width, 3, padding=2), nn.Conv1d(width, 2 * width, 3, padding=1)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.glu(self.a(x.flatten(1, 2))[:, :, :-2], 1)
        h = self.b(x)
        h = h * F.relu6(h + 3) / 6
        return self.fc((1 - x * 0.5 + F.glu(h, 1)).mean(2))


class Broadcast(nn.Module):
    """As BC-ResNet: means of rows are added to each; a gate of the channels' mean and maximum."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem, self.point = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.rows = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4)
        self.time = nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=4)
        self.gate, self.behind = nn.Conv2d(2, 1, 3, padding=1), nn.Conv2d(12, 6, 3)
        self.head = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.stem(x))
        y = self.rows(x)
        x = F.relu(x + y + self.point(F.silu(self.time(y.mean(2, keepdim=True)))))
        x = x * torch.sigmoid(self.gate(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))
        x = F.relu(torch.add(x, x * x, alpha=0.5) - x.mean(3, keepdim=True))
        whole = F.relu(x.mean((2, 3), keepdim=True)).expand_as(x)
        x = F.relu(self.behind(torch.cat([x, whole, x.amax(3, keepdim=True).expand(-1, -1, -1, 8)], 1)))
        return self.head(x.mean((2, 3)))


class Mixed(nn.Module):
    """As MLP-Mixer: linear layers over places and over channels; rows beside columns in one convolution."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.rows, self.patch = nn.Linear(8, 8), nn.Conv2d(1, 6, 2, 2)
        self.n1, self.n2 = nn.LayerNorm(6), nn.LayerNorm(6)
        self.a, self.b, self.c, self.d = nn.Linear(16, 5), nn.Linear(5, 16), nn.Linear(6, 8), nn.Linear(8, 6)
        self.shared, self.last, self.head = nn.Conv2d(6, 4, 1), nn.Conv2d(4, 6, 1), nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.patch(self.rows(x)).flatten(2).transpose(1, 2)
        x = x + self.b(F.gelu(self.a(self.n1(x).transpose(1, 2)))).transpose(1, 2)
        x = x + self.d(F.gelu(self.c(self.n2(x))))
        x = F.relu(x.transpose(1, 2).unflatten(2, (4, 4)))
        rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)
        rows, columns = F.hardswish(self.shared(torch.cat([rows, columns], dim=2))).split([4, 4], dim=2)
        x = x * torch.sigmoid(self.last(rows)) * self.last_of(columns)
        return self.head(x.mean((2, 3)))

    def last_of(self, columns: Tensor) -> Tensor:
        return F.hardsigmoid(columns.transpose(2, 3)[:, :1])


class NormsFirst(nn.Module):
    """Norms and activations before their layers: added (He et al. 2016), beside (DenseNet), a gate."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem, self.gate = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(6, 6, 1)
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.n1, self.n2, self.n3 = nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4)
        self.free, self.wider = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 3, padding=1)
        self.last, self.fc = nn.GroupNorm(3, 6), nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        x = x + self.b(F.relu(self.n2(self.a(F.relu(self.n1(x))))))
        x = x + self.free(F.leaky_relu(x))
        x = torch.cat([x, self.wider(F.relu(self.n3(x)))], 1)
        x = x * torch.sigmoid(self.gate(F.silu(x)))
        return self.fc(F.relu(self.last(x)).mean((2, 3)))


class NormAct(nn.BatchNorm2d):
    """A norm with its activation, as timm has it: its own code calls the norm as a function."""

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.ndim == 4, "a map")
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        of = (self.running_mean, self.running_var, self.weight, self.bias)
        by_batch = self.training or self.running_mean is None
        return F.relu(F.batch_norm(x, *of, by_batch, self.momentum or 0.0, self.eps))


class GroupNorm1(nn.GroupNorm):
    """Of one group, as timm has it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class LayerNorm(nn.LayerNorm):
    """As timm has it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class CalledNorms(nn.Module):
    """Norms whose code calls functions, with statistics and parameters of their own or without."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem, self.bn1 = nn.Conv2d(1, 4, 3, padding=1, bias=False), NormAct(4, momentum=0.2, eps=1e-3)
        self.a, self.bn2 = nn.Conv2d(4, 6, 3, bias=False), NormAct(6, affine=False, track_running_stats=False)
        self.b, self.gn = nn.Conv2d(6, 4, 1), GroupNorm1(1, 4)
        self.norm, self.fc = LayerNorm(4), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.bn2(self.a(self.bn1(self.stem(x))))
        return self.fc(self.norm(F.silu(self.gn(self.b(x))).mean((2, 3))))


class Pair(nn.Module):
    """Two branches in a list, one of them a row, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = nn.Sequential(nn.Conv2d(channels, channels // 2, 3, padding=1), nn.ReLU())
        self.branches = nn.ModuleList([nn.Conv2d(channels, channels // 2, 1), row])

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def nested() -> nn.Sequential:
    """Rows of rows: blocks have branches, and the classifier has layers of its own."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Sequential(Pair(8), nn.Conv2d(8, 8, 1)), Pair(8), nn.Conv2d(8, 8, 1)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)),
    )


class SumOfThree(nn.Module):
    """A sum of three maps, one of which an activation reads as well: its gradient comes from both."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, 2), nn.Conv2d(4, 4, 3, padding=1)
        self.c, self.fc = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 10)
        self.act, self.pool = nn.ReLU(), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Any:
        a = self.a(x)
        b = self.b(a)
        return self.fc(self.pool(self.c(self.act(b)) + a + b).flatten(1))


class Scaled(nn.Module):
    """Zeros of an activation, scaled by trained values before they are quantized with their sign."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, 2), nn.Linear(36, 10)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> Any:
        return self.fc((self.conv(x).relu() * self.scale).flatten(1))


class Outside(nn.Module):
    """Parameters that stand in no layer: of a norm and a linear layer as functions, a factor, a summand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm_weight, self.norm_bias = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))
        self.mixing = nn.Parameter(torch.randn(4, 4))
        self.gain, self.shift = nn.Parameter(torch.randn(4, 1, 1)), nn.Parameter(torch.randn(1, 4, 1, 1))
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 10) of (B, 1, H, W)."""
        x = F.layer_norm(self.conv(x).permute(0, 2, 3, 1), (4,), self.norm_weight, self.norm_bias)
        x = F.gelu(F.linear(x, self.mixing)).permute(0, 3, 1, 2)
        logits: Tensor = self.fc((x * self.gain + self.shift).mean((2, 3)))
        return logits


class Volumes(nn.Module):
    """Images as volumes of 4x2x8: strides, borders and kernels that differ from side to side."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv3d(1, 4, 3, padding=1, stride=(2, 1, 2)), nn.BatchNorm3d(4)
        self.conv2, self.norm2 = nn.Conv3d(4, 6, (1, 3, 2)), nn.BatchNorm3d(6)
        self.fc = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Any:
        x = F.pad(x.view(x.size(0), 1, 4, 2, 8), (0, 0, 1, 1))
        x = F.relu(self.norm1(self.conv1(x)))
        return self.fc(F.relu(self.norm2(self.conv2(x))).mean((2, 3, 4)))


class Heads(nn.Module):
    """Attention of ``heads`` heads between tokens (B, N, C), as timm writes it."""

    hidden: Tensor | None

    def __init__(self, width: int, heads: int, hidden: Tensor | None = None) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.register_buffer("hidden", hidden)
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Any:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-2, -1)) * self.scale
        if self.hidden is not None:
            scores = scores.masked_fill(self.hidden, float("-inf"))
        return self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(b, n, c))


class Encoder(nn.Module):
    """Norms first: attention between tokens, then two linear layers of each."""

    def __init__(self, width: int, heads: int, hidden: Tensor | None = None) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Heads(width, heads, hidden)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Any:
        x = x + self.attention(self.n1(x))
        return x + self.narrow(F.gelu(self.wide(self.n2(x))))


class Compact(nn.Module):
    """A compact convolutional transformer (Hassani et al. 2021, arXiv 2104.05704).

    Its tokens come from a convolution, their places are learnt, and they are pooled by shares that are.
    """

    hidden: Tensor | None = None

    def __init__(self, classes: int = 10, width: int = 8, depth: int = 1) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(1, width, 3, padding=1, bias=False), nn.MaxPool2d(2)
        self.places = nn.Parameter(torch.randn(1, 16, width) / 5)
        self.blocks = nn.Sequential(*[Encoder(width, 2, self.hidden) for _ in range(depth)])
        self.norm, self.share, self.head = nn.LayerNorm(width), nn.Linear(width, 1), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.pool(torch.relu(self.stem(x))).flatten(2).transpose(1, 2) + self.places
        x = self.norm(self.blocks(x))
        shares = F.softmax(self.share(x), dim=1)
        return self.head(torch.matmul(shares.transpose(-1, -2), x).squeeze(-2))


class Causal(Compact):
    """Its tokens see none behind them."""

    hidden = torch.ones(16, 16, dtype=torch.bool).triu(1)


class Sines(Compact):
    """Places by a table of sines, of which it reads as many as there are tokens; a constant for each."""

    table: Tensor
    gain: Tensor

    def __init__(self, classes: int = 10) -> None:
        super().__init__(classes)
        del self.places
        self.register_buffer("table", (torch.arange(20)[:, None] / 10 ** torch.linspace(0, 2, 8)).sin())
        self.register_buffer("gain", torch.linspace(0.5, 1.5, 16)[:, None])

    def forward(self, x: Tensor) -> Any:
        x = self.pool(torch.relu(self.stem(x))).flatten(2).transpose(1, 2)
        x = self.norm(self.blocks((x + self.table[: x.size(1)]) * self.gain))
        return self.head(torch.bmm(F.softmax(self.share(x), dim=1).transpose(1, 2), x).squeeze(1))
