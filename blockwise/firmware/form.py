"""Which regimes have a C form. What their networks lack is told by what writes it."""

from blockwise.firmware.float_facts import without_form
from devices.program.regimes import INTEGER_REGIMES, find

FLOAT_REGIMES = ("bp", "bp-fused", "local", "local-resident")
"""Those that neither compute anything again nor read flash within a step."""

REGIMES = (*FLOAT_REGIMES, *INTEGER_REGIMES)


def check_regime(name: str, flag: str = "--regime") -> None:
    """Raise InputError for a regime that does not exist, or has no C form."""
    if find(name).name not in REGIMES:
        raise without_form(flag, name, f"one of {', '.join(REGIMES)}", "choose one")
