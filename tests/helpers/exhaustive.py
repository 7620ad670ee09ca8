"""The lowest arena there is, by trying everything."""

from itertools import permutations

from devices.memory.arena import Buffer


def lowest_height(buffers: list[Buffer], alignment: int = 1) -> int:
    """The lowest possible height: first fit in every order (pushed down, any plan is one of them)."""
    solid = [b for b in buffers if not b.empty]
    return min(_first_fit(order, alignment) for order in permutations(solid))


def _first_fit(order: tuple[Buffer, ...], alignment: int) -> int:
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        others = [(o, b) for o, b in placed if b.lower < buffer.upper and buffer.lower < b.upper]
        offsets = [0] + [-(-(o + b.size) // alignment) * alignment for o, b in others]
        free = (at for at in offsets if all(o >= at + buffer.size or o + b.size <= at for o, b in others))
        placed.append((min(free), buffer))
    return max((o + b.size for o, b in placed), default=0)
