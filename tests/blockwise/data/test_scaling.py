"""Values to 8 bits: by the range of all but a thousandth of the training values, channel by channel."""

import numpy as np
import pytest
import torch

from blockwise.data import Scaling


def test_few_values_are_scaled_by_lowest_and_highest_to_the_nearest_level() -> None:
    values = torch.tensor([[-2.0, 10.0], [0.0, 20.0], [3.0, 40.0]])
    scaling = Scaling.of(values)
    assert scaling == Scaling((-2.0, 10.0), (3.0, 40.0))
    # by hand: 2/5 x 255 = 102, 10/30 x 255 = 85
    assert scaling(values).tolist() == [[0, 0], [102, 85], [255, 255]]


def test_a_thousandth_of_many_values_is_clipped_and_sets_no_step() -> None:
    values = torch.linspace(-1, 1, 20_001).view(-1, 1, 1)
    values[0], values[-1] = -1000.0, 1000.0
    scaling = Scaling.of(values)
    # a twentieth of a percent of 20,000 steps from either end
    assert scaling.low[0] == pytest.approx(-0.999, abs=2e-4)
    assert scaling.high[0] == pytest.approx(0.999, abs=2e-4)
    levels = scaling(values).flatten()
    assert int(levels[0]) == 0 and int(levels[-1]) == 255 and 127 <= int(levels[10_000]) <= 128


@pytest.mark.parametrize("shape", [(5000, 4), (300, 4, 17), (40, 4, 5, 9)])
def test_every_rank_is_scaled_as_numpy_would_channel_by_channel(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    scaling = Scaling.of(torch.from_numpy(values))
    for channel, (low, high) in enumerate(zip(scaling.low, scaling.high, strict=True)):
        part = values[:, channel].astype(np.float64)
        assert low in part and high in part
        assert 0.998 <= ((part >= low) & (part <= high)).mean() <= 1
        expected = np.clip(np.rint((part - low) / (high - low) * 255), 0, 255)
        np.testing.assert_array_equal(scaling(torch.from_numpy(values))[:, channel].numpy(), expected)


def test_a_channel_that_never_varies_becomes_0() -> None:
    values = torch.full((4, 2), 7.5)
    values[:, 1] = torch.arange(4)
    assert Scaling.of(values)(values)[:, 0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("value", [0.0, 7.5, -3e-9, 1.7e9, -2.5e30])
def test_a_board_divides_by_no_zero_where_a_channel_has_one_value(value: float) -> None:
    scaling = Scaling.of(torch.full((4, 1), value))
    low, high = np.float32(scaling.low[0]), np.float32(scaling.high[0])
    assert high > low and np.round((np.float32(value) - low) / (high - low) * 255) == 0
