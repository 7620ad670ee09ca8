"""What it costs a board when the last block teaches the others, and what is spared by skipping steps."""

import pytest

import devices
from blockwise import models
from devices.errors import InputError
from devices.network import Network
from devices.network.bits import ONE_STEP, Bits
from devices.program.accountings import PYTORCH
from devices.program.distillation import Distillation
from devices.program.ledger import Ledger
from devices.program.regimes import Step, schedule
from devices.program.schedule import Schedule
from devices.trainability import obstacle

TOLD = Distillation(3.0, 0.3)
BATCH, CLASSES, FLOAT = 4, 10, 4
WIDTHS = {"float": Bits(32, 32, 32), "3 bits": Bits(3, 3, 8, ONE_STEP, ONE_STEP)}


def network(head: str = "gap", blocks: str = "layers") -> Network:
    return models.build("cnn", (1, 8, 8), CLASSES, 8).describe(blocks=blocks, head=head)


def made(regime: str, bits: Bits = WIDTHS["float"], **more: object) -> Schedule:
    return schedule(regime, network(), Step(BATCH, bits=bits, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("regime", ["local", "local-paged"])
def test_an_answer_costs_a_forward_pass_and_its_logits(regime, bits):
    plain, taught = made(regime, bits), made(regime, bits, distillation=TOLD)
    assert taught.macs - plain.macs == BATCH * sum(layer.macs for layer in network().layers)
    before, after = (Ledger(program, 1).peak_bytes for program in (plain, taught))
    assert after - before in (0, BATCH * CLASSES * FLOAT)  # the peak may lie where they wait no more


def test_logits_wait_from_the_answer_to_the_last_head_that_they_teach():
    program = made("local", distillation=TOLD)
    (answer,) = (tensor for tensor in program.tensors.values() if "answer" in tensor.name)
    assert answer.shape == (BATCH, CLASSES) and answer.bytes == BATCH * CLASSES * FLOAT
    readers = [o.layer for o in program.operations if answer.name in o.reads]
    heads = [block.head[-1].name for block in network().blocks[:-1]]
    assert [name for name in readers if name] == heads
    asked = [o for o in program.operations if not o.trains]
    assert {o.layer for o in asked} <= {layer.name for layer in network().layers}
    assert not any(name in taken.reads for o in asked for name in o.writes for taken in program.operations
                   if taken.phase == "backward")  # fmt: skip


def test_a_board_that_pages_reads_what_a_block_computes_by_once_more_and_writes_as_ever():
    plain, taught = (made("local-paged", distillation=told) for told in (None, TOLD))
    assert taught.flash_written_bytes == plain.flash_written_bytes
    more = sum(layer.weights + layer.biases + layer.buffers for layer in network().layers)
    assert taught.flash_read_bytes - plain.flash_read_bytes == FLOAT * more


def test_blocks_that_skip_steps_spare_the_work_of_their_heads_and_of_going_back_but_no_byte():
    """A quarter of the steps are skipped by all blocks but the last."""
    plain, skipping = made("local"), made("local", skip_heads=0.25)
    assert Ledger(skipping, 1).peak_bytes == Ledger(plain, 1).peak_bytes
    *early, _ = network().blocks
    heads = {block.name: sum(layer.macs for layer in block.head) for block in early}
    back = {
        block.name: sum(o.macs for o in plain.operations if o.block == block.name and o.phase == "backward")
        for block in early
    }
    forward = sum(BATCH * count for count in heads.values())
    of_heads = 2 * forward  # of the linear layer of a head its input and its weights
    spared = 0.25 * (forward + of_heads + sum(back.values()))
    assert plain.macs - skipping.macs == pytest.approx(spared, abs=0.5)
    paged, as_ever = made("local-paged", skip_heads=0.25), made("local-paged")
    assert paged.macs == skipping.macs
    assert (paged.flash_read_bytes, paged.flash_written_bytes) == (
        as_ever.flash_read_bytes, as_ever.flash_written_bytes
    )  # fmt: skip


def test_an_estimate_of_time_falls_with_the_work():
    plans = [
        devices.planning.plan(network(), "stm32", regime="local", batch_size=BATCH, skip_heads=share)
        for share in (0.0, 0.5)
    ]
    from devices.pace.workload import workloads

    whole, half = ([w for _, w in workloads(p.schedule, integer=False)] for p in plans)
    shares = {b.counts[-1] / a.counts[-1] for a, b in zip(whole, half, strict=True)}
    assert shares == {0.5, 1.0}


def test_what_cannot_teach_is_refused():
    for regime, got in (("local-resident", "trained before the next"), ("niti-local", "steps on integers")):
        for told, flag in (((TOLD, 0.0), "--distill"), ((None, 0.5), "--skip-heads")):
            found = obstacle(network(), regime, BATCH, 1, 1, 1, *told)
            assert found is not None and found.subject == flag and got in found.got
            assert "local or local-paged" in found.wanted
    for head, blocks in (("sim", "layers"), ("gap", "1")):
        found = obstacle(network(head, blocks), "local", BATCH, distillation=TOLD)
        assert found is not None and "no local head" in found.reason
    for regime in ("bp", "zo", "local", "local-paged"):  # global ones take no notice
        assert obstacle(network(), regime, BATCH, distillation=TOLD, skip_heads=0.5) is None
    with pytest.raises(InputError, match="the pytorch accounting"):
        schedule("local", network(), Step(BATCH, table=PYTORCH, distillation=TOLD))


@pytest.mark.parametrize(
    ("temperature", "weight"), [(-1.0, 0.3), (0.0, 0.3), (1e9, 0.3), (3.0, 0.0), (3.0, 7.0)]
)
def test_a_teaching_that_is_none_is_refused(temperature, weight):
    with pytest.raises(InputError, match="distillation: got temperature"):
        Distillation(temperature, weight)


@pytest.mark.parametrize("share", [-0.5, 1.0, 1.5, float("nan")])
def test_a_share_of_steps_that_is_none_or_all_of_them_is_refused(share):
    with pytest.raises(InputError, match="skip heads: got"):
        devices.plan(network(), "stm32", regime="local", batch_size=BATCH, skip_heads=share)
