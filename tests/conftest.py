"""Options shared by all tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--overwrite`` renews golden files instead of comparing with them."""
    parser.addoption("--overwrite", action="store_true", help="rewrite golden files")
