"""The recorded runs of a study, one row for all seeds of the same training."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from blockwise.quant.precision import FLOAT32
from blockwise.statistics.spread import Spread
from blockwise.studies.distances import Distance
from blockwise.studies.errors import Errors, errors_of
from blockwise.studies.records import ended
from devices.program.regimes import find


@dataclass(frozen=True)
class Summary:
    """One row of the table: all seeds of a method under one regime, head and cut."""

    method: str
    activation_method: str
    weight_bits: int
    activation_bits: int
    residual: str  # what skip paths hold
    regime: str
    head: str | None
    blocks: str | None
    over_seeds: Errors
    stored_bits: float  # per weight, with what decodes them
    peak_kib: float  # on the board, at the batch size of the training
    peak_kib_of_one: float  # at batch size 1
    host_mib: float | None  # that tensors held in training; of compiled steps it is not measured
    time_ratio: float | None  # against float32 under the same regime, or its float twin
    reference: float | None = None  # test error that the reference study publishes
    distance: Distance | None = None  # to float32, beside the reference study's
    precision: str = FLOAT32  # of the simulation
    jump_every: int = 1  # batches that states of weights wait before they jump
    one_by_one: Spread | None = None  # the same error of images that are batches of their own

    @property
    def errors(self) -> tuple[float, ...]:
        """Of the runs that did not diverge."""
        return self.over_seeds.values

    @property
    def error(self) -> float:
        """Mean test error; infinite where all runs diverged."""
        spread = self.over_seeds.spread
        return spread.mean if spread else math.inf

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the test error over seeds; None for one seed."""
        spread = self.over_seeds.spread
        return spread.deviation if spread else None


PLACE = ("regime", "head", "blocks")
SUMMARISED = (
    "revision", "precision", "jump_every", "method", "activation_method", "weight_bits", "activation_bits",
    "residual", *PLACE,
)  # fmt: skip


NEEDED = (
    *SUMMARISED, "key", "study", "protocol", "model", "width", "norm", "epochs", "batch_size", "seed",
    "board", "data", "in_shape", "test_error", "stored_bytes", "weights", "peak_kib", "peak_kib_of_one",
    "host_tensor_bytes", "seconds", "optimizer", "learning_rate", "best_epoch",
)  # fmt: skip
"""What tables and figures need of every line."""


def summaries(rows: Iterable[dict[str, Any]]) -> tuple[Summary, ...]:
    """The recorded runs of one protocol, best first."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    rows = tuple(rows)
    for row in rows:
        groups[tuple(row[name] for name in SUMMARISED)].append(row)
    found = (_summary(key, group, _time_ratio(rows, group)) for key, group in groups.items())
    return tuple(sorted(found, key=lambda summary: summary.error))


def _summary(key: tuple[Any, ...], group: Sequence[dict[str, Any]], time_ratio: float | None) -> Summary:
    first, trained = group[0], ended(group)
    held = [row["host_tensor_bytes"] for row in group if row["host_tensor_bytes"] is not None]
    weights = first["weights"]
    _, precision, every, method, activation_method, weight_bits, activation_bits, residual, *place = key
    regime, head, blocks = place
    alone = [row["test_error_one_by_one"] for row in trained if row.get("test_error_one_by_one") is not None]
    return Summary(
        method,
        activation_method,
        weight_bits,
        activation_bits,
        residual,
        regime,
        head,
        blocks,
        over_seeds=errors_of(group),
        precision=precision,
        jump_every=every,
        one_by_one=Spread.of(alone) if alone else None,
        stored_bits=8 * first["stored_bytes"] / weights,
        peak_kib=first["peak_kib"],
        peak_kib_of_one=first["peak_kib_of_one"],
        host_mib=max(held) / 2**20 if held else None,
        time_ratio=time_ratio,
    )


def _time_ratio(rows: Sequence[dict[str, Any]], group: Sequence[dict[str, Any]]) -> float | None:
    """Mean of the training times beside float32's, of the runs that have one on such a machine."""
    found = ((row["seconds"], _float_seconds(rows, row)) for row in ended(group))
    ratios = [own / beside for own, beside in found if beside]
    return mean(ratios) if ratios else None


def _float_seconds(rows: Sequence[dict[str, Any]], run: dict[str, Any]) -> float | None:
    """Mean training time of float32 under the same regime or its twin, head and cut, on such a machine."""
    regime, *rest = _place(run)
    twin = (float_twin(regime), *rest)
    floats = (row for row in ended(rows) if row["method"] == "fp32" and _place(row) == twin)
    same = [row["seconds"] for row in floats if _trained_by(row) == _trained_by(run)]
    return mean(same) if same else None


def _trained_by(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a time hangs on beside what is trained; of a run that was moved it is that of no machine."""
    if len(row.get("places", ())) > 1:
        return (row["key"],)
    machine = row.get("environment", {})
    precision = FLOAT32 if find(row["regime"]).is_integer else row["precision"]
    told = (machine.get(name) for name in ("accelerator", "processor", "threads", "torch"))
    return precision, bool(row.get("compiled")), *told


def float_twin(regime: str) -> str:
    """The float regime that cuts and goes back as an integer one does; any other regime itself."""
    return find(regime).float_twin or regime


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in PLACE)
