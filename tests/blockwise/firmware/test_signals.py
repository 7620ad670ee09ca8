"""Signals and features as C: a board takes its samples step by step, and ends with the simulation's bytes."""

import pytest
import torch
from waves import save, waves

import blockwise
from blockwise.data import load
from blockwise.firmware.layout import images_to_board
from blockwise.firmware.shapes import as_map


def test_a_signal_is_a_map_of_one_row_and_features_are_one_pixel():
    assert as_map((3, 8, 5)) == (3, 8, 5) and as_map((6, 100)) == (6, 1, 100) and as_map((30,)) == (30, 1, 1)
    signals = torch.arange(24, dtype=torch.uint8).view(2, 3, 4)
    # of each sample the values of one step after the other, as a sensor gives them
    assert list(images_to_board(signals)[:6]) == [0, 4, 8, 1, 5, 9]
    assert list(images_to_board(signals.flatten(1))) == list(range(24))


@pytest.mark.slow
@pytest.mark.parametrize(("regime", "settings"), [("niti-local", {}), ("bp", {"method": "fp32"})])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_step_on_signals_ends_with_the_bytes_of_the_simulation(regime, settings, rank, tmp_path):
    arrays = waves()
    if rank == 1:
        arrays = {name: x.reshape(len(x), -1) if name[0] == "x" else x for name, x in arrays.items()}
    data = str(save(tmp_path / "waves.npz", arrays))
    found = blockwise.write_firmware(
        "mlp", "stm32", out=tmp_path / "project", data=data, regime=regime, check=2, width=4, norm="none",
        batch_size=2, **settings,
    )  # fmt: skip
    assert found.checked is not None and found.checked.equal
    told = (tmp_path / "project" / "README.md").read_text("utf-8")
    scaling = load(data).scaling
    assert scaling is not None and f"high[{len(scaling.high)}] = {{{scaling.high[0]:.9g}, " in told
    if rank == 2:
        assert "The 2 channels of one step stand side by side, the 24 steps one after the other." in told
