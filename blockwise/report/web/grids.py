"""Tables as data: rows of texts under headings, texts to the left and figures to the right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.backpropagation import baseline_cells
from blockwise.report.boards import LEGEND, boards_table, obstacle_notes
from blockwise.report.side_by_side import SideBySide
from blockwise.report.text import ABSENT, kib, percent, shape


@dataclass(frozen=True)
class Grid:
    """A table. The first cell of a row is its heading; from column ``figures`` on they are figures."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: int
    sortable: bool = False
    notes: tuple[str, ...] = ()
    commands: bool = False  # whether the last column has commands
    broken: frozenset[int] = frozenset()  # rows of names that may be broken over lines


def side_by_side(table: SideBySide, caption: str, *notes: str) -> Grid:
    """The console's table with a column for each regime."""
    return Grid(
        caption, (table.corner, *table.regimes), tuple((row.label, *row.cells) for row in table.rows), 1,
        notes=tuple(filter(None, notes)),
        broken=frozenset(number for number, row in enumerate(table.rows) if row.is_name),
    )  # fmt: skip


LAYER_HEAD = (
    "layer", "kind", "block", "shape", "weight bits", "bits", "parameters", "MACs", "saved", "gradient",
    "optimizer", "at the peak",
)  # fmt: skip
LAYER_NOTE = (
    "In KiB: what is saved for the backward pass, gradients of weights, optimizer state, and what of the "
    "layer is alive at the step's peak. Multiply-accumulates are of one image going forward; bits are of the "
    "output as it is stored."
)


def layers(regime: RegimeResult) -> Grid:
    """A row for each layer, and one for what belongs to none."""
    rows = [
        (
            row.name, row.kind.replace("_", " "), row.owner, shape(row.shape),
            *map(_count, (row.weight_bits, row.output_bits, row.parameters, row.macs)),
            *map(_kib, (row.saved_bytes, row.gradient_bytes, row.optimizer_bytes, row.peak_bytes)),
        )
        for row in regime.layers
    ]  # fmt: skip
    others = regime.peak_bytes - sum(row.peak_bytes for row in regime.layers)
    if rows and others:
        rows.append(("batch and inputs of blocks", *[""] * (len(LAYER_HEAD) - 2), _kib(others)))
    caption = f"{regime.regime}: {kib(regime.peak_bytes)} KiB at the peak"
    return Grid(caption, LAYER_HEAD, tuple(rows), LAYER_HEAD.index("weight bits"), sortable=True)


def _count(number: int | None) -> str:
    return f"{number:,}" if number else ABSENT


def _kib(count: int) -> str:
    return kib(count) if count else ABSENT


def tensors_at_peak(regime: RegimeResult, most: int = 12) -> Grid:
    """The largest tensors that are alive at the peak."""
    rows = (
        (t.name, t.owner, t.category, shape(t.shape), str(t.bits), _kib(t.bytes))
        for t in regime.tensors_at_peak[:most]
    )
    head = ("tensor", "block", "category", "shape", "bits", "KiB")
    caption = f"{regime.regime}: the largest tensors at the peak"
    return Grid(caption, head, tuple(rows), head.index("bits"), sortable=True)


def baselines(result: Result) -> Grid:
    """Every form of backpropagation, with what sets it apart behind its name."""

    def moved(cells: Iterable[str]) -> tuple[str, ...]:
        name, *figures, how = cells
        return name, how, *figures

    best = result.best_baseline
    rows = (moved(baseline_cells(baseline, result.device, best)) for baseline in result.baselines)
    head = ("regime", "how", "peak KiB", "board", "MMAC")
    return Grid("Backpropagation, plain and engineered", head, tuple(rows), 2)


def boards(result: Result) -> Grid:
    """What every board has left for each regime, or lacks."""
    notes = (LEGEND, *obstacle_notes(result.everywhere))
    return side_by_side(boards_table(result.everywhere), "The same on other boards", *notes)


def epochs(regimes: Sequence[RegimeResult]) -> list[Grid]:
    """Losses and validation accuracies of each training."""
    return [_epochs(regime) for regime in regimes if regime.training and not regime.trained_as]


def _epochs(regime: RegimeResult) -> Grid:
    history = regime.training.history if regime.training else ()
    rows = (
        (
            str(epoch.epoch),
            epoch.block or "all",
            f"{epoch.train_loss:.4f}",
            percent(epoch.validation_accuracy),
        )
        for epoch in history
    )
    head = ("epoch", "block", "loss", "validation accuracy")
    return Grid(f"{regime.regime}: epochs", head, tuple(rows), 2)
