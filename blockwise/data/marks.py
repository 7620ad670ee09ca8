"""What arrays say of samples: the class of each, and whose it is, by number or name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blockwise.system.lists import first_few
from blockwise.system.notes import note
from devices.errors import InputError

Array = npt.NDArray[Any]
Source = Path | str
PARTS = ("train", "test")


def coded(source: Source, found: Mapping[str, Array]) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Names of the classes, in the order of the training labels, and labels 0 to n-1 by part.

    Notes labels that were others. Raises InputError for labels that are none, and test labels that training
    lacks.
    """
    given = _marks(source, "y", found, "store classes by number or name")
    known = np.unique(given["train"])
    names = _names(known)
    if len(known) < 2:
        got, do = f"{len(known)} class", "add samples of others"
        raise wrong(source, "y_train", got, "at least two to tell apart", do)
    unknown = np.setdiff1d(given.get("test", known), known)
    if len(unknown):
        got, wanted = (
            f"label {_names(unknown)[0]}, which y_train lacks",
            f"only labels of y_train ({first_few(names)})",
        )
        raise wrong(source, "y_test", got, wanted, "add such training samples")
    if known.dtype.kind not in "US" and not np.array_equal(known, np.arange(len(known))):
        note(f"data {source}: labels {first_few(names)} become 0 to {len(known) - 1}")
    return names, _numbers(known, given)


def grouped(source: Source, found: Mapping[str, Array]) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Names of the groups, and their numbers by part; nothing where none are given.

    Notes groups in both parts. Raises InputError for what numbers or names no groups.
    """
    given = _marks(source, "group", found, "store whose recording each sample is")
    if not given:
        return (), {}
    known = np.unique(np.concatenate(list(given.values())))
    if len(given) == len(PARTS):
        tell_shared(source, _names(np.intersect1d(given["train"], given["test"])))
    return _names(known), _numbers(known, given)


def tell_shared(source: Source, names: Sequence[str]) -> None:
    """Note groups in both parts, if there are any."""
    if names:
        groups = f"{len(names)} groups stand" if len(names) > 1 else "1 group stands"
        note(f"data {source}: {groups} in both training and test: {first_few(names)}")


def wrong(source: Source, name: str, got: str, wanted: str, do: str) -> InputError:
    """The error for the array ``name``."""
    return InputError(f"data {source}: {name}", got=got, wanted=wanted, do=do)


def _marks(source: Source, kind: str, found: Mapping[str, Array], do: str) -> dict[str, Array]:
    """The arrays of a kind by part, each one number or name (N,) a sample."""
    given = {part: found[f"{kind}_{part}"] for part in PARTS if f"{kind}_{part}" in found}
    for part, marks in given.items():
        name = f"{kind}_{part}"
        if marks.ndim != 1 or marks.dtype.kind not in "buifUS":
            raise wrong(
                source, name, f"{marks.dtype} {marks.shape}", "a number or name (N,) for each sample", do
            )
        if marks.dtype.kind == "f" and not (marks % 1 == 0).all():
            raise wrong(source, name, "fractions", "whole numbers or names", do)
        first = given.get(PARTS[0], marks)
        if _kind(marks) != _kind(first):
            do = "store both alike"
            raise wrong(source, name, _kind(marks), f"{_kind(first)}, as {kind}_{PARTS[0]} has", do)
    return given


def _kind(marks: Array) -> str:
    return {"U": "names", "S": "names as bytes"}.get(marks.dtype.kind, "numbers")


def _names(marks: Array) -> tuple[str, ...]:
    if marks.dtype.kind == "S":
        return tuple(mark.decode("utf-8", "backslashreplace") for mark in marks.tolist())
    whole = marks.astype(np.int64) if marks.dtype.kind == "f" else marks
    return tuple(str(mark) for mark in whole.tolist())


def _numbers(known: Array, given: Mapping[str, Array]) -> dict[str, Array]:
    return {part: np.searchsorted(known, marks).astype(np.int64) for part, marks in given.items()}
