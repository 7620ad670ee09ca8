"""From a schedule to addresses: offsets for its tensors in the RAM of a board.

The peak of live bytes is what every program needs; :func:`pack` finds offsets that need no more,
or says how many bytes more the best plan needs and whether that is proven to be the least.
:func:`place_on` does the same on a board, whose RAM may be several runs of addresses.
:func:`violations` checks a plan from outside. ::

    arena = pack(buffers_of(schedule), alignment=8)
    arena.height, arena.bound, arena.gap, arena.proven, arena.method
    arena.offsets["conv1.weight"]

    placement = place_on(schedule, load("stm32h743"), reserve_bytes=16 * 1024)
    placement.fits, placement.missing_bytes
    placement.places["conv1.weight"]            # Place(run, offset, address)

How: what outlives everything else is stacked (:mod:`devices.memory.arena.stacking`), the rest is placed by
quick rules (:mod:`devices.memory.arena.rules`), and where these do not reach the peak, or the capacity that
is given, by a complete tree search (:mod:`devices.memory.arena.search`) and, within a time limit and if
ortools is installed, by CP-SAT (:mod:`devices.memory.arena.solver`).
"""

from devices.memory.arena.board import Location, Placement, RamRun, place_on, runs_of
from devices.memory.arena.buffers import Arena, Buffer, buffers_of, peak_of
from devices.memory.arena.planner import pack
from devices.memory.arena.verify import violations

__all__ = [
    "Arena",
    "Buffer",
    "Location",
    "Placement",
    "RamRun",
    "buffers_of",
    "pack",
    "peak_of",
    "place_on",
    "runs_of",
    "violations",
]
