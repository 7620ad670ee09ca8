"""Mean and deviation over seeds are those of arithmetic, and what diverged is left out of them."""

import dataclasses
import statistics

import pytest
from hand_made import SCENARIOS

from blockwise.experiment.result import Result
from blockwise.experiment.seeds import over_seeds
from blockwise.report import seeds_answer, seeds_report, show
from blockwise.report.console import make_console


def seeded(seed: int, accuracy: float | None) -> Result:
    base = SCENARIOS["default"]()
    rows = []
    for row in base.regimes:
        assert row.training is not None
        training = dataclasses.replace(row.training, test_accuracy=accuracy)
        rows.append(dataclasses.replace(row, training=training))
    return dataclasses.replace(base, seed=seed, regimes=tuple(rows))


def test_mean_and_deviation_are_those_of_a_sample() -> None:
    values = (0.90, 0.93, 0.96)
    found = over_seeds([seeded(seed, value) for seed, value in enumerate(values)], ["a", "b", "c"])
    row = found.regimes[1]
    assert (found.seeds, found.runs) == ((0, 1, 2), ("a", "b", "c"))
    assert (row.regime, row.trained_as, row.accuracies) == ("bp-best", "bp", values)
    assert row.mean == pytest.approx(0.93)
    assert row.deviation == pytest.approx(0.03) == pytest.approx(statistics.stdev(values))


def test_a_seed_that_diverged_is_left_out_of_the_mean(capsys: pytest.CaptureFixture[str]) -> None:
    results = [seeded(7, 0.9), seeded(8, None)]
    found = over_seeds(results, ["a", "b"])
    assert (found.regimes[0].mean, found.regimes[0].deviation) == (0.9, None)
    show(seeds_report(results[0], found), make_console())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mean", *["90.00", "%"] * 5] in lines
    assert ["deviation", *["-"] * 5] in lines
    assert ["seed", "8", *["diverged"] * 5] in lines
    assert over_seeds([seeded(1, None)] * 2, ["a", "b"]).regimes[0].mean is None
    assert "of 2 seeds: bp 90.00 % (deviation -), bp-best 90.00 %" in seeds_answer(results[0], found)
