"""Zeroth order on the digits."""

from collections import defaultdict
from typing import Any

from blockwise.report.spreads import lost_words, mean_words
from blockwise.report.text import DIVERGED
from blockwise.statistics.shares import half_width
from blockwise.statistics.spread import Spread
from blockwise.studies import records
from devices.program.regimes import find
from sections.markdown import table
from sections.recorded import RESULTS, machines

HEADINGS = [
    "regime", "numbers", "settings", "test accuracy", "last training loss", "n", "peak KiB", "of one image",
]  # fmt: skip


def zeroth_order() -> str:
    """results/benchmarks/zeroth_order.jsonl: what each setting reaches."""
    runs = records.read(RESULTS / "benchmarks" / "zeroth_order.jsonl")
    first, kinds = runs[0], defaultdict(list)
    for run in runs:
        kinds[run["regime"], _numbers(run), _settings(run)].append(run)
    train, validation, test = first["images"]
    known = max(half_width(1 - run["test_error"], test) for run in records.ended(runs))
    intro = (
        f"`python benchmarks/zeroth_order.py`: {first['model']} at width {first['width']} on the bundled "
        f"digits, with batch norm in float and without norms on integers; {first['epochs']} epochs of "
        f"{train:,} images, batch {first['batch_size']}, the epoch chosen on {validation:,} validation "
        f"images; mean ± standard deviation over n seeds on {test:,} test images (one accuracy is known to "
        f"±{100 * known:.1f} points by these, 95%). Blocks are layers; hybrids train the last one by "
        "backpropagation. Peaks of a step on the STM32F746 at the training's batch and at batch 1. "
        f"{machines(runs)}."
    )
    rows = [
        [
            f"`{regime}`", numbers, settings, _accuracy(own), _last_loss(records.ended(own)), str(len(own)),
            f"{own[0]['peak_kib']:.1f}", f"{own[0]['peak_kib_of_one']:.1f}",
        ]
        for (regime, numbers, settings), own in kinds.items()
    ]  # fmt: skip
    return f"{intro}\n\n{table(HEADINGS, rows)}"


def _accuracy(seeds: list[dict[str, Any]]) -> str:
    ended = [1 - run["test_error"] for run in records.ended(seeds)]
    lost = lost_words(len(seeds) - len(ended), 0)
    return mean_words(Spread.of(ended)) + lost if ended else DIVERGED


def _last_loss(ended: list[dict[str, Any]]) -> str:
    return mean_words(Spread.of([run["losses"][-1] for run in ended]), "", 2, 1) if ended else "-"


def _numbers(run: dict[str, Any]) -> str:
    if find(run["regime"]).is_integer:
        return "int8"
    return "float32" if run["weight_bits"] == 32 else f"{run['weight_bits']} bits, {run['method']}"


def _settings(run: dict[str, Any]) -> str:
    """As they are told; the rest are those of the other rows."""
    regime = find(run["regime"])
    if not regime.perturbs:
        return "-"
    count = run["zo_directions"]
    each = f"{count} direction{'s' * (count > 1)}"
    if regime.is_integer:
        return f"range {run['zo_range']}, mu {run['zo_mu']}, {each}"
    return f"eps {run['zo_eps']:g}, rate {run['zo_lr']:g}, {each}"
