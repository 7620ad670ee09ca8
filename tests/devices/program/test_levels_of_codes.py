"""Codes are read with the step size that made them: no operation reads a quantizer's values after they
have changed, or have left RAM.

The check sweeps over a finished schedule and shares no code with the lowering: it follows codes from
the quantizer that makes them through pools to their readers, and numbers every update.
"""

from dataclasses import dataclass, field
from functools import cache

import pytest
from tiny import NETWORK

from blockwise import models
from devices.network import Network
from devices.network.bits import FIXED_LEVELS, ONE_STEP, Bits, QuantizerMemory
from devices.program.ledger import Ledger
from devices.program.operation import LOAD, Operation
from devices.program.regimes import INTEGER_REGIMES, REGIMES, Step, find, schedule
from devices.program.schedule import Schedule

OFFSET_TOO = QuantizerMemory(trained=2, packed=2, reads_value=True)
BASES = QuantizerMemory(kept=8, packed=4, levels=4)
ONE_OF_TWO = QuantizerMemory(trained=2, packed=1, reads_value=True, levels=1)
INTERVAL = QuantizerMemory(trained=2, packed=2, reads_value=True, levels=0)
MEMORIES = {
    "step": ONE_STEP, "step and offset": OFFSET_TOO, "bases": BASES, "end and alpha": ONE_OF_TWO,
    "interval": INTERVAL, "fixed": FIXED_LEVELS,
}  # fmt: skip

STORED = "store input"
"""Puts one image's codes beside the others', without looking at what they mean."""

Version = tuple[str, int]
"""A quantizer's values, and how often they had changed."""


@dataclass
class Sweep:
    """What a board would have in its hands before each operation."""

    network: Network
    program: Schedule
    changed: dict[str, int] = field(default_factory=dict)  # tensor -> updates so far
    copies: dict[str, Version] = field(default_factory=dict)
    made_with: dict[str, frozenset[Version]] = field(default_factory=dict)  # codes -> what reads them
    gone: set[str] = field(default_factory=set)
    checked: int = 0

    def __post_init__(self) -> None:
        self.kinds = {layer.name: layer.kind for layer in self.network.all_layers}

    def run(self) -> list[str]:
        """Every reading of codes with other values than those that made them."""
        return [wrong for operation in self.program.operations for wrong in self._pass(operation)]

    def _pass(self, operation: Operation) -> list[str]:
        at_hand = {self.copies.get(name, (name, self.changed.get(name, 0))) for name in operation.reads}
        missing = []
        copied = operation.phase in ("page out", "pack", "update") or operation.name.endswith(STORED)
        if not copied:
            for name in operation.reads:
                for version in self.made_with.get(name, ()):
                    self.checked += 1
                    lost = version[0] in self.gone and version[0] in operation.reads
                    if version not in at_hand or lost:
                        missing.append(f"{operation.name} reads {name} without {version}")
        self._follow(operation)
        return missing

    def _follow(self, operation: Operation) -> None:
        if operation.phase in ("page out", "pack"):
            self.gone |= set(operation.reads)
        self.gone -= set(operation.writes)
        if operation.name.endswith(" kept"):
            (source,), (copy,) = operation.reads, operation.writes
            self.copies[copy] = (source, self.changed.get(source, 0))
        elif operation.phase == "update":
            for name in operation.writes:
                self.changed[name] = self.changed.get(name, 0) + 1
        elif operation.phase in ("forward", "recompute", "load"):
            self._make(operation)

    def _make(self, operation: Operation) -> None:
        kind = self.kinds.get(operation.layer, "quantize" if operation.layer.endswith(".input") else "")
        if kind in ("relu", "quantize"):
            own = (f"{operation.layer}.step", f"{operation.layer}.levels")
            made = frozenset(
                (name, self.changed.get(name, 0)) for name in operation.reads if name.startswith(own)
            )
        elif kind == "max_pool" or operation.name.endswith(STORED):
            made = frozenset(v for name in operation.reads for v in self.made_with.get(name, ()))
        else:
            return
        written = [n for n in operation.writes if n.rsplit(".", 1)[-1].startswith(("out", "inputs"))]
        self.made_with |= dict.fromkeys(written, made)


def sweep(regime: str, network: Network, memory: QuantizerMemory, *, fused: bool = True) -> Sweep:
    bits = Bits(4, 4, 8, memory, memory)
    return Sweep(network, schedule(regime, network, Step(4, "sgd-momentum", bits, fused)))


RESIDUAL, POOLS, REMADE = "residual", "pools", "remade norms"


@cache
def network(name: str) -> Network:
    if name == RESIDUAL:
        return models.build("resnet20", (3, 8, 8), 10, 4).describe(blocks="stages", head="gap")
    if name == POOLS:
        return models.build("vgg8b", (3, 16, 16), 10, 4).describe(blocks="layers", head="pred")
    return models.build("cnn", (1, 8, 8), 10, 4, "batch-recompute").describe(blocks="2", head="lookahead:4")


@pytest.mark.parametrize("memory", ["step", "step and offset", "bases", "end and alpha"])
@pytest.mark.parametrize("regime", REGIMES)
def test_no_codes_are_read_with_other_values_than_those_that_made_them(regime, memory):
    for fused in (True, False):
        found = sweep(regime, NETWORK, MEMORIES[memory], fused=fused)
        assert found.run() == []
        assert found.checked > 0


