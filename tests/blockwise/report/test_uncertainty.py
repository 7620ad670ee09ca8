"""What is made of intervals in words: ties, the best, and what test images can tell."""

import dataclasses

from scipy.stats import binomtest  # type: ignore[import-untyped]

from blockwise.experiment.result import Result
from blockwise.report.tables import accuracy_table
from blockwise.report.uncertainty import known_to
from blockwise.report.verdict import accuracy_sentence, answer, work_sentence


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
    found = binomtest(1_550, 5_000).proportion_ci(method="wilson")
    half = 50 * (found.high - found.low)
    assert known_to(rows).startswith(
        f"One error on 5,000 test images is known to \N{PLUS-MINUS SIGN}{half:.1f} points (95%)"
    )
    assert known_to([{"test_error": 0.3}]) == ""


def test_without_validation_images_there_is_a_dash_and_not_zero(four: Result) -> None:
    regime = four.regimes[0]
    assert regime.training is not None
    training = dataclasses.replace(regime.training, validation_accuracy=None)
    found = dataclasses.replace(four, regimes=(dataclasses.replace(regime, training=training),))
    assert {row.label: row.cells for row in accuracy_table(found).rows}["validation"] == ("-",)


def test_accuracy_is_said_where_nothing_fits(four: Result) -> None:
    found = with_accuracies(four, 359, bp=0.99, local=0.94)
    rows = tuple(dataclasses.replace(r, fits=False) for r in found.regimes)
    assert accuracy_sentence(dataclasses.replace(found, regimes=rows)) == (
        "Test accuracy: bp 99.00 % (95 % interval 97.3 to 99.6 %), the best of all regimes."
    )
    alone = dataclasses.replace(found, regimes=rows[1:])
    assert "local 94.00 % (95 % interval 91.0 to 96.0 %)" in answer(alone)
