"""Flags from dataclasses (tyro), with every complaint of the parser in one line."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import TypeVar

import tyro

from devices.errors import InputError

Options = TypeVar("Options")


def parse(default: Options, arguments: Sequence[str], *, prog: str, description: str) -> Options:
    """``default`` with the fields that ``arguments`` set. Raises InputError for bad usage.

    ``--help`` prints the flags and raises SystemExit.
    """
    check(arguments)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                type(default), prog=prog, description=description, args=list(arguments), default=default,
                config=(tyro.conf.OmitArgPrefixes,),
            )  # fmt: skip
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        raise bad_usage(complaint.getvalue()) from None


def check(arguments: Sequence[str]) -> None:
    """Raise InputError for what the parser takes in silence: an empty value, a flag given twice."""
    given: set[str] = set()
    flag = "command line"
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("--"):
            flag = "--" + name[2:].replace("_", "-").removeprefix("no-")
            if flag in given:
                raise InputError(
                    flag, got="the flag twice", wanted="each flag once",
                    do="name it once, all its values behind it",
                )  # fmt: skip
            given.add(flag)
        if not argument or (argument.startswith("--") and equals and not value):
            raise InputError(flag, got="nothing", wanted="a value", do="name one, or leave the flag out")


def bad_usage(complaint: str) -> InputError:
    """The parser's boxed complaint as an error in one line."""
    text = " ".join(re.sub(r"[─-╿]|\x1b\[[0-9;]*m|-{4,}", " ", complaint).split())
    see = "see --help"
    if unknown := re.search(r"Unrecognized options: (\S+?)(?=[,\s]|$)", text):
        near = re.search(r"Perhaps you meant: (--[\w-]+)", text) or re.search(r"similar.*?(--[\w-]+)", text)
        do = f"did you mean {near[1]}? {see}" if near else see
        return InputError("command line", got=repr(unknown[1]), wanted="flags that exist", do=do)
    if bare := re.search(r"Missing value for argument '(--[\w-]+)", text):
        return InputError(bare[1], got="no value", wanted="one behind the flag", do=see)
    if absent := re.search(r"Required options.*?: ([A-Z]\w*|--[\w-]+) ", text):
        return InputError(absent[1], got="nothing", wanted="a value", do=see)
    if wrong := re.search(
        r"Error parsing (--[\w-]+): (.*?)(?: Argument helptext.*| For full helptext.*)?$", text
    ):
        value = re.search(r"from \['(.*?)'\]|: '(.*?)'", wrong[2])
        got = repr(value[1] or value[2]) if value else wrong[2]
        wanted = (
            "a whole number"
            if "int()" in wrong[2]
            else "a number"
            if "float" in wrong[2].lower()
            else "a value"
        )
        return InputError(wrong[1], got=got, wanted=wanted, do=see)
    return InputError(
        "command line", got=text.removeprefix("Parsing error ").split(" For full helptext")[0],
        wanted="flags that exist, with their values", do=see,
    )  # fmt: skip
