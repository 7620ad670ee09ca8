"""Instructions of whole steps, operation by operation, and the weights that tell them from counts."""

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls  # type: ignore[import-untyped]

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.firmware.emulators import UNICORN
from blockwise.firmware.toolchains import ZIG
from blockwise.firmware.written import write
from blockwise.system.files import atomic_write
from devices.boards.board import Device, Region
from devices.boards.profile import load
from devices.pace.kernels import RECORD, instructions_of, record, sort_of
from devices.pace.workload import Workload, workloads
from devices.program.regimes import find

ROOM = 8 * 2**20
Rows = list[tuple[Workload, int]]


@dataclass(frozen=True)
class Counted:
    """One step: ``settings`` are flags by name, ``operations`` pair work with instructions."""

    settings: Mapping[str, Any]
    total: int  # with what lies between operations
    macs: int
    integer: bool
    operations: Rows


def roomy(board: str) -> Device:
    """The board with so much RAM and flash that every case fits."""
    device = load(board)
    flash = device.flash
    if flash is not None:
        flash = replace(flash, mapped_bytes=ROOM) if flash.external else replace(flash, size_bytes=ROOM)
    size = device.flash_bytes if device.flash_external else ROOM
    region = Region("SRAM", "data", 0x2000_0000, ROOM)
    return replace(device, regions=(region,), flash_bytes=size, flash=flash)


def count(board: str, settings: Mapping[str, Any], keep: Path) -> Counted:
    """Build and emulate one step, unless its instructions are in the folder ``keep`` already."""
    prepared = prepare(config_of({**settings, "accelerator": "cpu"}), device=roomy(board))
    (regime,) = prepared.config.training.regimes
    path = keep / f"{board}.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    key = json.dumps(settings, sort_keys=True)
    if key not in known:
        with tempfile.TemporaryDirectory() as name:
            written = write(prepared, regime, Path(name) / "project")
            checked = written.checked(written.result.phases, ZIG, UNICORN).checked
        assert checked is not None
        assert checked.cost is not None
        assert checked.equal
        cost = checked.cost
        instructions = {str(x.operation): x.instructions for x in cost.operations}
        known[key] = {"total": cost.instructions, "operations": instructions}
        path.write_text(json.dumps(known), "utf-8")
    found, integer = known[key], find(regime).is_integer
    schedule = prepared.plan(regime).schedule
    rows = [
        (work, found["operations"].get(str(index), 0)) for index, work in workloads(schedule, integer=integer)
    ]
    return Counted(settings, found["total"], schedule.macs, integer, rows)


def fitted(steps: Iterable[Counted]) -> dict[str, Any]:
    """Weights by kind and by sort, none below zero, and instructions per multiply-accumulate."""
    kinds: dict[str, Rows] = defaultdict(list)
    sorts: dict[str, Rows] = defaultdict(list)
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for step in steps:
        total = totals["int" if step.integer else "float"]
        total[0], total[1] = total[0] + step.total, total[1] + step.macs
        for work, instructions in step.operations:
            kinds[work.kind].append((work, instructions))
            sorts[sort_of(work.kind)].append((work, instructions))
    return {
        "kinds": {kind: _weights(rows) for kind, rows in sorted(kinds.items())},
        "sorts": {sort: _weights(rows) for sort, rows in sorted(sorts.items())},
        "per_product": {arithmetic: a / b for arithmetic, (a, b) in sorted(totals.items())},
    }


def _weights(rows: Rows) -> list[float]:
    """By least squares, an operation's error beside the root of its instructions."""
    counts = np.array([work.counts for work, _ in rows])
    wanted = np.array([max(instructions, 1) for _, instructions in rows], dtype=float)
    scale = 1 / np.sqrt(wanted)
    columns = np.maximum(np.abs(counts * scale[:, None]).max(0), 1e-9)
    found, _ = nnls(counts * scale[:, None] / columns, wanted * scale)
    return [float(f"{value:.4g}") for value in found / columns]


def told(step: Counted, kinds: Mapping[str, list[float]]) -> int:
    """What the weights make of a step."""
    return round(sum(instructions_of(work, tuple(kinds[work.kind])) for work, _ in step.operations))


def keep_weights(weights: Mapping[str, Any]) -> None:
    """Write the package's weights, as JSON with each list of numbers in one line."""
    text = json.dumps(weights, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    atomic_write(RECORD, text + "\n")
    record.cache_clear()