@pytest.mark.parametrize("name", [RESIDUAL, POOLS, REMADE])
@pytest.mark.parametrize("regime", REGIMES)
def test_nor_are_they_behind_residual_sums_pools_and_norms_that_are_made_again(regime, name):
    for memory in (ONE_STEP, BASES) if regime.startswith("local") else (ONE_STEP,):
        found = sweep(regime, network(name), memory)
        assert found.run() == []
        assert found.checked > 0


@pytest.mark.parametrize("regime", [r for r in REGIMES if r != "local-resident"])
def test_no_operation_reads_a_step_size_behind_its_update(regime):
    updated: set[str] = set()
    for operation in sweep(regime, network(RESIDUAL), ONE_STEP).program.operations:
        if operation.phase not in ("update", "page out"):
            assert not updated.intersection(operation.reads)
        if operation.phase == "update" and not operation.name.endswith(" kept"):
            updated |= {name for name in operation.writes if name.endswith(".step")}
    assert bool(updated) == find(regime).goes_back  # where nothing goes back they stay as they are


@pytest.mark.parametrize("regime", [name for name, found in INTEGER_REGIMES.items() if not found.perturbs])
def test_integer_codes_bring_their_exponents_and_no_weight_is_read_behind_its_update(regime):
    chain = models.build("cnn", (1, 8, 8), 10, 4, "none")
    program = schedule(regime, chain.describe(blocks="layers", head="gap"), Step(4))
    updated: set[str] = set()
    for operation in program.operations:
        if operation.action == LOAD:  # what a step has left is what the next one reads
            updated.clear()
        if operation.action != "ends":  # the end of a block's turn, which computes nothing
            assert not updated.intersection(operation.reads)
        updated |= {n for n in operation.writes if n.endswith(".weight") and n in operation.reads}
    assert updated


def test_the_sweep_finds_a_step_that_is_read_after_its_update():
    found = sweep("local", NETWORK, ONE_STEP)
    without = tuple(o for o in found.program.operations if not o.name.endswith(" kept"))
    wrong = Sweep(NETWORK, Schedule(without, found.program.tensors)).run()
    assert wrong == [
        f"{name} reads relu1.out without ('relu1.step', 0)"
        for name in ("conv2 forward", "conv2 backward (weight)")
    ]


def kept(found: Schedule) -> dict[str, tuple[int, str, str]]:
    """Copies of levels: bytes, the operation that makes them and the last that reads them."""
    names = [operation.name for operation in found.operations]
    return {
        name: (tensor.bytes, names[first], names[last])
        for name, tensor in found.tensors.items()
        for first, last in [found.lifetimes[name]]
        if name.endswith(".kept")
    }


# relu1 stands at the end of block A, and conv2 of block B reads its codes in both passes.
IN_B = "conv2 backward (weight)"
BY_HAND = {
    # (regime, quantizer): what is kept of relu1's, in bytes
    ("local", "step"): {"relu1.step.kept": (4, "relu1.step kept", IN_B)},
    ("local", "step and offset"): {"relu1.step.kept": (8, "relu1.step kept", IN_B)},
    ("local", "end and alpha"): {"relu1.step.kept": (4, "relu1.step kept", IN_B)},
    ("local", "interval"): {},  # evenly from 0 to 1, whatever the interval
    ("local", "bases"): {},  # the old basis stays beside the one it has moved to until the next batch
    ("local", "fixed"): {},
    ("local-paged", "step"): {"relu1.step.kept": (4, "relu1.step kept", IN_B)},
    ("local-paged", "step and offset"): {"relu1.step.kept": (8, "relu1.step kept", IN_B)},
    ("local-paged", "end and alpha"): {"relu1.step.kept": (4, "relu1.step kept", IN_B)},
    ("local-paged", "interval"): {},
    ("local-paged", "bases"): {"relu1.levels.kept": (16, "relu1.levels kept", IN_B)},  # they go to flash
    ("local-paged", "fixed"): {},
}


@pytest.mark.parametrize(("regime", "memory"), BY_HAND)
def test_what_is_kept_between_two_blocks_equals_the_bytes_counted_by_hand(regime, memory):
    assert kept(sweep(regime, NETWORK, MEMORIES[memory]).program) == BY_HAND[regime, memory]


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("regime", [r for r in REGIMES if r not in ("local", "local-paged")])
def test_other_regimes_keep_nothing(regime, memory):
    assert not kept(sweep(regime, NETWORK, MEMORIES[memory]).program)


def test_updates_at_the_end_of_the_step_leave_the_steps_alone_unless_a_block_leaves_ram():
    assert not kept(sweep("local", NETWORK, ONE_STEP, fused=False).program)
    assert len(kept(sweep("local-paged", NETWORK, ONE_STEP, fused=False).program)) == 1


@pytest.mark.parametrize(("regime", "steps"), [("local", 5), ("local-paged", 3)])
def test_the_peak_holds_the_old_step_of_the_block_before(regime, steps):
    # At linear's weight gradient: a step and its momentum for each of conv1, relu1, conv2, relu2 and
    # linear (the last three where block A is in flash), linear's gradient of 4, relu1's old step of 4; but
    # no mask of relu2, 8, for it is made again with the values that the step's gradient reads.
    peaks = (
        Ledger(schedule(regime, NETWORK, Step(1, bits=Bits(4, 4, 8, q, q))), 1).peak
        for q in (FIXED_LEVELS, ONE_STEP)
    )
    plain, learned = peaks
    assert plain.operation.name == learned.operation.name == "linear backward (weight)"
    assert learned.live_bytes - plain.live_bytes == steps * 8 + 4 + 4 - 8
