"""Which regime of a finished run is exported: the one that is asked for, or that serves the board best."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blockwise.experiment.result import best_of
from devices.errors import InputError


@dataclass(frozen=True, eq=False)
class Choice:
    """A regime's row of ``result.json``, and why it is that one."""

    row: dict[str, Any]
    why: str

    @property
    def regime(self) -> str:
        """Its name."""
        return str(self.row["regime"])

    @property
    def bits_of(self) -> str:
        """The regime whose training it is."""
        return str(self.row["trained_as"] or self.regime)

    @property
    def accuracy(self) -> float:
        """On the test set, image by image where a batch would make a difference."""
        alone = self.row["training"].get("test_accuracy_one_by_one")
        return float(self.row["test_accuracy"] if alone is None else alone)


def choose(found: dict[str, Any], folder: Path, regime: str | None) -> Choice:
    """By default the most accurate that fits the board, or else the most accurate.

    Raises InputError for a regime that is not there, or was not trained to the end, or if none was.
    """
    rows: dict[str, dict[str, Any]] = {row["regime"]: row for row in found["regimes"]}
    trained = {name: row for name, row in rows.items() if row["test_accuracy"] is not None}
    board = found["device"]["title"]
    if not trained:
        raise InputError(
            f"export {folder}", got="a run in which no regime was trained to the end",
            wanted="trained weights", do="train without --dry-run, or at another --lr",
        )  # fmt: skip
    if regime is None:
        return _default(trained, board)
    if regime not in trained:
        got = f"{regime}, which was not trained to the end" if regime in rows else repr(regime)
        wanted = f"one of {', '.join(trained)}"
        raise InputError(f"regime in {folder}", got=got, wanted=wanted, do="choose one")
    fits = "fits" if trained[regime]["fits"] else "does not fit"
    return Choice(trained[regime], f"as asked for; its training {fits} {board}")


def _default(trained: dict[str, dict[str, Any]], board: str) -> Choice:
    fitting = best_of((row, row["test_accuracy"]) for row in trained.values() if row["fits"])
    if fitting is not None:
        return Choice(fitting, f"the most accurate whose training fits {board}")
    best = best_of((row, row["test_accuracy"]) for row in trained.values())
    assert best is not None
    return Choice(best, f"no training fits {board}; this is the most accurate")
