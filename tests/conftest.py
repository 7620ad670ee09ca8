"""Options shared by all tests."""

import atexit
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

SELDOM = (50_000, 50, 100)
"""Allocations before a look at the youngest objects, and looks before one at older ones."""
gc.set_threshold(*SELDOM)  # before thousands of tests are collected

# Assertions in helpers show their values too.
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).parent.glob("helpers/*.py")))

# On tensors this small, threads mostly wait for each other: here and in the commands that tests start.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes on a busy machine tells nothing.
settings.register_profile("blockwise", deadline=None)
settings.load_profile("blockwise")

RUN = {"adapt", "cli", "executors", "experiment", "firmware", "models", "studies", "training", "test_api.py"}
"""Folders and files of tests that leave reports behind. Those of ``report`` look at them."""

ON_CUDA = torch.cuda.is_available()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--overwrite`` renews golden files instead of comparing with them."""
    parser.addoption("--overwrite", action="store_true", help="rewrite golden files")


def pytest_configure() -> None:
    """Ctrl-C is answered, by children too, where a shell has started pytest behind it and made it deaf."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long is slow too, so that ``-m "not slow"`` leaves it out."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the collector of cycles need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """All goes with the process: pytest would look through it five times more.

    Python does once at its end, lest libraries such as Triton complain about what is left over of theirs.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)


@pytest.fixture(autouse=True, scope="session")
def _nothing_need_outlast_a_power_cut() -> Iterator[None]:
    """Files are written as ever, and nobody waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(autouse=True, scope="module")
def _figures_are_made_and_not_painted(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any] | None]:
    """To paint one takes longer than a small training: tests of reports do so, and commands in processes."""
    folders = set(request.path.relative_to(Path(__file__).parent).parts)
    if not folders & RUN or "report" in folders:
        yield None
        return
    from blockwise.report import pictures

    with pytest.MonkeyPatch.context() as patch:
        paint = pictures.rendered
        patch.setattr(pictures, "rendered", lambda figure: pictures.Renderings("<svg/>", b"png"))
        yield paint


@pytest.fixture
def painted(_figures_are_made_and_not_painted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are painted for once."""
    monkeypatch.setattr("blockwise.report.pictures.rendered", _figures_are_made_and_not_painted)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Modules that a file of tests makes at import have the same weights beside any other files."""
    if isinstance(collector, pytest.Module):
        _draw_from_the_start()


@pytest.fixture(autouse=True)
def _the_same_draws() -> None:
    """A test draws the same numbers alone and after any others."""
    _draw_from_the_start()


def _draw_from_the_start() -> None:
    torch.default_generator.manual_seed(0)  # torch.manual_seed notes a stack for each device that is absent
    if ON_CUDA:
        torch.cuda.manual_seed_all(0)
