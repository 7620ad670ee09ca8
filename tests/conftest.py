"""Options shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

# Assertions in helpers show their values too.
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).parent.glob("helpers/*.py")))

# On tensors this small, threads mostly wait for each other: here and in the commands that tests start.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

ON_CUDA = torch.cuda.is_available()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--overwrite`` renews golden files instead of comparing with them."""
    parser.addoption("--overwrite", action="store_true", help="rewrite golden files")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long is slow too, so that ``-m "not slow"`` leaves it out."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _the_same_draws() -> None:
    """A test draws the same numbers alone and after any others."""
    torch.default_generator.manual_seed(0)  # torch.manual_seed notes a stack for each device that is absent
    if ON_CUDA:
        torch.cuda.manual_seed_all(0)
