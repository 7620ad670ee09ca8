"""What the command line's exit code tells."""

from devices.errors import USAGE_EXIT_CODE

FITS = 0
"""At least one regime fits the board; for other commands: done."""
FAILED = 1
"""A failure while running: among them, every training diverged."""
BAD_USAGE = USAGE_EXIT_CODE
"""Bad usage or bad input."""
NONE_FITS = 3
"""Nothing fits the board."""
INTERRUPTED = 130
"""The shells' code for Ctrl-C."""
TERMINATED = 143
"""The shells' code for SIGTERM."""


def of(*, fits: bool, diverged: bool) -> int:
    """That of a comparison."""
    if diverged:
        return FAILED
    return FITS if fits else NONE_FITS
