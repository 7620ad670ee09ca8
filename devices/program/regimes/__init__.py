"""The training step of each regime as a program: what runs in which order, what is resident when.

``bp``              global backpropagation: every activation is kept, every gradient waits
``bp-fused``        the same, each parameter updated in the backward pass and its gradient freed
``bp-checkpoint``   only block inputs are kept; each block is recomputed before its backward pass
``bp-best``         fused, and the best set of recomputed layers
``bp-micro``        the same on a few images at a time, gradients accumulated
``local``           each block takes its step in turn, then hands on its output; all state resident
``local-paged``     the same, the state of all blocks but one in flash
``local-resident``  one block is trained at a time; all others are packed
``niti``            on integers alone: global backpropagation, 8 bits; ``niti4`` and ``niti4-jump`` 4 bits
``niti-local``      the same arithmetic block by block; so ``niti4-local`` and ``niti4-jump-local``
``niti4-jump-resident``  the same, one block at a time to its end
``nitro-local``     NITRO-D's arithmetic, one layer a block
``zo``              zeroth order: two forward passes along a random direction, nothing goes back
``zo-hybrid``       the same of the front; the last blocks by backpropagation
``niti-zo``         zeroth order on integers; ``niti-zo-hybrid`` as ``zo-hybrid``
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

from devices.errors import InputError, unknown_name
from devices.network import Network
from devices.program.integer import FORMS, LOCAL_SUFFIX, IntegerForm
from devices.program.regimes.bp import bp
from devices.program.regimes.bp_best import bp_best
from devices.program.regimes.bp_checkpoint import bp_checkpoint
from devices.program.regimes.bp_micro import bp_micro
from devices.program.regimes.builder import Step
from devices.program.regimes.integer import (
    integer_bp,
    integer_local,
    integer_resident,
    integer_zeroth_order,
)
from devices.program.regimes.local import local
from devices.program.regimes.local_paged import local_paged
from devices.program.regimes.local_resident import local_resident
from devices.program.regimes.zeroth_order import zo, zo_hybrid
from devices.program.schedule import Schedule

__all__ = [
    "ALL_REGIMES",
    "BEST",
    "DEFAULT_REGIMES",
    "INTEGER_REGIMES",
    "LEANEST",
    "PLAIN",
    "REGIMES",
    "REQUANTIZE",
    "UPDATES",
    "Describable",
    "Regime",
    "Step",
    "find",
    "schedule",
    "update_of",
]


UPDATES = ("end", "fused")
"""When gradients are applied: at the end of the step, or each in the backward pass."""
REQUANTIZE = ("buffered", "twice", "auto")
"""How sums of integer regimes become few bits: their largest must be known first."""


@runtime_checkable
class Describable(Protocol):
    """Anything that can tell its layers: the models of blockwise do."""

    def describe(self, *, blocks: str, head: str, step: Step | None = None) -> Network:
        """The network cut into ``blocks`` (balanced for ``step``), each with its local ``head``."""
        ...


@dataclass(frozen=True)
class Regime:
    """All that sets a regime apart. Plans, trainings, searches, studies and reports ask it here."""

    name: str
    schedule: Callable[[Network, Step], Schedule]
    update: str  # when gradients are applied unless the user says otherwise: "end" or "fused"
    summary: str
    fixed_update: bool = False  # no other update is possible, or it would be another regime

    # what a step is made of
    arithmetic: str = ""  # of integer regimes: the name of their form
    heads: bool = False  # local: each block trains under a head of its own
    perturbs: bool = False  # zeroth order: weights go along random directions, by two losses for each
    goes_back: bool = True  # whether an error goes back through any layer
    has_optimizer: bool = True  # whether an optimizer is chosen for it, and may hold state
    one_by_one: bool = False  # whether one block is trained to the end before the next
    learns_together: bool = False  # whether the last block can teach the others, and some may skip a step
    pages: bool = False  # whether the state of all blocks but one is in flash
    cuts: bool = False  # whether another cut into blocks makes another step
    looks_at_ram: bool = False  # whether it chooses what to recompute by the bytes that are left
    keeps_batch: bool = False  # whether a training on this computer holds every layer's output of a batch
    in_one_pass: str = ""  # of those that pass micro-batches: what they are where one holds the batch
    in_one_block: str = ""  # what it is where the network is a single block
    variant_of: str = ""  # the regime that it is under one of its updates

    # what it is compared with
    baseline: bool = False  # global backpropagation, plain or engineered
    plain: bool = False  # the baseline that all are measured against
    float_twin: str = ""  # of integer regimes: the float one that cuts and goes back alike
    bits_of: str = ""  # the regime with whose bits it ends
    compiled_too: bool = True  # whether it does so where a compiler fuses what is traced together

    @property
    def is_integer(self) -> bool:
        """Whether it trains on integers alone."""
        return bool(self.arithmetic)

    @property
    def form(self) -> IntegerForm | None:
        """Its numbers; None in float."""
        return FORMS[self.arithmetic] if self.arithmetic else None

    @property
    def jumps(self) -> bool:
        """Whether weights are states that jump, and may wait with it for several batches."""
        return self.form is not None and self.form.draws

    def chooses(self, step: Step) -> bool:
        """Whether what ``step`` is made of hangs on the RAM that is left."""
        return self.looks_at_ram or (self.is_integer and step.by_tensor)

    @property
    def micro_batches(self) -> bool:
        """Whether it passes a few images at a time and adds up their gradients."""
        return bool(self.in_one_pass)

    def front(self, blocks: int, backprop_blocks: int) -> int:
        """How many of the first blocks it perturbs, all but the last ``backprop_blocks`` of a hybrid."""
        if not self.perturbs:
            return 0
        return max(0, blocks - backprop_blocks) if self.goes_back else blocks

    def same_as(self, *, compiled: bool) -> str:
        """The regime that ends with the same bits; itself if there is none simpler.

        Eager operations round alike wherever they are run. A compiler fuses them, and what it fuses
        follows from all that is traced with them: ``compiled``, only the same passes end alike.
        """
        return self.bits_of if self.bits_of and (self.compiled_too or not compiled) else self.name


def _named(regimes: Iterable[Regime]) -> dict[str, Regime]:
    """By name. Raises ValueError for one that is there twice."""
    found: dict[str, Regime] = {}
    for regime in regimes:
        if regime.name in found:
            raise ValueError(f"two regimes are called {regime.name}")
        found[regime.name] = regime
    return found


REGIMES: dict[str, Regime] = _named(
    (
        Regime("bp", bp, "end", "everything is kept", keeps_batch=True, baseline=True, plain=True),
        Regime(
            "bp-fused", bp, "fused", "parameters are updated in the backward pass", fixed_update=True,
            keeps_batch=True, variant_of="bp", baseline=True, bits_of="bp",
        ),
        Regime(
            "bp-checkpoint", bp_checkpoint, "fused", "each block is recomputed", cuts=True,
            in_one_block="bp", baseline=True, bits_of="bp",
            compiled_too=False,  # each form of a block, with a graph or without, is compiled for itself
        ),
        Regime(
            "bp-best", bp_best, "fused", "fused, and the best set of layers is recomputed",
            fixed_update=True, looks_at_ram=True, keeps_batch=True, baseline=True, bits_of="bp",
        ),
        Regime(
            "bp-micro", bp_micro, "end", "as bp-best on micro-batches, gradients accumulated",
            fixed_update=True, looks_at_ram=True, in_one_pass="bp-best", baseline=True,
        ),
        Regime(
            "local", local, "fused", "each block steps by its own head", heads=True, cuts=True,
            learns_together=True, in_one_block="bp",
        ),
        Regime(
            "local-paged", local_paged, "fused", "as local, the state of other blocks in flash", heads=True,
            cuts=True, learns_together=True, pages=True, bits_of="local",
        ),
        Regime(
            "local-resident", local_resident, "fused", "one block is trained at a time, the others packed",
            heads=True, one_by_one=True, cuts=True,
        ),
        Regime(
            "zo", zo, "end", "two forward passes along a random direction; nothing goes back",
            fixed_update=True, perturbs=True, goes_back=False, has_optimizer=False,
        ),
        Regime(
            "zo-hybrid", zo_hybrid, "fused", "as zo, the last blocks by backpropagation", cuts=True,
            in_one_block="bp", perturbs=True,
        ),
    )
)  # fmt: skip

WAYS = {
    "niti": "int8 weights, activations, errors and updates",
    "niti4": "4-bit weights with a 4-bit residue, 4-bit activations, 8-bit errors",
    "niti4-jump": "4-bit weights that jump between states, 4-bit activations, 8-bit errors",
    "nitro": "NITRO-D: 32-bit weights and errors, 8-bit activations",
}


def _integer(arithmetic: str, *, blockwise: bool) -> Regime:
    """An arithmetic, trained globally or block by block."""
    run = partial(integer_local if blockwise else integer_bp, form=FORMS[arithmetic])
    name, how = (f"{arithmetic}{LOCAL_SUFFIX}", ", block by block") if blockwise else (arithmetic, "")
    return Regime(
        name, run, "fused", f"{WAYS[arithmetic]}{how}", fixed_update=True, arithmetic=arithmetic,
        heads=blockwise, cuts=blockwise, float_twin="local" if blockwise else "bp",
    )  # fmt: skip


def _integer_zeroth_order(arithmetic: str, twin: str, how: str) -> Regime:
    """An arithmetic whose weights go along random directions, as those of its float ``twin`` do."""
    like = REGIMES[twin]
    run = partial(integer_zeroth_order, form=FORMS[arithmetic], hybrid=like.goes_back)
    summary = f"{WAYS[arithmetic].split(',')[0]}; {how}"
    return Regime(
        f"{arithmetic}-{twin}", run, "fused", summary, fixed_update=True, arithmetic=arithmetic,
        cuts=like.cuts, float_twin=twin, perturbs=True, goes_back=like.goes_back, has_optimizer=False,
    )  # fmt: skip


_BY_ERRORS = [
    _integer(name, blockwise=blockwise)
    for name, form in FORMS.items()
    for blockwise in (False, True)
    if blockwise or not form.one_layer
]
_IN_TURN = [
    Regime(
        "niti4-jump-resident", partial(integer_resident, form=FORMS["niti4-jump"]), "fused",
        f"{WAYS['niti4-jump']}, one block at a time to its end", fixed_update=True, arithmetic="niti4-jump",
        heads=True, cuts=True, one_by_one=True, float_twin="local-resident",
    )
]  # fmt: skip
_ZEROTH_ORDER = [
    _integer_zeroth_order("niti", "zo", "two forward passes along a random direction"),
    _integer_zeroth_order("niti", "zo-hybrid", "as niti-zo, the last blocks by backpropagation"),
]
INTEGER_REGIMES: dict[str, Regime] = _named([*_BY_ERRORS, *_IN_TURN, *_ZEROTH_ORDER])
"""On integers alone."""

ALL_REGIMES: dict[str, Regime] = REGIMES | INTEGER_REGIMES

DEFAULT_REGIMES = ("bp", "bp-best", "local", "local-paged", "local-resident")
"""What is compared unless the user says otherwise: plain and best-engineered, global and local."""

PLAIN = next(regime.name for regime in REGIMES.values() if regime.plain)
"""What all others are measured against."""

BEST = "bp-best"
"""The best-engineered backpropagation: shown as low as it gets, too."""

LEANEST = "local-resident"
"""By which a head is chosen, unless other local regimes are asked for without it."""


def find(name: str) -> Regime:
    """The regime ``name``. Raises InputError for an unknown one, and for bits that no integer regime has."""
    if name in ALL_REGIMES:
        return ALL_REGIMES[name]
    bits = re.fullmatch(r"niti:?(\d+)(-\w+)*", name)
    if bits:
        raise InputError(
            f"regime {name}", got=f"{bits[1]} bits", wanted="8 or 4 bits in integer regimes",
            do=f"choose of {', '.join(INTEGER_REGIMES)}",
        )  # fmt: skip
    raise unknown_name("regime", name, ALL_REGIMES)


def update_of(regime: str, asked: str | None = None) -> str:
    """When ``regime`` applies gradients: as ``asked``, unless it is fixed or nothing was asked."""
    found = find(regime)
    return found.update if asked is None or found.fixed_update else asked


def schedule(regime: str, network: Network, step: Step) -> Schedule:
    """One training step of ``network`` under ``regime``. Raises InputError for an unknown regime."""
    return find(regime).schedule(network, step)
