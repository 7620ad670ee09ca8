"""Mean and deviation over seeds are those of arithmetic, and what diverged is left out of them."""

import dataclasses
import statistics

import pytest
from hand_made import SCENARIOS
from scipy.stats import ttest_rel  # type: ignore[import-untyped]

from blockwise.experiment.result import Result
from blockwise.experiment.seeds import over_seeds
from blockwise.report import seeds_answer, seeds_report, show
from blockwise.report.console import make_console
from devices.errors import InputError


def seeded(seed: int, accuracy: float | None, **others: float) -> Result:
    """All regimes reach ``accuracy`` but ``others``."""
    base = SCENARIOS["default"]()
    rows = []
    for row in base.regimes:
        assert row.training is not None
        reached = others.get(row.regime.replace("-", "_"), accuracy)
        training = dataclasses.replace(row.training, test_accuracy=reached)
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
    assert ["lost", *["1", "diverged"] * 5] in lines
    assert ["seed", "8", *["diverged"] * 5] in lines
    assert over_seeds([seeded(1, None)] * 2, ["a", "b"]).regimes[0].mean is None
    assert "of 2 seeds: bp 90.00 % (deviation -), bp-best 90.00 %" in seeds_answer(results[0], found)


def test_seeds_of_other_samples_under_the_same_name_have_no_mean() -> None:
    first, second = seeded(1, 0.9), seeded(2, 0.92)
    known, others = (
        dataclasses.replace(result, data=dataclasses.replace(result.data, contents=contents))
        for result, contents in ((first, "0a"), (second, "0b"))
    )
    with pytest.raises(InputError, match="runs a and b: got networks, trained weights or samples"):
        over_seeds([known, others], ["a", "b"])
    assert over_seeds([known, second], ["a", "b"]).seeds == (1, 2)  # of an earlier version: not known


def test_regimes_are_tested_seed_by_seed_and_what_seeds_do_not_tell_is_a_tie() -> None:
    bp, local, paged = (0.90, 0.93, 0.96), (0.88, 0.92, 0.96), (0.70, 0.72, 0.79)
    results = [
        seeded(seed, a, local=b, local_paged=c, local_resident=0.1)
        for seed, (a, b, c) in enumerate(zip(bp, local, paged, strict=True))
    ]
    found = over_seeds(results, ["a", "b", "c"])
    rows = {row.regime: row for row in found.regimes}
    beside = rows["local"].beside
    assert beside is not None and rows["bp"].beside is None
    assert (beside.difference.mean, beside.p) == pytest.approx((-0.01, ttest_rel(local, bp).pvalue))
    assert found.standing is not None
    assert (found.standing.leader, found.standing.ties) == ("bp", ("local",))
    assert "bp has the lowest error; a tie with it: local (paired" in seeds_answer(results[0], found)
    assert (rows["bp"].at_chance, rows["local-resident"].at_chance) == (0, 3)
    reach = 4.302653 * 0.03 / 3**0.5  # t of two degrees of freedom, from a table
    assert rows["bp"].interval == pytest.approx((0.93 - reach, 0.93 + reach))


def test_the_table_has_intervals_differences_and_seeds_at_chance(capsys: pytest.CaptureFixture[str]) -> None:
    results = [seeded(seed, 0.9 + seed / 50, local_resident=0.1) for seed in range(3)]
    show(seeds_report(results[0], over_seeds(results, ["a", "b", "c"])), make_console())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["lost", *["-"] * 4, "3", "at", "chance"] in lines
    assert ["-", "bp", "-", *["+0.0", "±", "0.0"] * 3, "-82.0", "±", "2.0"] in lines
