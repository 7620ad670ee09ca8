"""The tables of the console report."""

from collections.abc import Callable

from rich.text import Text

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.facts import plain_backpropagation
from blockwise.report.side_by_side import Ruled, SideBySide, TableRow, ruled_table
from blockwise.report.text import (
    ABSENT,
    DIVERGED,
    broken,
    duration,
    epochs_words,
    gap,
    interval,
    join,
    kib,
    operation_words,
    ordered_categories,
    percent,
    ram_words,
    shape,
    short_category,
    size,
    times,
)
from blockwise.statistics.shares import wilson
from blockwise.training.outcome import Host, Training
from devices.program.integer import FORMS
from devices.program.regimes import PLAIN, find

LARGEST_LISTED = 6
TENSOR_NAME_WIDTH, OWNER_WIDTH = 22, 12

Cell = Callable[[RegimeResult], str]


def memory_table(result: Result) -> SideBySide:
    """The peak by category, against backpropagation, in an arena, its moment, and at other batch sizes."""
    rows = [
        *_category_rows(result), *_total_rows(result), *_arena_rows(result), *_moment_rows(result),
    ]  # fmt: skip
    return _table("KiB at the peak", result, [*rows, *_batch_rows(result)])


def batch_note(result: Result) -> str:
    """What the verdicts at other batch sizes mean, which no arena was sought for."""
    device = result.device
    note = (
        f"fits, over: live bytes against {size(device.usable_bytes)} of {ram_words(device)}, not yet placed"
    )
    lacking = [r.regime for r in result.regimes if r.lacking_flash_bytes]
    flash = [f"the flash is too small for {join(lacking)} at any batch"] if lacking else []
    return "; ".join([note, *flash, *_obstacles_by_batch(result)])


def _obstacles_by_batch(result: Result) -> list[str]:
    """Why there are batch sizes without a figure, each reason once."""
    where: dict[str, list[str]] = {}
    for regime in result.regimes:
        for batch, reason in regime.obstacle_by_batch.items():
            where.setdefault(reason, []).append(f"{regime.regime} at batch {batch}")
    return [f"{ABSENT} {join(rows)} cannot run: {reason}" for reason, rows in where.items()]


def accuracy_table(result: Result) -> SideBySide:
    """What each regime's training reached; "-" where nothing was trained, or not anew."""
    rows = [
        _row("test accuracy", result, _accuracy),
        _row("95 % interval", result, lambda r: _interval(r, result)),
        *_one_by_one_rows(result),
        _row("validation", result, _of_training(_validation)),
        _row("best epoch", result, _of_training(_best_epoch)),
        _row("epochs", result, _of_training(epochs_words)),
        _row("GMAC in all", result, _work),
        *_work_rows(result),
        _row("training time", result, _of_own_training(lambda t: duration(t.seconds))),
        _row("images/s", result, _of_own_training(lambda t: f"{t.images_per_second:,.0f}")),
    ]
    return _table(f"seed {result.seed}", result, rows)


def one_by_one_note(result: Result) -> str:
    """Why an integer regime has two accuracies; empty where none has."""
    shown = [r.regime for r in result.regimes if r.training and _has_accuracy_one_by_one(r.training)]
    alone = [name for name in shown if not FORMS[find(name).arithmetic].scaled]  # by constants
    if not alone:
        return ""
    return (
        f"images one by one, as a board sees them: under {join(alone)} the largest value of a batch scales "
        "all of its images, and the test accuracy is that of batches"
    )


def same_bits_note(result: Result) -> str:
    """Why some regimes were not trained; empty if all of them were."""
    same = [f"{r.regime} as {r.trained_as}" for r in result.regimes if r.trained_as]
    return f"same bits, trained once: {', '.join(same)}" if same else ""


def host_table(result: Result) -> SideBySide:
    """What the simulation took on this computer."""

    def tensors(host: Host) -> str:
        return ABSENT if host.peak_tensor_bytes is None else kib(host.peak_tensor_bytes)

    def held(regime: RegimeResult) -> str:
        return tensors(regime.host) if regime.host else ABSENT

    def resident(regime: RegimeResult) -> str:
        return kib(regime.host.peak_rss_bytes) if regime.host else ABSENT

    rows = [_row("PyTorch tensors", result, held), _row("process (RSS)", result, resident)]
    return _table("KiB", result, rows)


def tensor_table(result: Result) -> Ruled:
    """The largest tensors alive at each regime's peak."""
    table = ruled_table()
    table.add_column(Text("tensor", style="bold"))
    for heading in ("owner", "category", "shape"):
        table.add_column(Text(heading, style="bold"))
    for heading in ("bits", "KiB"):
        table.add_column(Text(heading, style="bold"), justify="right", no_wrap=True)
    for regime in result.regimes:
        table.add_row(Text(regime.regime, style="bold"), *[""] * 4, Text(kib(regime.peak_bytes)))
        for cells in _tensor_rows(regime):
            table.add_row(*map(Text, cells))
        table.add_section()
    return Ruled(table)


def _tensor_rows(regime: RegimeResult) -> list[tuple[str, ...]]:
    return [
        (
            "  " + broken(tensor.name, TENSOR_NAME_WIDTH).replace("\n", "\n  "),
            broken(tensor.owner, OWNER_WIDTH),
            short_category(tensor.category),
            shape(tensor.shape),
            str(tensor.bits),
            kib(tensor.bytes),
        )
        for tensor in regime.tensors_at_peak[:LARGEST_LISTED]
    ]


