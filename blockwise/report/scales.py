"""How high the axes of timelines are: whether peaks compare by eye, and whether the RAM is in view."""

from blockwise.experiment.result import Result
from blockwise.report.text import KIB

MIN_HEADROOM = 1.22
"""The axis reaches this far above the highest value, so that the peak's label has room."""

SHARED_SCALE_RATIO = 8
"""Up to this ratio of the highest to the lowest peak, panels share a scale and compare by eye."""

RAM_IN_VIEW = 3
"""A RAM further above the peaks than this would squash them; it is then named at the top edge."""


def y_limits(result: Result) -> list[float]:
    """The top of each panel's axis in KiB: one for all, unless the peaks are too far apart."""
    peaks = [max(regime.peak_bytes, 1) for regime in result.regimes]
    if peaks and max(peaks) <= SHARED_SCALE_RATIO * min(peaks):
        peaks = [max(peaks)] * len(peaks)
    ram = result.device.usable_bytes
    tops = [max(peak, ram) if ram <= RAM_IN_VIEW * peak else peak for peak in peaks]
    return [MIN_HEADROOM * top / KIB for top in tops]
