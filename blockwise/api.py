"""The front door: plan a network on a board, train it, or bring a module of one's own.

``blockwise.plan``, ``blockwise.train``, ``blockwise.write_firmware`` and ``blockwise.from_module`` are these
functions. Every flag that says what is planned and trained is a setting by its name, with the same default:
``weight_bits=4`` is ``--weight-bits 4``.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import nn

from blockwise import report
from blockwise.experiment import run_folder
from blockwise.experiment.compare import compare
from blockwise.experiment.keywords import config_of
from blockwise.experiment.prepare import prepare
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import Result
from blockwise.experiment.settings import ImageSettings
from blockwise.experiment.settings.images import beside_shape
from blockwise.firmware.check.checking import check_images, check_steps
from blockwise.firmware.emulators import UNICORN
from blockwise.firmware.fits import check_fits
from blockwise.firmware.result import FirmwareResult
from blockwise.firmware.slots import check_save_every
from blockwise.firmware.toolchains import ZIG
from blockwise.firmware.written import write
from blockwise.models import OWN, Chain, as_chain, from_module
from blockwise.report import firmware as firmware_report
from blockwise.training import DEFAULT_REGIMES
from devices.boards.profile import Device
from devices.errors import InputError
from devices.planning import Plan
from devices.program.regimes import LEANEST

__all__ = ["InputError", "from_module", "plan", "train", "write_firmware"]

Args = ParamSpec("Args")
Answer = TypeVar("Answer")
Board = str | Path | Device
IN_SHAPE = (3, 32, 32)
"""Of the images that a network by name is planned for, unless told."""


def _leaving_torch_alone(work: Callable[Args, Answer]) -> Callable[Args, Answer]:
    """Gradients are made whatever the caller's mode, whose random numbers go on where they were."""

    @wraps(work)
    def done(*args: Args.args, **named: Args.kwargs) -> Answer:
        devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        with torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad():
            return work(*args, **named)

    return done


@_leaving_torch_alone
def plan(
    network: str | nn.Module,
    board: Board = "stm32",
    *,
    regime: str = "bp",
    in_shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    **settings: Any,
) -> Plan:
    """What one training step of ``network`` under ``regime`` holds in the RAM of ``board``, and when.

    ``network`` is a name (as ``--model``), a chain, or a module, which then needs ``in_shape``, (C, H, W)
    (or (C, L) of signals, (F,) of features), or ``data``;
    for a name it is (3, 32, 32) and ``classes`` 10, or as ``data`` has it where that is among the
    ``settings``, which are flags by name. Bytes are in
    ``.peak_bytes``, ``.by_category`` and ``.timeline``; ``.fits`` says whether every tensor has a place.

    Raises InputError for what does not exist, and for what the regime cannot train.
    """
    if "data" in settings and (classes is not None or (isinstance(network, str) and in_shape is not None)):
        raise beside_shape("data")
    in_shape = tuple(in_shape.tolist()) if isinstance(in_shape, np.ndarray) else in_shape
    if isinstance(network, nn.Module) and (in_shape or "data" not in settings):
        network = _chain(network, in_shape)
        in_shape = in_shape or network.in_shape
        classes = network.num_classes if classes is None else classes
    asked: dict[str, Any] = {"regimes": (regime,), "dry_run": True}
    if "data" not in settings:
        asked["in_shape"] = in_shape or IN_SHAPE
        asked["classes"] = ImageSettings.classes if classes is None else classes
    return _prepared(network, board, asked, settings).plan(regime)


