"""How one step of the C compares with PyTorch's, phase by phase."""

from rich.text import Text

from blockwise.firmware.check.agreement import LARGEST, MOST_FLIPS, ROUNDINGS, Agreement, PhaseAgreement
from blockwise.report.side_by_side import Ruled, ruled_table
from blockwise.report.text import ABSENT

HEADINGS = ("trained", "difference / update", "codes", "flipped", "masks", "largest in")


def agreement_table(agreement: Agreement) -> Ruled:
    """A row for each phase."""
    table = ruled_table()
    for index, heading in enumerate(HEADINGS):
        last = index == len(HEADINGS) - 1
        table.add_column(
            Text(heading, style="bold"),
            justify="left" if index in (0, len(HEADINGS) - 1) else "right",
            no_wrap=not last,
        )
    for cells in agreement_rows(agreement):
        table.add_row(*map(Text, cells))
    return Ruled(table)


def agreement_rows(agreement: Agreement) -> list[tuple[str, ...]]:
    """The cells of every row."""
    return [
        (
            phase.block or "all blocks", "no number" if phase.share is None else f"{phase.share:.1e}",
            f"{phase.codes:,}" if phase.codes else ABSENT, f"{phase.flips:,}" if phase.codes else ABSENT,
            f"{phase.masks:,}", f"{phase.worst}{_remark(phase)}",
        )
        for phase in agreement.phases
    ]  # fmt: skip


def _remark(phase: PhaseAgreement) -> str:
    if not phase.within:
        return ", BEYOND the limit"
    return f"; PyTorch's own rounding: {phase.rounding:.1e}" if phase.rounding else ""


def agreement_note(agreement: Agreement) -> str:
    """What was compared, and the limits."""
    return (
        f"from PyTorch's state behind {agreement.before} steps; limits {LARGEST:g} of the update, or "
        f"{ROUNDINGS} times what its own step of 32 bits is from that of 64, and {MOST_FLIPS:.1%} of the "
        "codes. Where a code or a mask hangs on the rounding of a sum, PyTorch takes the board's"
    )


def agreement_words(agreement: Agreement) -> str:
    """Of one that is within its limits, for the verdict."""
    share = agreement.worst.share
    within = f"{LARGEST:g} of its update" if share is not None and share <= LARGEST else "rounding errors"
    each = "One step" if len(agreement.phases) == 1 else "One step of each phase"
    flips = f", {agreement.flips:,} of {agreement.codes:,} codes flipped" if agreement.codes else ""
    return f"{each} is within {within} from PyTorch's{flips}."
