"""Signals moved, stretched and with noise: each by what was asked, and nothing else."""

import pytest
import torch
from sets import pixels

from blockwise.data import SignalAugment, generator
from blockwise.data.scaling import Scaling
from blockwise.data.signal_augment import random_shift
from blockwise.data.turning import rotations


@pytest.mark.parametrize("shape", [(64, 2, 30), (64, 1, 30, 5)])
def test_a_shift_moves_every_channel_alike_in_time_and_repeats_the_ends(shape: tuple[int, ...]) -> None:
    signals = pixels(*shape)
    moved = random_shift(signals, 3, generator(0, 0))
    seen = set()
    for before, after in zip(signals, moved, strict=True):
        offsets = [
            k for k in range(-3, 4) if torch.equal(after, before[:, (torch.arange(30) + k).clamp(0, 29)])
        ]
        assert len(offsets) == 1
        seen |= set(offsets)
    assert seen == set(range(-3, 4))


def test_a_factor_stretches_about_the_resting_level() -> None:
    signals = torch.tensor([78, 128, 178], dtype=torch.uint8).repeat(500, 1, 1)
    scaled = SignalAugment(scale=0.1, fill=(128,))(signals, generator(1, 0)).float()
    assert bool((scaled[:, 0, 1] == 128).all())
    low, high = (scaled[:, 0, 0] - 128) / -50, (scaled[:, 0, 2] - 128) / 50
    assert float((low - high).abs().max()) < 0.021  # one factor for a sample, to the rounding
    assert abs(float(low.mean()) - 1) < 0.02 and 0.08 < float(low.std()) < 0.12


def test_noise_has_its_deviation_and_stays_within_8_bits() -> None:
    signals = torch.full((200, 3, 40), 100, dtype=torch.uint8)
    noisy = SignalAugment(jitter=4.0)(signals, generator(2, 0))
    assert noisy.dtype == torch.uint8
    assert abs(float(noisy.float().mean()) - 100) < 0.2 and 3.8 < float(noisy.float().std()) < 4.2
    ends = SignalAugment(jitter=50.0)(torch.full((50, 1, 40), 255, dtype=torch.uint8), generator(3, 0))
    assert int(ends.max()) == 255 and int(ends.min()) < 200


def test_the_same_generator_gives_the_same_signals_and_the_input_stays() -> None:
    signals, policy = pixels(8, 2, 20), SignalAugment(2, 0.1, 2.0, (128, 128))
    before = signals.clone()
    one, two = (policy(signals, generator(4, 1, 5)) for _ in range(2))
    assert torch.equal(one, two) and torch.equal(signals, before) and not torch.equal(one, before)


def test_no_augmentation_is_none_and_says_so() -> None:
    assert not SignalAugment() and str(SignalAugment()) == "no augmentation"
    assert str(SignalAugment(5, 0.1, 2)) == "shift by up to 5 steps, scaled by 1 ± 0.1, noise of 2 levels"
    assert str(SignalAugment(turn=25)) == "turned by up to 25°" and SignalAugment(turn=25)
    with pytest.raises(ValueError, match="at least 0 each"):
        SignalAugment(scale=-0.1)


def test_turns_are_rotations_about_any_axis_by_no_more_than_the_angle() -> None:
    found = rotations(4000, 30, generator(5, 0)).double()
    torch.testing.assert_close(found @ found.mT, torch.eye(3).double().expand(4000, 3, 3), rtol=0, atol=1e-6)
    assert bool((torch.linalg.det(found) > 0.999).all())
    angles = ((found.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
    assert float(angles.max()) <= 30.01 and abs(float(angles.mean()) - 15) < 0.5  # uniform
    moved = found @ torch.tensor([0.0, 0.0, 1.0]).double()
    assert float(moved[:, :2].mean(0).abs().max()) < 0.02  # no direction is preferred


def test_a_turn_keeps_the_length_of_what_each_sensor_measures() -> None:
    """In values, not in levels, whose steps differ from channel to channel."""
    scaling = Scaling((-2.0, -1.0, -4.0) * 2, (2.0, 1.0, 4.0) * 2)
    signals = torch.randint(100, 156, (50, 6, 8), generator=generator(6, 0)).to(torch.uint8)
    after = SignalAugment(turn=25, scaling=scaling)(signals, generator(7, 0))
    lengths = [scaling.values(x.float()).unflatten(1, (2, 3)).norm(dim=2) for x in (signals, after)]
    assert float((lengths[1] - lengths[0]).abs().max()) < 0.03 and not torch.equal(signals, after)
