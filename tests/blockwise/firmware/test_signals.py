"""Signals and features as C: a board takes its samples step by step, and ends with the simulation's bytes."""

from typing import Any

import pytest
import torch
from torch import nn
from waves import save, waves

import blockwise
from blockwise.data import load
from blockwise.firmware.layout import images_to_board
from blockwise.firmware.shapes import as_map
from devices.errors import InputError


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "regime", "settings"),
    [
        ("cnn1d", "niti-local", {"norm": "none"}),
        pytest.param("residual", "local", {"method": "lsq"}, marks=pytest.mark.long),
        pytest.param("cnn1d", "local-resident", {"method": "lsq"}, marks=pytest.mark.long),
        pytest.param("cnn1d", "local", {"method": "fp32"}, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_so_does_a_step_of_convolutions_over_time(model, regime, settings, tmp_path):
    data, network = str(save(tmp_path / "waves.npz", waves())), model
    if model == "residual":
        torch.manual_seed(0)
        network = Residual()
    else:
        settings = {**settings, "width": 4}
    found = blockwise.write_firmware(
        network,
        "stm32",
        out=tmp_path / "project",
        data=data,
        regime=regime,
        check=2,
        batch_size=2,
        **settings,
    )
    assert found.checked is not None and found.checked.equal


class Residual(nn.Module):
    """A residual block of signals, as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv1d(2, 4, 5, padding=2), nn.BatchNorm1d(4)
        self.conv, self.inner = nn.Conv1d(4, 4, 3, padding=2, dilation=2), nn.BatchNorm1d(4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        x = nn.functional.max_pool1d(torch.relu(self.norm(self.stem(x))), 2)
        return self.fc(torch.relu(x + self.inner(self.conv(x))).mean(-1))


def test_a_map_in_another_shape_has_no_c_form(tmp_path):
    module = nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Conv2d(1, 2, (2, 3)), nn.ReLU(), nn.Flatten())
    module.append(nn.Linear(44, 3))
    data = str(save(tmp_path / "waves.npz", waves()))
    with pytest.raises(
        InputError, match=r"got 2x24 as a map of 1x2x24, which has no C form, wanted flattened"
    ):
        blockwise.write_firmware(
            module, "stm32", out=tmp_path / "project", data=data, regime="bp", method="fp32", batch_size=2
        )
