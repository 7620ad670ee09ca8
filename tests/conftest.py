"""Options shared by all tests."""

import pytest
import torch

torch.set_num_threads(1)  # on tensors this small, threads mostly wait for each other


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--overwrite`` renews golden files instead of comparing with them."""
    parser.addoption("--overwrite", action="store_true", help="rewrite golden files")
