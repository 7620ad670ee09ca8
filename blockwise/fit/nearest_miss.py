"""Where nothing fits: what comes nearest, why it does not fit, and which board would do."""

from collections.abc import Sequence

from blockwise.experiment.board import built_in
from blockwise.fit.confirm import Confirmed, confirm, limits_of, planned
from blockwise.fit.measure import Measured
from blockwise.fit.networks import Model
from blockwise.fit.result import HeldTensor, Miss, SmallestBoard
from devices.boards.profile import Device

TENSORS = 8
"""Largest tensors that are told."""

TRIES = 12
"""Candidates with the lowest peaks that are tried on a board before it is given up."""


def nearest_miss(close: Sequence[Confirmed], model: Model, device: Device) -> Miss:
    """Of candidates that do not fit the one that lacks the fewest bytes."""
    nearest = min(close, key=lambda c: (sum(_missing(c, device)), c.measured.peak_bytes))
    plan = planned(nearest.candidate, model, device)
    tensors = tuple(
        HeldTensor(t.name, t.owner, t.category, t.aligned_bytes(device.alignment_bytes))
        for t in plan.tensors_at_peak[:TENSORS]
    )
    return Miss(nearest, *_missing(nearest, device), plan.ledger.peak.operation.name, tensors)


def _missing(confirmed: Confirmed, device: Device) -> tuple[int, int]:
    ram, flash = confirmed.measured.missing(limits_of(device))
    return max(ram, confirmed.missing_bytes), flash


def smallest_board(
    measured: Sequence[Measured], model: Model, reserve_kib: int | None = None
) -> SmallestBoard | None:
    """The built-in board with the least usable RAM on which one of the leanest candidates has a place.

    Every candidate is planned anew there, with as much kept free if it was asked for; None if there is no
    such board.
    """
    leanest = sorted(measured, key=lambda m: m.peak_bytes)
    for board in built_in(reserve_kib):
        limits = limits_of(board)
        for hopeful in [m for m in leanest if m.may_fit(limits)][:TRIES]:
            found = confirm(hopeful.candidate, model, board)
            if found.fits:
                return SmallestBoard(board.name, board.title, board.usable_bytes, found)
    return None
