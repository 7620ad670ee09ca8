"""Errors a user can act on: one line each, with the exit code they lead to.

Only the command line prints them (:func:`blockwise.cli.main.main`); everything below raises.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any

NEAR = 0.6
"""Share of two names' letters that must agree for the one to be suggested for the other."""
USAGE_EXIT_CODE = 2
"""Exit code of bad usage or bad input."""


class InputError(Exception):
    """Bad input, told in one line: the subject, what it got, what it wanted, what to do next."""

    exit_code = USAGE_EXIT_CODE

    def __init__(self, subject: str, *, got: object, wanted: str, do: str) -> None:
        self.subject, self.got, self.wanted, self.do = subject, got, wanted, do
        super().__init__(f"{subject}: got {got}, wanted {wanted}; {do}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its parts, so that it can leave a worker process."""
        return partial(type(self), self.subject, got=self.got, wanted=self.wanted, do=self.do), ()


def unknown_name(subject: str, got: str, known: Iterable[str], do: str = "") -> InputError:
    """The error for a name that is in no catalogue: it names the nearest match and lists the rest."""
    names = sorted(known)
    near = get_close_matches(got.lower(), names, n=1, cutoff=NEAR)
    advice = do or (f"did you mean {near[0]!r}?" if near else "choose one of these")
    return InputError(subject, got=repr(got), wanted=f"one of {', '.join(names)}", do=advice)
