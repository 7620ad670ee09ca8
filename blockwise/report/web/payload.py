"""What the charts of a report are drawn from, as compact JSON: names once, bytes where they change."""

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from gzip import compress
from math import isfinite
from typing import Any

from blockwise.experiment.result import MomentRow, RegimeResult, Result
from blockwise.experiment.step_rows import PlacedTensor, RunInfo
from blockwise.report.scales import y_limits
from blockwise.report.text import KIB, ordered_categories, shape
from blockwise.report.web.addresses import stretches
from blockwise.report.web.palette import CATEGORY_COLOURS, variable


class Names:
    """Texts by number, each of them once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of ``text``, a new one if it has none."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        """In the order of their numbers."""
        return list(self._numbers)


def payload(result: Result) -> dict[str, Any]:
    """Plain JSON types. Operations are [name, phase, block] and tensors rows in the order of ``FIELDS``."""
    names, categories = Names(), stacked_categories(result)
    tops = y_limits(result)
    runs = result.device.runs
    regimes = [
        _regime(regime, top, names, categories) | {"runs": _runs(regime, runs, names)}
        for regime, top in zip(result.regimes, tops, strict=True)
    ]
    return {
        "categories": [{"name": name, "colour": variable(name)} for name in categories],
        "usable": result.device.usable_bytes,
        "regimes": regimes,
        "curves": curves(result.regimes),
        "names": names.texts,
    }


def stacked_categories(result: Result) -> list[str]:
    """Those that are ever alive, from the bottom of the stack up."""
    alive = {name for r in result.regimes for row in r.timeline for name, n in row.by_category.items() if n}
    known = [name for name in CATEGORY_COLOURS if name in alive]
    return known + [
        name for name in ordered_categories(dict.fromkeys(alive, 0)) if name in alive - set(known)
    ]


FIELDS = ("name", "category", "owner", "shape", "bits", "bytes", "run", "offset", "first", "last")
"""Of a tensor. Name, owner, shape and run are numbers of texts."""


def _regime(regime: RegimeResult, top: float, names: Names, categories: Sequence[str]) -> dict[str, Any]:
    return {
        "name": regime.regime,
        "fits": regime.fits,
        "peak": regime.peak_bytes,
        "top": round(top * KIB),
        "operations": [
            [names.number(row.operation), names.number(row.phase), names.number(row.block)]
            for row in regime.timeline
        ],
        "live": [changes(regime.timeline, category) for category in categories],
        "tensors": [_tensor(tensor, names, categories) for tensor in regime.tensors],
    }


def _runs(regime: RegimeResult, runs: Sequence[RunInfo], names: Names) -> list[list[int | None]]:
    """Name, first address, where it is drawn, how much of it is, its bytes and its reserve's."""
    return [
        [names.number(s.run.name), s.run.start, s.position, s.shown, s.run.bytes, s.run.reserve_bytes]
        for s in stretches(regime.tensors, runs)
    ]


def changes(timeline: Iterable[MomentRow], category: str) -> list[int]:
    """Operation and bytes, operation and bytes: each where the bytes of a category change."""
    found, last = [], 0
    for number, row in enumerate(timeline):
        count = row.by_category.get(category, 0)
        if count != last:
            found += [number, count]
            last = count
    return found


def _tensor(tensor: PlacedTensor, names: Names, categories: Sequence[str]) -> list[int]:
    return [
        names.number(tensor.name), categories.index(tensor.category), names.number(tensor.owner),
        names.number(shape(tensor.shape)), tensor.bits, tensor.bytes, names.number(tensor.run), tensor.offset,
        tensor.first, tensor.last,
    ]  # fmt: skip


def curves(regimes: Iterable[RegimeResult]) -> list[dict[str, Any]]:
    """Epochs, losses and validation accuracies of each regime, or of each of its blocks in turn."""
    found = []
    for regime in regimes:
        if regime.training is None or regime.trained_as:
            continue
        for block in dict.fromkeys(epoch.block for epoch in regime.training.history):
            epochs = [epoch for epoch in regime.training.history if epoch.block == block]
            found.append(
                {
                    "regime": regime.regime,
                    "block": block,
                    "epochs": [epoch.epoch for epoch in epochs],
                    "loss": [_finite(epoch.train_loss) for epoch in epochs],
                    "validation": [_finite(epoch.validation_accuracy) for epoch in epochs],
                }
            )
    return found


def _finite(value: float | None) -> float | None:
    """JSON spells no other."""
    return value if value is not None and isfinite(value) else None


def packed(data: dict[str, Any]) -> str:
    """JSON, compressed, as letters that HTML can hold; the same for the same data."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return b64encode(compress(text.encode(), mtime=0)).decode("ascii")
