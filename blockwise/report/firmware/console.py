"""What a check found, on the terminal: the verdict first, then bytes and instructions."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from blockwise.experiment.result import DataInfo
from blockwise.firmware.check.checked import Checked
from blockwise.firmware.result import FirmwareResult
from blockwise.report.console import footnote, labelled, title
from blockwise.report.facts import board, network, part
from blockwise.report.firmware.agreement import agreement_note, agreement_table, agreement_words
from blockwise.report.firmware.instructions import instruction_table, pace_note
from blockwise.report.firmware.memory import memory_table, trace_line
from blockwise.report.text import shape
from devices.program.regimes import find

MOST_FAULTS = 8
"""Lines of what is wrong that are shown; the first is the cause of most others."""


def headline(result: FirmwareResult) -> str:
    """The verdict in a sentence."""
    checked = result.checked
    what = f"{result.regime} on {result.device.title}"
    if checked is None:
        return f"{what}: written, not checked."
    if not checked.equal:
        return f"{what}: not equal. {checked.wrong[0]}."
    steps = "1 step" if checked.steps == 1 else f"each of {checked.steps:,} steps"
    count = checked.compared.predictions
    classes = f", the class of each of {count} test images as well" if count else ""
    pytorch = f" {agreement_words(checked.agreement)}" if checked.agreement else ""
    return (
        f"{what}: equal. All that outlives a step has the bits of {result.reference} after {steps}{classes}, "
        f"and every run of RAM its planned bytes.{pytorch}"
    )


def render(result: FirmwareResult, folder: Path | None = None) -> RenderableType:
    """The whole report. ``folder`` is where project and renderings lie."""
    checked = result.checked
    assert checked is not None  # there is nothing to report of what was not checked
    parts: list[RenderableType] = [
        labelled(facts(result, checked)), _verdict(result, checked),
        title("Memory", "bytes; planned, and in the program that ran"), memory_table(result, checked),
    ]  # fmt: skip
    if checked.trace:
        parts.append(footnote(trace_line(checked.trace)))
    if checked.agreement:
        parts += [title("One step beside PyTorch's"), agreement_table(checked.agreement)]
        parts.append(footnote(agreement_note(checked.agreement)))
    if checked.cost:
        note = _which_step(result, checked)
        parts += [title("Instructions of one step", note), instruction_table(checked.cost, result.phases)]
        parts.append(footnote(pace_note(checked.cost)))
    return Group(*parts, Padding(labelled(ends(result, folder)), (1, 0, 0, 0)))


def _which_step(result: FirmwareResult, checked: Checked) -> str:
    """In words, of which step instructions are told: the first that does all that there is to do."""
    waits = result.config.get("jump_every", 1) if find(result.regime).jumps else 1
    first = "the first"
    if waits > 1:
        all_wait = checked.compared.steps < waits * result.phases
        first = "the last" if all_wait else "the first in which weights jump"
    return first if result.phases == 1 else f"{first} of each of {result.phases} phases, together"


def facts(result: FirmwareResult, checked: Checked) -> dict[str, str]:
    """Label -> line."""
    weights = (
        f"weights of {result.weights_from}" if result.weights_from else f"first weights of seed {result.seed}"
    )
    trained = part(result.config)
    return {
        "Board": board(result.device),
        "Network": network(result.model),
        "Data": _data(result.data, result.model.in_shape),
        "Training": f"{result.regime}, batch {result.batch_size}, {weights}",
        **({"Trained": trained} if trained else {}),
        "Tools": f"built by {checked.toolchain}, run by {checked.emulator}: {checked.proves}",
    }  # fmt: skip


def _data(data: DataInfo, in_shape: tuple[int, ...]) -> str:
    return f"{data.name}, {shape(in_shape)}, {data.train:,} training images in the order of the run"


def more_faults(checked: Checked) -> list[str]:
    """What is wrong beside the first fault, as far as it is shown."""
    rest = checked.wrong[1:MOST_FAULTS]
    more = len(checked.wrong) - 1 - len(rest)
    return [*rest, *([f"and {more:,} more: result.json has them all"] if more > 0 else [])]


def _verdict(result: FirmwareResult, checked: Checked) -> Panel:
    top = Text(headline(result), style="bold green" if checked.equal else "bold red")
    items = Table.grid(padding=(0, 1, 0, 0))
    for line in more_faults(checked):
        items.add_row(Text("-"), Text(line))
    body = Group(top, items) if items.row_count else top
    return Panel(body, title=Text(" Verdict "), title_align="left", padding=(0, 1))


def ends(result: FirmwareResult, folder: Path | None = None) -> dict[str, str]:
    """When it ran, on what, and which files hold it."""
    versions = [f"{name} {value}" for name, value in result.environment.items() if value]
    lines = {"Run": ", ".join([result.created, *versions])}
    if result.files:
        where = f" in {folder}" if folder else ""
        lines["Files"] = f"{', '.join(result.files.values())}, beside the project{where}"
    return lines
