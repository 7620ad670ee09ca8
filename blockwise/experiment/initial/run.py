"""The weights that a finished run of ours ended with, integers as the floats that they mean."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from blockwise.data import blank
from blockwise.experiment import board, result_json, run_folder
from blockwise.experiment.finished import result_path
from blockwise.experiment.initial.integers import floats_of
from blockwise.experiment.initial.weights import Weights
from blockwise.experiment.prepared import Prepared
from blockwise.experiment.result import best_of
from blockwise.integer.net import IntegerNet
from blockwise.layers.norm_constants import epsilons
from blockwise.models import as_chain
from blockwise.models.files import keeping
from blockwise.training import checkpoint
from devices.errors import InputError


def of_run(folder: Path, given: str) -> Weights:
    """Of the regime that the verdict of the run in ``folder`` names, else of the most accurate.

    Raises InputError where there is no such run, it trained nothing to the end, or its files do not fit
    together.
    """
    subject = f"--init {given}"
    config, row, model = run_folder.saved_config(folder, "--init"), *_row(folder, subject)
    regime, images = row["regime"], blank(tuple(model["in_shape"]), model["num_classes"])
    own = keeping.load(folder, config.network.model)
    network = None if own is None else as_chain(own, images.in_shape)
    device = board.load(config.board.device, config.board.reserve_kib, folder)
    prepared = Prepared(config, device, images, network)
    state = checkpoint.load(folder / run_folder.CHECKPOINTS / f"{row['trained_as'] or regime}.pt", None)
    try:
        if state is None:
            raise FileNotFoundError("no checkpoint")
        tensors, heads = _tensors(prepared, regime, state["net"])
    except (RuntimeError, KeyError, FileNotFoundError) as error:
        raise InputError(
            subject, got=f"no weights of {regime}, or those of another network",
            wanted="the run's own checkpoints", do="restore them, or export the run where it is whole",
        ) from error  # fmt: skip
    return Weights(
        given, regime, tensors, heads, prepared.quantization_of(regime), prepared.blocks_of(regime),
        epsilons(prepared.chain(trained=False).units),
    )  # fmt: skip


def _row(folder: Path, subject: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The regime's row of the result, and its model."""
    found = result_json.read(result_path(folder, subject))
    rows = [row for row in found["regimes"] if row["test_accuracy"] is not None]
    best = best_of((row, row["test_accuracy"]) for row in rows if row["fits"])
    best = best or best_of((row, row["test_accuracy"]) for row in rows)
    if best is None:
        raise InputError(
            subject, got="a run in which no regime was trained to the end", wanted="trained weights",
            do="train without --dry-run",
        )  # fmt: skip
    return best, found["model"]


def _tensors(
    prepared: Prepared, regime: str, state: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of the chain's layers, and of local heads."""
    net = prepared.build(regime)
    if isinstance(net, IntegerNet):
        net.load_state_dict(state)
        return floats_of(net, *prepared.integer_parts(regime))
    chain, blocks = prepared.build_parts()
    prepared.config.stages.enter(blocks.bodies, prepared.config.stages.last)
    blocks.load_state_dict(state)
    return copied(chain.units), copied(blocks.heads)


def copied(module: nn.Module) -> dict[str, Tensor]:
    """All values of ``module`` in float, on the processor."""
    return {name: t.detach().to("cpu", torch.float32, copy=True) for name, t in module.state_dict().items()}
