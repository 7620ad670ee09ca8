"""Distances to float32 beside the reference study's, and the experiments that explain them, by hand."""

from pathlib import Path
from typing import Any

import pytest

from blockwise.report.qat import DISTANCE, HEADINGS, cells, distance_notes
from blockwise.studies import qat
from blockwise.studies.records import read

RECORD = Path(__file__).parents[3] / "results" / "studies" / "qat_full.jsonl"
FIRST = next(row for row in read(RECORD) if row["method"] == "bnn")


def line(method: str, error: float | None, seed: int = 0, **others: Any) -> dict[str, Any]:
    """As the study records it: BNN's with other numbers."""
    bits = {"fp32": 32, "bnn": 1}.get(method, 3)
    own = {"activation_method": method, "weight_bits": bits, "activation_bits": bits, "residual": "float"}
    return FIRST | own | {"method": method, "seed": seed, "test_error": error} | others


ROWS = [
    line("fp32", 0.14), line("fp32", 0.16, 1), line("bnn", 0.48), line("lsq", 0.15), line("lsq", 0.17, 1),
]  # fmt: skip


def test_a_distance_is_that_of_shared_seeds_and_flagged_beyond_three_points() -> None:
    found = {s.method: s for s in qat.summaries(ROWS)}
    bnn, lsq = found["bnn"].distance, found["lsq"].distance
    assert bnn is not None and lsq is not None and found["fp32"].distance is None
    assert (bnn.ours, bnn.theirs, bnn.flagged) == (pytest.approx(0.34), pytest.approx(0.255), True)
    assert (lsq.ours, lsq.theirs, lsq.flagged) == (pytest.approx(0.01), pytest.approx(0.015), False)
    assert cells(found["bnn"])[HEADINGS.index(DISTANCE)] == "+34.0 (+25.5) !"
    (note,) = distance_notes(tuple(found.values()))
    assert note.startswith("! bnn W1A1 float skip: +34.0 (+25.5) points above fp32") and "unexplained" in note


def test_an_experiment_that_changes_one_condition_explains_it() -> None:
    longer = [line("fp32", 0.09, epochs=200), line("bnn", 0.36, epochs=200)]
    two_changes = [line("bnn", 0.34, epochs=200, residual="codes")]
    (note,) = distance_notes(qat.summaries(ROWS, [*longer, *two_changes]))
    assert note.endswith("with epochs 200 it is +27.0 (n = 1).")


def test_where_one_condition_is_not_enough_one_more_is_changed_and_each_is_told() -> None:
    """The row is at +34.0, the reference at +25.5: 200 epochs leave 3.5 points of that."""
    longer = [line("fp32", 0.09, epochs=200), line("bnn", 0.38, epochs=200)]
    both = [line("bnn", 0.35, epochs=200, residual="codes")]
    (note,) = distance_notes(qat.summaries(ROWS, [*longer, *both]))
    assert note.endswith("200 it is +29.0 (n = 1), and besides with residual codes it is +26.0 (n = 1).")
    other_way = [line("bnn", 0.49, residual="codes")]  # which alone leads away
    (note,) = distance_notes(qat.summaries(ROWS, [*other_way, *both, longer[0]]))
    assert note.endswith("codes it is +35.0 (n = 1), and besides with epochs 200 it is +26.0 (n = 1).")
    (note,) = distance_notes(qat.summaries(ROWS, [*both, longer[0]]))  # nothing is recorded on the way
    assert "unexplained" in note
    narrow = {"epochs": 200, "width": 8}  # with the codes two changes from the one that is recorded
    three = [line("bnn", 0.35, residual="codes", **narrow), line("fp32", 0.09, **narrow)]
    (note,) = distance_notes(qat.summaries(ROWS, [*longer, *three]))
    assert "unexplained" in note


def test_an_optimizer_comes_with_its_learning_rate() -> None:
    adam = {"optimizer": "adam", "learning_rate": 0.002}
    others = [line("fp32", 0.20, **adam), line("bnn", 0.46, **adam)]
    (note,) = distance_notes(qat.summaries(ROWS, others))
    assert note.endswith("with optimizer adam it is +26.0 (n = 1).")
    (note,) = distance_notes(qat.summaries(ROWS, [row | {"learning_rate": 0.01} for row in others]))
    assert "unexplained" in note


def test_an_experiment_beyond_the_reference_is_told_as_one() -> None:
    """The row is at +34.0, the reference at +25.5."""
    adam = {"optimizer": "adam", "learning_rate": 0.002}
    others = [line("fp32", 0.16, **adam), line("bnn", 0.33, **adam)]
    (note,) = distance_notes(qat.summaries(ROWS, others))
    assert note.endswith("with optimizer adam it is +17.0 (n = 1), on the other side of the reference's.")
    nearer = [line("fp32", 0.09, epochs=200), line("bnn", 0.36, epochs=200)]
    (note,) = distance_notes(qat.summaries(ROWS, [*others, *nearer]))
    assert note.endswith("with epochs 200 it is +27.0 (n = 1).")


@pytest.mark.parametrize(
    "others",
    [
        [line("bnn", 0.36, epochs=200)],  # beside no float32 of as many epochs
        [line("fp32", 0.09, epochs=200), line("bnn", 0.50, epochs=200)],  # as far off as before
        [line("bnn", 0.36, epochs=200, residual="codes"), line("fp32", 0.09, epochs=200)],  # two changes
        [line("fp32", 0.09, epochs=200), line("bnn", None, epochs=200)],  # diverged
    ],
)
def test_nothing_else_does(others: list[dict[str, Any]]) -> None:
    (note,) = distance_notes(qat.summaries(ROWS, others))
    assert "unexplained" in note


def test_images_of_another_size_are_not_compared() -> None:
    assert all(s.distance is None for s in qat.summaries([row | {"in_shape": [3, 16, 16]} for row in ROWS]))


def test_float32_that_started_from_weights_was_taught_or_saw_other_images_is_not_beside_it() -> None:
    """A record that another study shares, or a folder that images were added to."""
    others = {"init": "a" * 8, "distill": "3:0.3", "skip_heads": 0.5, "contents": "of other images"}
    strangers = [line("fp32", 0.05, **{name: value}) for name, value in others.items()]
    plain, among = qat.summaries(ROWS), qat.summaries(ROWS, strangers)
    assert [summary.distance for summary in among] == [summary.distance for summary in plain]
