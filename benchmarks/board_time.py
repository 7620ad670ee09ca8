"""Weights by which the instructions of a step are estimated, and how far such estimates are from counts.

    python benchmarks/board_time.py [--only CORE ...] [--keep FOLDER] [--record]
    python benchmarks/board_time.py --compare [--record]

Steps of small networks are built by zig for a board of each core, with more RAM than it has, and emulated;
instructions are counted operation by operation (kept in FOLDER, so that nothing is counted twice). For every
kind of operation weights are fitted. With --record they are written to devices/pace/kernels.json, where the
estimates of plans take them from. Then the steps that benchmarks/firmware.py recorded, of other networks and
boards, are estimated and compared with what was counted there; with --compare that alone, by the weights that
are there, as when those steps were counted anew.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import output
from pacing import Counted, count, fitted, keep_weights, told

from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.provenance import environment
from devices.boards.profile import load
from devices.pace.cores import arm_core
from devices.pace.step import step_time
from devices.pace.workload import COUNTS
from devices.program.regimes import find

BOARDS = {"Cortex-M0+": "rp2040", "Cortex-M3": "stm32f103", "Cortex-M4": "stm32l4r5"}
Settings = dict[str, Any]


def _case(regime: str, model: str, width: int | None, batch: int, **more: Any) -> Settings:
    named = {"regimes": (regime,), "model": model, "batch_size": batch, **more}
    return named if width is None else named | {"width": width}


EVERY = (
    _case("niti-local", "plain4", 8, 1),
    _case("niti4-local", "plain4", 8, 1),
    _case("niti4-jump-local", "plain4", 8, 1),
    _case("nitro-local", "plain4", 8, 1),
    _case("niti", "plain4", 16, 2, image_size=16),
    _case("niti4", "plain4", 16, 2, image_size=16),
    _case("niti-local", "plain6", 12, 2, image_size=16),
    _case("niti4-local", "plain6", 12, 2, image_size=16),
    _case("niti4-jump-local", "plain6", 12, 2, image_size=16),
    _case("bp", "plain4", 16, 2, method="fp32", image_size=16),
    _case("bp", "resnet20", 8, 4),
)
"""Steps that are counted on every core."""
MORE: dict[str, tuple[Settings, ...]] = {
    "Cortex-M0+": (_case("bp-fused", "plain4", 8, 2, norm="group", optimizer="sgd"),),
    "Cortex-M4": (
        _case("niti-local", "plain6", 8, 4, image_size=16, requantize="twice"),
        _case("nitro-local", "plain6", 12, 2, image_size=16),
        _case("niti4-jump", "plain4", 16, 2, image_size=16),
        _case("bp-fused", "plain4", 8, 2, norm="group", optimizer="sgd"),
        _case("bp", "resnet20", 4, 4, image_size=16),
        _case("local-resident", "plain4", 8, 2),
        _case("bp-fused", "mobilenet-0.25", None, 2, image_size=32),
        _case("local", "resnet20", 4, 2, method="fp32"),
        _case("local", "plain6", 12, 2, image_size=16, weight_bits=8, activation_bits=8),
    ),
}
"""Those of one core beside them."""


def core_record(core: str, steps: list[Counted]) -> dict[str, Any]:
    """What a core's steps tell."""
    device = load(BOARDS[core])
    return {"board": device.name, "fpu": device.fpu, "dsp": device.dsp, "steps": len(steps)} | fitted(steps)


def step_row(core: str, step: Counted, kinds: dict[str, list[float]]) -> dict[str, Any]:
    """A counted step beside what the weights make of it."""
    estimated = told(step, kinds)
    error = estimated / step.total - 1
    name = f"{step.settings['regimes'][0]} {step.settings['model']}"
    print(f"{core:11} {name:30} {step.total:12,} {error:+7.1%}", flush=True)
    return {
        "core": core, "settings": step.settings, "instructions": step.total, "estimated": estimated,
        "error": error,
    }  # fmt: skip


def recorded_row(row: dict[str, Any]) -> dict[str, Any] | None:
    """An estimate for a recorded step of benchmarks/firmware.py.

    None where nothing was counted there, or a kernel of it on no step here.
    """
    counted = next((c["instructions"] for c in row["checks"] if c["toolchain"] == "zig"), None)
    if counted is None:
        return None
    asked = {"device": row["board"], "model": row["model"], "width": row["width"],
             "regimes": (row["regime"],), "batch_size": row["batch"], **row["settings"]}  # fmt: skip
    prepared = prepare(config_of(asked))
    plan, integer = prepared.plan(row["regime"]), find(row["regime"]).is_integer
    found = step_time(plan.schedule, plan.device, integer=integer, kernels=True)
    if found.instructions is None:
        return None
    error = found.instructions / counted - 1
    name = f"{row['regime']} {row['model']}"
    print(f"{arm_core(plan.device):11} {name:30} {counted:12,} {error:+7.1%}", flush=True)
    return {
        **{key: row[key] for key in ("regime", "board", "model", "width", "batch", "core", "in_shape")},
        "instructions": counted, "estimated": found.instructions, "error": error,
    }  # fmt: skip


def main() -> None:
    """Count and fit, or not; compare and write."""
    parser = output.parser(__doc__)
    parser.add_argument("--only", nargs="+", metavar="CORE", default=list(BOARDS), help="cores to count on")
    parser.add_argument("--keep", type=Path, default=Path("runs/pacing"), help="folder of counts")
    parser.add_argument(
        "--compare", action="store_true", help="count nothing; compare by the weights there are"
    )
    arguments = parser.parse_args()
    rows = recorded_steps() if arguments.compare else fit(arguments)
    firmware = json.loads(output.file_of("firmware", record=True).read_text("utf-8"))
    recorded = [found for row in firmware["rows"] if (found := recorded_row(row)) is not None]
    figures = {"environment": environment("cpu"), "steps": rows, "recorded": recorded}
    output.keep("board_time", figures, record=arguments.record)


def recorded_steps() -> list[dict[str, Any]]:
    """Those that the weights were fitted to."""
    rows: list[dict[str, Any]] = json.loads(output.file_of("board_time", record=True).read_text("utf-8"))[
        "steps"
    ]
    return rows


def fit(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Count steps on every core and fit weights to them, which are kept where they are recorded."""
    arguments.keep.mkdir(parents=True, exist_ok=True)
    cores, rows = {}, []
    for core in arguments.only:
        cases = (*EVERY, *MORE.get(core, ()))
        steps = [count(BOARDS[core], settings, arguments.keep) for settings in cases]
        cores[core] = core_record(core, steps)
        rows += [step_row(core, step, cores[core]["kinds"]) for step in steps]
    if arguments.record:
        keep_weights({"source": "benchmarks/board_time.py --record", "counts": COUNTS, "cores": cores})
    return rows


if __name__ == "__main__":
    main()
