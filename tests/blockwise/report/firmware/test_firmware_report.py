"""Renderings of a check: verdicts, bytes, instructions that sum up, and the files."""

import json
import re
from dataclasses import replace

import pytest
from checked_firmware import CHECKED, COST, COUNTS, firmware_result
from rich.console import Console

from blockwise.firmware.check.agreement import Agreement, PhaseAgreement
from blockwise.firmware.check.checked import RunOfRam
from blockwise.firmware.check.compare import Compared, Difference
from blockwise.firmware.result import FirmwareResult
from blockwise.report.firmware import dumps, headline, render, write_all
from blockwise.report.firmware.agreement import agreement_rows
from blockwise.report.firmware.instructions import LISTED, instruction_rows
from blockwise.report.firmware.memory import memory_rows


@pytest.fixture
def result() -> FirmwareResult:
    return firmware_result()


def text(result: FirmwareResult) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(render(result))
    return capture.get()


def test_the_verdict_names_what_was_compared_and_how_often(result):
    assert (
        "equal. All that outlives a step has the bits of the simulation after each of 20 steps"
        in headline(result)
    )
    once = replace(result, checked=replace(CHECKED, steps=1, compared=Compared(1, None, missing=False)))
    assert "after 1 step," in headline(once)
    assert "written, not checked" in headline(replace(result, checked=None))


def test_a_difference_is_the_verdict_and_further_faults_follow(result):
    difference = Compared(3, Difference(2, "conv1.weight", 7, 5, 6, 4), missing=False)
    ram = (RunOfRam("SRAM", 0x2000_0000, 4096, 0x2000_0008, 4096),)
    wrong = replace(result, checked=replace(CHECKED, compared=difference, ram=ram))
    assert "not equal. SRAM has 4,096 bytes at 0x20000008 instead of" in headline(wrong)
    shown = " ".join(text(wrong).split())
    assert "conv1.weight[7] is 0x5 instead of 0x6 after step 2" in shown and "NOT equal" in shown


def test_bytes_stand_beside_what_was_planned(result):
    rows = {row[0]: row[1:4] for row in memory_rows(result, CHECKED)}
    assert rows == {
        "arena in SRAM": ("4,096", "4,096", "65,536"),
        "static data": ("-", "24", "8,192"),
        "stack": ("-", "300", "8,168"),
        "stack, bound": ("-", "-", "8,168"),
        "code and constants": ("~12,000", "12,345", "65,536"),
    }


def test_instructions_of_all_rows_sum_up_to_the_step(result):
    *rows, total = instruction_rows(COST)
    counts = [int(row[1].replace(",", "")) for row in rows]
    assert sum(counts) == int(total[1].replace(",", "")) == sum(COUNTS) + 17
    assert len(rows) == LISTED + 1 and counts[:LISTED] == sorted(COUNTS, reverse=True)[:LISTED]
    assert rows[0] == ("layer2 forward", "7,000", f"{700000 / (sum(COUNTS) + 17):.1f} %", "-", "-")
    assert rows[2][4] == "4.00"  # 400 instructions for 100 multiply-accumulates
    assert "about 0.177 ms" in total[0]  # 8,843 x 2 cycles at 100 MHz


def test_the_time_of_several_phases_is_told_as_that_of_a_step_of_each(result):
    assert "the step, about 0.177 ms" in text(result)  # 8,843 instructions of 2 cycles at 100 MHz
    assert "a step of each of 8 phases, about 0.177 ms" in text(replace(result, phases=8))


def test_it_says_of_which_step_instructions_are_told(result):
    """Without jumps that wait it is the first, however few steps are checked; else the one that does all."""
    few = replace(CHECKED, compared=replace(CHECKED.compared, steps=3))
    assert "the first of each of 8 phases" in text(replace(result, phases=8, checked=few))
    waiting = replace(result, regime="niti4-jump-local", config=result.config | {"jump_every": 4})
    assert "the first in which weights jump" in text(waiting)
    assert "Instructions of one step  the last" in text(replace(waiting, checked=few))