@_leaving_torch_alone
def train(
    network: str | nn.Module,
    board: Board = "stm32",
    *,
    data: str | Path = "digits",
    regimes: str | Sequence[str] = DEFAULT_REGIMES,
    out: str | Path | None = None,
    **settings: Any,
) -> Result:
    """Train ``network`` on ``data`` under each of ``regimes``, and plan the memory of its step on ``board``.

    ``network`` is a name (as ``--model``), or a module or chain, which starts from the weights that it has
    and stays as it is. ``settings`` are flags by name, as ``epochs=5`` or ``method="lsq"``. The result's
    ``.regimes`` has a row each: ``.test_accuracy``, ``.peak_bytes``, ``.fits``. With ``out`` all that the
    command line writes is in that folder.

    Raises InputError for what does not exist or fit together; WriteError on a full disk.
    """
    if isinstance(network, nn.Module) and any(p.is_meta for p in network.parameters()):
        raise InputError(
            _name(network), got="weights without values", wanted="weights to start from",
            do="make it on a device, or models.build(..., trained=True)",
        )  # fmt: skip
    named = (regimes,) if isinstance(regimes, str) else tuple(regimes)
    asked = {"data": str(data), "regimes": named, "out": out}
    prepared = _prepared(network, board, asked, settings)
    if out is None:
        return compare(prepared)
    folder = run_folder.prepare(prepared.config, prepared)
    result = report.named(compare(prepared, folder / run_folder.CHECKPOINTS))
    return report.write_all(result, folder)


@_leaving_torch_alone
def write_firmware(
    network: str | nn.Module,
    board: Board = "stm32",
    *,
    out: str | Path,
    data: str | Path = "digits",
    regime: str = LEANEST,
    check: int = 0,
    save_every: int | None = None,
    **settings: Any,
) -> FirmwareResult:
    """Write a training step of ``network`` under ``regime`` as C for ``board`` to the folder ``out``.

    ``network`` is a name (as ``--model``), or a module or chain. With ``check`` the project is built,
    emulated and compared for so many steps, as ``run.py firmware --check`` does: ``.checked.equal`` is the
    verdict. With ``save_every`` it can keep the training in flash, at every so many steps. ``settings`` are
    flags by name.

    Raises InputError for what has no C form or does not fit, and where a tool is missing that a check needs.
    """
    asked = {"data": str(data), "regimes": (regime,)}
    prepared = _prepared(network, board, asked, settings)
    if check:
        check_steps(check)
        check_images(prepared.config.images.in_shape)
        ZIG.require(prepared.device)
        UNICORN.require(prepared.device)
    check_fits(prepared, regime)
    written = write(prepared, regime, Path(out), save_every=check_save_every(save_every))
    result = written.checked(check, ZIG, UNICORN) if check else written.result
    return firmware_report.write_all(result, out)


def _chain(network: nn.Module, in_shape: tuple[int, ...] | None) -> Chain:
    if in_shape is None and not isinstance(network, Chain):
        raise InputError(
            type(network).__name__, got="no in_shape", wanted="(channels, height, width) of its images",
            do="add it, as in_shape=(3, 32, 32), or data",
        )  # fmt: skip
    return as_chain(network, in_shape or IN_SHAPE)


def _name(network: nn.Module) -> str:
    """Of a configuration whose network no name builds."""
    own = network.name if isinstance(network, Chain) else type(network).__name__
    return f"{OWN}{own.removeprefix(OWN)}"


def _prepared(
    network: str | nn.Module, board: Board, asked: dict[str, Any], settings: dict[str, Any]
) -> Prepared:
    if isinstance(network, type):
        raise InputError(
            network.__name__, got="a class", wanted="a module, a chain, or a name", do="call it, to make one"
        )
    own = network if isinstance(network, nn.Module) else None
    name = network if isinstance(network, str) else _name(network)
    device = board if isinstance(board, Device) else None
    named = {"model": name, "device": board.name if isinstance(board, Device) else board}
    for name in settings.keys() & (asked | named).keys():
        raise InputError(
            f"setting {name}", got=repr(settings[name]), wanted="what the arguments before say already",
            do="leave it out",
        )  # fmt: skip
    return prepare(config_of(settings | asked | named), own=own, device=device)
