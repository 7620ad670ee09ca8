"""Errors in one line, and that they survive the way out of a worker process."""

import pickle

from blockwise.executors.attempts import GivenUp
from blockwise.integer.accumulate import SumTooLarge
from devices.errors import InputError, unknown_name


def test_an_error_is_the_same_after_pickling():
    for error in (
        InputError("--width", got=0, wanted="at least 1", do="widen it"),
        unknown_name("head", "gab", ("gap", "pred")),
        GivenUp("task", got="a death", wanted="workers that live", do="try again"),
        SumTooLarge("sum", got=2**31, wanted="less", do="divide"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error) and type(again) is type(error)
        assert (again.subject, again.got, again.exit_code) == (error.subject, error.got, error.exit_code)
