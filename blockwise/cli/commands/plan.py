"""``run.py plan``: the comparison of regimes without the training."""

from collections.abc import Sequence

from blockwise.cli.commands import compare

DRY_RUN = "--dry-run"


def run(arguments: Sequence[str]) -> int:
    """Plan as ``arguments`` say, flags of the comparison; returns its exit code."""
    given = {argument.replace("_", "-") for argument in arguments}
    return compare.run(arguments if DRY_RUN in given else [*arguments, DRY_RUN])
