"""A network of one's own: how large a batch would each regime train on a board?

    python examples/own_module.py

The module is traced and cut wherever a single tensor crosses.
"""

from torch import Tensor, nn
from torch.nn import functional as F

import blockwise


class Net(nn.Module):
    """Logits (B, 10) of images (B, 1, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.classifier = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)) + x)
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


def main() -> None:
    """The units it is cut into, and the largest batch of each regime that fits."""
    chain = blockwise.from_module(Net(), in_shape=(1, 28, 28))
    print("units:", ", ".join(chain.unit_names))
    for regime in ("bp", "bp-best", "local"):
        plans = [blockwise.plan(chain, "stm32", regime=regime, batch_size=n, head="gap") for n in range(1, 9)]
        fitting = [plan for plan in plans if plan.fits]
        print(f"{regime:8} trains {len(fitting)} images at a time, in {fitting[-1].peak_bytes // 1024} KiB")


if __name__ == "__main__":
    main()
