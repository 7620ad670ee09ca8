"""A card for each regime: whether it fits, how well it trains, and what that takes."""

from dataclasses import dataclass

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.facts import plain_backpropagation
from blockwise.report.text import (
    fits_words,
    interval,
    moment,
    operation_words,
    percent,
    ram_words,
    shape,
    size,
    times,
)
from blockwise.report.trainability import obstacles
from blockwise.statistics.shares import wilson
from devices.program.regimes import ALL_REGIMES, PLAIN

MOSTLY = 2
"""Categories that are named of a peak."""


@dataclass(frozen=True)
class Card:
    """What is shown of a regime. Shares are of the bar's width, in percent."""

    regime: str
    summary: str
    fits: bool
    verdict: str  # fits, does not fit
    peak: str
    spare: str  # how much RAM is left, or missing
    within: float  # share of the bar that is within the usable RAM
    beyond: float
    limit: float  # where the usable RAM ends
    facts: tuple[tuple[str, str], ...]  # label, figure
    obstacle: str  # why it does not fit


def cards(result: Result) -> list[Card]:
    """The regime that serves best first: what fits, by accuracy or, where nothing was trained, by work."""
    why = obstacles(result)
    return [_card(regime, result, why.get(regime.regime, "")) for regime in sorted(result.regimes, key=_rank)]


def _rank(regime: RegimeResult) -> tuple[bool, float, int]:
    if not regime.fits:
        return True, regime.peak_bytes, 0
    accuracy = regime.test_accuracy
    return False, -accuracy if accuracy is not None else 0, regime.macs_per_step


def order_sentence(result: Result) -> str:
    """How the cards are ordered."""
    trained = any(regime.test_accuracy is not None for regime in result.regimes)
    return f"What fits comes first, by {'accuracy' if trained else 'work'}; then the others, by their peak."


def _card(regime: RegimeResult, result: Result, obstacle: str) -> Card:
    usable = result.device.usable_bytes
    top = max(regime.peak_bytes, usable, 1)
    return Card(
        regime=regime.regime,
        summary=_summary(regime.regime),
        fits=regime.fits,
        verdict=fits_words(regime.fits),
        peak=size(regime.peak_bytes),
        spare=_spare(regime, result),
        within=round(100 * min(regime.peak_bytes, usable) / top, 2),
        beyond=round(100 * max(0, regime.peak_bytes - usable) / top, 2),
        limit=round(100 * usable / top, 2),
        facts=tuple(_facts(regime, result)),
        obstacle=obstacle,
    )


def _summary(name: str) -> str:
    """What sets the regime apart; empty for one that is not in the catalogue any more."""
    return ALL_REGIMES[name].summary if name in ALL_REGIMES else ""


def _spare(regime: RegimeResult, result: Result) -> str:
    spare = result.device.usable_bytes - regime.peak_bytes
    words = f"{size(result.device.usable_bytes)} of {ram_words(result.device)}"
    return f"{size(spare)} of {words} to spare" if spare >= 0 else f"{size(-spare)} more than the {words}"


def _facts(regime: RegimeResult, result: Result) -> list[tuple[str, str]]:
    plain = plain_backpropagation(result)
    facts = [("Test accuracy", _accuracy(regime, result))]
    if plain is not None:
        facts.append((f"Work beside {PLAIN}", times(result.weighed_macs(regime), plain.macs_per_step)))
    facts.append(("Peak at", moment(regime) if regime.peak_block else operation_words(regime)))
    mostly = sorted(regime.by_category.items(), key=lambda item: -item[1])[:MOSTLY]
    facts.append(("Mostly", ", ".join(f"{size(count)} of {category}" for category, count in mostly if count)))
    for t in regime.tensors_at_peak[:1]:
        facts.append(("Largest tensor", f"{t.name}, {shape(t.shape)}: {size(t.bytes)} of {t.category}"))
    return facts


def _accuracy(regime: RegimeResult, result: Result) -> str:
    if regime.divergence:
        return "the training diverged"
    if regime.test_accuracy is None:
        return "not trained"
    same = f", as {regime.trained_as}" if regime.trained_as else ""
    low, high = wilson(regime.test_accuracy, result.data.test)
    return f"{percent(regime.test_accuracy)} (95 % interval {interval(low, high)}){same}"
