"""The cheap figures of candidates equal those of plans."""

import pytest

from blockwise import quant
from blockwise.fit.measure import Limits, Task, measure, peak_of
from blockwise.fit.networks import Model, survey
from blockwise.fit.space import Space, candidates
from devices import load, plan
from devices.program.ledger import Ledger
from devices.program.regimes import REGIMES, Step, schedule

MODEL = Model("cnn", 4, (1, 8, 8), method="dorefa")
DEVICE = load("stm32f103")
LIMITS = Limits(DEVICE.usable_bytes, DEVICE.flash_bytes, DEVICE.alignment_bytes, DEVICE.flash.erase_bytes)


@pytest.mark.slow
@pytest.mark.parametrize("regime", REGIMES)
def test_every_figure_is_that_of_the_plan(regime):
    space = Space(
        (regime,), ("2",), ("gap",), ("batch", "group"), (1, 3), bits=((3, 3), (2, 8), (32, 32)),
        micro_batches=(2,),
    )  # fmt: skip
    for norm in space.norms:
        atlas = survey(MODEL, norm, "gap", space.blocks, space.reference)
        some = tuple(c for c in candidates(Space(**vars(space) | {"norms": (norm,)}), atlas))
        (key,) = {c.key for c in some}
        for found in measure(Task(atlas.networks[key], some), MODEL, LIMITS):
            c = found.candidate
            bits = quant.scheme("fp32" if c.is_float else MODEL.method).bits(c.weight_bits, c.activation_bits)
            expected = plan(
                atlas.networks[key], DEVICE, regime=regime, batch_size=c.batch, optimizer=c.optimizer,
                weight_bits=c.weight_bits, activation_bits=c.activation_bits, edge_bits=bits.edge,
                weights=bits.weights, activations=bits.activations, update=c.update,
                micro_batch=c.micro_batch or 1,
            )  # fmt: skip
            program = expected.schedule
            assert found.peak_bytes == expected.peak_bytes
            assert found.macs == program.macs
            assert found.flash_read_bytes == program.flash_read_bytes
            assert found.flash_written_bytes == program.flash_written_bytes
            assert found.may_fit(LIMITS) == expected.may_fit
            assert found.objectives[1:] == (program.macs / c.batch, found.flash_bytes / c.batch)


def test_regimes_that_look_at_ram_are_those_whose_program_changes_with_it():
    """All others may share a schedule between optimizers."""
    networks = survey(MODEL, "batch", "gap", ("stages",), Space().reference).networks
    network = networks["batch", None, "stages"]
    for regime in REGIMES:
        programs = [
            schedule(regime, network, Step(8, micro_batch=4, limit_bytes=limit)).operations
            for limit in (10_000, 30_000, 60_000, 10**9)
        ]
        assert (len(set(programs)) > 1) == REGIMES[regime].looks_at_ram


def test_the_peak_is_the_ledgers():
    network = survey(MODEL, "batch", "gap", ("2",), Space().reference).networks["batch", "gap", "2"]
    for optimizer, states in (("sgd", 0), ("sgd-momentum", 1), ("adam", 2)):
        own = schedule("local-resident", network, Step(2, optimizer))
        shared = schedule("local-resident", network, Step(2, "sgd-momentum"))
        assert peak_of(shared, 8, states) == Ledger(own).peak.live_bytes == peak_of(own, 8)
