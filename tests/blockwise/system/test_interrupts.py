"""Signals that come while C code calls Python."""

import ctypes
import signal

import pytest

from blockwise.system.interrupts import Terminated, held_back, sigterm_raises


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_within_a_call_from_c_stops_it_and_is_answered_behind_it(number, raised):
    seen = []

    def called():
        signal.raise_signal(number)
        seen.append("the call goes on to its end")

    with sigterm_raises(), pytest.raises(raised), held_back(lambda: seen.append("stop")):
        ctypes.CFUNCTYPE(None)(called)()
        seen.append("behind the call")
    assert seen == ["stop", "the call goes on to its end", "behind the call"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
