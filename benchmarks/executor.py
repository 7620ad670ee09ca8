"""Every float regime executed on bytes, under all settings, against a step of the simulation.

    python benchmarks/executor.py [--regimes bp local ...] [--record]

The product of regimes, methods, optimizers, norms, updates and three small networks: a step from the
simulation's own state, each tensor at its planned address and dead bytes poisoned. Kept in executor.json: the
number of steps, the largest difference relative to the length of the update, of steps beyond the tolerance
the largest difference of a single value, and how many codes came out otherwise. Of a zeroth-order step beyond
it the losses are computed in float64 as well: kept is how far their differences are from that, in last bits
of a loss. What a record has of regimes that are not named stays in it.
"""

import sys
from itertools import product
from pathlib import Path
from typing import Any

import output
import torch

from devices.program.regimes import REGIMES, find

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from in_double import LossesInDouble
from one_step import OneStep

METHODS = ("fp32", "lsq", "dorefa", "pact", "twn", "lq-net")
OPTIMIZERS = ("sgd", "sgd-momentum", "adam")
NORMS = ("batch", "batch-recompute", "group", "frozen", "none")
MODELS = ("resnet8", "plain4", "cnn")
TOLERANCE = 1e-5


def settings(regime: str) -> list[dict[str, Any]]:
    """All of them; a regime whose update is fixed has one."""
    fused = (True,) if find(regime).fixed_update else (False, True)
    return [
        {"method": method, "optimizer": optimizer, "norm": norm, "fused": now, "model": model}
        for method, optimizer, norm, now, model in product(METHODS, OPTIMIZERS, NORMS, fused, MODELS)
    ]


def measured(regime: str) -> dict[str, Any]:
    """The steps of one regime, the worst of them, and its codes."""
    worst, where, beyond, codes, flips, farthest = 0.0, {}, 0, 0, 0, 0.0
    bits: list[tuple[float, float]] = []
    rows = settings(regime)
    for row in rows:
        step = OneStep(regime, **row)
        found = step.run()
        codes, flips = codes + step.codes, flips + step.flips
        if not found <= TOLERANCE:
            beyond, farthest = beyond + 1, max(farthest, step.worst()[0][1])
            bits += [last_bits(regime, row)] if find(regime).perturbs else []
        if not found <= worst:
            worst, where = found, row
    return {
        "steps": len(rows), "largest_difference": worst, "of": where, "beyond_tolerance": beyond,
        "farthest_beyond": farthest, "codes": codes, "flips": flips,
        **({"last_bits": [max(sides) for sides in zip(*bits, strict=True)]} if bits else {}),
    }  # fmt: skip


def last_bits(regime: str, row: dict[str, Any]) -> tuple[float, float]:
    """Of the simulation's losses, and of those on bytes."""
    step = LossesInDouble(regime, **row)
    step.run()
    return step.last_bits()


def main() -> None:
    """Measure, print a line for each regime, and keep it."""
    parser = output.parser(__doc__)
    parser.add_argument("--regimes", nargs="+", default=list(REGIMES), choices=list(REGIMES))
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = output.kept("executor", record=args.record).get("regimes", {})
    for regime in args.regimes:
        found[regime] = row = measured(regime)
        print(
            f"{regime:15} {row['steps']:4} steps, at most {row['largest_difference']:.1e} of the update, "
            f"{row['beyond_tolerance']} beyond {TOLERANCE:g}; {row['flips']} of {row['codes']:,} codes",
            flush=True,
        )
    rows = {regime: found[regime] for regime in REGIMES if regime in found}
    output.keep("executor", {"tolerance": TOLERANCE, "regimes": rows}, record=args.record)


if __name__ == "__main__":
    main()
