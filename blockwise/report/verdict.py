"""The answer in words: which regimes fit, and how well they train."""

from blockwise.report.text import join, percent, ram_words, size
from blockwise.result import RegimeResult, Result


def headline(result: Result) -> str:
    """One sentence: how many regimes fit, and with how much RAM to spare beside the reserve."""
    regimes = result.regimes
    if not regimes:
        return "No regime was compared."
    fitting = [regime for regime in regimes if regime.fits]
    board = f"the board ({size(result.device.usable_bytes)} of {ram_words(result.device)})"
    if not fitting:
        return _none_fits(result, board)
    first, *others = fitting
    named = [f"{first.regime} ({_spare(first, result)} to spare)"]
    spare = join([*named, *(f"{regime.regime} ({_spare(regime, result)})" for regime in others)])
    if len(regimes) == 1:
        return f"{first.regime} fits {board} with {_spare(first, result)} to spare."
    if len(fitting) == len(regimes):
        return f"All {len(regimes)} regimes fit {board}: {spare}."
    verb = "fits" if len(fitting) == 1 else "fit"
    return f"{len(fitting)} of {len(regimes)} regimes {verb} {board}: {spare}."


def accuracy_sentence(result: Result) -> str:
    """The most accurate of the regimes that fit, beside the best of all; empty in a dry run."""
    trained = [r for r in result.regimes if r.test_accuracy is not None]
    fitting = [r for r in trained if r.fits]
    if not fitting:
        return ""
    best, chosen = max(trained, key=_accuracy), max(fitting, key=_accuracy)
    text = f"Test accuracy: {chosen.regime} {percent(chosen.test_accuracy)}"
    if best.test_accuracy == chosen.test_accuracy:
        return text + (", the best of all regimes." if len(trained) > 1 else ".")
    return f"{text}; {best.regime}, which does not fit, {percent(best.test_accuracy)}."


def _none_fits(result: Result, board: str) -> str:
    regimes = result.regimes
    if len(regimes) == 1:
        return f"{regimes[0].regime} does not fit {board}."
    lowest = min(regimes, key=lambda regime: regime.peak_bytes)
    return (
        f"None of the {len(regimes)} regimes fits {board}. "
        f"{lowest.regime} has the lowest peak, {size(lowest.peak_bytes)}."
    )


def _spare(regime: RegimeResult, result: Result) -> str:
    return size(result.device.usable_bytes - regime.peak_bytes)


def _accuracy(regime: RegimeResult) -> float:
    accuracy = regime.test_accuracy
    return -1.0 if accuracy is None else accuracy
