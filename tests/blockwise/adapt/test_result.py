"""What trials say together: means over people, paired differences, samples needed."""

import html
import re

import pytest

from blockwise.adapt.result import AdaptResult, environment_of, needed, rows_of
from blockwise.report.adapting import HEADINGS, cells, facts, verdict, write_page
from blockwise.statistics.spread import Spread


def record(way: str, person: str, before: float, after: float | None, **other: object) -> dict[str, object]:
    common = {
        "way": way, "person": person, "regime": way, "before": before, "after": after, "others_before": 0.8,
        "others_after": 0.7, "curve": [[100, 0.5], [200, after or 0.0]], "peak_bytes": 1000, "fits": True,
        "macs_per_step": 10, "macs": 400, "steps": 40, "instructions": None,
        "step_seconds": 0.5, "time_basis": "products", "network": "cnn1d, width 8",
    }  # fmt: skip
    return {**common, **other}


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
    assert bp.after == Spread(pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4), 2)
    assert bp.reference is None
    assert (bp.seconds, bp.time_basis) == (20.0, "products")
    assert bp.forgetting is not None and bp.forgetting.difference.mean == pytest.approx(0.1)
    assert (local.people, local.diverged, local.fits, local.peak_bytes) == (2, 1, False, 2000)
    assert local.after == Spread(0.8, None, 1)
    assert local.reference is not None and local.reference.difference.mean == pytest.approx(-0.1)
    assert rows_of([record("zo", "1", 0.5, None)])[0].after is None


def test_the_environment_is_that_of_the_trials_and_where_they_differ_all_of_theirs() -> None:
    places = ({"torch": "2", "accelerator": name} for name in ("cpu", "H100", "cpu"))
    found = environment_of([{"environment": place} for place in places])
    assert found == {"torch": "2", "accelerator": "cpu, H100"}


def told(**accuracies: tuple[float, ...]) -> AdaptResult:
    """Ways with what three people reach after."""
    records = [
        record(way, str(person), 0.5, after)
        for way, found in accuracies.items()
        for person, after in enumerate(found)
    ]
    said = {"board": "", "precision": "", "split": "", "adapting": "", "margin": 0.02}
    return AdaptResult(rows_of(records), ("0", "1", "2"), said, {})


def test_the_most_accurate_way_is_the_best_only_where_people_tell_it_from_all_others():
    close = told(bp=(0.9, 0.8, 0.7), local=(0.88, 0.83, 0.6), zo=(0.5, 0.4, 0.32))
    assert close.standing is not None
    assert (close.standing.leader, close.standing.ties) == ("bp", ("local",))
    assert "; 1 of 2 others tie with it;" in verdict(close)
    assert facts(close)["Ranking"].startswith("bp has the lowest error; a tie with it: local (paired t-tests")
    clear = told(bp=(0.9, 0.8, 0.7), zo=(0.5, 0.4, 0.32))
    assert "tie" not in verdict(clear) and "bp is the best of 2" in facts(clear)["Ranking"]


@pytest.mark.parametrize(
    ("bp", "says"),
    [
        (0.94, "bp is the most accurate of those that fit, and adapting changes it by -0.9 points; niti, "),
        (0.96, "bp is the most accurate of those that fit: +1.1 points"),
    ],
)
def test_a_way_that_begins_higher_may_be_the_most_accurate_and_gain_less(bp, says):
    records = [record("bp", person, 0.95, bp + i / 1000) for i, person in enumerate("abc")]
    records += [record("niti", person, 0.7, 0.9 + i / 1000) for i, person in enumerate("abc")]
    said = {"board": "", "precision": "", "split": "", "adapting": "", "margin": 0.02}
    found = verdict(AdaptResult(rows_of(records), ("a", "b", "c"), said, {}))
    assert found.startswith(says)


def test_the_page_has_the_verdict_and_a_row_for_each_way(tmp_path):
    result = told(bp=(0.9, 0.91, 0.92), local=(0.7, 0.72, 0.71))
    write_page(result, tmp_path / "report.html")
    page = html.unescape((tmp_path / "report.html").read_text("utf-8"))
    assert "<pre" not in page and not re.search(r"(src|href)=|https?://", page)
    assert f">{verdict(result)}</p>" in page
    assert page.count('<th scope="col">') == len(HEADINGS)
    for row in result.rows:
        assert f'<th scope="row">{row.way}</th>' + "".join(f"<td>{c}</td>" for c in cells(row)[1:]) in page
