"""The console report: golden files, sums, widths, escape codes and encodings."""

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from blockwise.experiment.result import Result
from blockwise.report import make_console, named, print_report, show_table
from blockwise.report.bars import make_scale
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import KIB, broken, duration, gap, size, times
from blockwise.report.verdict import accuracy_sentence, headline
from devices.program.categories import CATEGORIES, NORM_AND_QUANTIZER

GOLDEN = Path(__file__).parent / "golden"
LINES_OF_A_FOLDER = 2
"""Where a run's files are and how to see all tables, if the folder is known."""
LABELS = [*(c for c in CATEGORIES if c != NORM_AND_QUANTIZER), "norm, quantizers"]


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(
    result: Result, width: int | None = None, encoding: str = "utf-8", terminal: bool = False,
    *, full: bool = True,
) -> str:  # fmt: skip
    kind = Terminal if terminal else io.TextIOWrapper
    stream = kind(io.BytesIO(), encoding=encoding, newline="")
    console = make_console(stream=stream)
    if width is not None:
        console.width = width
    print_report(result, console, full=full)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding)


def rows(report: str, label: str) -> list[float]:
    """The figures of the row called ``label``, in every table that has one."""
    lines = re.findall(rf"^{re.escape(label)}  +(.*)$", report, flags=re.MULTILINE)
    return [float(figure.replace(",", "")) for line in lines for figure in line.split()]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_first_screen_equals_its_golden_file(
    result: Result, scenario: str, width: int, request: pytest.FixtureRequest
) -> None:
    path = GOLDEN / f"screen_{scenario}_{width}.txt"
    report = printed(result, width, full=False)
    if request.config.getoption("--overwrite"):
        path.write_text(report, encoding="utf-8")
    assert report == path.read_text(encoding="utf-8")


def test_the_first_screen_is_no_longer_than_40_lines_of_80_columns(result: Result) -> None:
    report = printed(named(result), 80, full=False)
    assert len(report.splitlines()) <= 40 - LINES_OF_A_FOLDER


def test_the_first_screen_answers_what_a_new_user_asks(default: Result) -> None:
    """Does it fit; which tensor is in the way and when; how accurate; how much more work; what to change."""
    report = " ".join(printed(default, 80, full=False).replace("│", "").split())
    assert "2 of 5 regimes fit the board" in report
    assert "- bp: 91.5 KiB of latent weights of stage3 (164.2 in all) throughout; largest: stage3" in report
    assert "local-paged 88.74 % for 1.00x the work of bp; better: bp (91.12 %, does not fit)" in report
    assert "88.74 % (88.1-89.3)" in report
    assert "local-resident 3 x 20 41.0 4,612.5 1.00x" in report
    assert "smaller batches: the bytes of bp-best at batch 1" in report


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_every_regime_has_its_accuracy_and_its_work_at_every_width(default: Result, width: int) -> None:
    report = printed(default, width, full=False)
    for regime in default.regimes:
        lines = [line for line in report.splitlines() if line.startswith(f"{regime.regime} ")]
        assert sum("(" in line and "%" in line for line in lines) == 1
        assert sum("4,612.5" in line for line in lines) == 1
        assert max(map(len, report.splitlines())) <= width


def test_more_obstacles_than_have_room_are_counted(six: Result) -> None:
    over = tuple(dataclasses.replace(r, fits=False, peak_bytes=10**6) for r in six.regimes)
    crowded = dataclasses.replace(six, regimes=over)
    assert "and 2 more: --full" in printed(crowded, 80, full=False)
    assert printed(crowded, 80).count("latent weights of stage3") == 6


@pytest.mark.parametrize("width", [80, 120])
def test_the_report_equals_its_golden_file(
    result: Result, scenario: str, width: int, request: pytest.FixtureRequest
) -> None:
    path = GOLDEN / f"{scenario}_{width}.txt"
    report = printed(result, width)
    if request.config.getoption("--overwrite"):
        path.write_text(report, encoding="utf-8")
    assert report == path.read_text(encoding="utf-8")


