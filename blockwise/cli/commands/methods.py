"""``run.py methods``: the catalogue of quantization methods."""

from collections.abc import Sequence

from blockwise import report
from blockwise.cli import flags
from blockwise.cli.commands.no_options import NoOptions
from blockwise.system.exit_codes import FITS

DESCRIPTION = "List the quantization methods: what they quantize, to which bits, and where they come from."


def run(arguments: Sequence[str]) -> int:
    """Print the catalogue."""
    flags.parse(NoOptions(), arguments, prog="run.py methods", description=DESCRIPTION)
    report.show_table(report.methods_table())
    return FITS
