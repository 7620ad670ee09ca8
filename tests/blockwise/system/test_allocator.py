"""Memory that is freed stays with the process inside, and is given back behind."""

import platform
import subprocess
import sys

import pytest

from blockwise.system import allocator

ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU C library's allocator alone")

STEPS = """
import resource, psutil, torch
from contextlib import nullcontext
from blockwise.system.allocator import keeping_freed_memory

def step():
    maps = [torch.ones(1 << 22) for _ in range(8)]  # of 16 MiB
    maps.append(torch.ones(1 << 25))  # of 128 MiB

def taken():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize() >> 20

held = lambda: psutil.Process().memory_info().rss >> 20
before = held()
with {context}():
    step()
    step()
    first = taken()
    for _ in range(5):
        step()
    print(taken() - first, held() - before)
print(held() - before)
"""


def told(context: str) -> list[int]:
    """MiB that five further steps take from the system, that are held behind them, and at the end."""
    command = [sys.executable, "-c", STEPS.format(context=context)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@ON_GLIBC
@pytest.mark.slow
def test_steps_inside_take_what_those_before_have_freed_and_all_is_given_back():
    taken, held, left = told("keeping_freed_memory")
    assert taken <= 144  # once more 128, where the first steps left no such stretch
    assert told("nullcontext")[0] > 600
    assert held > 200 and left < 60


@ON_GLIBC
def test_what_somebody_has_set_stays(monkeypatch):
    assert allocator._library() is not None
    for name in allocator.OWN:
        with monkeypatch.context() as context:
            context.setenv(name, "1")
            assert allocator._library() is None


def test_with_another_library_nothing_is_set(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: pytest.fail("was loaded"))
    with allocator.keeping_freed_memory():
        pass


@ON_GLIBC
def test_thresholds_are_as_they_grow_behind_an_error(monkeypatch):
    calls = []

    class Library:
        def mallopt(self, name: int, value: int) -> int:
            calls.append((name, value))
            return int(value != allocator.LARGEST[0])  # an older one, which refuses so much

        def malloc_trim(self, pad: int) -> int:
            calls.append(("trim", pad))
            return 1

    monkeypatch.setattr(allocator, "_library", Library)
    with pytest.raises(KeyError), allocator.keeping_freed_memory():
        raise KeyError
    tried, taken, never, *grown = calls
    assert [value for _, value in (tried, taken)] == list(allocator.LARGEST)
    assert never == (allocator.TRIM_THRESHOLD, allocator.NEVER)
    assert grown == [*allocator.GROWN.items(), ("trim", 0)]
