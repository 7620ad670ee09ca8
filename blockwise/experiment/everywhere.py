"""The network as it was compared, on every built-in board: the same head and cut, the board's own RAM."""

from dataclasses import replace

from blockwise.experiment.board_rows import BoardRow
from blockwise.experiment.boards import by_ram, on_board, row_of
from blockwise.experiment.prepared import Prepared
from devices.boards import profile


def everywhere(prepared: Prepared) -> tuple[BoardRow, ...]:
    """Boards by their usable RAM, those that were asked for among them, with each compared regime."""
    asked = (prepared.device, *prepared.other_devices)
    boards = {device.name: device for device in (*profile.catalogue().values(), *asked)}
    regimes = prepared.config.training.regimes
    chosen = replace(prepared.chosen, network=prepared.network)
    rows = []
    for device in sorted(
        boards.values(), key=by_ram, reverse=True
    ):  # what is best in much RAM is best in less
        planner = prepared.planner.on(device)
        rows.append(row_of(device, [on_board(planner, chosen, name) for name in regimes]))
    return tuple(reversed(rows))
