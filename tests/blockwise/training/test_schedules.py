"""The learning rate over a training."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_cnn import OPTIONS, build

from blockwise.training import REGIMES, Run
from blockwise.training.schedules import one_cycle
from blockwise.training.updater import Updater


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    assert one_cycle(0.1) == pytest.approx(0.5)
    assert one_cycle(0.2) == pytest.approx(1.0)
    assert one_cycle(0.6) == pytest.approx(0.5)
    assert one_cycle(1.0) == 0.0


def rates(steps: int, peak: float = 1.0) -> list[float]:
    """The learning rate of every step of a training."""
    updater, found = Updater([torch.nn.Parameter(torch.zeros(1))], "sgd", fused=False, peak=peak), []
    for done in range(steps):
        updater.set_progress(done, steps)
        found.append(updater.optimizers[0].param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 35, 1000])
def test_every_step_learns_at_the_rate_that_torchs_one_cycle_has_in_its_middle(steps):
    """Torch's schedule begins and ends near 0; every second of its points is the middle of a step."""
    points = 2 * steps + 1
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=points, pct_start=(0.4 * steps + 1) / points,
        anneal_strategy="linear", cycle_momentum=False, div_factor=1e12,
    )  # fmt: skip
    expected = []
    for point in range(points):
        expected += [cycle.get_last_lr()[0]] * (point % 2)
        optimizer.step()
        cycle.step() if point < points - 1 else None
    assert rates(steps, peak=0.1) == pytest.approx(expected)
    assert min(rates(steps)) > 0


@pytest.mark.parametrize("steps", [5, 10, 35, 1000])
def test_the_mean_rate_is_half_the_peak_and_the_highest_lies_within_a_step_of_it(steps):
    found = rates(steps)
    assert sum(found) / steps == pytest.approx(0.5)
    assert 1 - 2.5 / steps <= max(found) <= 1


def test_a_training_of_one_step_learns_at_five_eighths_of_the_peak():
    assert rates(1, peak=0.8) == [pytest.approx(0.5)]


def test_the_last_step_moves_the_weights_and_so_does_the_only_one(digits):
    """With a single step the rate decides where it ends; with two the second adds to the first."""
    data, ends = replace(digits, train=digits.train.select(torch.arange(64))), []
    for size, rate in ((64, 0.1), (64, 0.2), (32, 0.1)):
        told = replace(OPTIONS, epochs=1, batch_size=size, learning_rate=rate)
        run = Run(build("fp32"), data, REGIMES["bp"], told)
        before, seen = run.net.bodies[0][0].conv.weight.detach().clone(), []
        real = run._step
        run._step = lambda *a, real=real, seen=seen, run=run, **k: (  # type: ignore[method-assign]
            real(*a, **k),
            seen.append(run.net.bodies[0][0].conv.weight.detach().clone()),
        )[0]
        run.train()
        assert all(not torch.equal(a, b) for a, b in pairwise([before, *seen]))
        ends.append(seen[-1] - before)
    torch.testing.assert_close(ends[1], 2 * ends[0], rtol=1e-3, atol=1e-6)
