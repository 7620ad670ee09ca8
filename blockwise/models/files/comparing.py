"""What was read from a file beside what the file itself computes at rest."""

from collections.abc import Callable

import torch
from torch import Tensor, fx

from blockwise.models.calls import AtRest
from blockwise.system.notes import note
from devices.errors import InputError

INPUTS = 2
"""As many are compared at the least: in one batch, or one by one where the file takes no other."""


def check_same(
    made: fx.GraphModule, values: Callable[[Tensor], Tensor], images: tuple[int, ...], subject: str,
    *, given: torch.dtype = torch.float32, precision: torch.dtype = torch.float32,
) -> None:  # fmt: skip
    """Compare ``made`` with the ``values`` that the file computes of ``images``, a shape with the batch.

    The file takes inputs of the type ``given`` and computes in ``precision`` at the least. What it cannot
    compute itself, as on a device that is not there, is told and not compared. Raises InputError for other
    values.
    """
    generator = torch.Generator().manual_seed(0)
    trained = made.training
    made.eval()
    for _ in range(-(-INPUTS // images[0])):
        x = (torch.randn(images, generator=generator) * (1 if given.is_floating_point else 99)).to(given)
        with torch.no_grad():
            try:
                expected = values(x).float()
            except Exception as error:  # of whatever stands in the file
                note(f"{subject} is not compared with its own values: {_words(error)}")
                break
            found = _found(made, x.float(), subject)
        if found.shape != expected.shape or not _close(found, expected, torch.finfo(precision).eps):
            raise InputError(
                subject, got="other values from its layers than from the file",
                wanted="operations that do what the layer of their name does",
                do="replace what is unusual in it and export it again",
            )  # fmt: skip
    made.train(trained)


def _found(made: fx.GraphModule, x: Tensor, subject: str) -> Tensor:
    try:
        found = AtRest(made).run(x)
    except Exception as error:  # of functions with arguments that they do not take
        raise InputError(
            subject, got=_words(error), wanted="operations of numbers and of maps that fit",
            do="replace what is unusual in it and export it again",
        ) from error  # fmt: skip
    assert isinstance(found, Tensor)
    return found


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def _close(found: Tensor, expected: Tensor, eps: float) -> bool:
    """To a thousandth of the largest, or what rounding in lower precision leaves."""
    share = max(1e-3, 16 * eps)
    largest = float(expected.nan_to_num(0, 0, 0).abs().max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=share, atol=share * largest, equal_nan=True)
