"""One network on several boards: which regimes fit on each, and what is missing where they do not.

Only what a board decides is worked out for it: the head where it is left open, the schedules of regimes
that look at the RAM, and addresses. All else is made once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from blockwise.experiment.board_rows import BoardRow, OnBoard
from blockwise.experiment.choice import Chosen, Heads
from blockwise.experiment.planner import Planner
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.step_times import time_of
from devices.boards.profile import Device
from devices.errors import InputError
from devices.program.regimes import find

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class BoardsResult:
    """One network on several boards, those with less RAM for tensors first."""

    model: str
    width: float | None
    in_shape: tuple[int, ...]
    classes: int
    parameters: int
    batch_size: int
    method: str
    bits: str  # W3A3, or fp32
    rows: tuple[BoardRow, ...]

    @property
    def smallest(self) -> BoardRow | None:
        """The board with the least RAM on which a regime fits. Of no board a price is known."""
        return next((row for row in self.rows if row.leanest), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "schema_version": SCHEMA_VERSION, **asdict(self), "ordered_by": "usable RAM",
            "smallest": self.smallest.name if self.smallest else None,
        }  # fmt: skip


def on_boards(prepared: Prepared, devices: Mapping[str, Device]) -> BoardsResult:
    """The network under each regime of ``prepared`` on each of ``devices``, by what they were asked for.

    A head that is left open is chosen for each regime and board as if nothing else were asked for.
    """
    config = prepared.config
    asked = sorted(devices.items(), key=lambda pair: by_ram(pair[1]))
    rows = tuple(replace(_row(prepared, device), asked=name) for name, device in asked)
    network = prepared.heads.option(prepared.heads.smallest(prepared.planner)).network
    bits = "fp32" if config.is_float else f"W{config.weight_bits}A{config.activation_bits}"
    return BoardsResult(
        config.network.model, prepared.width, network.in_shape, len(prepared.dataset.classes),
        network.parameters, config.training.batch_size, config.scheme.name, bits, rows,
    )  # fmt: skip


def beside(prepared: Prepared) -> tuple[BoardRow, ...]:
    """The network as it is trained, on its own board and on those beside it; nothing where there is none."""
    if not prepared.other_devices:
        return ()
    devices = sorted((prepared.device, *prepared.other_devices), key=by_ram)
    regimes = prepared.config.training.regimes
    chosen = replace(prepared.chosen, network=prepared.network)
    planners = map(prepared.planner.on, devices)
    return tuple(
        row_of(planner.device, [on_board(planner, chosen, name) for name in regimes]) for planner in planners
    )


def by_ram(device: Device) -> tuple[int, str]:
    """What boards are ordered by: of no board a price is known."""
    return device.usable_bytes, device.name


def _row(prepared: Prepared, device: Device) -> BoardRow:
    planner, config = prepared.planner.on(device), prepared.config
    cells = []
    for name in config.training.regimes:
        alone = replace(planner, config=replace(config, training=replace(config.training, regimes=(name,))))
        cells.append(_cell(prepared.heads, alone, name))
    return row_of(device, cells)


def _cell(heads: Heads, planner: Planner, regime: str) -> OnBoard:
    """What cannot be on one board is no reason to say nothing of the others."""
    try:
        return on_board(planner, _chosen(heads, planner, regime), regime)
    except InputError as error:
        return OnBoard(regime, 0, False, 0, 0, 0, "", obstacle=f"{error.subject}: {error.wanted}")


def row_of(device: Device, cells: Sequence[OnBoard]) -> BoardRow:
    """A board with what is planned for it."""
    return BoardRow(
        device.name, device.title, device.core, device.clock_mhz, device.ram_bytes, device.usable_bytes,
        tuple(cells),
    )  # fmt: skip


def _chosen(heads: Heads, planner: Planner, regime: str) -> Chosen:
    """Where neither heads nor cuts matter always the same, whose schedule is made once."""
    found = find(regime)
    whole = heads.choose(planner) if found.heads or found.cuts else heads.option(heads.smallest(planner))
    return replace(whole, network=planner.part_of(whole.network))


def on_board(planner: Planner, chosen: Chosen, regime: str) -> OnBoard:
    """A regime on the planner's board, under a head that is chosen."""
    head = chosen.head if find(regime).heads else ""
    found = planner.obstacle(chosen.network, regime)
    if found is not None:
        return OnBoard(regime, 0, False, 0, 0, 0, head, obstacle=found.reason)
    plan = planner.plan(chosen.network, regime)
    time = time_of(planner, plan) if plan.fits else None
    return OnBoard(
        regime, plan.peak_bytes, plan.fits, plan.missing_bytes, plan.flash_missing_bytes, plan.schedule.macs,
        head, time.seconds if time else None, time.basis if time else "", flash_is_read=plan.flash_is_read,
    )  # fmt: skip
