"""Bytes as they were planned beside those of the program that ran."""

from rich.text import Text

from blockwise.firmware.check.checked import Checked
from blockwise.firmware.check.trace import Traced
from blockwise.firmware.result import FirmwareResult
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT

HEADINGS = ("", "planned", "measured", "of", "")


def memory_table(result: FirmwareResult, checked: Checked) -> Ruled:
    """A row for each run of RAM, for what shares the reserve, and for the flash."""
    table = ruled_table()
    for index, heading in enumerate(HEADINGS):
        table.add_column(
            Text(heading, style="bold"), justify="right" if 0 < index < 4 else "left", no_wrap=index < 4
        )
    for cells in memory_rows(result, checked):
        table.add_row(*map(Text, cells))
    return Ruled(table)


def memory_rows(result: FirmwareResult, checked: Checked) -> list[tuple[str, ...]]:
    """The cells of every row: what, planned, measured, how much there is, and a remark."""
    sizes = {run.name: run.size_bytes for run in result.ram}
    reserve, flash = checked.reserve, checked.flash
    room = f"{reserve.stack_room:,}"
    arenas = [
        (
            f"arena in {run.name}", f"{run.planned_bytes:,}", f"{run.bytes:,}", f"{sizes[run.name]:,}",
            f"{'equal' if run.equal else 'NOT equal'}, at {run.start:#010x}",
        )
        for run in checked.ram
    ]  # fmt: skip
    return [
        *arenas,
        ("static data", ABSENT, f"{reserve.statics:,}", f"{reserve.bytes:,}", "at the start of the reserve"),
        ("stack", ABSENT, _count(reserve.stack), room, "painted high-water mark"),
        ("stack, bound", ABSENT, _count(reserve.stack_bound), room, _proof(reserve.stack_bound)),
        (
            "code and constants", f"~{result.flash_estimate:,}", f"{flash.used:,}", f"{flash.bytes:,}",
            "of flash; planned by the number of operations",
        ),
    ]  # fmt: skip


def _count(number: int | None) -> str:
    return ABSENT if number is None else f"{number:,}"


def _proof(bound: int | None) -> str:
    return "no compiler proves one but gcc" if bound is None else "proven by the compiler's call graph"


def trace_line(trace: Traced) -> str:
    """How the loads and stores compare with the plan."""
    count = len(trace.live)
    right = count - sum(1 for moment in trace.live if moment.wrong)
    return (
        f"Live bytes by the loads and stores themselves: {right} of {count} operations as planned, at the "
        f"peak {trace.peak_bytes:,}; {len(trace.strangers)} touched what they do not name"
    )
