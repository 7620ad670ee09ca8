"""Firmware of integer regimes, built for this computer, ends every step with the bytes of the simulation."""

import itertools
import subprocess
from dataclasses import replace

import pytest
import torch
from firmware_steps import batch_of, built, compare, firmware_of, state_of
from integer_steps import IntegerSteps
from plain_modules import PLAIN, first, row
from tiers import shown
from torch import nn

from blockwise.firmware.check import records
from blockwise.firmware.check.compare import Compared, compared
from blockwise.firmware.check.integers import IntegerTraining
from blockwise.integer.layers import weighted
from blockwise.training.digest import digest
from blockwise.training.options import Perturbation
from devices.program.regimes import INTEGER_REGIMES

NETWORKS = {
    "plain4": {"model": "plain4", "width": 4, "in_shape": (1, 8, 8)},
    "plain6": {"model": "plain6", "width": 3, "in_shape": (2, 16, 16)},  # a flattened map, odd channels
}
BY_ERRORS = [name for name, r in INTEGER_REGIMES.items() if not (r.perturbs or r.one_by_one)]
SCALED = ("nitro-local",)
"""No sum of theirs waits, so there is nothing to choose."""
MATRIX = [
    case
    for case in itertools.product(BY_ERRORS, ("buffered", "twice", "auto"), (1, 4), NETWORKS)
    if case[0] not in SCALED or case[1] == "buffered"
]
FEW = [case for case in MATRIX if case[1:] == ("buffered", 1, "plain4")] + [
    (regime, "twice", 4, "plain6") for regime in ("niti", "niti4-local", "niti4-jump")
]
"""Every regime once, every form twice; the others are long, but those of choices sum by sum."""
CHOSEN = {("niti", "auto", 1, "plain4"), ("niti4-jump-local", "auto", 4, "plain6")}
SHAPES = [
    ("niti", {"model": "plain4", "in_shape": (1, 9, 9)}),  # a pool that drops a row
    ("niti4-jump", {"model": "plain6", "in_shape": (2, 18, 18), "width": 3, "twice": True}),
    ("niti4-local", {"model": "mlp", "in_shape": (2, 4, 4), "width": 5}),
    ("niti4-jump-local", {"model": "mlp", "in_shape": (2, 4, 4), "width": 5, "twice": True}),
    ("niti4", {"model": "vgg8b", "in_shape": (1, 16, 16), "width": 2}),  # views between sums and ReLUs
    ("niti4-jump", {"model": "cnn", "in_shape": (2, 16, 16), "width": 3}),
]


def steps_of(regime: str, requantize: str, batch: int, network: dict) -> IntegerSteps:
    """``auto`` within a limit between that of all sums buffered and of none."""
    if requantize != "auto":
        return IntegerSteps(regime, batch=batch, twice=requantize == "twice", **network)
    heights = []
    for twice in (False, True):
        steps = IntegerSteps(regime, batch=batch, twice=twice, **network)
        heights.append(max(steps.offsets[n] + t.aligned_bytes(8) for n, t in steps.plan.tensors.items()))
    return IntegerSteps(regime, batch=batch, limit_bytes=sum(heights) // 2, **network)


@pytest.mark.parametrize(("regime", "twice"), [("niti-local", False), ("niti4-jump", True)])
def test_every_resident_byte_is_that_of_the_simulation_after_every_step(regime, twice, tmp_path):
    found = compare(IntegerSteps(regime, batch=1, twice=twice), tmp_path / "project")
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes
    assert len(set(found.classes)) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "requantize", "batch", "network"),
    shown(MATRIX, *FEW, *CHOSEN, spread=True),
)
def test_so_it_is_in_every_regime_however_sums_are_requantized(regime, requantize, batch, network, tmp_path):
    found = compare(steps_of(regime, requantize, batch, NETWORKS[network]), tmp_path / "project", 2, 2)
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes


@pytest.mark.slow
@pytest.mark.parametrize(("regime", "steps"), SHAPES)
def test_so_it_is_with_maps_and_layers_of_other_shapes(regime, steps, tmp_path):
    found = compare(IntegerSteps(regime, batch=3, **steps), tmp_path / "project", 2, 2)
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    shown(
        [n for n in PLAIN if n != "another shape"],
        "dilated and grouped signals",
        "functions",
        "means between",
    ),
)
def test_so_it_is_with_networks_of_ones_own(name, tmp_path):
    """Signals, groups, dilation, oblong windows, means by division, layers without an activation."""
    shape, make = PLAIN[name]
    for regime, twice in (("niti-local", False), ("niti4-jump", True)):
        torch.manual_seed(0)
        steps = IntegerSteps(regime, make(), 2, twice, in_shape=shape)
        found = compare(steps, tmp_path / f"{regime}", 2, 2)
        assert found.wrong == [], regime
        assert found.checksum == found.digest
        assert found.predicted == found.classes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "told", "network"),
    [
        ("niti-zo", Perturbation(directions=2, mu=2), NETWORKS["plain4"]),
        ("niti-zo", Perturbation(range=63, mu=1), {**NETWORKS["plain6"], "twice": True}),
        ("niti-zo-hybrid", Perturbation(directions=3, backprop_blocks=2, mu=4), NETWORKS["plain6"]),
    ],
)
def test_so_it_is_along_random_directions(regime, told, network, tmp_path):
    found = compare(IntegerSteps(regime, batch=3, perturbation=told, **network), tmp_path / "project", 3, 2)
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "every", "network"),
    [
        ("niti4-jump", 3, {**NETWORKS["plain6"], "twice": True}),
        ("niti4-jump-local", 2, {**NETWORKS["plain4"], "train": "blocks:2"}),
    ],
)
def test_so_it_is_where_states_jump_once_in_several_batches(regime, every, network, tmp_path):
    steps = IntegerSteps(regime, batch=2, jump_every=every, **network)
    found = compare(steps, tmp_path / "project", 2 * every + 1, 2)
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes


