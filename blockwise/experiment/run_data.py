"""Whether a set is the one that a finished run was trained on: its files may have changed since."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from blockwise.data import Dataset
from blockwise.experiment.described import described
from devices.errors import InputError

WORDS = ("name", "augmentation", "groups")
"""What a result tells of its data in words; the rest are figures and classes."""


def check_own(images: Dataset, result: Mapping[str, Any], subject: str) -> None:
    """Raise InputError about ``subject`` unless ``images`` are what the run had, as far as it tells."""
    then = {"in_shape": result["model"]["in_shape"], **result["data"]}
    contents = images.contents if then.get("contents") else ""
    now = {"in_shape": images.in_shape, **asdict(described(images)), "contents": contents}
    for name, value in now.items():
        if name not in WORDS and name in then and _plain(value) != _plain(then[name]):
            raise InputError(
                f"{subject}: data {images.name}", got=f"{name.replace('_', ' ')} other than the run had",
                wanted="the samples that it was trained and tested on",
                do="put them back where they were, or train anew",
            )  # fmt: skip


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return list(value) if isinstance(value, tuple) else value
