"""Every regime and every engineered backpropagation on ResNet-20 in float32, by three routes.

    python benchmarks/baselines.py [--record]

Prints a table and keeps baselines.json: the peak of a direct C program (the ``device`` cost
table) with its arena, the peak of the schedule under the ``pytorch`` table, and the storages that a
dispatch mode counts in a real step of PyTorch. The last two must be equal.
"""

import sys
from dataclasses import asdict, dataclass

import output
import torch
from rich.table import Table

import devices
from blockwise import models
from blockwise.report import make_console
from blockwise.studies.real_step import compare
from blockwise.system.processor import processor
from devices.program.regimes import REGIMES

EAGER = [name for name, regime in REGIMES.items() if not regime.perturbs]
"""PyTorch's accounting has no row for directions that are drawn again."""
MODEL, WIDTH, BLOCKS, HEAD, BATCHES, OPTIMIZER = "resnet20", 16, "residual", "gap", (1, 32), "sgd-momentum"


@dataclass(frozen=True)
class Row:
    """One regime at one batch size. Bytes; multiply-accumulates of a whole step."""

    regime: str
    batch: int
    device_bytes: int
    arena_bytes: int
    macs: int
    flash_bytes: int  # read and written in a step
    pytorch_bytes: int
    counted_bytes: int


def planned(chain: models.Chain, regime: str, batch: int) -> devices.Plan:
    """The first route, a program in C."""
    return devices.plan(
        chain, "stm32", regime=regime, batch_size=batch, optimizer=OPTIMIZER, weight_bits=32,
        activation_bits=32, edge_bits=32, blocks=BLOCKS, head=HEAD,
    )  # fmt: skip


def measure(regime: str, batch: int) -> Row:
    """All three routes for one regime."""
    torch.manual_seed(0)
    chain = models.build(MODEL, width=WIDTH)
    plan = planned(chain, regime, batch)
    program = plan.schedule
    flash = program.flash_read_bytes + program.flash_written_bytes
    real = compare(regime, chain, BLOCKS, HEAD, batch, OPTIMIZER)
    return Row(
        regime, batch, plan.peak_bytes, plan.arena.height, program.macs, flash, real.scheduled, real.counted
    )


def main() -> int:
    """Measure, print, record; exit code 1 if two routes differ."""
    arguments = output.parser(__doc__).parse_args()
    rows = [measure(regime, batch) for batch in BATCHES for regime in EAGER]
    conditions = {
        "model": MODEL, "width": WIDTH, "blocks": BLOCKS, "head": HEAD, "optimizer": OPTIMIZER,
        "in_shape": [3, 32, 32], "bits": 32, "torch": torch.__version__, "processor": processor(),
    }  # fmt: skip
    record = {"conditions": conditions, "rows": [asdict(row) for row in rows]}
    output.keep("baselines", record, record=arguments.record)
    table = Table(title=f"{MODEL} at width {WIDTH}, float32, KiB")
    for name in ("batch", "regime", "device", "arena", "pytorch", "counted", "MMAC/image", "flash/step"):
        table.add_column(name, justify="left" if name == "regime" else "right")
    for row in rows:
        sizes = (row.device_bytes, row.arena_bytes, row.pytorch_bytes, row.counted_bytes)
        cells = [f"{size / 1024:,.1f}" for size in sizes]
        work = f"{row.macs / row.batch / 1e6:,.1f}"
        table.add_row(str(row.batch), row.regime, *cells, work, f"{row.flash_bytes / 1024:,.1f}")
    make_console().print(table)
    return int(any(row.pytorch_bytes != row.counted_bytes for row in rows))


if __name__ == "__main__":
    sys.exit(main())
