"""Command lines of tests: a usual one with a few flags changed."""

from collections.abc import Sequence


def changed(arguments: Sequence[str]) -> list[str]:
    """The arguments with of each flag only the last, which the command line itself takes once."""
    groups: dict[str, list[str]] = {"": []}
    flag = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag = argument
            groups[flag] = []
        groups[flag].append(argument)
    return [argument for group in groups.values() for argument in group]
