"""Wilson's interval against scipy's, ties against their own promise, and the words made of them."""

import dataclasses
from itertools import product

import pytest
from scipy.stats import binom, binomtest  # type: ignore[import-untyped]

from blockwise.experiment.result import Result
from blockwise.report.tables import accuracy_table
from blockwise.report.uncertainty import apart, half_width, known_to, wilson
from blockwise.report.verdict import accuracy_sentence, answer, work_sentence

COUNTS = [(0, 1), (1, 1), (0, 70), (70, 70), (347, 359), (349, 359), (8112, 10_000)]


def published(correct: int, images: int) -> tuple[float, float]:
    found = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


@pytest.mark.parametrize(("correct", "images"), COUNTS)
def test_the_interval_is_wilsons_as_scipy_has_it(correct, images):
    assert wilson(correct / images, images) == pytest.approx(published(correct, images), abs=1e-12)
    low, high = published(correct, images)
    assert half_width(correct / images, images) == pytest.approx((high - low) / 2)


def test_seventy_of_seventy_is_not_certainty():
    low, high = wilson(1.0, 70)
    assert high == 1.0 and low == pytest.approx(0.948, abs=5e-4)
    assert wilson(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "images", "told"),
    [(0.9666, 0.9499, 359, False), (0.91, 0.97, 359, True), (1.0, 0.9, 70, False)],
)
def test_two_accuracies_are_apart_where_their_intervals_share_no_point(a, b, images, told):
    below = published(round(max(a, b) * images), images)[0]
    above = published(round(min(a, b) * images), images)[1]
    assert apart(a, b, images) == apart(b, a, images) == (below > above) == told


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_equal_accuracies_are_told_apart_in_hardly_one_of_a_hundred_samples(share):
    """Counted over all pairs of outcomes, with their probabilities."""
    images = 120
    chances = [(k, binom.pmf(k, images, share)) for k in range(images + 1)]
    likely = [(k, p) for k, p in chances if p > 1e-7]
    wrong = sum(
        p * q for (i, p), (j, q) in product(likely, repeat=2) if apart(i / images, j / images, images)
    )
    assert 0 < wrong < 0.01


def with_accuracies(base: Result, test_images: int, **accuracies: float) -> Result:
    """Regimes that all fit, with these accuracies."""
    rows = []
    for regime in base.regimes:
        accuracy = accuracies.get(regime.regime.replace("-", "_"))
        if accuracy is not None and regime.training is not None:
            training = dataclasses.replace(regime.training, test_accuracy=accuracy)
            rows.append(dataclasses.replace(regime, fits=True, training=training))
    return dataclasses.replace(
        base, regimes=tuple(rows), data=dataclasses.replace(base.data, test=test_images)
    )


def test_a_lead_that_359_images_cannot_show_is_a_tie(four: Result) -> None:
    found = with_accuracies(four, 359, bp=0.9721, local=0.9638, local_resident=0.8)
    assert accuracy_sentence(found) == (
        "Test accuracy: bp 97.21 % (95 % interval 94.9 to 98.5 %); a tie on 359 test images: local (96.38 %)."
    )


def test_the_same_lead_on_a_hundred_times_as_many_images_is_the_best(four: Result) -> None:
    found = with_accuracies(four, 35_900, bp=0.9721, local=0.9638, local_resident=0.8)
    assert accuracy_sentence(found).endswith(", the best of all regimes.")


def test_what_does_not_fit_is_called_better_only_where_it_is(four: Result) -> None:
    found = with_accuracies(four, 359, bp=0.99, bp_checkpoint=0.955, local=0.94)
    rows = tuple(dataclasses.replace(r, fits=r.regime == "local") for r in found.regimes)
    assert accuracy_sentence(dataclasses.replace(found, regimes=rows)) == (
        "Test accuracy: local 94.00 % (95 % interval 91.0 to 96.0 %) for 1.00x the work of bp; better: bp "
        "(99.00 %, does not fit); a tie on 359 test images: bp-checkpoint (95.50 %, does not fit)."
    )


def test_epochs_and_work_stand_beside_every_regime(four: Result) -> None:
    rows = {row.label: row.cells for row in accuracy_table(four).rows}
    assert rows["epochs"] == ("20", "20", "20", "3 x 20")
    # 41 million a step, 20 epochs of 45,000 / 8 steps
    assert rows["GMAC in all"] == (f"{41e6 * 20 * 5625 / 1e9:,.1f}",) * 4
    dearer = dataclasses.replace(four.regimes[3], macs_per_step=82_000_000)
    found = dataclasses.replace(four, regimes=(dearer,))
    assert "local-resident 87.91 % (95 % interval 87.3 to 88.5 %) for 2.00x the work of bp" in answer(found)
    assert (
        work_sentence(found) == "local-resident trained 20 epochs of each of 3 blocks, 2.00x the work of bp."
    )
    assert work_sentence(dataclasses.replace(four, regimes=four.regimes[:3])) == ""


def test_a_table_of_recorded_errors_says_what_its_test_images_can_tell() -> None:
    rows = [{"test_error": e, "images": [47_500, 2_500, 5_000]} for e in (0.29, 0.31)]
    low, high = published(round(0.31 * 5_000), 5_000)
    assert known_to(rows).startswith(
        f"One error on 5,000 test images is known to \N{PLUS-MINUS SIGN}{50 * (high - low):.1f} points (95%)"
    )
    assert known_to([{"test_error": 0.3}]) == ""


def test_without_validation_images_there_is_a_dash_and_not_zero(four: Result) -> None:
    regime = four.regimes[0]
    assert regime.training is not None
    training = dataclasses.replace(regime.training, validation_accuracy=None)
    found = dataclasses.replace(four, regimes=(dataclasses.replace(regime, training=training),))
    assert {row.label: row.cells for row in accuracy_table(found).rows}["validation"] == ("-",)
