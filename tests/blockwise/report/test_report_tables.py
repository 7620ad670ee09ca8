"""Rows of the tables: against every baseline, in the arena, and what was not trained again."""

import dataclasses

from rich.console import Console

from blockwise.experiment.result import Result
from blockwise.report.backpropagation import baseline_table, best_line
from blockwise.report.console import render
from blockwise.report.side_by_side import SideBySide
from blockwise.report.tables import (
    accuracy_table,
    batch_note,
    host_table,
    memory_table,
    one_by_one_note,
    same_bits_note,
)


def cells(table: SideBySide) -> dict[str, tuple[str, ...]]:
    return {row.label: row.cells for row in table.rows}


def baselines(result: Result) -> list[str]:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(baseline_table(result))
    return capture.get().splitlines()


def test_local_training_is_compared_with_plain_and_best_backpropagation(default: Result) -> None:
    rows = cells(memory_table(default))
    assert rows["bp : regime"] == ("1.00x", "1.67x", "1.48x", "2.52x", "2.34x")
    assert rows["best bp : regime"] == ("0.60x", "1.00x", "0.89x", "1.51x", "1.41x")


def test_the_comparison_needs_no_baseline_among_the_regimes(default: Result) -> None:
    alone = dataclasses.replace(default, regimes=default.regimes[3:4])
    rows = cells(memory_table(alone))
    assert (rows["bp : regime"], rows["best bp : regime"]) == (("2.52x",), ("1.51x",))
    assert len([line for line in baselines(alone) if line.startswith("bp")]) == 5


def test_the_table_of_baselines_marks_the_lowest_peak_with_a_sign(default: Result) -> None:
    lines = baselines(default)
    (marked,) = [line for line in lines if "*" in line]
    assert marked.split()[:5] == ["bp-best", "*", "386.1", "over", "52.2"]
    assert best_line(default) == "* the lowest peak: best bp is bp-best, 386.1 KiB"


def test_of_equal_peaks_one_is_the_lowest(default: Result) -> None:
    twins = tuple(dataclasses.replace(b, peak_bytes=8) for b in default.baselines)
    assert sum("*" in line for line in baselines(dataclasses.replace(default, baselines=twins))) == 1


def test_a_baseline_without_a_place_is_neither_over_nor_fits(default: Result) -> None:
    small = dataclasses.replace(default.baselines[0], peak_bytes=1024)
    (line,) = [x for x in baselines(dataclasses.replace(default, baselines=(small,))) if "bp *" in x]
    assert "unplaced" in line
    short = dataclasses.replace(small, flash_missing_bytes=8)
    (line,) = [x for x in baselines(dataclasses.replace(default, baselines=(short,))) if "bp *" in x]
    assert "flash" in line


def test_an_arena_without_gaps_is_shown_in_three_rows(default: Result) -> None:
    rows = cells(memory_table(default))
    assert rows["arena"] == rows["total"]
    assert set(rows["arena's gap"]) == {"0 %"}
    assert rows["placed on board"] == ("no", "no", "no", "yes", "yes")
    assert "lowest possible" not in rows


def test_a_gap_says_whether_it_is_proven(obstructed: Result) -> None:
    rows = cells(memory_table(obstructed))
    assert rows["arena's gap"] == ("0 %", "66.79 %", "5.85 %", "0 %")
    assert rows["lowest possible"] == ("proven", "not proven", "proven", "proven")
    assert rows["placed on board"] == ("no", "no", "no", "yes")


def test_what_the_flash_cannot_hold_is_not_said_to_fit_at_another_batch(obstructed: Result) -> None:
    assert "312 KiB of usable RAM, not yet placed; the flash is too small for local-paged" in batch_note(
        obstructed
    )
    rows = cells(memory_table(obstructed))
    words = [row[3].split()[1] for name, row in rows.items() if name.startswith("at batch")]
    assert words == ["flash", "flash", "flash", "over"]  # 1, 8, 32, 128


def test_training_that_was_not_repeated_is_marked_and_explained(default: Result) -> None:
    rows = cells(accuracy_table(default))
    assert rows["test accuracy"] == ("91.12 %", "= bp 91.12 %", "88.74 %", "= local 88.74 %", "87.91 %")
    assert rows["validation"][1] == rows["validation"][0]
    assert [rows["training time"][i] for i in (1, 3)] == ["-", "-"]
    assert [rows["images/s"][i] for i in (1, 3)] == ["-", "-"]
    assert set(cells(host_table(default))["PyTorch tensors"][1::2]) == {"-"}
    assert same_bits_note(default) == ("same bits, trained once: bp-best as bp, local-paged as local")


def test_without_shared_training_there_is_no_note(four: Result) -> None:
    assert same_bits_note(four) == ""


def test_an_integer_regime_shows_its_accuracy_of_images_one_by_one(four: Result) -> None:
    assert "images one by one" not in cells(accuracy_table(four))
    assert one_by_one_note(four) == ""
    first, *others = four.regimes
    assert first.training is not None
    training = dataclasses.replace(first.training, test_accuracy_one_by_one=0.9475)
    scaled, constant = (
        dataclasses.replace(first, regime=r, training=training) for r in ("niti4", "nitro-local")
    )
    mixed = dataclasses.replace(four, regimes=(scaled, constant, *others))
    assert cells(accuracy_table(mixed))["images one by one"] == ("94.75 %", "94.75 %", *["-"] * len(others))
    assert "under niti4 the largest value" in one_by_one_note(mixed)
    assert one_by_one_note(dataclasses.replace(four, regimes=(constant, *others))) == ""
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(render(mixed))
    assert "images one by one, as a board sees them" in capture.get()
