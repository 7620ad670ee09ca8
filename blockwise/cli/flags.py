"""Flags from dataclasses (tyro), with every complaint of the parser in one line."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import is_dataclass
from itertools import takewhile
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro

from devices.errors import InputError

Options = TypeVar("Options")
ONE_OF_A_KIND: dict[Any, str] = {int: "a whole number", float: "a number"}
MODULE = Path(__file__).parents[1] / "__main__.py"
"""What Python runs for ``python -m blockwise``."""
SEVERAL_OF_A_KIND: dict[Any, str] = {int: "whole numbers", float: "numbers"}


def parse(default: Options, arguments: Sequence[str], *, prog: str, description: str) -> Options:
    """``default`` with the fields that ``arguments`` set. Raises InputError for bad usage.

    ``--help`` prints the flags and raises SystemExit.
    """
    check(arguments)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                type(default), prog=_started_as(prog), description=description, args=list(arguments),
                default=default, config=(tyro.conf.OmitArgPrefixes,),
            )  # fmt: skip
    except SystemExit as stop:
        if not stop.code:
            raise  # --help
        raise bad_usage(complaint.getvalue(), type(default), arguments) from None


def _started_as(prog: str) -> str:
    """``prog`` as the user started it: by run.py, as the installed command, or as a module."""
    started = Path(sys.argv[0])
    if started == MODULE:
        return prog.replace("run.py", "python -m blockwise")
    return prog.replace("run.py", "blockwise") if started.stem == "blockwise" else prog


def several(arguments: Sequence[str], flag: str) -> tuple[list[str], tuple[str, ...]]:
    """``arguments`` with no more than the first value of ``flag``, and its other values."""
    places = [place for place, argument in enumerate(arguments) if argument.partition("=")[0] == flag]
    if not places:
        return [*arguments], ()
    first = places[0] + (1 if "=" in arguments[places[0]] else 2)
    others = tuple(takewhile(lambda argument: not argument.startswith("-"), arguments[first:]))
    return [*arguments[:first], *arguments[first + len(others) :]], others


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


def bad_usage(complaint: str, options: type, arguments: Sequence[str]) -> InputError:
    """The parser's boxed complaint about ``arguments``, flags of ``options``, as an error in one line."""
    text = " ".join(re.sub(r"[─-╿]|\x1b\[[0-9;]*m|-{4,}", " ", complaint).split())
    see = "see --help"
    if unknown := re.search(r"Unrecognized options: (\S+?)(?=[,\s]|$)", text):
        near = re.search(r"Perhaps you meant: (--[\w-]+)", text) or re.search(r"similar.*?(--[\w-]+)", text)
        do = f"did you mean {near[1]}? {see}" if near else see
        return InputError("command line", got=repr(unknown[1]), wanted="flags that exist", do=do)
    if wrong := re.search(r"(?:Missing value for argument|Error parsing) '?(--[\w-]+)", text):
        got = _given(wrong[1], arguments)
        return InputError(
            wrong[1], got=repr(got) if got else "no value", wanted=_kind(wrong[1], options), do=see
        )
    if absent := re.search(r"Required options.*?: (?:([A-Z]\w*)|(--[\w-]+) \S+) (.+?)\.? \(required\)", text):
        what = absent[3] if absent[3][:2].isupper() else absent[3][0].lower() + absent[3][1:]
        return InputError(absent[1] or absent[2], got="nothing", wanted=f"the {what}", do=see)
    return InputError(
        "command line", got=text.removeprefix("Parsing error ").split(" For full helptext")[0],
        wanted="flags that exist, with their values", do=see,
    )  # fmt: skip


def _given(flag: str, arguments: Sequence[str]) -> str:
    """The values behind a flag, as they were typed."""
    values: list[str] = []
    inside = False
    for argument in arguments:
        name, _, value = argument.partition("=")
        if argument.startswith("--"):
            inside = name.replace("_", "-") == flag
            values += [value] if inside and value else []
        elif inside:
            values.append(argument)
    return " ".join(values)


def _kind(flag: str, options: type) -> str:
    """In words, what a flag of ``options`` or of its groups takes."""
    hint = _hints(options).get(flag.removeprefix("--").replace("-", "_"))
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if _is_union(hint) else [hint]
    items = get_args(kinds[0])
    if not items:
        return ONE_OF_A_KIND.get(kinds[0], "a value")
    several = SEVERAL_OF_A_KIND.get(items[0], "values")
    return several if Ellipsis in items else f"{len(items)} {several}"


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _hints(options: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(options).items():
        found |= _hints(hint) if is_dataclass(hint) and isinstance(hint, type) else {name: hint}
    return found
