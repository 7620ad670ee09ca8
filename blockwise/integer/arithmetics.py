"""The arithmetics by the names of their regimes."""

from blockwise.integer.arithmetic import Arithmetic
from blockwise.integer.niti import NITI4, NITI4_JUMP, NITI8
from blockwise.integer.nitro import NITRO
from devices.program.regimes import find

ARITHMETICS: dict[str, Arithmetic] = {a.name: a for a in (NITI8, NITI4, NITI4_JUMP, NITRO)}


def arithmetic_of(regime: str) -> Arithmetic:
    """Of ``niti``, ``niti-local`` and so on."""
    return ARITHMETICS[find(regime).arithmetic]
