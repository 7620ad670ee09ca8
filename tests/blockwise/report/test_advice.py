"""What is said where something does not fit: neither more than was planned, nor less than nothing."""

import dataclasses

import pytest
from hand_made import SCENARIOS

from blockwise.experiment.result import Result
from blockwise.experiment.step_rows import Change
from blockwise.report.advice import advice
from blockwise.report.text import saved_words
from blockwise.report.web.advice import advice as page_advice
from blockwise.report.web.cards import cards


@pytest.fixture
def none_fits() -> Result:
    return SCENARIOS["none_fits"]()


def test_only_what_was_planned_is_said_not_to_fit(none_fits: Result) -> None:
    assert any(line.startswith("no batch size lets them fit") for line in advice(none_fits))
    without_one = tuple(
        dataclasses.replace(row, peak_by_batch={b: p for b, p in row.peak_by_batch.items() if b > 1})
        for row in none_fits.regimes
    )
    (line, *_) = advice(dataclasses.replace(none_fits, regimes=without_one))
    assert line.startswith("none of the batches of 8, 32 and 128 images lets them fit: the lowest is ")


def test_what_takes_more_ram_saves_none(none_fits: Result) -> None:
    """As where the flash is too small: what fits may hold more than what does not."""
    assert (saved_words(2048), saved_words(0), saved_words(-100)) == (
        "2 KiB less",
        "0 bytes less",
        "100 bytes more",
    )
    change = Change("zo", "regime zo", 200 * 1024, -50 * 1024, True, ("--regimes", "zo"))
    result = dataclasses.replace(none_fits, changes=(change,))
    assert "zo fits with regime zo: 200 KiB, 50 KiB more; run.py --regimes zo" in advice(result)
    (shown,) = page_advice(result)
    assert (shown.peak, shown.saved) == ("200 KiB", "50 KiB more")


def test_work_counts_the_epochs_of_the_last_block_of_a_plan_as_of_a_training() -> None:
    result = SCENARIOS["default"]()
    row = next(row for row in result.regimes if row.regime == "local-resident")
    row = dataclasses.replace(row, macs_per_step=100, macs_of_last=20)
    longer = dataclasses.replace(result, config=result.config | {"epochs": 2, "last_epochs": 6})
    assert (result.weighed_macs(row), longer.weighed_macs(row)) == (100, 100 + 2 * 20)
    assert longer.weighed_macs(dataclasses.replace(row, regime="local")) == 100


def test_the_work_on_a_card_is_that_of_the_table() -> None:
    """Of blocks that are trained for another number of epochs all steps are counted."""
    result = SCENARIOS["default"]()
    bp, *others = result.regimes
    assert others
    for card, row in ((card, row) for card in cards(result) for row in others if row.regime == card.regime):
        assert dict(card.facts)["Work beside bp"] == f"{result.weighed_macs(row) / bp.macs_per_step:.2f}x"
