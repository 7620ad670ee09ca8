"""Every test in this folder runs under a watch that lets no floating-point tensor pass."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from blockwise.integer.accumulate import in_exact_float


class IntegersOnly(TorchDispatchMode):
    """Fails at the first operation on, or into, a floating-point tensor, but for the exact sums."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not in_exact_float():
            for leaf in flattened((args, result)):
                if isinstance(leaf, torch.Tensor) and leaf.dtype.is_floating_point:
                    raise AssertionError(f"{func} meets {leaf.dtype}")
        return result


def flattened(tree: object) -> Iterator[object]:
    """The leaves of nested lists and tuples; much faster than torch's own, and called at every operation."""
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from flattened(branch)
    else:
        yield tree


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
