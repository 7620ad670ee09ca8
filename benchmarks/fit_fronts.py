"""The front of ``run.py fit`` as it searches by default, beside that of every candidate (``--all``).

    python benchmarks/fit_fronts.py [--networks cnn resnet8 ...] [--record]

By default a sample is looked at, and what differs from the front in one setting until nothing changes. Kept
are, for each network on its board, how many candidates either search looked at, in how much processor time,
and how many points of one front are none of the other, by their figures (peak RAM, multiply-accumulates and
flash traffic per image). What a record has of other networks stays in it.
"""

import os
from dataclasses import replace
from typing import Any

import output

from blockwise.fit import Model, Space, search
from blockwise.fit.networks import bodies
from blockwise.fit.result import FitResult
from blockwise.system.processor import processor
from devices import load

NETWORKS: dict[str, tuple[Model, str]] = {
    "cnn": (Model("cnn", 8), "stm32"),
    "ds-cnn": (Model("ds-cnn", 64, (1, 49, 10), 12), "stm32"),
    "resnet8": (Model("resnet8", 8), "stm32f411"),
}
"""Network -> with its width and inputs, and the board."""
EVERY = 10**9


def timed(model: Model, board: str, limit: int | None) -> tuple[FitResult, float]:
    """A search, and its processor time in seconds."""
    before = sum(os.times()[:2])
    most = bodies(model)
    blocks = tuple(name for name in Space().blocks if not name.isdecimal() or int(name) <= most)
    found = search(replace(Space(), blocks=blocks), model, load(board), most=limit)
    return found, sum(os.times()[:2]) - before


def figures(result: FitResult) -> set[tuple[float, ...]]:
    """Of each point of the front."""
    return {tuple(choice.confirmed.measured.objectives) for choice in result.front}


def compared(name: str) -> dict[str, Any]:
    """Both searches of one network."""
    model, board = NETWORKS[name]
    refined, short = timed(model, board, None)
    whole, long = timed(model, board, EVERY)
    some, every = figures(refined), figures(whole)
    return {
        "board": board, "possible": whole.possible, "looked_at": refined.looked_at, "front": len(every),
        "missed": len(every - some), "extra": len(some - every),
        "processor_seconds": {"refined": round(short, 1), "all": round(long, 1)},
    }  # fmt: skip


def main() -> None:
    """Compare, print a line for each network, and keep it."""
    parser = output.parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    args = parser.parse_args()
    rows = output.kept("fit_fronts", record=args.record).get("networks", {})
    for name in args.networks:
        rows[name] = row = compared(name)
        print(
            f"{name} on {row['board']}: {row['looked_at']:,} of {row['possible']:,} candidates; of "
            f"{row['front']} points of the front {row['missed']} missed, {row['extra']} beside it; "
            f"{row['processor_seconds']['refined']} and {row['processor_seconds']['all']} s",
            flush=True,
        )
        kept = {known: rows[known] for known in NETWORKS if known in rows}
        output.keep("fit_fronts", {"processor": processor(), "networks": kept}, record=args.record)


if __name__ == "__main__":
    main()
