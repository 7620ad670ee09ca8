"""On which boards can ResNet-20 be trained on the digits, and by which regime?

    python examples/every_board.py

One line a board, from the smallest: the first of four regimes that fits, or how far the leanest is from it.
"""

from typing import Any

import blockwise
import devices

REGIMES = ("bp", "bp-best", "local", "local-resident")  # from the least work to the least memory
NETWORK: dict[str, Any] = {
    "in_shape": (1, 8, 8), "width": 8, "batch_size": 16, "blocks": "residual", "head": "lookahead:16",
}  # fmt: skip


def main() -> None:
    """Plan every regime once, then place it on every board."""
    plans = {regime: blockwise.plan("resnet20", "stm32", regime=regime, **NETWORK) for regime in REGIMES}
    leanest = min(plan.peak_bytes for plan in plans.values())
    for board in sorted(devices.catalogue().values(), key=lambda board: board.usable_bytes):
        missing = leanest - board.usable_bytes
        told = f"none: {missing / 1024:,.0f} KiB are missing"
        if missing <= 0:  # else no placement can help
            fits = (r for r in REGIMES if blockwise.plan("resnet20", board, regime=r, **NETWORK).fits)
            told = next(fits, "none: no tensor may lie across two runs of RAM")
        print(f"{board.name:16} {board.usable_bytes // 1024:5} KiB  {told}")


if __name__ == "__main__":
    main()
