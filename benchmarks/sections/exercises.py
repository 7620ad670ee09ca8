"""Exercises of people that a network has not seen."""

from collections import defaultdict
from statistics import mean
from typing import Any

from blockwise.report.spreads import mean_words
from blockwise.statistics.spread import Spread
from sections.markdown import table
from sections.recorded import load

FOREST, RECURRENT = 0.873, 0.889
PAPER = (
    f"Burns et al. (arXiv 1802.01489) report by subject {FOREST:.1%} in their first version, of 10 people, "
    f"by a random forest, and {RECURRENT:.1%} in their second, of 20 people, by a recurrent network. They "
    "learn from eight in ten people; here it is six, for two others choose the epoch."
)
OUTSIDE = "not both figures lie within"


def watch() -> str:
    """results/benchmarks/watch.json: accuracy on the people of each fold."""
    result = load("watch")
    rows, told = result["rows"], result["conditions"]
    seeds = sorted({row["seed"] for row in rows})
    shape = "x".join(map(str, rows[0]["in_shape"]))
    network = f"`{told['model']}` of width {told['width']} ({rows[0]['parameters']:,} parameters)"
    intro = (
        f"`uv run --extra signals benchmarks/watch.py --seeds {' '.join(map(str, seeds))}`: {network}, "
        f"{told['method']}, `bp`, {told['epochs']} epochs, windows of {shape}; {rows[0]['augmentation']}. "
        f"Test accuracy on the two people held out; {len(seeds)} seeds."
    )
    people = list(dict.fromkeys(" and ".join(row["people"]) for row in rows))
    header = ["people", "windows", *(f"seed {seed}" for seed in seeds)]
    lines = [_line(name, [row for row in rows if " and ".join(row["people"]) == name]) for name in people]
    return f"{intro}\n\n{table(header, [*lines, _means(rows, seeds)])}\n\n{PAPER} {_beside(rows)}"


def _line(name: str, rows: list[dict[str, Any]]) -> list[str]:
    own = sorted(rows, key=lambda row: row["seed"])
    return [name, f"{own[0]['windows']:,}", *(f"{row['test_accuracy']:.1%}" for row in own)]


def _means(rows: list[dict[str, Any]], seeds: list[int]) -> list[str]:
    """Over the folds, with their standard deviation."""
    found = defaultdict(list)
    for row in rows:
        found[row["seed"]].append(row["test_accuracy"])
    windows = sum(row["windows"] for row in rows if row["seed"] == seeds[0])
    folds = (found[seed] for seed in seeds)
    return ["mean", f"{windows:,}", *(mean_words(Spread.of(own)) for own in folds)]


def _beside(rows: list[dict[str, Any]]) -> str:
    """The mean over folds, each the mean of its seeds, and whether its interval has the paper's figures."""
    found = defaultdict(list)
    for row in rows:
        found[tuple(row["people"])].append(row["test_accuracy"])
    spread = Spread.of([mean(own) for own in found.values()])
    assert spread.interval is not None
    low, high = spread.interval
    tied = low <= FOREST <= high and low <= RECURRENT <= high
    return (
        f"The mean of all is {spread.mean:.1%}, its 95% interval {low:.1%} to {high:.1%} (Student's t, "
        f"n = {spread.n} pairs of people, each the mean of its seeds); "
        f"{'both figures lie within it; so few people do not tell the methods apart' if tied else OUTSIDE}."
    )
