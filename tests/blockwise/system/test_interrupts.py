"""Signals that come while C code calls Python."""

import ctypes
import signal

import pytest

from blockwise.system.interrupts import Terminated, held_back, sigterm_raises, sigterm_told


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


def test_sigterm_stays_one_in_a_library_that_makes_a_plain_interrupt_of_it():
    def library() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:
            raise KeyboardInterrupt from None

    with sigterm_raises():
        with pytest.raises(Terminated), sigterm_told():
            library()
        with pytest.raises(KeyboardInterrupt) as stop, sigterm_told():
            raise KeyboardInterrupt
        assert not isinstance(stop.value, Terminated)
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)  # answered as before
