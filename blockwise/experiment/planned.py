"""The planned half of a result: a row for every regime, and every form of backpropagation beside them."""

from dataclasses import replace

from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import ArenaInfo, Baseline, MomentRow, PagingInfo, RegimeResult, TensorRow
from blockwise.experiment.step_of import layer_rows, placed_tensors
from blockwise.experiment.step_times import time_info
from blockwise.training.bp_micro import difference
from devices.planning import Plan
from devices.program.ledger import Moment
from devices.program.regimes import BEST, REGIMES, find
from devices.program.schedule import Tensor

BATCHES = (1, 8, 32, 128)
Batches = dict[int, int | str]
"""Images in a batch -> peak bytes, or what keeps it from being trained."""


def planned_row(prepared: Prepared, regime: str) -> RegimeResult:
    plan = prepared.plan(regime)
    operation = plan.ledger.peak.operation
    tensors = placed_tensors(plan)
    return RegimeResult(
        regime=regime,
        peak_bytes=plan.peak_bytes,
        fits=plan.fits,
        by_category=plan.by_category,
        peak_operation=operation.name,
        peak_phase=operation.phase,
        peak_block=operation.block,
        tensors_at_peak=tuple(_tensor(plan, tensor) for tensor in plan.tensors_at_peak),
        peak_by_batch={},
        peak_by_block=plan.peak_by_block,
        macs_per_step=plan.schedule.macs,
        macs_of_last=plan.schedule.macs_of_last,
        update=plan.update,
        timeline=tuple(_moment(moment) for moment in plan.timeline),
        arena=_arena(plan),
        paging=_paging(plan),
        time=time_info(prepared.planner, plan, len(prepared.dataset.train)),
        tensors=tensors,
        layers=layer_rows(plan, tensors, None if find(regime).is_integer else prepared.step(regime).bits),
        mapped_bytes=plan.schedule.mapped_bytes,
        flash_missing_bytes=plan.flash_missing_bytes,
    )


def by_batch(prepared: Prepared, regime: str) -> Batches:
    """The peak of a regime in bytes at each of :data:`BATCHES`, or why it cannot be trained."""
    found: Batches = {}
    for batch in BATCHES:
        obstacle = prepared.obstacle(regime, batch)
        found[batch] = obstacle.reason if obstacle else prepared.plan(regime, batch).peak_bytes
    return found


def in_batches(row: RegimeResult, found: Batches) -> RegimeResult:
    """The row with what :func:`by_batch` found."""
    peaks = {batch: peak for batch, peak in found.items() if isinstance(peak, int)}
    obstacles = {batch: reason for batch, reason in found.items() if isinstance(reason, str)}
    return replace(row, peak_by_batch=peaks, obstacle_by_batch=obstacles)


def baselines(prepared: Prepared) -> tuple[Baseline, ...]:
    """Every form of backpropagation. One that only has to fit is also shown as low as it gets."""
    rows = [_baseline(prepared, name) for name, regime in REGIMES.items() if regime.baseline]
    lowest = prepared.lowest_backpropagation()
    if lowest.peak_bytes < min(row.peak_bytes for row in rows if not row.obstacle):
        note = f"{BEST} without regard to the operations it repeats"
        macs = lowest.schedule.macs
        flash = lowest.flash_missing_bytes
        rows.append(
            Baseline(f"{BEST}, lowest", lowest.peak_bytes, lowest.fits, macs, note, flash_missing_bytes=flash)
        )
    return tuple(rows)


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


def _baseline(prepared: Prepared, regime: str) -> Baseline:
    plan, found = prepared.plan(regime), prepared.obstacle(regime)
    peak, macs = plan.peak_bytes, plan.schedule.macs
    if found:
        return Baseline(regime, peak, False, macs, f"cannot run: {found.reason}", found.reason)
    note = _baseline_note(prepared, regime)
    return Baseline(regime, peak, plan.fits, macs, note, flash_missing_bytes=plan.flash_missing_bytes)


def _baseline_note(prepared: Prepared, regime: str) -> str:
    """What sets the regime apart, in a few words."""
    if not find(regime).micro_batches:
        return REGIMES[regime].summary
    size, batch = prepared.config.training.micro_batch, prepared.config.training.batch_size
    if size >= batch:
        return "one micro-batch: as bp-best"
    config = prepared.config
    found = difference(prepared.network.layers, config.scheme.activation, config.activation_bits, size)
    effect = f"{found}: other results than bp" if found else "the gradients of bp"
    return f"{REGIMES[regime].summary}; {effect}"


def _tensor(plan: Plan, t: Tensor) -> TensorRow:
    size = t.aligned_bytes(plan.device.alignment_bytes)
    return TensorRow(t.name, t.owner, t.category, t.shape, t.bits, size)


def _moment(moment: Moment) -> MomentRow:
    operation = moment.operation
    return MomentRow(operation.name, operation.phase, operation.block, moment.live_bytes, moment.by_category)
