"""A trained network as a board needs it, in one file: what was learnt, and how to predict with it.

The format is that of :mod:`blockwise.deployed.file`; :mod:`blockwise.experiment.exported` reads it back.
"""

import io
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from blockwise.data import Normalize, blank
from blockwise.deployed import file
from blockwise.deployed.chain import Steps
from blockwise.deployed.integers import IntegerSteps
from blockwise.experiment import board
from blockwise.experiment import result_json as json_report
from blockwise.experiment import run_folder as outfolder
from blockwise.experiment.config import Config
from blockwise.experiment.export_choice import Choice, choose
from blockwise.experiment.finished import RESULT_FILE, result_path
from blockwise.experiment.prepare import images_of
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.run_data import check_own
from blockwise.integer.net import IntegerNet
from blockwise.layers.weighted import Weighted
from blockwise.models import as_chain
from blockwise.models.files import keeping
from blockwise.nets.trainable import TrainableNet
from blockwise.system.files import atomic_write
from blockwise.training import checkpoint
from devices.errors import InputError
from devices.program.regimes import find

TRIED = 16
"""Random images on which a file has to predict as the network that it was made of."""
NEAR = 1e-3
"""Share of the largest score by which scores may differ: a library sums in another order at times."""


@dataclass(frozen=True)
class Export:
    """What was written."""

    path: Path
    regime: str
    why: str  # it was taken
    fits: bool  # whether its training fits the board
    steps: int
    layers: int  # whose weights are codes
    weights: int
    weight_bytes: int  # of all weights, with what decodes them
    file_bytes: int
    test_accuracy: float  # the run's; of an integer regime with each image alone
    foreign: tuple[str, ...] = ()  # operations from outside, which whoever predicts has to know


def export(
    folder: Path, regime: str | None = None, path: Path | None = None, own: nn.Module | None = None
) -> Export:
    """Write the network that ``regime`` ended with in the run of ``folder``.

    By default the regime is the verdict's (the most accurate of those that fit the board) and the file
    REGIME.safetensors in ``folder``. ``own`` stands for the network of a run that was given one,
    if it did not keep it. Raises InputError if there is no such run, it is not finished, nothing
    in it was trained, or its files do not fit together.
    """
    config = outfolder.saved_config(folder, "export")
    found = json_report.read(result_path(folder, f"export {folder}"))
    choice = choose(found, folder, regime)
    _check_input(found, folder)
    model, data = found["model"], found["data"]
    images = blank(tuple(model["in_shape"]), model["num_classes"])
    own = keeping.load(folder, config.network.model) if own is None else own
    network = None if own is None else as_chain(own, images.in_shape)
    device = board.load(config.board.device, config.board.reserve_kib, folder)
    prepared = Prepared(config, device, images, network)
    state = folder / outfolder.CHECKPOINTS / f"{choice.bits_of}.pt"
    made = _trained(prepared, choice.regime, state, Normalize(tuple(data["mean"]), tuple(data["std"])))
    deployed = file.Deployed(
        _header(found, config, choice, made), tuple(made.steps.steps), made.steps.tensors
    )
    if not made.steps.foreign:
        _check(deployed, made, images.in_shape)
    payload = file.payload(deployed)
    path = path or folder / f"{choice.regime}.safetensors"
    atomic_write(path, payload)
    coded = made.steps.coded
    weights = sum(m.weight.numel() for m in made.chain.modules() if isinstance(m, Weighted))
    floats = 4 * (weights - sum(torch.Size(found.told["shape"]).numel() for found in coded))
    return Export(
        path, choice.regime, choice.why, choice.row["fits"], len(deployed.steps), len(coded), weights,
        floats + sum(found.bytes for found in coded), len(payload), choice.accuracy,
        made.steps.foreign,
    )  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """Test samples as an archive of arrays: ``x_test`` uint8 (N, *shape) and ``y_test`` int64 (N,)."""

    count: int
    payload: bytes


