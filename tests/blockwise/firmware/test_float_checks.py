"""Float firmware on the emulated board beside the same C on this computer: bits, RAM, live bytes."""

import pytest
from float_checks import checked, prepared
from tiers import shown

from blockwise.firmware.emit.project import project
from blockwise.firmware.float_start import float_firmware
from devices.errors import InputError


@pytest.mark.slow
def test_a_board_ends_with_the_bits_of_the_same_c_on_a_computer(tmp_path):
    found = checked(tmp_path / "out", "local-resident", 6, model="cnn", method="lsq", device="stm32f405")
    assert found.wrong == ()
    assert found.compared.steps == 6
    names = [operation.name for operation in found.cost.operations]
    assert len(set(names)) == len(names)
    assert "load batch (phase 1)" in names  # that every phase loads


@pytest.mark.slow
@pytest.mark.parametrize("device", shown(["stm32f103", "nrf5340", "rp2040"], "rp2040"))
def test_so_does_one_without_a_floating_point_unit_or_another_core(device, tmp_path):
    """Floats in software round alike, and so does the root that is worked out bit by bit."""
    settings = {"model": "plain4", "device": device, "batch_size": 1, "head": "gap", "width": 2}
    for method in ("fp32", "lsq"):
        assert checked(tmp_path / method, "bp-fused", 2, method=method, **settings).wrong == ()


@pytest.mark.slow
@pytest.mark.parametrize(("regime", "method"), [("bp-fused", "fp32"), ("bp", "lsq"), ("local", "lsq")])
@pytest.mark.slow
@pytest.mark.long
def test_live_bytes_by_loads_and_stores_are_those_of_the_plan(regime, method, tmp_path):
    model = {"bp-fused": "plain4", "bp": "plain4", "local": "resnet20"}[regime]
    found = checked(tmp_path / "out", regime, 1, trace=True, model=model, method=method, norm="group")
    assert found.wrong == ()
    assert found.trace is not None and found.trace.equal


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regime", "settings"), [("local-resident", {"blocks": "2"}), ("local", {"distill": 3, "norm": "frozen"})]
)
def test_one_image_that_passes_blocks_at_rest_is_not_copied(regime, settings, tmp_path):
    """Of more the outputs are gathered; a batch of one is what was made, in every phase."""
    of = {"model": "plain4", "width": 2, "head": "gap", "method": "lsq", "batch_size": 1, **settings}
    found = checked(tmp_path / "out", regime, 1, trace=True, **of)
    assert found.wrong == ()
    assert found.trace is not None and found.trace.equal


def test_what_has_no_c_form_is_told_in_one_line(tmp_path):
    for settings in (
        {"optimizer": "adam"},
        {"method": "dorefa"},
        {"dropout": 0.1},
    ):
        made = prepared("bp", model="cnn", **settings)
        with pytest.raises(InputError, match="no C form"):
            project(float_firmware(made, "bp"), tmp_path / "out")
    assert float_firmware(prepared("zo", model="cnn", optimizer="adam"), "zo")  # which has no optimizer
    with pytest.raises(InputError, match="no C form"):
        project(float_firmware(prepared("local-paged", model="cnn"), "local-paged"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
