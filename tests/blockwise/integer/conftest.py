"""Every test in this folder runs under a watch that lets no floating-point tensor pass."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from blockwise.integer.accumulate import in_exact_float


class IntegersOnly(TorchDispatchMode):
    """Fails at the first operation on, or into, a floating-point tensor, but for the exact sums."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        for leaf in [] if in_exact_float() else tree_leaves((args, kwargs, result)):
            if isinstance(leaf, torch.Tensor) and leaf.dtype.is_floating_point:
                raise AssertionError(f"{func} meets {leaf.dtype}")
        return result


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "floats: this test itself compares with floating point")


@pytest.fixture(autouse=True)
def _integers_only(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("floats"):
        yield
        return
    with IntegersOnly():
        yield


@pytest.fixture
def integers_only() -> type[IntegersOnly]:
    """For tests marked ``floats``: the watch around the part that must be integer."""
    return IntegersOnly
