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
``nitro-local``     NITRO-D's arithmetic, one layer a block
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from devices.errors import unknown_name
from devices.network import Network
from devices.program.integer import FORMS, LOCAL_SUFFIX
from devices.program.regimes.bp import bp
from devices.program.regimes.bp_best import bp_best
from devices.program.regimes.bp_checkpoint import bp_checkpoint
from devices.program.regimes.bp_micro import bp_micro
from devices.program.regimes.builder import Step
from devices.program.regimes.integer import integer_bp, integer_local
from devices.program.regimes.local import local
from devices.program.regimes.local_paged import local_paged
from devices.program.regimes.local_resident import local_resident
from devices.program.schedule import Schedule

__all__ = [
    "ALL_REGIMES",
    "INTEGER_REGIMES",
    "REGIMES",
    "Describable",
    "Regime",
    "Step",
    "schedule",
    "update_of",
]


class Describable(Protocol):
    """Anything that can tell its layers: the models of blockwise do."""

    def describe(self, *, blocks: str, head: str, step: Step | None = None) -> Network:
        """The network cut into ``blocks`` (balanced for ``step``), each with its local ``head``."""
        ...


@dataclass(frozen=True)
class Regime:
    """A regime as the catalogue lists it."""

    schedule: Callable[[Network, Step], Schedule]
    update: str  # when gradients are applied unless the user says otherwise: "end" or "fused"
    summary: str
    baseline: bool = False  # global backpropagation, plain or engineered
    heads: bool = False  # whether each block trains under a local head of its own
    fixed_update: bool = False  # no other update is possible, or it would be another regime


REGIMES: dict[str, Regime] = {
    "bp": Regime(bp, "end", "everything is kept", baseline=True),
    "bp-fused": Regime(
        bp, "fused", "parameters are updated in the backward pass", baseline=True, fixed_update=True
    ),
    "bp-checkpoint": Regime(bp_checkpoint, "fused", "each block is recomputed", baseline=True),
    "bp-best": Regime(
        bp_best, "fused", "fused, and the best set of layers is recomputed", baseline=True, fixed_update=True
    ),
    "bp-micro": Regime(
        bp_micro,
        "end",
        "as bp-best on micro-batches, gradients accumulated",
        baseline=True,
        fixed_update=True,
    ),
    "local": Regime(local, "fused", "each block steps by its own head", heads=True),
    "local-paged": Regime(local_paged, "fused", "as local, the state of other blocks in flash", heads=True),
    "local-resident": Regime(
        local_resident, "fused", "one block is trained at a time, the others packed", heads=True
    ),
}

WAYS = {
    "niti": "int8 weights, activations, errors and updates",
    "niti4": "4-bit weights with a 4-bit residue, 4-bit activations, 8-bit errors",
    "niti4-jump": "4-bit weights that jump between states, 4-bit activations, 8-bit errors",
    "nitro": "NITRO-D: 32-bit weights and errors, 8-bit activations",
}
INTEGER_REGIMES: dict[str, Regime] = {
    f"{name}{suffix}": Regime(
        partial(run, form=form), "fused", f"{WAYS[name]}{how}", heads=bool(suffix), fixed_update=True
    )
    for name, form in FORMS.items()
    for suffix, run, how in (("", integer_bp, ""), (LOCAL_SUFFIX, integer_local, ", block by block"))
    if suffix or not form.one_layer
}
"""On integers alone."""

ALL_REGIMES: dict[str, Regime] = REGIMES | INTEGER_REGIMES


def update_of(regime: str, asked: str | None = None) -> str:
    """When ``regime`` applies gradients: as ``asked``, unless it is fixed or nothing was asked."""
    if regime not in ALL_REGIMES:
        raise unknown_name("regime", regime, ALL_REGIMES)
    found = ALL_REGIMES[regime]
    return found.update if asked is None or found.fixed_update else asked


def schedule(regime: str, network: Network, step: Step) -> Schedule:
    """One training step of ``network`` under ``regime``. Raises InputError for an unknown regime."""
    if regime not in ALL_REGIMES:
        raise unknown_name("regime", regime, ALL_REGIMES)
    return ALL_REGIMES[regime].schedule(network, step)
