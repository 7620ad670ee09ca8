"""The comparison: plan and train every regime, and put all of it into one Result."""

import contextlib
import platform
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch

import blockwise
from blockwise import quant
from blockwise.experiment.prepare import Setup
from blockwise.experiment.result import (
    ArenaInfo,
    Baseline,
    DataInfo,
    DeviceInfo,
    ModelInfo,
    MomentRow,
    PagingInfo,
    PaperAccounting,
    RegimeResult,
    Result,
    TensorRow,
)
from blockwise.experiment.trainer import options_of, run_of
from blockwise.training.bp_micro import difference
from blockwise.training.circumstances import as_begun
from blockwise.training.options import Silent, Watcher
from devices.boards.profile import KIB
from devices.memory.paper import paper_figures
from devices.planning import Plan
from devices.program.ledger import Moment
from devices.program.regimes import BEST, REGIMES, find
from devices.program.schedule import Tensor

BATCHES = (1, 8, 32, 128)


def compare(setup: Setup, checkpoints: Path | None = None, watcher: Watcher | None = None) -> Result:
    """Plan every regime of the configuration and, unless it is a dry run, train it.

    Checkpoints go to ``checkpoints/<regime>.pt``; those already there are continued, on as many threads.
    """
    begun = [checkpoints / f"{name}.pt" for name in setup.config.training.regimes] if checkpoints else []
    with as_begun(begun):
        return _compared(setup, checkpoints, watcher)


