"""Refusing a plan that does not fit its board: what is missing, and what would help."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from blockwise.experiment.board import built_in
from blockwise.experiment.planner import Planner
from blockwise.experiment.prepared import Prepared
from blockwise.firmware.arenas import heights_of, memory_map
from blockwise.firmware.cores import core_of
from devices.boards.profile import Device
from devices.errors import InputError
from devices.program.regimes import find


def check_fits(prepared: Prepared, regime: str) -> None:
    """Raise InputError where the plan of ``regime`` does not fit, has no C form, or its core no build."""
    core_of(prepared.device)
    plan = prepared.plan_of_last_stage(regime)
    if plan.fits:
        return
    device, missing = plan.device, plan.missing_bytes
    raise InputError(
        f"firmware for {device.name}",
        got=f"{regime} with a peak of {plan.peak_bytes:,} bytes, {missing:,} too many",
        wanted=f"a plan within {device.usable_bytes:,} of {device.ram_bytes:,}, the rest reserved",
        do="; ".join(_advice(prepared, regime)) or "choose a smaller network or another regime",
    )


def _advice(prepared: Prepared, regime: str) -> Iterator[str]:
    batch = _largest_batch(prepared, regime)
    if batch:
        yield f"--batch-size {batch} would fit"
    if find(regime).is_integer and _fits_twice(prepared, regime):
        yield "--requantize twice would fit"
    board = smallest_board(prepared, regime)
    if board is not None:
        yield f"--device {board.name} ({board.title}) has the room"


def _largest_batch(prepared: Prepared, regime: str) -> int | None:
    """Half as large, again and again."""
    size = prepared.config.training.batch_size
    while size > 1:
        size //= 2
        if prepared.obstacle(regime, size) is None and prepared.plan_of_last_stage(regime, size).fits:
            return size
    return None


def _fits_twice(prepared: Prepared, regime: str) -> bool:
    config = prepared.config
    training = replace(config.training, requantize="twice")
    planner = Planner(replace(config, training=training), prepared.device)
    return planner.of_last_stage(prepared.network, regime).fits


def smallest_board(prepared: Prepared, regime: str) -> Device | None:
    """The built-in board with the least RAM for the plan whose core has a build and whose memory is known.

    Each keeps free what was asked for.
    """
    for board in built_in(prepared.config.board.reserve_kib):
        with suppress(InputError):
            core_of(board)
            plan = Planner(prepared.config, board).plan(prepared.network, regime)
            if plan.fits and memory_map(board, heights_of(plan.placement)):
                return board
    return None
