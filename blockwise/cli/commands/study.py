"""``run.py study NAME``: the reference study's experiments."""

from collections.abc import Sequence

from blockwise.cli.commands import Command
from blockwise.system.exit_codes import FITS
from devices.errors import InputError, unknown_name

STUDIES: dict[str, Command] = {
    "integer": Command("study_integer", "training on integers alone beside float32 and QAT"),
    "memory": Command("study_memory", "the study's memory tables, and what a program needs beside them"),
    "qat": Command("study_qat", "every quantization method under one protocol"),
    "precision": Command("study_precision", "which bit width is best in a fixed memory"),
    "recipe": Command("study_recipe", "what the best block-local training is made of"),
}


def run(arguments: Sequence[str]) -> int:
    """Run the study that the first argument names."""
    if not arguments:
        raise InputError("study", got="no name", wanted=f"one of {', '.join(STUDIES)}", do="name one")
    name, *rest = arguments
    if name in ("-h", "--help"):
        print("usage: run.py study NAME [--flags]\n")
        print("\n".join(f"  {name:<12}{study.summary}" for name, study in STUDIES.items()))
        return FITS
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return STUDIES[name](rest)
