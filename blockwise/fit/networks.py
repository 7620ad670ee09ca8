"""The networks of a space, each traced and cut once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from blockwise import models, quant
from blockwise.nets.anatomy import Anatomy, shapes_alone
from blockwise.nets.cuts import Cut
from blockwise.nets.usual import CLASSES, IN_SHAPE
from devices.network import Network
from devices.network.bits import Bits
from devices.program.regimes import Step

BALANCING_HEAD = "gap"
"""Blocks of regimes without heads are balanced as if each had this one."""

WHOLE = (None, None)
"""Head and cut of a network that is one block."""


class NetworkKey(NamedTuple):
    """What decides a network's layers and blocks, beside the model."""

    norm: str
    head: str | None
    blocks: str | None


@dataclass(frozen=True)
class Model:
    """The network that is to be trained, and how it is quantized where it is not float."""

    name: str = "resnet20"
    width: float | None = models.DEFAULT_WIDTH  # None for a network that does not scale
    in_shape: tuple[int, ...] = IN_SHAPE
    classes: int = CLASSES
    method: str = "lsq"

    def bits(self, weight: int, activation: int) -> Bits:
        """The widths of a run; 32 is float32."""
        scheme = quant.scheme(self.method, weight_bits=weight, activation_bits=activation)
        return scheme.bits(weight, activation)


@dataclass(frozen=True)
class Balance:
    """The training step for which a number of blocks is balanced."""

    batch: int
    optimizer: str
    weight_bits: int
    activation_bits: int
    update: str

    def step(self, model: Model) -> Step:
        """As :mod:`devices` takes it."""
        bits = model.bits(self.weight_bits, self.activation_bits)
        return Step(self.batch, self.optimizer, bits, self.update == "fused")

    def __str__(self) -> str:
        """In words, for reports."""
        bits = f"W{self.weight_bits}A{self.activation_bits}"
        return f"batch {self.batch}, {self.optimizer}, {bits}, update {self.update}"


@dataclass(frozen=True)
class Atlas:
    """Networks by key; ``same`` maps every key of the space to the first with the same cut."""

    networks: dict[NetworkKey, Network]
    same: dict[NetworkKey, NetworkKey]


def survey(model: Model, norm: str, head: str, blocks: tuple[str, ...], balance: Balance) -> Atlas:
    """Cut ``model`` with this norm and head in every way, N blocks balanced for one step.

    With :data:`BALANCING_HEAD` the networks of regimes without heads are among them. Raises InputError
    for a head or a cut that cannot be.
    """
    anatomy = _anatomy(model, norm, head)
    cuts = dict(zip(blocks, _cuts(model, norm, head, blocks, balance), strict=True))
    networks = {NetworkKey(norm, *WHOLE): anatomy.network(_whole(anatomy))}
    same: dict[NetworkKey, NetworkKey] = {}
    for label in (head, None) if head == BALANCING_HEAD else (head,):
        first = {_whole(anatomy): NetworkKey(norm, *WHOLE)}
        for name, cut in cuts.items():
            key = same[NetworkKey(norm, label, name)] = first.setdefault(cut, NetworkKey(norm, label, name))
            networks[key] = anatomy.network(cut)
    return Atlas(networks, same)


def merged(atlases: Iterable[Atlas]) -> Atlas:
    """One atlas of several."""
    networks: dict[NetworkKey, Network] = {}
    same: dict[NetworkKey, NetworkKey] = {}
    for atlas in atlases:
        networks |= atlas.networks
        same |= atlas.same
    return Atlas(networks, same)


def network_of(model: Model, key: NetworkKey, balance: Balance) -> Network:
    """The network of a key, its blocks balanced for this very step."""
    anatomy = _anatomy(model, key.norm, key.head or BALANCING_HEAD)
    if key.blocks is None:
        return anatomy.network(_whole(anatomy))
    (cut,) = _cuts(model, key.norm, key.head or BALANCING_HEAD, (key.blocks,), balance)
    return anatomy.network(cut)


def bodies(model: Model, norm: str = "batch") -> int:
    """Units that can be blocks of their own. Raises InputError for a model that cannot be."""
    return len(_traced(model, norm).units) - 1


def _whole(anatomy: Anatomy) -> Cut:
    return (tuple(range(len(anatomy.units))),)


@cache
def _traced(model: Model, norm: str) -> Anatomy:
    with shapes_alone(int(model.width or 0), model.classes, *model.in_shape):
        chain = models.build(model.name, model.in_shape, model.classes, model.width, norm)
    return Anatomy(chain, BALANCING_HEAD)


@cache
def _anatomy(model: Model, norm: str, head: str) -> Anatomy:
    return _traced(model, norm).with_head(head)


@cache
def _cuts(model: Model, norm: str, head: str, blocks: tuple[str, ...], balance: Balance) -> tuple[Cut, ...]:
    return _anatomy(model, norm, head).cuts(blocks, balance.step(model))
