"""One panel of the memory timeline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from blockwise.experiment.result import DeviceInfo, MomentRow, RegimeResult
from blockwise.report.text import (
    KIB,
    fits_words,
    kib,
    moment,
    ordered_categories,
    ram_words,
    short_category,
    size,
    times,
)
from devices.program.categories import (
    LATENT_WEIGHTS,
    NORM_AND_QUANTIZER,
    OPTIMIZER_STATE,
    PACKED_WEIGHTS,
    SAVED_ACTIVATIONS,
    SCRATCH,
    WEIGHT_GRADIENTS,
    WORKING_TENSORS,
)

CHARS_PER_WIDTH = 150
"""Characters of a small label that fit a panel's width, on the generous side."""

MOST_BOUNDARIES = 60
"""More lines between blocks than this would be a texture of their own."""

INK, MUTED = "#1a1a1a", "#767676"


@dataclass(frozen=True)
class Look:
    """How a category is filled: colour and, so that colour is not needed, hatch."""

    colour: str
    hatch: str = ""
    ink: str = "white"  # of the hatch


# Okabe and Ito (2008), "Color Universal Design"; grey in place of black.
LOOKS = {
    PACKED_WEIGHTS: Look("#0072B2"),
    LATENT_WEIGHTS: Look("#56B4E9", "////"),
    WEIGHT_GRADIENTS: Look("#CC79A7", "\\\\\\\\"),
    OPTIMIZER_STATE: Look("#E69F00", "++"),
    SAVED_ACTIVATIONS: Look("#009E73"),
    WORKING_TENSORS: Look("#F0E442", "||||", "#8a7f00"),
    NORM_AND_QUANTIZER: Look("#D55E00", "xxxx"),
    SCRATCH: Look("#999999", "----"),
}
OTHER = Look("#dddddd", "xx")

# From the bottom up: what stays for the whole step lies below what comes and goes.
STACK = (
    PACKED_WEIGHTS,
    NORM_AND_QUANTIZER,
    LATENT_WEIGHTS,
    OPTIMIZER_STATE,
    WEIGHT_GRADIENTS,
    SAVED_ACTIVATIONS,
    WORKING_TENSORS,
    SCRATCH,
)

PHASE_SHADES = {
    "load": "#f2f2f2",
    "forward": "#e3e3e3",
    "recompute": "#f2f2f2",
    "backward": "#bdbdbd",
    "update": "#8f8f8f",
    "pack": "#f2f2f2",
    "page in": "#f2f2f2",
    "page out": "#d0d0d0",
}


def draw_panel(axes: Axes, regime: RegimeResult, device: DeviceInfo, top: float) -> None:
    """Stack the categories of ``regime``; ``top`` is the upper end of the axis in KiB."""
    axes.set_xlim(0, len(regime.timeline))
    axes.set_ylim(0, top)
    axes.set_ylabel("KiB")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(axis="x", pad=17, length=0)
    axes.tick_params(axis="both", colors=INK, labelsize=8)
    axes.set_axisbelow(True)
    _title(axes, regime, device)
    _stack(axes, regime.timeline)
    _blocks(axes, regime.timeline)
    _phases(axes, regime.timeline)
    _ram_line(axes, device, top)
    _peak(axes, regime, device.usable_bytes / KIB, top)


def legend_handles(regimes: Sequence[RegimeResult]) -> list[Patch]:
    """A swatch for each category that is ever alive, in the order of the stack."""
    used = {name for r in regimes for row in r.timeline for name, n in row.by_category.items() if n}
    return [Patch(label=short_category(name), **_fill(name)) for name in _stacked(used) if name in used]


def phase_key(regimes: Sequence[RegimeResult]) -> str:
    """What the strip's initials stand for, in the order in which phases come."""
    present = {row.phase for regime in regimes for row in regime.timeline}
    known = [phase for phase in PHASE_SHADES if phase in present]
    phases = [*known, *sorted(present - set(known))]
    return ", ".join(f"{_initial(phase)} {phase}" for phase in phases)


def _initial(phase: str) -> str:
    """Of the word that tells it from the others: "page in" is I, "page out" is O."""
    return phase.split()[-1][:1].upper() if phase else ""


def _stacked(names: set[str]) -> list[str]:
    others = [name for name in ordered_categories(dict.fromkeys(names, 0)) if name not in STACK]
    return [*STACK, *others]


def _fill(category: str) -> dict[str, Any]:
    look = LOOKS.get(category, OTHER)
    return {"facecolor": look.colour, "hatch": look.hatch, "edgecolor": look.ink, "linewidth": 0}


def _title(axes: Axes, regime: RegimeResult, device: DeviceInfo) -> None:
    ratio = times(regime.peak_bytes, device.usable_bytes)
    verdict = f"{size(regime.peak_bytes)}, {ratio} the {ram_words(device)}"
    axes.text(0, 1.145, regime.regime, transform=axes.transAxes, fontsize=10.5,
              fontweight="bold", color=INK)  # fmt: skip
    axes.text(1, 1.145, f"{verdict}: {fits_words(regime.fits)}", transform=axes.transAxes,
              fontsize=9, ha="right", color=INK)  # fmt: skip


