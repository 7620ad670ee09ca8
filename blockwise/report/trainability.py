"""What keeps a regime from fitting, in words: its bytes, the reserve, its addresses, or the flash."""

from blockwise.experiment.result import DeviceInfo, PagingInfo, RegimeResult, Result
from blockwise.report.text import join, moment, ram_words, size, times

FEW = 3
"""More categories than this do not exceed the RAM "alone"; then the largest ones are named."""


def obstacles(result: Result) -> list[str]:
    """A few sentences for each regime that does not fit: every cause, the moment, and the largest tensor."""
    return [_obstacle(regime, result.device) for regime in result.regimes if not regime.fits]


def decisive_categories(regime: RegimeResult, ram_bytes: int) -> list[tuple[str, int]]:
    """The fewest categories, largest first, that exceed the RAM; empty if all fit together."""
    chosen: list[tuple[str, int]] = []
    taken = 0
    for category, count in sorted(regime.by_category.items(), key=lambda item: -item[1]):
        chosen.append((category, count))
        taken += count
        if taken > ram_bytes:
            return chosen
    return []


def _obstacle(regime: RegimeResult, device: DeviceInfo) -> str:
    ratio = f"{times(regime.peak_bytes, device.usable_bytes)} the {ram_words(device)}"
    why = _why(regime, device)
    if regime.paging and not regime.paging.fits:
        why += f"{'. Besides, the' if why else ', but the'} {_flash(regime.paging)}"
    parts = [f"{regime.regime} needs {size(regime.peak_bytes)}, {ratio}{why}."]
    largest = [f"{t.name} ({size(t.bytes)})" for t in regime.tensors_at_peak[:1]]
    tensor = f"; largest tensor {largest[0]}" if largest else ""
    return " ".join([*parts, f"Peak: {moment(regime)}{tensor}.", *_smaller_batch(regime, device)])


def _why(regime: RegimeResult, device: DeviceInfo) -> str:
    """What is wrong with the RAM, if anything."""
    missing = regime.peak_bytes - device.usable_bytes
    if regime.peak_bytes > device.ram_bytes:
        return _culprits(regime, device.usable_bytes)
    if missing > 0:
        return (
            f": the board has {size(device.ram_bytes)}, but {size(device.reserve_bytes)} of it are reserved "
            f"for stack and system, and {size(missing)} are missing"
        )
    return "" if regime.arena.placed else f": {_unplaced(regime, device)}"


def _culprits(regime: RegimeResult, usable_bytes: int) -> str:
    decisive = decisive_categories(regime, usable_bytes)
    named = join([f"{category} ({size(count)})" for category, count in decisive[:FEW]])
    return f", exceeded by {named} alone" if len(decisive) <= FEW else f", mostly {named}"


def _unplaced(regime: RegimeResult, device: DeviceInfo) -> str:
    """The bytes would do, the addresses do not."""
    arena, missing = regime.arena, size(regime.arena.missing_bytes)
    if device.largest_contiguous_bytes < device.ram_bytes:
        longest = size(device.largest_contiguous_bytes)
        return (
            "enough bytes, but they lie in several runs of addresses, in which its tensors find no place: "
            f"the longest ({longest}) is {missing} too short"
        )
    lower = "none is lower" if arena.proven else "a lower one is not ruled out"
    return (
        f"enough bytes, but its tensors leave gaps: the lowest arena found takes {size(arena.arena_bytes)}, "
        f"{missing} too many ({lower})"
    )


def _flash(paging: PagingInfo) -> str:
    """What a step writes is the state that has to lie in flash."""
    state, ring = size(paging.written_bytes), size(paging.ring_bytes)
    flash = size(paging.flash_bytes)
    return f"state that it pages ({state}, {ring} in whole erase units) exceeds the board's {flash} of flash"


def _smaller_batch(regime: RegimeResult, device: DeviceInfo) -> list[str]:
    """Advice: the largest batch whose bytes would fit, where there is one and bytes are what is missing."""
    flash_lacks = regime.paging is not None and not regime.paging.fits
    if regime.peak_bytes <= device.usable_bytes or flash_lacks:
        return []
    fitting = [batch for batch, peak in regime.peak_by_batch.items() if peak <= device.usable_bytes]
    return [f"Its bytes would fit at batch {max(fitting)}."] if fitting else []
