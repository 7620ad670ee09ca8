"""What keeps a regime from fitting, in words: its bytes, the reserve, its addresses, or the flash."""

from blockwise.experiment.result import DeviceInfo, RegimeResult, Result
from blockwise.report.cause import cause_words
from blockwise.report.text import size


def obstacles(result: Result, *, whole: bool = True) -> dict[str, str]:
    """Regime that does not fit -> what is in the way; ``whole``, with the operation of the peak."""
    return {r.regime: _obstacle(r, result.device, whole) for r in result.regimes if not r.fits}


def _obstacle(regime: RegimeResult, device: DeviceInfo, whole: bool) -> str:
    parts = [_of_ram(regime, device, whole)]
    if regime.lacking_flash_bytes:
        parts.append(_flash(regime))
    return ". Besides, ".join(filter(None, parts)) + "."


def _of_ram(regime: RegimeResult, device: DeviceInfo, whole: bool) -> str:
    """What is wrong with the RAM, if anything."""
    missing = regime.peak_bytes - device.usable_bytes
    if missing <= 0:
        return "" if regime.arena.placed else _unplaced(regime, device)
    if regime.peak_bytes > device.ram_bytes:
        return cause_words(regime, whole=whole)
    return (
        f"{cause_words(regime, whole=whole)}; {size(missing)} are missing: of the board's "
        f"{size(device.ram_bytes)}, {size(device.reserve_bytes)} are reserved for stack and system"
    )


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


def _flash(regime: RegimeResult) -> str:
    """What has to lie there: weights that are read in place, and the state, which a step writes whole."""
    paging, missing = regime.paging, size(regime.lacking_flash_bytes)
    state = ""
    if paging:
        paged, ring = size(paging.written_bytes), size(paging.ring_bytes)
        state = f"the state that it pages ({paged}, {ring} in whole erase units)"
        if not paging.fits:
            return f"{state} exceeds the board's {size(paging.flash_bytes)} of flash"
    read = f"the weights that are read in place ({size(regime.mapped_bytes)})"
    held = f"{read} and {state}" if state else read
    return f"{held} exceed by {missing} what the flash holds"