NITRO = {
    "a mean of sums": lambda: row(first(), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.AvgPool2d(2), features=64),
    "logits that are a mean": lambda: nn.Sequential(
        first(), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten()
    ),
    "logits that are a mean of one": lambda: nn.Sequential(
        first(), nn.ReLU(), nn.MaxPool2d(8), nn.Conv2d(4, 3, 1), nn.AvgPool2d(1), nn.Flatten()
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NITRO)
def test_means_whose_errors_are_divided_before_sums(name, tmp_path):
    torch.manual_seed(0)
    found = compare(IntegerSteps("nitro-local", NITRO[name](), 2), tmp_path / "project", 3, 2)
    assert found.wrong == []
    assert found.checksum == found.digest


@pytest.mark.slow
@pytest.mark.parametrize(("every", "given"), [(1, False), (2, False), (1, True)])
def test_so_it_is_of_one_block_after_the_other_but_for_what_other_blocks_had_to_themselves(
    every, given, tmp_path
):
    """Heads are drawn in their blocks' turns, or copied where their weights are given."""
    steps = IntegerSteps("niti4-jump-resident", batch=2, jump_every=every)
    firmware = firmware_of(steps)
    if given:
        for layer in weighted(steps.net):
            layer.weight.neg_()
        state = state_of(steps)
        firmware = replace(firmware, given=state, first={name: state[name] for name in firmware.brought})
    program = built(firmware, tmp_path / "project")
    batches = [batch_of(steps, number) for number in range(4 * 3)]
    told = list(IntegerTraining(firmware, steps.net, steps.procedure, batches).exchanges(len(batches)))
    sent = [*(exchange.sent for exchange in told), records.checksum()]
    (program.parent / records.INPUT).write_bytes(b"".join(sent))
    subprocess.run([str(program)], cwd=program.parent, check=True)
    answer = (program.parent / records.OUTPUT).read_bytes()
    answer, crc = answer[:-4], int.from_bytes(answer[-4:], "little")
    assert f"{crc:08x}" == digest(layer.weight for layer in weighted(steps.net.bodies))
    assert compared(firmware.resident, told, answer) == Compared(len(batches), None, missing=False)
    assert len(firmware.phases) == 4
    assert {name for exchange in told for name in exchange.unknown} == {
        tensor.name for tensor in firmware.resident if not tensor.resident
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "train", "frozen"),
    [
        ("niti", "last:2", "ram"),
        ("niti4-jump", "blocks:2", "flash"),
        ("niti4-local", "blocks:2..3", "ram"),
        ("nitro-local", "head", "flash"),
        ("niti-zo", "last:2", "flash"),
    ],
)
def test_so_it_is_of_a_part_of_the_network_beside_what_lies_in_flash(regime, train, frozen, tmp_path):
    steps = IntegerSteps(regime, batch=2, train=train, frozen=frozen)
    found = compare(steps, tmp_path / "project", 2, 2)
    assert (steps.plan.mapped_bytes > 0) == (frozen == "flash")
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes


SHARES = {
    "jumps, flat": {"regime": "niti4-jump", "model": "mlp", "in_shape": (3, 5, 7)},
    "depthwise": {"regime": "niti", "model": "ds-cnn", "in_shape": (1, 12, 10), "twice": True},
    "scaled": {"regime": "nitro-local"},
    "along directions": {"regime": "niti-zo", "model": "mlp", "in_shape": (3, 5, 7)},
    "jumps by sums": {"regime": "niti4-jump-local", "twice": True},
    "jumps of several batches": {"regime": "niti4-jump-local", "jump_every": 2},
    "residues": {"regime": "niti4", "model": "vgg8b", "in_shape": (3, 9, 14)},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", shown(SHARES, "jumps of several batches", "depthwise", "scaled", "along directions")
)
def test_so_it_is_of_shares_of_channels(case, tmp_path):
    (path := tmp_path / "part.toml").write_text('[weights]\n"*" = {inputs = 0.6, outputs = 0.5}\n')
    steps = IntegerSteps(batch=2, train=f"sparse:{path}", **SHARES[case])
    found = compare(steps, tmp_path / "project", 2, 2)
    assert found.wrong == []
    assert found.checksum == found.digest


@pytest.mark.slow
def test_a_compiler_that_optimizes_changes_no_bit(tmp_path):
    found = compare(IntegerSteps("niti4-jump-local", batch=2), tmp_path / "project", optimize="-O3")
    assert found.wrong == []
    assert found.predicted == found.classes
