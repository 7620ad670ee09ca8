"""The collector of cycles is as it was when imports and plans are behind, however they end."""

import gc

import pytest

from blockwise.system.collector import SELDOM, leaving_what_is_there, looking_seldom


def test_python_looks_for_cycles_seldom_inside_and_as_before_behind() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), looking_seldom():
        assert gc.get_threshold() == SELDOM
        raise KeyError
    assert gc.get_threshold() == before


def test_what_is_there_before_is_not_looked_at_inside() -> None:
    before = gc.get_freeze_count()
    with leaving_what_is_there():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0
