"""What trials say together: means over people, paired differences, samples needed."""

import pytest
from scipy.stats import ttest_rel  # type: ignore[import-untyped]

from blockwise.adapt.result import Spread, compared, needed, rows_of


def record(way: str, person: str, before: float, after: float | None, **other: object) -> dict[str, object]:
    common = {
        "way": way, "person": person, "regime": way, "before": before, "after": after, "others_before": 0.8,
        "others_after": 0.7, "curve": [[100, 0.5], [200, after or 0.0]], "peak_bytes": 1000, "fits": True,
        "macs_per_step": 10, "macs": 400, "steps": 40, "instructions": None,
        "step_seconds": 0.5, "time_basis": "products", "network": "cnn1d, width 8",
    }  # fmt: skip
    return {**common, **other}


def test_the_paired_test_is_students_as_scipy_has_it():
    pairs = [(0.9, 0.8), (0.95, 0.85), (0.7, 0.72), (0.99, 0.9)]
    found = compared(pairs)
    assert found.p == pytest.approx(ttest_rel(*zip(*pairs, strict=True)).pvalue)
    assert found.difference.mean == pytest.approx(0.0675)
    assert compared(pairs[:1]).p is None
    assert compared([(1.0, 0.5), (0.75, 0.25)]).p is None  # equal differences have no test


@pytest.mark.parametrize(
    ("curve", "samples"),
    [
        ([[10, 0.5], [20, 0.89], [30, 0.9]], 20),  # 0.89 is near 0.9, what follows too
        ([[10, 0.9], [20, 0.7], [30, 0.9]], 30),  # near once, but not to stay
        ([[10, 0.6], [20, 0.61], [30, 0.6]], 0),  # before as after
    ],
)
def test_samples_are_needed_until_the_accuracy_stays_near_its_last(curve, samples):
    assert needed({"before": 0.6, "curve": curve}, 0.02) == samples


def test_a_way_is_told_over_those_who_did_not_diverge_beside_backpropagation_person_by_person():
    rows = rows_of([
        record("bp", "1", 0.5, 0.9), record("bp", "2", 0.6, 0.8),
        record("local", "1", 0.5, 0.8), record("local", "2", 0.6, None, fits=False, peak_bytes=2000),
    ])  # fmt: skip
    bp, local = rows
    assert bp.after == Spread(pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4))
    assert bp.reference is None
    assert (bp.seconds, bp.time_basis) == (20.0, "products")
    assert bp.forgetting is not None and bp.forgetting.difference.mean == pytest.approx(0.1)
    assert (local.people, local.diverged, local.fits, local.peak_bytes) == (2, 1, False, 2000)
    assert local.after == Spread(0.8, None)
    assert local.reference is not None and local.reference.difference.mean == pytest.approx(-0.1)
    assert rows_of([record("zo", "1", 0.5, None)])[0].after is None
