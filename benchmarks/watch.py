"""Exercises of people whom a network has not seen: cnn1d on ``watch``, two people after two held out.

    python benchmarks/watch.py [--seeds 0 1] [--record]

Each of five trainings a seed is tested on two people, its epoch chosen on two others; everybody is tested on
once. It is the split by subject of Burns et al. 2018 (arXiv 1802.01489), who have other folds and windows.
"""

from itertools import product
from statistics import mean
from typing import Any

import output

import blockwise

MODEL, WIDTH, EPOCHS = "cnn1d", 16, 20
PEOPLE = 10
FOLD = 2


def trained(seed: int, people: tuple[str, ...]) -> dict[str, Any]:
    """One training, and how well it tells the exercises of ``people``."""
    result = blockwise.train(
        MODEL, data="watch", hold_out=people, regimes=("bp",), epochs=EPOCHS, width=WIDTH, seed=seed,
        method="fp32",
    )  # fmt: skip
    (row,) = result.regimes
    assert row.training is not None
    return {
        "seed": seed, "people": people, "windows": result.data.test,
        "test_accuracy": row.training.test_accuracy,
        "validation_accuracy": row.training.validation_accuracy,
        "augmentation": result.data.augmentation, "in_shape": result.model.in_shape,
        "parameters": result.model.parameters,
    }  # fmt: skip


def main() -> None:
    """All folds of all seeds."""
    parser = output.parser(__doc__)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    arguments = parser.parse_args()
    names = [str(number + 1) for number in range(PEOPLE)]
    folds = [tuple(names[first : first + FOLD]) for first in range(0, PEOPLE, FOLD)]
    rows = []
    for seed, people in product(arguments.seeds, folds):
        rows.append(trained(seed, people))
        print(f"seed {seed}, people {' '.join(people)}: {rows[-1]['test_accuracy']:.3f}", flush=True)
    print(f"mean {mean(row['test_accuracy'] for row in rows):.3f}", flush=True)
    conditions = {"model": MODEL, "width": WIDTH, "epochs": EPOCHS, "method": "fp32"}
    output.keep("watch", {"conditions": conditions, "rows": rows}, record=arguments.record)


if __name__ == "__main__":
    main()
