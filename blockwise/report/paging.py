"""What paging costs on the board's flash, a line each."""

from blockwise.experiment.result import PagingInfo, Result
from blockwise.report.text import duration, kib, size

UNKNOWN = "unknown"


def paging_lines(paging: PagingInfo, result: Result, mapped_bytes: int = 0) -> dict[str, str]:
    """Label -> line: traffic and time of a step, the flash's life, and whether the state fits.

    ``mapped_bytes`` of weights are read in place from the same flash.
    """
    return {
        "traffic": f"{kib(paging.read_bytes)} KiB read and {kib(paging.written_bytes)} KiB written a step",
        "time": f"read {_time(paging.read_seconds)}, erase and program {_time(paging.write_seconds)} a step",
        "flash life": _life(paging, result, mapped_bytes),
        "room": _room(paging, mapped_bytes),
    }


def _time(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else duration(seconds)


def _life(paging: PagingInfo, result: Result, mapped: int) -> str:
    """Steps until it is worn out, as images and as epochs where the batch is known."""
    steps = paging.life_steps
    if steps is None:
        return UNKNOWN
    if not steps:
        return "0 steps: it has no room for what a step writes"
    rest = "all that is left of it" if mapped else "all of it"
    text = f"{steps:,} steps, {rest} used evenly"
    batch = result.config.get("batch_size")
    if not batch:
        return text
    images = steps * batch
    return f"{text}: {images:,} images, {_epochs(images, result.data.train)}"


def _epochs(images: int, train: int) -> str:
    if not train:
        return "no training set"
    epochs = images / train
    return f"{epochs:,.{0 if epochs >= 100 else 1}f} epochs of {train:,} training images"


def _room(paging: PagingInfo, mapped: int) -> str:
    """What a step writes is the state that lies in flash."""
    state = f"its state, {size(paging.written_bytes)} ({size(paging.ring_bytes)} as a ring of erase units),"
    if not paging.flash_bytes:
        return f"{state} goes to external flash, whose size is open"
    verdict = "fits" if paging.fits else "does not fit"
    program = f"program and {size(mapped)} that are read in place come" if mapped else "program comes"
    top = (
        f"; the {program} on top" if paging.fits else f", beside {size(mapped)} read in place" * bool(mapped)
    )
    return f"{state} {verdict} the board's {size(paging.flash_bytes)} of flash{top}"
