"""The weights of a finished run, with the settings, the cut and the head that they belong to."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from blockwise.experiment import board, result_json, run_folder
from blockwise.experiment.config import Config
from blockwise.experiment.finished import result_path
from blockwise.experiment.initial.weights import KEPT, kept
from blockwise.experiment.prepare import images_of, prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import best_of
from blockwise.experiment.run_data import check_own
from blockwise.firmware.form import REGIMES
from blockwise.models.files import keeping
from blockwise.training import checkpoint
from devices.errors import InputError


@dataclass(frozen=True, eq=False)
class Weights:
    """What ``regime`` ended with in the run of ``folder``; ``why`` that one, empty if it was asked for."""

    folder: Path
    regime: str
    why: str
    state: dict[str, Tensor]

    def load(self, net: nn.Module) -> None:
        """Put them into a network of the same form. Raises InputError for another one."""
        try:
            net.load_state_dict(self.state)
        except (RuntimeError, KeyError) as error:
            raise InputError(
                f"--from {self.folder}", got="weights of another network, cut or head",
                wanted="those of its own", do="restore the run's own config.json",
            ) from error  # fmt: skip


def weights_of(folder: Path, regime: str | None = None) -> Weights:
    """Of the regime asked for, else of those with a C form that fit the board the most accurate.

    Raises InputError where there is no such run, or none that was trained to its end.
    """
    found = _result(folder)
    trained = {row["regime"]: row for row in found["regimes"] if row["test_accuracy"] is not None}
    name, why = (regime, "") if regime is not None else _choice(trained, folder)
    if name not in trained:
        raise _not_trained(folder, name, list(trained))
    path = folder / run_folder.CHECKPOINTS / f"{trained[name]['trained_as'] or name}.pt"
    state = checkpoint.load(path, None)
    if state is None:
        raise InputError(
            f"checkpoint {path}", got="no such file", wanted="that of a finished run", do="restore it"
        )
    return Weights(folder, name, why, state["net"])


def settings_of(folder: Path) -> Config:
    """Of the run in ``folder``. Raises InputError if there is none."""
    return run_folder.saved_config(folder, "--from")


def prepared_with(weights: Weights, config: Config) -> Prepared:
    """``config`` with head and cut of the run that the weights are of, whatever its own settings choose.

    A network of one's own, the weights that the run started from and its board are those that it kept: their
    files may have changed since, or be gone.
    """
    folder = weights.folder
    own, initial = keeping.load(folder, config.network.model), kept(folder / KEPT)
    check_own(images_of(config), _result(folder), f"--from {folder}")
    asked = board.load(config.board.device, config.board.reserve_kib, folder)
    saved, prepared = settings_of(folder), prepare(config, own=own, device=asked, initial=initial)
    device = board.load(saved.board.device, saved.board.reserve_kib, folder)
    return replace(prepared, taken=Prepared(saved, device, prepared.dataset, prepared.own).chosen)


def _result(folder: Path) -> dict[str, Any]:
    settings_of(folder)
    return result_json.read(result_path(folder, f"--from {folder}"))


def _choice(trained: dict[str, dict[str, Any]], folder: Path) -> tuple[str, str]:
    able = [row for name, row in trained.items() if name in REGIMES]
    fitting = best_of((row, row["test_accuracy"]) for row in able if row["fits"])
    best = fitting or best_of((row, row["test_accuracy"]) for row in able)
    if best is None:
        raise _not_trained(folder, "no regime with a C form that was trained", list(trained))
    how = "that fit its board " if fitting else ""
    return best["regime"], f"of the run's regimes with a C form {how}the most accurate"


def _not_trained(folder: Path, name: str, trained: list[str]) -> InputError:
    if name in REGIMES:
        name = f"{name}, which was not trained to its end there"
    wanted = f"one of {', '.join(trained)}" if trained else "a run that trained one"
    return InputError(f"--from {folder}", got=name, wanted=wanted, do="choose one with --regime")
