"""The collector of cycles is as it was when imports and plans are behind, however they end."""

import gc
import subprocess
import sys
from importlib import import_module

import pytest

from blockwise.system.collector import SELDOM, leaving_alone, looking_seldom


def test_python_looks_for_cycles_seldom_inside_and_as_before_behind() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), looking_seldom():
        assert gc.get_threshold() == SELDOM
        raise KeyError
    assert gc.get_threshold() == before


def test_python_does_not_look_for_cycles_while_it_loads_nor_later_at_what_is_loaded() -> None:
    before = gc.get_freeze_count()
    with leaving_alone(gc.isenabled) as looked:
        assert not looked
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0


def test_what_cannot_be_loaded_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(ModuleNotFoundError), leaving_alone(lambda: import_module("no_such_module")):
        pass
    assert gc.isenabled()


def test_who_has_turned_the_collector_off_finds_it_off() -> None:
    gc.disable()
    try:
        with leaving_alone(gc.isenabled):
            assert not gc.isenabled()
    finally:
        gc.enable()


def test_at_the_end_python_looks_no_more_but_takes_apart_what_libraries_ask_it_to() -> None:
    code = (
        "import atexit, gc; from blockwise.system.collector import looking_no_more;"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count()));"  # the last is called first
        "looking_no_more();"
        "atexit.register(lambda: print(gc.isenabled()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "False", "0"]
