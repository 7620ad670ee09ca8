"""From what a user asks for to a campaign: defaults, and a network that integers can train."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blockwise.adapt.campaign import Campaign
from blockwise.adapt.split import SPLITS
from blockwise.adapt.ways import WAYS, Way
from blockwise.experiment.prepare import prepare
from devices.errors import InputError, unknown_name

PLAIN_NETWORK = {"model": "mlp", "width": 32}
"""For integers, where the network that is asked for has no integer form: linear layers in a row."""
DEPLOYED_NORM = "none"
"""Trained norms are folded into weights and biases, as in a deployed network."""


@dataclass(frozen=True)
class Asked:
    """What to adapt, to whom, how, on which board."""

    people: tuple[str, ...]
    ways: tuple[str, ...] = ()  # () is all
    data: str = "watch"
    split: str = "recording"
    device: str = "stm32"
    model: str = "cnn1d"
    width: int | float | None = None
    blocks: str = "auto"
    head: str = "gap"
    method: str = "lsq"
    bits: int = 8
    base_epochs: int = 8
    epochs: int = 10
    batch_size: int = 8
    optimizer: str = "sgd"
    lr: float = 0.02
    mu: int = 5
    seed: int = 0
    folder: Path = Path("runs/adapt")


def campaign(asked: Asked) -> Campaign:
    """All that is to be tried. Raises InputError for what cannot be."""
    if not asked.people or len(set(asked.people)) < len(asked.people):
        got = " ".join(asked.people) or "nobody"
        raise InputError("--hold-out", got=got, wanted="each group once, at least one", do="name one")
    if asked.split not in SPLITS:
        raise unknown_name("--split", asked.split, SPLITS)
    for name in asked.ways:
        if name not in WAYS:
            raise unknown_name("--ways", name, WAYS)
    ways = tuple(WAYS[name] for name in asked.ways or WAYS)
    network = {
        "device": asked.device, "model": asked.model, "width": asked.width, "norm": DEPLOYED_NORM,
        "blocks": asked.blocks, "head": asked.head, "method": asked.method, "weight_bits": asked.bits,
        "activation_bits": asked.bits,
    }  # fmt: skip
    base = {"epochs": asked.base_epochs, "batch_size": 16}
    adapting = {
        "epochs": asked.epochs, "batch_size": asked.batch_size, "optimizer": asked.optimizer, "lr": asked.lr,
        "mu": asked.mu,
    }  # fmt: skip
    made = Campaign(
        asked.data, asked.people, ways, asked.split, network, network, base, adapting, asked.seed,
        asked.folder,
    )  # fmt: skip
    return _with_integers(made, network)


def _with_integers(made: Campaign, network: Mapping[str, Any]) -> Campaign:
    """With the plain network for integers where the other has no integer form."""
    integers: list[Way] = [way for way in made.ways if way.is_integer]
    if not integers:
        return made
    try:
        for way in integers:
            prepare(made.config(way, made.people[0]), made.parts(made.people[0]).person)
    except InputError:
        return replace(made, integer_network={**network, **PLAIN_NETWORK})
    return made