def test_an_emulator_that_counts_nothing_shows_no_instructions(result, tmp_path):
    bare = replace(result, checked=replace(CHECKED, cost=None))
    assert "Instructions" not in text(bare)
    written = write_all(bare, tmp_path)
    assert (
        {path.name for path in tmp_path.iterdir()}
        == {"result.json", "report.html"}
        == set(written.files.values())
    )


def test_the_files_hold_the_same_figures_and_the_picture(result, tmp_path):
    write_all(result, tmp_path)
    told = json.loads((tmp_path / "result.json").read_text())
    assert told == json.loads(dumps(replace(result, files=told["files"])))
    assert told["checked"]["cost"]["instructions"] == 8843 and told["checked"]["equal"] is True
    page = (tmp_path / "report.html").read_text("utf-8")
    assert 'aria-label="Instructions of one training step' in page and "layer2 forward" in page
    check_page(page)
    again = tmp_path / "again"
    again.mkdir()
    write_all(result, again)
    for name in told["files"].values():
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def check_page(page: str) -> None:
    """Its tables have the cells of the console's, and the instructions of every operation."""
    assert "<pre" not in page and not re.search(r'src=|href="[^#]|https?://', page)
    assert '<p class="verdict good">niti on ' in page
    tables = [
        [
            tuple(re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row))
            for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)
        ]
        for body in re.findall(r"<tbody>(.*?)</tbody>", page, re.S)
    ]
    memory, instructions = ([row for row in rows if row] for rows in tables)
    assert memory[0] == ("arena in SRAM", "equal, at 0x20000000", "4,096", "4,096", "65,536")
    assert [row[0] for row in memory] == [row[0] for row in memory_rows(firmware_result(), CHECKED)]
    assert sorted(int(row[1].replace(",", "")) for row in instructions) == sorted(COUNTS)
    assert "The step: 8,843 instructions, 17 of them between operations; about 0.177 ms" in page


def test_every_fault_stands_on_the_page_as_far_as_the_console_shows_it(result, tmp_path):
    ram = tuple(RunOfRam(f"R{i}", 0x2000_0000, 4096, 0x2000_0008, 4096) for i in range(11))
    sizes = tuple(replace(result.ram[0], name=run.name) for run in ram)
    wrong = replace(result, ram=sizes, checked=replace(CHECKED, ram=ram))
    write_all(wrong, tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert '<p class="verdict bad">' in page
    assert page.count("<li>R") == 7 and "<li>and 3 more: result.json has them all</li>" in page


def test_without_a_check_there_is_only_the_json(result, tmp_path):
    write_all(replace(result, checked=None), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_step_beside_pytorchs_is_part_of_verdict_table_and_files(result):
    phases = (
        PhaseAgreement(0, "conv1", 2e-7, 0.0, 4000, 1, 3, "conv1.norm.running"),
        PhaseAgreement(1, "conv2", 4e-5, 1e-5, 5000, 2, 0, "conv2.weight"),
    )
    near = replace(result, checked=replace(CHECKED, agreement=Agreement(phases[:1], 2)))
    assert headline(near).endswith(
        "One step is within 1e-05 of its update from PyTorch's, 1 of 4,000 codes flipped."
    )
    both = replace(result, checked=replace(CHECKED, agreement=Agreement(phases, 2)))
    assert "each phase is within rounding errors from PyTorch's, 3 of 9,000 codes" in headline(both)
    assert agreement_rows(both.checked.agreement) == [
        ("conv1", "2.0e-07", "4,000", "1", "3", "conv1.norm.running"),
        ("conv2", "4.0e-05", "5,000", "2", "0", "conv2.weight; PyTorch's own rounding: 1.0e-05"),
    ]
    assert "One step beside PyTorch's" in text(both)
    told = json.loads(dumps(both))["checked"]["agreement"]
    assert told["within"] is True and told["phases"][1]["share"] == 4e-5 and told["share_limit"] == 1e-5
    far = Agreement((replace(phases[0], share=None),), 2)
    wrong = replace(result, checked=replace(CHECKED, agreement=far))
    assert "not equal. one step of conv1 is no number from PyTorch's" in headline(wrong)
    assert json.loads(dumps(wrong))["checked"]["agreement"]["within"] is False