def _stack(axes: Axes, timeline: Sequence[MomentRow]) -> None:
    """Steps: each operation is as wide as one, the last one included."""
    edges = list(range(len(timeline) + 1))
    lower = [0.0] * len(edges)
    for category in _stacked({name for row in timeline for name in row.by_category}):
        sizes = [row.by_category.get(category, 0) / KIB for row in timeline]
        if not any(sizes):
            continue
        sizes.append(sizes[-1])
        upper = [below + added for below, added in zip(lower, sizes, strict=True)]
        axes.fill_between(edges, lower, upper, step="post", **_fill(category))
        lower = upper
    axes.step(edges, lower, where="post", color=INK, linewidth=0.7)


def _runs(keys: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Stretches of equal keys as (start, length, key)."""
    start = 0
    for key, group in groupby(keys):
        length = len(list(group))
        yield start, length, key
        start += length


def _room_for(text: str, length: int, total: int) -> bool:
    return len(text) + 2 <= length / total * CHARS_PER_WIDTH


def _blocks(axes: Axes, timeline: Sequence[MomentRow]) -> None:
    """A light line where the work moves to another block, and the block's name above."""
    runs = list(_runs([row.block for row in timeline]))
    if len(runs) <= MOST_BOUNDARIES:
        axes.vlines([start for start, *_ in runs[1:]], 0, 1, transform=axes.get_xaxis_transform(),
                    color=MUTED, linewidth=0.6, linestyle=(0, (1, 2)), zorder=3)  # fmt: skip
    for start, length, block in runs:
        if _room_for(block, length, len(timeline)):
            axes.text(start + length / 2, 1.02, block, transform=axes.get_xaxis_transform(),
                      ha="center", va="bottom", fontsize=7.5, color="0.35")  # fmt: skip


def _phases(axes: Axes, timeline: Sequence[MomentRow]) -> None:
    """A strip below the axis that names the phases, by their initial where space is scarce."""
    runs = list(_runs([row.phase for row in timeline]))
    shades = [PHASE_SHADES.get(phase, "#f2f2f2") for *_, phase in runs]
    axes.broken_barh([(start, length) for start, length, _ in runs], (-0.135, 0.105),
                     transform=axes.get_xaxis_transform(), facecolors=shades, edgecolor="white",
                     linewidth=0.5, clip_on=False)  # fmt: skip
    for start, length, phase in runs:
        name = phase if _room_for(phase, length, len(timeline)) else _initial(phase)
        if len(name) > 1 or _room_for("", length, len(timeline)):
            axes.text(start + length / 2, -0.085, name, transform=axes.get_xaxis_transform(),
                      ha="center", va="center", fontsize=7, color=INK)  # fmt: skip


def _ram_line(axes: Axes, device: DeviceInfo, top: float) -> None:
    """Where the RAM for tensors ends."""
    ram = device.usable_bytes / KIB
    label = f"{ram_words(device)}\n{size(device.usable_bytes)}"
    height, note = (ram, "") if ram <= top else (top, "\n(above\nthis scale)")
    if ram <= top:
        axes.axhline(ram, color=INK, linewidth=1.4, linestyle=(0, (5, 2)), zorder=4)
    axes.annotate(label + note, (1, height), xycoords=axes.get_yaxis_transform(),
                  xytext=(5, 0), textcoords="offset points", va="center" if not note else "top",
                  fontsize=8, fontweight="bold", color=INK, annotation_clip=False)  # fmt: skip


def _peak(axes: Axes, regime: RegimeResult, ram: float, top: float) -> None:
    """A dot at the peak and its moment in words, on the side that has room."""
    live = [row.live_bytes for row in regime.timeline]
    index = max(range(len(live)), key=live.__getitem__)
    x, y = index + 0.5, live[index] / KIB
    left = index > len(live) / 2
    text = f"peak {kib(live[index])} KiB: {moment(regime)}"
    axes.plot([x], [y], marker="o", markersize=5, markerfacecolor="white", markeredgecolor=INK,
              markeredgewidth=1.3, zorder=6, clip_on=False)  # fmt: skip
    aside = len(live) * (-0.012 if left else 0.012)
    axes.annotate(text, (x, y), xytext=(x + aside, _label_height(y, ram, top)),
                  ha="right" if left else "left", va="center", fontsize=8, color=INK, zorder=7,
                  arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.8, "shrinkB": 3,
                              "relpos": (int(left), 0.5)},
                  bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none",
                        "alpha": 0.85})  # fmt: skip


def _label_height(peak: float, ram: float, top: float) -> float:
    """Above the peak, and above the RAM's line too where the two would collide."""
    height = peak + 0.1 * top
    if abs(height - ram) < 0.08 * top:
        height = ram + 0.08 * top
    return min(height, 0.95 * top)