def _table(corner: str, result: Result, rows: list[TableRow]) -> SideBySide:
    return SideBySide(corner, [regime.regime for regime in result.regimes], rows)


def _row(label: str, result: Result, cell: Cell, style: str = "", ruled: bool = False) -> TableRow:
    return TableRow(label, tuple(cell(regime) for regime in result.regimes), style, ruled)


def _category_rows(result: Result) -> list[TableRow]:
    tables = [regime.by_category for regime in result.regimes]
    names = ordered_categories(*tables)
    return [
        TableRow(
            short_category(name),
            tuple(kib(table.get(name, 0)) for table in tables),
            ruled=name == names[-1],
        )
        for name in names
    ]


def _total_rows(result: Result) -> list[TableRow]:
    rows = [
        _row("total", result, lambda r: kib(r.peak_bytes), "bold"),
        _row("in bytes", result, lambda r: f"{r.peak_bytes:,}"),
    ]
    plain = plain_backpropagation(result)
    if plain is not None:
        rows.append(_row(f"{PLAIN} : regime", result, lambda r: times(plain.peak_bytes, r.peak_bytes)))
    best = result.best_baseline.peak_bytes
    rows.append(_row(f"best {PLAIN} : regime", result, lambda r: times(best, r.peak_bytes), ruled=True))
    return rows


def _arena_rows(result: Result) -> list[TableRow]:
    """Where a program would put the tensors; the total is the arena's lower bound."""
    rows = [
        _row("arena", result, lambda r: kib(r.arena.arena_bytes)),
        _row("arena's gap", result, lambda r: gap(r.arena.gap)),
    ]
    if any(regime.arena.gap for regime in result.regimes):
        rows.append(_row("lowest possible", result, lambda r: "proven" if r.arena.proven else "not proven"))
    placed = _row("placed on board", result, lambda r: "yes" if r.arena.placed else "no", ruled=True)
    return [*rows, placed]


def _moment_rows(result: Result) -> list[TableRow]:
    cells: dict[str, Cell] = {
        "peak operation": lambda r: operation_words(r) or ABSENT,
        "peak block": lambda r: r.peak_block or ABSENT,
    }
    return [
        TableRow(
            label,
            tuple(cell(regime) for regime in result.regimes),
            ruled=label == "peak block",
            is_name=True,
        )
        for label, cell in cells.items()
    ]


def _batch_rows(result: Result) -> list[TableRow]:
    """Peak per batch size, with the verdict beside it; what lies in flash is the same at each."""
    batches = sorted({b for r in result.regimes for b in (*r.peak_by_batch, *r.obstacle_by_batch)})
    ram = result.device.usable_bytes

    def cell(regime: RegimeResult, batch: int) -> str:
        peak = regime.peak_by_batch.get(batch)
        if peak is None:
            return ABSENT
        return f"{kib(peak)} {'over' if peak > ram else 'flash' if regime.lacking_flash_bytes else 'fits'}"

    return [
        TableRow(f"at batch {batch}", tuple(cell(regime, batch) for regime in result.regimes))
        for batch in batches
    ]


def _of_training(cell: Callable[[Training], str]) -> Cell:
    return lambda regime: cell(regime.training) if regime.training else ABSENT


def _of_own_training(cell: Callable[[Training], str]) -> Cell:
    """Only where this regime itself was trained, and to the end."""

    def found(regime: RegimeResult) -> str:
        own = regime.training and not regime.trained_as and not regime.divergence
        return cell(regime.training) if regime.training and own else ABSENT

    return found


def _interval(regime: RegimeResult, result: Result) -> str:
    accuracy = regime.test_accuracy
    return ABSENT if accuracy is None else interval(*wilson(accuracy, result.data.test))


def _one_by_one_rows(result: Result) -> list[TableRow]:
    """Where a regime predicts otherwise for an image alone than in a batch."""

    def cell(training: Training) -> str:
        return DIVERGED if training.divergence else percent(training.test_accuracy_one_by_one)

    if not any(r.training and _has_accuracy_one_by_one(r.training) for r in result.regimes):
        return []
    return [_row("images one by one", result, _of_training(cell))]


def _has_accuracy_one_by_one(training: Training) -> bool:
    return training.test_accuracy_one_by_one is not None


def _validation(training: Training) -> str:
    return DIVERGED if training.divergence else percent(training.validation_accuracy)


def _best_epoch(training: Training) -> str:
    last = training.last_epochs or training.epochs
    return ABSENT if training.divergence else f"{training.best_epoch} of {last}"


def _work(regime: RegimeResult) -> str:
    macs = regime.training_macs
    return f"{macs / 1e9:,.1f}" if macs else ABSENT


def _work_rows(result: Result) -> list[TableRow]:
    """Work beside plain backpropagation's: as many epochs of all blocks, or of each in turn."""
    plain = plain_backpropagation(result)
    if plain is None:
        return []

    def cell(regime: RegimeResult) -> str:
        ended = regime.training and not regime.divergence
        return times(result.weighed_macs(regime), plain.macs_per_step) if ended else ABSENT

    return [_row(f"work : {PLAIN}", result, cell)]


def _accuracy(regime: RegimeResult) -> str:
    """With the regime whose bits these are, if it is another."""
    same = f"= {regime.trained_as} " if regime.trained_as else ""
    return same + (DIVERGED if regime.divergence else percent(regime.test_accuracy))
