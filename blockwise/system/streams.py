"""What goes to the terminal: whatever its encoding, and before anything is written to a disk."""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


def tell_then_write(tell: Callable[[], None], write: Callable[[], object] | None) -> None:
    """Print an answer, then write it: a full disk must not lose the one, nor a closed pipe the other."""
    try:
        tell()
        sys.stdout.flush()
    finally:
        if write is not None:
            write()


def accept_any_text(stream: TextIO) -> None:
    """Let ``stream`` print what its encoding lacks instead of raising UnicodeEncodeError.

    UTF-8 lacks the lone surrogates of names that are not UTF-8: a backslash escape stands for them.
    Where there is less than Unicode, "?" stands for a character.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace" if is_utf(stream) else "replace")


def is_utf(stream: TextIO) -> bool:
    """Whether it prints all of Unicode."""
    return (getattr(stream, "encoding", None) or "").lower().startswith("utf")


def print_json(text: str) -> None:
    """Print JSON, with its own escapes for what stdout cannot print: it reads back as what it was."""
    lacking = r"[\ud800-\udfff]" if is_utf(sys.stdout) else r"[^\x00-\x7f]"
    print(re.sub(lacking, lambda found: json.dumps(found[0])[1:-1], text.removesuffix("\n")))


def as_text(name: str) -> str:
    """A name of a file system as text that everything can keep: escapes stand for what is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """``text`` with escapes for the control characters and lone surrogates that file names may hold."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def abandon_stdout() -> None:
    """Send the rest of stdout nowhere: what it holds would fail once more at the end of the process."""
    with suppress(OSError, ValueError, AttributeError):  # a stream without a descriptor holds nothing
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