def _compared(setup: Setup, checkpoints: Path | None, watcher: Watcher | None) -> Result:
    started, conditions = time.perf_counter(), environment(setup)  # of the code that runs, not a later one
    regimes = [_planned(setup, name) for name in setup.config.training.regimes]
    if not setup.config.output.dry_run:
        regimes = _all_trained(setup, regimes, checkpoints, watcher or Silent())
    return Result(
        device=_device(setup),
        model=_model(setup),
        data=_data(setup),
        regimes=tuple(regimes),
        baselines=_baselines(setup),
        paper=_paper(setup),
        config=_config(setup),
        assumptions=assumptions(setup),
        environment=conditions,
        seed=setup.config.training.seed,
        seconds=time.perf_counter() - started,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _config(setup: Setup) -> dict[str, Any]:
    """The configuration with everything chosen: no "auto" head, methods and bits as trained."""
    config = setup.config
    scheme = config.scheme
    chosen = {
        "head": setup.head, "lr": config.learning_rate, "method": scheme.name,
        "weight_method": scheme.weight.name, "activation_method": scheme.activation.name,
        "residual": config.residual,
    }  # fmt: skip
    bits = {"weight_bits": config.weight_bits, "activation_bits": config.activation_bits}
    return config.learning() | chosen | bits


def _planned(setup: Setup, regime: str) -> RegimeResult:
    plan = setup.plan(regime)
    obstacles = {batch: setup.obstacle(regime, batch) for batch in BATCHES}
    operation = plan.ledger.peak.operation
    return RegimeResult(
        regime=regime,
        peak_bytes=plan.peak_bytes,
        fits=plan.fits,
        by_category=plan.by_category,
        peak_operation=operation.name,
        peak_phase=operation.phase,
        peak_block=operation.block,
        tensors_at_peak=tuple(_tensor(plan, tensor) for tensor in plan.tensors_at_peak),
        peak_by_batch={b: setup.plan(regime, b).peak_bytes for b, found in obstacles.items() if not found},
        obstacle_by_batch={batch: found.reason for batch, found in obstacles.items() if found},
        peak_by_block=plan.peak_by_block,
        macs_per_step=plan.schedule.macs,
        update=plan.update,
        timeline=tuple(_moment(moment) for moment in plan.timeline),
        arena=_arena(plan),
        paging=_paging(plan),
    )


def _arena(plan: Plan) -> ArenaInfo:
    arena, placement = plan.arena, plan.placement
    return ArenaInfo(
        arena.height, arena.bound, arena.gap, arena.method, arena.proven, placement.fits,
        placement.missing_bytes,
    )  # fmt: skip


def _paging(plan: Plan) -> PagingInfo | None:
    found = plan.paging
    if found is None:
        return None
    return PagingInfo(
        found.read_bytes, found.written_bytes, found.read_seconds, found.write_seconds, found.life_steps,
        found.ring_bytes, found.flash_bytes, found.fits,
    )  # fmt: skip


def _baselines(setup: Setup) -> tuple[Baseline, ...]:
    """Every form of backpropagation. One that only has to fit is also shown as low as it gets."""
    rows = [_baseline(setup, name) for name, regime in REGIMES.items() if regime.baseline]
    lowest = setup.lowest_backpropagation()
    if lowest.peak_bytes < min(row.peak_bytes for row in rows if not row.obstacle):
        note = f"{BEST} without regard to the operations it repeats"
        macs = lowest.schedule.macs
        rows.append(Baseline(f"{BEST}, lowest", lowest.peak_bytes, lowest.fits, macs, note))
    return tuple(rows)


def _baseline(setup: Setup, regime: str) -> Baseline:
    plan, found = setup.plan(regime), setup.obstacle(regime)
    peak, macs = plan.peak_bytes, plan.schedule.macs
    if found:
        return Baseline(regime, peak, False, macs, f"cannot run: {found.reason}", found.reason)
    return Baseline(regime, peak, plan.fits, macs, _baseline_note(setup, regime))


def _baseline_note(setup: Setup, regime: str) -> str:
    """What sets the regime apart, in a few words."""
    if not find(regime).micro_batches:
        return REGIMES[regime].summary
    size, batch = setup.config.training.micro_batch, setup.config.training.batch_size
    if size >= batch:
        return "one micro-batch: as bp-best"
    config = setup.config
    found = difference(setup.network.layers, config.scheme.activation, config.activation_bits, size)
    effect = f"{found}: other results than bp" if found else "the gradients of bp"
    return f"{REGIMES[regime].summary}; {effect}"


def _tensor(plan: Plan, t: Tensor) -> TensorRow:
    size = t.aligned_bytes(plan.device.alignment_bytes)
    return TensorRow(t.name, t.owner, t.category, t.shape, t.bits, size)


def _moment(moment: Moment) -> MomentRow:
    operation = moment.operation
    return MomentRow(operation.name, operation.phase, operation.block, moment.live_bytes, moment.by_category)


def _all_trained(
    setup: Setup, rows: list[RegimeResult], checkpoints: Path | None, watcher: Watcher
) -> list[RegimeResult]:
    """Train each row; of regimes that end with the same bits only the first."""
    done: dict[str, RegimeResult] = {}
    trained = []
    for row in rows:
        twin = find(row.regime).same_as(compiled=setup.config.training.compile)
        same = done.get(twin)
        if same is None:
            row = _trained(setup, row, checkpoints, watcher)
            done[twin] = row
        else:
            row = replace(row, training=same.training, trained_as=same.regime)
        trained.append(row)
    return trained


def _trained(setup: Setup, row: RegimeResult, checkpoints: Path | None, watcher: Watcher) -> RegimeResult:
    name, config = row.regime, setup.config
    options = replace(
        options_of(setup, name),
        checkpoint=checkpoints / f"{name}.pt" if checkpoints else None,
        fingerprint=config.fingerprint(
            name, setup.head, setup.cut, setup.dataset.fingerprint, setup.accelerator
        ),
        digest_log=checkpoints / f"{name}.digests" if checkpoints and config.output.digest else None,
        watcher=lambda: watcher,
    )
    training, host = run_of(setup, name, options).train()
    return replace(row, training=training, host=host)


def _device(setup: Setup) -> DeviceInfo:
    device = setup.device
    return DeviceInfo(
        device.name, device.title, device.core, device.clock_mhz, device.ram_bytes,
        device.largest_contiguous_bytes, device.reserve_bytes, device.flash_bytes, dict(device.sources),
    )  # fmt: skip


def _model(setup: Setup) -> ModelInfo:
    network = setup.network
    sizes = {b.name: sum(x.weights + x.biases for x in b.layers) for b in network.blocks}
    heads = {b.name: sum(x.weights + x.biases for x in b.head) for b in network.blocks}
    return ModelInfo(
        setup.config.network.model, setup.width, network.parameters,
        network.in_shape, len(setup.dataset.classes), sizes, setup.head, heads,
    )  # fmt: skip


def _data(setup: Setup) -> DataInfo:
    dataset = setup.dataset
    augment = dataset.policy
    parts = [
        f"crop with {augment.crop_padding} pixels of padding" if augment.crop_padding else "",
        "horizontal flip" if augment.flip else "",
        f"cutout {augment.cutout}" if augment.cutout else "",
    ]
    text = ", ".join(part for part in parts if part) or "no augmentation"
    sizes = (len(dataset.train), len(dataset.validation), len(dataset.test))
    moments = (dataset.mean, dataset.std) if len(dataset.train) else ((), ())
    return DataInfo(dataset.name, *sizes, text, dataset.classes, *moments)


def _paper(setup: Setup) -> PaperAccounting:
    config = setup.config
    figures = paper_figures(
        setup.network,
        bits=config.weight_bits,
        activation_bits=config.activation_bits,
        batch_size=config.training.batch_size,
    )
    return PaperAccounting(
        figures.inference_activations, figures.inference_parameters, figures.training_activations,
        figures.training_parameters, figures.training_optimizer,
    )  # fmt: skip


def assumptions(setup: Setup) -> tuple[str, ...]:
    """What the memory figures take for granted, one line each."""
    found = _float_assumptions(setup)
    return (*found, INTEGER_ASSUMPTION[setup.config.training.requantize]) if setup.integer_regimes else found


def _float_assumptions(setup: Setup) -> tuple[str, ...]:
    return (
        f"{_edges(setup)}latent weights, gradients, optimizer state and accumulators are 32 bits wide; local "
        "heads are float32",
        f"a direct C implementation without im2col: {NORM_ASSUMPTIONS[setup.config.network.norm]}"
        "element-wise layers are evaluated on the fly"
        + ("" if setup.config.is_float else ", one filter is unpacked at a time"),
        f"tensors are padded to {setup.device.alignment_bytes} bytes; "
        f"{setup.device.reserve_bytes / KIB:g} KiB of RAM are kept for stack and system, code is in flash",
        "images arrive as 8-bit values; packed blocks stay in RAM; in local-resident finished blocks run "
        "one image at a time",
    )


INTEGER_ASSUMPTION: dict[str, str] = {
    "buffered": "integer regimes hold no latent weights and no optimizer state, and step layer by layer; "
    "niti's sums wait in a buffer of 32 bits until the largest is known",
    "twice": "integer regimes hold no latent weights and no optimizer state, and step layer by layer; "
    "niti's sums are computed twice, the first time for the largest alone",
}

NORM_ASSUMPTIONS: dict[str, str] = {
    "batch": "batch norm works in place and keeps its normalised values, ",
    "batch-recompute": "batch norm's input is computed again going back, ",
    "group": "group norm works in place and keeps its normalised values, ",
    "frozen": "frozen norms scale and shift in place, ",
    "none": "",
}


def _edges(setup: Setup) -> str:
    """The convention of first and last layers."""
    if setup.config.is_float:
        return ""
    width = {quant.FLOAT_BITS: "in float", 1: "as the others"}
    edge = setup.config.scheme.edge_bits
    return f"first and last layer {width.get(edge, f'at {edge} bits')}; "


def environment(setup: Setup) -> dict[str, str]:
    """Versions and hardware behind the accuracies and timings."""
    accelerator = setup.accelerator
    return {
        "blockwise": blockwise.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": processor(),
        "cores": str(psutil.cpu_count(logical=False) or psutil.cpu_count() or 1),
        "threads": str(torch.get_num_threads()),
        "accelerator": torch.cuda.get_device_name() if accelerator == "cuda" else accelerator,
        "git_commit": git_commit(),
    }


def processor() -> str:
    """The processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return f"{names[0]} ({platform.machine()})"
    return platform.processor() or platform.machine()


def git_commit() -> str:
    """Commit of the source tree, "unknown" outside a checkout."""
    root = Path(__file__).parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
