"""The quantizers of the catalogue, one case for each method, width and role, and tensors for them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from leaves import gradients_of

from blockwise import quant

Kind = type[quant.Quantizer]

QUICK_BITS = (1, 2, 3, 8, quant.FLOAT_BITS)
"""Widths of the quick tier: the least, the usual ones and the most; those between are in the whole."""


def kind(name: str, role: quant.Role) -> Kind:
    """The class of the method's quantizer of weights or of activations."""
    found = quant.method(name).quantizer(role)
    assert found is not None, f"{name} has no {role} quantizer"
    return found


def cases(
    where: Callable[[Kind], bool] = lambda kind: True,
    *,
    roles: tuple[quant.Role, ...] = quant.ROLES,
    quantizing: bool = True,
) -> list[Any]:
    """The cases whose quantizer's own facts are as ``where`` wants; fp32's too unless ``quantizing``."""
    return [
        pytest.param(
            entry.name,
            bits,
            role,
            id=f"{entry.name}-{bits}-{role}",
            marks=() if bits in QUICK_BITS else pytest.mark.slow,
        )
        for entry in quant.METHODS.values()
        for role in roles
        if entry.quantizer(role) is not None and where(kind(entry.name, role))
        for bits in entry.bits(role)
        if bits != 16 and not (quantizing and entry.name == "fp32")
    ]


def over(found: list[Any]) -> pytest.MarkDecorator:
    """Runs a test once for each of the cases."""
    return pytest.mark.parametrize(("name", "bits", "role"), found)


every = over(cases(quantizing=False))
every_quantizing = over(cases())
every_weight = over(cases(roles=("weight",), quantizing=False))


def new(name: str, bits: int, role: quant.Role, x: torch.Tensor) -> quant.Quantizer:
    """A fresh quantizer for tensors like ``x``, as it is deployed: no noise."""
    return quant.make(name, bits, role, tuple(x.shape) if role == "weight" else ()).eval()


def values(seed: int = 0, shape: tuple[int, ...] = (4, 6, 5, 3)) -> torch.Tensor:
    """Normal numbers of mean 0 and variance 1."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradients(quantizer: quant.Quantizer, x: torch.Tensor) -> list[torch.Tensor]:
    """Of the input and of a trained step, behind upstream gradients that differ by element."""
    quantizer.zero_grad()
    x = x.detach().requires_grad_()
    y = quantizer(x)
    (y * values(9, tuple(y.shape)).to(y.dtype)).sum().backward()
    return gradients_of((x, *quantizer.parameters()))


EXTREMES: dict[str, torch.Tensor] = {
    "zeros": torch.zeros(4, 6, 5, 3),
    "constant": torch.full((4, 6, 5, 3), -0.3),
    "huge": 1e30 * values(5),
    "tiny": 1e-30 * values(5),
    "one outlier": torch.cat([1e-3 * values(5), torch.full((1, 6, 5, 3), 1e4)]),
    "both scales": torch.cat([1e-20 * values(5), 1e20 * values(6)]),
    "zeros between": values(5) * (values(6) > 0),
}
"""Tensors that a training may meet in its worst hour, by what is the matter with them."""