def test_an_ascii_terminal_gets_its_golden_file(four: Result, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / "four_ascii_80.txt"
    report = printed(four, 80, "ascii")
    if request.config.getoption("--overwrite"):
        path.write_text(report, encoding="ascii")
    assert report == path.read_text(encoding="ascii")


def test_printed_category_rows_sum_to_the_printed_total(result: Result) -> None:
    report = printed(result, 120)
    columns = [rows(report, label) for label in LABELS]
    assert all(len(column) == len(result.regimes) for column in columns)
    rounding = 0.05 * (len(LABELS) + 1)
    sums = [sum(column) for column in zip(*columns, strict=True)]
    assert rows(report, "total") == pytest.approx(sums, abs=rounding)


def test_the_total_in_bytes_is_exact(result: Result) -> None:
    assert rows(printed(result, 120), "in bytes") == [regime.peak_bytes for regime in result.regimes]


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_console(result: Result, width: int) -> None:
    assert max(map(len, printed(result, width).splitlines())) <= width


def test_four_regimes_stand_side_by_side_at_80_columns(four: Result) -> None:
    lines = [line for line in printed(four, 80).splitlines() if line.startswith("in bytes")]
    assert [len(line.split()) for line in lines] == [2 + len(four.regimes)]


def test_more_regimes_than_fit_beside_each_other_are_rows_of_one_table(six: Result) -> None:
    report = printed(six, 80)
    for regime in six.regimes:
        assert f" {regime.peak_bytes:,}  " in report
    assert max(map(len, report.splitlines())) <= 80


def test_output_that_is_no_terminal_has_100_columns_and_no_escape_codes(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    report = printed(result)
    assert "\x1b" not in report
    assert max(map(len, report.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in report.splitlines())


def test_no_color_silences_a_terminal_too(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in printed(result, 80, terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(result, 80, terminal=True)


def test_names_that_the_encoding_lacks_do_not_end_the_report(four: Result) -> None:
    board = dataclasses.replace(four.device, title="Platine für Größeres")
    report = printed(dataclasses.replace(four, device=board), 80, "ascii")
    assert "Platine f?r Gr??eres" in report


def test_markup_in_names_is_printed_as_it_is(four: Result) -> None:
    odd = dataclasses.replace(four, assumptions=("[bold]weights[/bold] :smile:",))
    assert "[bold]weights[/bold] :smile:" in printed(odd)


def test_a_result_without_regimes_still_renders(four: Result) -> None:
    report = printed(dataclasses.replace(four, regimes=()))
    assert "No regime was compared." in report
    assert "bp-best *" in report


def test_a_dry_run_has_no_rows_of_accuracy(four: Result) -> None:
    dry = tuple(dataclasses.replace(r, training=None, host=None) for r in four.regimes)
    for full in (False, True):
        report = printed(dataclasses.replace(four, regimes=dry), full=full)
        assert "ccuracy" not in report and "epochs" not in report
        assert "This computer" not in report
        assert "MMAC/step" in report


def test_the_headline_counts_what_fits(result: Result, scenario: str) -> None:
    expected = {
        "four": "1 of 4 regimes fits",
        "dry": "1 of 4 regimes fits",
        "none_fits": "None of the 4 regimes fits",
        "all_fit": "All 4 regimes fit",
        "default": "2 of 5 regimes fit",
        "obstructed": "None of the 4 regimes fits",
        "single": "local does not fit",
    }
    assert headline(result).startswith(expected[scenario])


def test_what_is_to_spare_is_beside_the_reserve(default: Result) -> None:
    spare = 312 * KIB - default.regimes[3].peak_bytes
    assert f"(312 KiB of usable RAM): local-paged ({size(spare)} to spare)" in headline(default)
    whole = dataclasses.replace(default.device, reserve_bytes=0)
    unreserved = dataclasses.replace(default, device=whole)
    assert "(320 KiB of RAM)" in headline(unreserved)
    assert "reserved" not in printed(unreserved)


def test_equal_bits_are_not_called_better(default: Result) -> None:
    fitting = tuple(dataclasses.replace(r, fits=r.regime == "bp-best") for r in default.regimes)
    sentence = accuracy_sentence(dataclasses.replace(default, regimes=fitting))
    assert sentence == (
        "Test accuracy: bp-best 91.12 % (95 % interval 90.5 to 91.7 %) for 1.00x the work of bp, the best of "
        "all regimes."
    )


def test_the_bars_and_the_batches_count_what_the_reserve_leaves(four: Result) -> None:
    between = 316 * KIB
    regime = dataclasses.replace(
        four.regimes[0], peak_bytes=between, peak_by_batch={1: 312 * KIB, 8: between}
    )
    report = printed(dataclasses.replace(four, regimes=(regime,)))
    assert re.search(r"316\.0 +1\.01x +over", report)
    assert "RAM 320 KiB, 8 KiB reserved" in report
    assert re.search(r"^at batch 1 +312\.0 fits$", report, flags=re.MULTILINE)
    assert re.search(r"^at batch 8 +316\.0 over$", report, flags=re.MULTILINE)


@pytest.mark.parametrize("width", [60, 80])
def test_five_regimes_are_all_in_each_table_where_columns_have_no_room(default: Result, width: int) -> None:
    report = printed(default, width)
    for regime in default.regimes:
        assert f" {regime.peak_bytes:,}  " in report
    tables = report.count("KiB at the peak")
    assert tables > 1
    first = [line.split()[0] for line in report.splitlines() if line.startswith(("bp ", "local-paged "))]
    assert first.count("bp") >= tables and first.count("local-paged") >= tables
    assert max(map(len, report.splitlines())) <= width


def test_one_byte_too_many_is_drawn_beyond_the_limit() -> None:
    ram = 320 * KIB
    scale = make_scale([ram + 1], ram, 30)
    assert scale.filled(ram, ram)[1] == 0
    assert scale.filled(ram + 1, ram)[1] >= 1


def test_figures_are_spelled_with_care() -> None:
    assert (size(40), size(2048), size(2049)) == ("40 bytes", "2 KiB", "2.0 KiB")
    assert (times(6, 7), times(136, 10), times(1, 0)) == ("0.86x", "13.6x", "-")
    assert (gap(0.0), gap(0.0123), gap(0.00002)) == ("0 %", "1.23 %", "<0.01 %")
    assert (duration(0.9996), duration(59.97)) == ("1.0 s", "1 min 00 s")
    assert (duration(0.00097), duration(0.25), duration(0)) == ("0.97 ms", "250 ms", "0 ms")
    assert (duration(8.44), duration(725), duration(11_040)) == (
        "8.4 s",
        "12 min 05 s",
        "3 h 04 min",
    )
    assert broken("stage2.conv2 backward (weight)", 14) == "stage2.conv2\nbackward\n(weight)"
    assert broken("x" * 20, 14) == "x" * 14 + "\n" + "x" * 6


def wide_table() -> Ruled:
    table = ruled_table()
    for number in range(9):
        table.add_column(f"heading {number} of a study", justify="right")
    table.add_row(*(f"{number} ± 0.5 %" for number in range(9)))
    return Ruled(table)


def test_a_table_that_stands_alone_is_whole_in_a_pipe_however_wide_and_keeps_to_a_terminal() -> None:
    pipe, terminal = io.StringIO(), io.StringIO()
    show_table(wide_table(), "What it says.", "", console=make_console(stream=pipe))
    show_table(wide_table(), console=Console(file=terminal, force_terminal=True, color_system=None, width=80))
    head, _, row, note = pipe.getvalue().splitlines()
    assert [f"heading {number} of a study" in head for number in range(9)] == [True] * 9 and len(head) > 180
    assert row.split("   ")[-1].strip() == "8 ± 0.5 %" and row.count("±") == 9
    assert note == "What it says."
    assert max(map(len, terminal.getvalue().splitlines())) <= 80
