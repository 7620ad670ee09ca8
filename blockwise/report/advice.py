"""What to change where something does not fit: a batch size that would do, or a search for settings."""

import shlex

from blockwise.experiment.result import RegimeResult, Result
from blockwise.experiment.step_rows import Change
from blockwise.nets.usual import CLASSES, IN_SHAPE, OWN
from blockwise.report.text import join, saved_words, size

DRY_RUN = "--dry-run"
MOST_CHANGES = 2
"""Planned changes that are told of: the HTML report has all."""


def advice(result: Result) -> list[str]:
    """A sentence each; empty where everything fits, or nothing was compared.

    What was planned to be enough, with its command; else what batches would do, and how to search.
    """
    out = [regime for regime in result.regimes if not regime.fits]
    if not out:
        return []
    trains = result.config.get("in_shape") is None  # of a shape alone there is nothing to train on
    enough = [_change(change, trains) for change in result.changes if change.fits][:MOST_CHANGES]
    return enough or [sentence for sentence in (_batches(out, result), _search(result)) if sentence]


def _change(change: Change, trains: bool) -> str:
    words = shlex.join(("run.py", *(word for word in change.command if not trains or word != DRY_RUN)))
    command, saved = f"; {words}" if change.command else "", saved_words(change.saved_bytes)
    return f"{change.regime} fits with {change.what}: {size(change.peak_bytes)}, {saved}{command}"


def _batches(regimes: list[RegimeResult], result: Result) -> str:
    """The largest batch with which each would fit, or the least that it takes."""
    short = [r for r in regimes if r.peak_bytes > result.device.usable_bytes and r.peak_by_batch]
    short = [r for r in short if not r.lacking_flash_bytes]
    if not short:
        return ""
    found = {r.regime: _largest(r, result) for r in short}
    would = [f"{name} at batch {batch} ({size(peak)})" for name, (batch, peak) in found.items() if batch]
    if would:
        return f"smaller batches: the bytes of {join(would)} would fit."
    lowest = min(short, key=lambda r: min(r.peak_by_batch.values()))
    batch, peak = min(lowest.peak_by_batch.items(), key=lambda item: item[1])
    looked = sorted({size for regime in short for size in regime.peak_by_batch})
    whole = all(1 in regime.peak_by_batch for regime in short)
    none = "no batch size" if whole else f"none of the batches of {join([*map(str, looked)])} images"
    return f"{none} lets them fit: the lowest is {lowest.regime} at batch {batch}, {size(peak)}."


def _largest(regime: RegimeResult, result: Result) -> tuple[int, int]:
    """The largest batch whose bytes fit, with its peak; 0 where there is none."""
    fitting = [b for b, peak in regime.peak_by_batch.items() if peak <= result.device.usable_bytes]
    return (max(fitting), regime.peak_by_batch[max(fitting)]) if fitting else (0, 0)


FIT_METHODS = ("lsq", "fp32")
"""That which the search takes unless told, at 32 bits the other."""


def _search(result: Result) -> str:
    """The command that finds settings which fit this network on this board; none names a module."""
    config, model = result.config, result.model
    if str(config.get("model", OWN)).startswith(OWN):
        return ""
    flags: dict[str, tuple[object, ...]]
    flags = {"device": (config.get("device"),), "model": (config["model"],), "width": (config.get("width"),)}
    flags["reserve-kib"] = (config.get("reserve_kib"),)
    if config.get("method") not in (None, *FIT_METHODS):
        flags["method"] = (config["method"],)
    if model.in_shape != IN_SHAPE:
        flags["in-shape"] = model.in_shape
    if model.num_classes != CLASSES:
        flags["classes"] = (model.num_classes,)
    words = [w for flag, given in flags.items() if None not in given for w in (f"--{flag}", *map(str, given))]
    return f"{shlex.join(['run.py', 'fit', *words])} searches for settings that fit."
