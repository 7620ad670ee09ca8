"""Global backpropagation in every form that was planned: what local training has to beat."""

from rich.text import Text

from blockwise.experiment.result import Baseline, DeviceInfo, Result
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT, kib, size

LOWEST = "*"
"""Beside the form with the lowest peak; :func:`best_line` says so."""


def baseline_table(result: Result) -> Ruled:
    """Peak, verdict and work of each form, with what sets it apart."""
    table = ruled_table()
    table.add_column(Text("regime", style="bold"), no_wrap=True)
    for heading in ("peak KiB", "board", "MMAC"):
        table.add_column(Text(heading, style="bold"), justify="right", no_wrap=True)
    table.add_column(Text("how", style="bold"), overflow="fold")
    best = result.best_baseline
    for baseline in result.baselines:
        cells = map(Text, baseline_cells(baseline, result.device, best))
        table.add_row(*cells, style="bold" if baseline is best else "")
    return Ruled(table)


def best_line(result: Result) -> str:
    """Which form "best bp" is."""
    best = result.best_baseline
    return f"{LOWEST} the lowest peak: best bp is {best.regime}, {size(best.peak_bytes)}"


def baseline_cells(baseline: Baseline, device: DeviceInfo, best: Baseline) -> tuple[str, ...]:
    """Name, peak, verdict, work and what sets it apart."""
    name = f"{baseline.regime} {LOWEST}" if baseline is best else baseline.regime
    if baseline.obstacle:
        return name, ABSENT, ABSENT, ABSENT, baseline.note
    macs = f"{baseline.macs_per_step / 1e6:,.1f}"
    return name, kib(baseline.peak_bytes), _verdict(baseline, device), macs, baseline.note


def _verdict(baseline: Baseline, device: DeviceInfo) -> str:
    if baseline.fits:
        return "fits"
    if baseline.peak_bytes > device.usable_bytes:
        return "over"
    return "flash" if baseline.flash_missing_bytes else "unplaced"
