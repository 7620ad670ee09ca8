"""Seeds of one training: what is a mean, and who lost the way."""

import pytest

from blockwise.report.spreads import error_words
from blockwise.studies.errors import errors_of


def lines(*errors: float | None, **others: object) -> list[dict[str, object]]:
    common = {"images": [100, 10, 1000], "classes": 10} | others
    return [common | {"seed": seed, "test_error": error} for seed, error in enumerate(errors)]


def test_what_diverged_has_no_error_and_what_is_at_chance_is_in_the_mean() -> None:
    found = errors_of(lines(0.1, None, 0.2, 0.91))
    assert found.by_seed == {0: 0.1, 2: 0.2, 3: 0.91}
    assert (found.runs, found.diverged, found.at_chance) == (4, 1, 1)
    assert found.spread is not None and found.spread.mean == pytest.approx(0.4033, abs=5e-5)
    assert error_words(found) == "40.3 ± 44.2%, 1 diverged, 1 at chance"
    assert error_words(errors_of(lines(None, None))) == "diverged"
    assert error_words(errors_of(lines(0.25))) == "25.0%"


def test_lines_that_do_not_tell_their_classes_are_not_judged() -> None:
    assert errors_of(lines(0.9, classes=0)).at_chance == 0
    older = [{"seed": 0, "test_error": 0.9}]
    assert errors_of(older).at_chance == 0 and errors_of(older).images == 0
