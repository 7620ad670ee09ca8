"""Firmware of integer regimes, built for this computer, ends every step with the bytes of the simulation."""

import pytest
from firmware_steps import compare
from integer_steps import IntegerSteps


@pytest.mark.parametrize("regime", ["niti-local", "niti4-jump"])
def test_every_resident_byte_is_that_of_the_simulation_after_every_step(regime, tmp_path):
    found = compare(IntegerSteps(regime, batch=1), tmp_path / "project", 2)
    assert found.wrong == []
    assert found.checksum == found.digest
    assert found.predicted == found.classes
