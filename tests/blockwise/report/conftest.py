"""Hand-made results of every kind that reports meet."""

import dataclasses

import pytest
from hand_made import DEVICE, KIB, SCENARIOS

from blockwise.experiment.result import Result


@pytest.fixture(params=list(SCENARIOS))
def scenario(request: pytest.FixtureRequest) -> str:
    """The name of each scenario in turn."""
    return str(request.param)


@pytest.fixture
def result(scenario: str) -> Result:
    """The result of each scenario in turn."""
    return SCENARIOS[scenario]()


@pytest.fixture
def four() -> Result:
    """All four regimes, trained, of which only local-resident fits."""
    return SCENARIOS["four"]()


@pytest.fixture
def default() -> Result:
    """The default regimes, of which the last two fit."""
    return SCENARIOS["default"]()


@pytest.fixture
def obstructed() -> Result:
    """Four regimes within the RAM that do not fit: reserve, gaps, gaps that must be, flash."""
    return SCENARIOS["obstructed"]()


@pytest.fixture
def split_ram() -> Result:
    """Every byte would fit, but no run of the board's RAM holds the tensors."""
    base = SCENARIOS["all_fit"]()
    device = dataclasses.replace(DEVICE, largest_contiguous_bytes=16 * KIB)
    regimes = tuple(
        dataclasses.replace(
            regime,
            fits=False,
            arena=dataclasses.replace(regime.arena, placed=False, missing_bytes=4 * KIB),
        )
        for regime in base.regimes
    )
    return dataclasses.replace(base, device=device, regimes=regimes)


@pytest.fixture
def six() -> Result:
    """More regimes than 80 columns hold, in an order of their own."""
    base = SCENARIOS["four"]()
    twins = [dataclasses.replace(r, regime=f"niti-{r.regime}") for r in base.regimes[2:]]
    return dataclasses.replace(base, regimes=(*twins, *base.regimes))