def test_samples(folder: Path) -> Samples:
    """Those that the run in ``folder`` was tested on. Raises InputError where its data are gone or others."""
    images = images_of(outfolder.saved_config(folder, "export"))
    check_own(images, json_report.read(result_path(folder, f"export {folder}")), f"export {folder}")
    split = images.test
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x_test=split.images.numpy(), y_test=split.labels.numpy())
    return Samples(len(split), buffer.getvalue())


@dataclass(frozen=True, eq=False)
class _Made:
    """A trained network, and its steps."""

    chain: nn.Module  # of its layers with weights
    predict: Any  # uint8 images (B, *in_shape) -> class scores (B, K)
    steps: Steps | IntegerSteps

    @property
    def is_integer(self) -> bool:
        return isinstance(self.steps, IntegerSteps)


def _trained(prepared: Prepared, regime: str, path: Path, normalize: Normalize) -> _Made:
    """By the checkpoint at ``path``."""
    if find(regime).is_integer:
        net = prepared.build(regime)
        assert isinstance(net, IntegerNet)
        _load(net, path, regime)
        chain, blocks = prepared.integer_parts(regime)
        return _Made(chain, net.each, IntegerSteps(net, chain, blocks))
    chain, floats = prepared.build_parts()
    stages = prepared.config.stages
    stages.enter(floats.bodies, stages.last)
    _load(floats, path, prepared.config.scheme.name)
    units = nn.Sequential(*chain.units.values()).eval()
    return _Made(chain, lambda images: units(normalize(images)), Steps(chain, normalize))


def _check(deployed: file.Deployed, made: _Made, in_shape: tuple[int, ...]) -> None:
    """Whether the steps predict as the network does: on nearly all of some images, to rounding.

    Where sums differ by rounding alone, a code may still be another one.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (TRIED, *in_shape), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        wanted, found = made.predict(images).double(), deployed.program()(images).double()
    near = ((found - wanted).abs() <= NEAR * wanted.abs().amax()).flatten(1).all(1)
    if int(near.sum()) < TRIED - 1:
        raise InputError(
            f"export of {deployed.header['model']}", got="steps that predict other scores than the network",
            wanted="layers that compute what those of torch.nn do of which they are kinds",
            do="register layers of another kind as docs/extending.md says",
        )  # fmt: skip


def _check_input(found: dict[str, Any], folder: Path) -> None:
    """Runs of earlier versions did not keep what their images were normalised by."""
    if not found["data"].get("mean"):
        raise InputError(
            str(folder / RESULT_FILE), got="no mean of its images", wanted="that of this version",
            do=f"write it again with --resume {folder}",
        )  # fmt: skip


def _header(found: dict[str, Any], config: Config, choice: Choice, made: _Made) -> dict[str, str]:
    model, data = found["model"], found["data"]
    images = {"shape": model["in_shape"], "mean": data["mean"], "std": data["std"]}
    if data.get("low"):
        images |= {"low": data["low"], "high": data["high"]}
    network = replace(config.network, init=config.network.style.init)  # where it began is nobody's affair
    groups = {"network": asdict(network), "quantization": asdict(config.quantization)}
    return {
        "format": file.FORMAT,
        "dtype": file.INTEGER if made.is_integer else file.FLOAT,
        "regime": choice.regime,
        "method": choice.regime if made.is_integer else config.scheme.name,
        "model": model["name"],
        "data": data["name"],
        "board": found["device"]["title"],
        "fits": str(choice.row["fits"]).lower(),
        "test_accuracy": repr(choice.accuracy),
        "input": json.dumps(images),
        "class_names": json.dumps(data["classes"], ensure_ascii=False),
        "config": json.dumps(groups),
    }


def _load(net: TrainableNet, path: Path, method: str) -> None:
    state = checkpoint.load(path, None)
    if state is None:
        raise InputError(
            f"checkpoint {path}",
            got="no such file",
            wanted="that of a finished run",
            do="restore it, or train again with another --out",
        )
    try:
        net.load_state_dict(state["net"])
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"checkpoint {path}", got="the state of another network or method", wanted=f"one of {method}",
            do="restore the run's own config.json",
        ) from error  # fmt: skip
    net.eval()
