"""The flags of a command that has none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NoOptions:
    """Nothing but --help."""
