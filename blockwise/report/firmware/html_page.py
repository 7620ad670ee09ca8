"""What a check found as a page: the verdict, bytes, agreement with PyTorch, instructions by operation."""

from blockwise.firmware.check.agreement import Agreement
from blockwise.firmware.check.checked import Checked, StepCost
from blockwise.firmware.result import FirmwareResult
from blockwise.report.firmware import agreement, instructions, memory
from blockwise.report.firmware.console import ends, facts, headline, more_faults
from blockwise.report.text import duration
from blockwise.report.web.drawings import inline
from blockwise.report.web.grids import Grid
from blockwise.report.web.tables_page import Section, Verdict, tables_page

LABEL = "Instructions of one training step by operation; the table below holds all of them."


def page(heading: str, result: FirmwareResult, checked: Checked, svg: str | None) -> str:
    """The page; ``svg`` is the picture of the instructions, where they were counted."""
    sections = [Section("Memory", _memory(result, checked))]
    if checked.agreement:
        sections.append(Section("One step beside PyTorch's", _agreement(checked.agreement)))
    if checked.cost:
        figure = {"figure": inline(svg, LABEL)} if svg else {}
        sections.append(Section("Instructions of one step", _instructions(result, checked.cost), **figure))
    verdict = Verdict(headline(result), checked.equal, tuple(more_faults(checked)))
    return tables_page(heading, verdict, facts(result, checked) | ends(result), sections)


def _memory(result: FirmwareResult, checked: Checked) -> Grid:
    what, *figures, how = memory.HEADINGS
    rows = ((name, remark, *counts) for name, *counts, remark in memory.memory_rows(result, checked))
    notes = (memory.trace_line(checked.trace),) if checked.trace else ()
    caption = "Bytes, planned and in the program that ran"
    return Grid(caption, (what or "tensors and program", how or "how", *figures), tuple(rows), 2, notes=notes)


def _agreement(found: Agreement) -> Grid:
    trained, *figures, where = agreement.HEADINGS
    rows = ((name, worst, *counts) for name, *counts, worst in agreement.agreement_rows(found))
    notes = (agreement.agreement_note(found),)
    return Grid("Each phase of the step", (trained, where, *figures), tuple(rows), 2, notes=notes)


def _instructions(result: FirmwareResult, cost: StepCost) -> Grid:
    """All operations, the largest first; what lies between them is told in the caption."""
    rows = tuple(instructions.row(cost, x.name, x.instructions, x.macs) for x in instructions.largest(cost))
    which = "The step" if result.phases == 1 else f"A step of each of {result.phases} phases"
    caption = (
        f"{which}: {cost.instructions:,} instructions, {cost.between:,} of them between operations; "
        f"about {duration(cost.seconds)}"
    )
    notes = (instructions.pace_note(cost),)
    return Grid(caption, instructions.HEADINGS, rows, 1, sortable=True, notes=notes)
