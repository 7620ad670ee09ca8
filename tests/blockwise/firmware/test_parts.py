"""Whole checks of trainings of a part of a network: on the emulated board, beside PyTorch, byte by byte."""

import pytest
from float_checks import checked, prepared
from tiers import shown

import blockwise
from blockwise.firmware.beside_pytorch import agreement_of
from blockwise.firmware.float_start import float_firmware

PARTS = ["sparse:auto", "bias", "last:1", "conv1*"]
IN_FLASH = ("blocks:1", "flash", "frozen")


@pytest.mark.slow
@pytest.mark.parametrize("train", shown(PARTS, "sparse:auto"))
def test_a_check_of_a_part_compares_with_the_board_and_with_pytorch(train, tmp_path):
    settings = {"method": "lsq", "width": 4, "batch_size": 2, "train": train}
    found = blockwise.write_firmware(
        "cnn", "stm32f405", out=tmp_path / "project", regime="bp-fused", check=2, **settings
    ).checked
    assert found is not None and found.equal, found.wrong
    assert found.agreement is not None and found.agreement.worst.share < 1e-5
    assert (found.agreement.codes > 0) and found.compared.steps == 2


@pytest.mark.slow
def test_each_phase_of_a_training_in_float32_is_compared_with_pytorch(tmp_path):
    """Nothing is packed there: the weights of all blocks stay, and states and heads come and go."""
    made = prepared("local-resident", model="cnn", method="fp32", norm="none", width=2)
    found = agreement_of(made, float_firmware(made, "local-resident"))
    assert [phase.within for phase in found.phases] == [True] * 3
    assert [phase.worst.split(".")[0] for phase in found.phases[:2]] == ["conv1", "conv2"]


@pytest.mark.slow
@pytest.mark.parametrize("regime", shown(["zo", "zo-hybrid"], "zo"))
def test_live_bytes_along_directions_are_those_of_the_plan_and_the_board_draws_as_pytorch_does(
    regime, tmp_path
):
    """The board ends with the bits of the same C on a computer, which is held against PyTorch."""
    settings = {"method": "lsq", "norm": "group", "width": 2, "batch_size": 2}
    traced = checked(tmp_path / "traced", regime, 1, trace=True, model="cnn", blocks="2", **settings)
    assert traced.wrong == () and traced.trace is not None and traced.trace.equal
    made = prepared(regime, model="cnn", blocks="2", **settings)
    assert agreement_of(made, float_firmware(made, regime)).wrong == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    shown([("bias", "ram", "batch"), IN_FLASH, ("bias", "ram", "batch-recompute")], IN_FLASH),
    ids=str,
)
def test_live_bytes_of_a_part_by_loads_and_stores_are_those_of_the_plan(part, tmp_path):
    """Of what is not trained, in flash nothing is read from RAM, and of a first norm no deviation is kept."""
    train, frozen, norm = part
    found = checked(
        tmp_path / "out", "bp", 1, trace=True, model="cnn", method="lsq", norm=norm, train=train,
        frozen=frozen, blocks="2",
    )  # fmt: skip
    assert found.wrong == ()
    assert found.trace is not None and found.trace.equal
