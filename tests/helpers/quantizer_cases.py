"""The quantizers of the catalogue, one case for each method and role, and tensors for them."""

import functools
import itertools
from collections.abc import Callable, Collection, Iterable

import pytest
import torch
from inner import inner
from leaves import gradients_of

from blockwise import quant

Kind = type[quant.Quantizer]
Case = tuple[str, int, quant.Role]
Test = Callable[[str, int, quant.Role], None]

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
) -> list[Case]:
    """The quantizers whose own facts are as ``where`` wants; fp32's too unless ``quantizing``."""
    return [
        (entry.name, bits, role)
        for entry in quant.METHODS.values()
        for role in roles
        if entry.quantizer(role) is not None and where(kind(entry.name, role))
        for bits in entry.bits(role)
        if bits != 16 and not (quantizing and entry.name == "fp32")
    ]


def over(found: Iterable[Case], *, long: Collection[int] = ()) -> Callable[[Test], Callable[..., None]]:
    """Runs a test for each: one case for those of a method and role in a tier. ``long`` are widths of it."""

    def tier(case: Case) -> tuple[str, quant.Role, str]:
        name, bits, role = case
        return name, role, "long" if bits in long else "" if bits in QUICK_BITS else "slow"

    params = [
        pytest.param(
            name,
            [bits for _, bits, _ in those],
            role,
            id="-".join(filter(None, (name, role, mark))),
            marks=getattr(pytest.mark, mark) if mark else (),
        )
        for (name, role, mark), those in itertools.groupby(sorted(found, key=tier), tier)
    ]

    def looping(test: Test) -> Callable[..., None]:
        @functools.wraps(test)
        def of_each(name: str, widths: list[int], role: quant.Role) -> None:
            for bits in widths:
                torch.default_generator.manual_seed(0)
                with inner(bits=bits):
                    test(name, bits, role)

        del of_each.__wrapped__  # or its arguments would be asked for
        return pytest.mark.parametrize(("name", "widths", "role"), params)(of_each)

    return looping


every = over(cases(quantizing=False))
every_usual = over(cases(quantizing=False), long=(5, 6, 7))
"""Where nothing hangs on the width: those between the usual ones are long."""
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
