"""The answer in words: which regime fits, and what keeps the others from fitting."""

from blockwise.report.text import join, percent, size, times
from blockwise.result import RegimeResult, Result

FEW = 3
"""More categories than this do not exceed the RAM "alone"; then the largest ones are named."""


def headline(result: Result) -> str:
    """One sentence: how many regimes fit, and with how much RAM to spare."""
    regimes = result.regimes
    if not regimes:
        return "No regime was compared."
    fitting = [regime for regime in regimes if regime.fits]
    board = f"the board's {size(result.device.ram_bytes)} of RAM"
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
    if best is chosen:
        return text + (", the best of all regimes." if len(trained) > 1 else ".")
    return f"{text}; {best.regime}, which does not fit, {percent(best.test_accuracy)}."


def obstacles(result: Result) -> list[str]:
    """One sentence for each regime that does not fit: the tensors that decide, and the moment."""
    return [_obstacle(regime, result) for regime in result.regimes if not regime.fits]


def decisive_categories(regime: RegimeResult, ram_bytes: int) -> list[tuple[str, int]]:
    """The fewest categories, largest first, that exceed the RAM; empty if all fit together."""
    chosen: list[tuple[str, int]] = []
    taken = 0
    for category, count in sorted(regime.by_category.items(), key=lambda item: -item[1]):
        chosen.append((category, count))
        taken += count
        if taken > ram_bytes:
            return chosen
    return []


def moment(regime: RegimeResult) -> str:
    """Where the peak occurs: operation, phase and block."""
    block = f" in block {regime.peak_block}" if regime.peak_block else ""
    return operation_words(regime) + block


def operation_words(regime: RegimeResult) -> str:
    """The operation at the peak, with its phase unless the name has it already."""
    if regime.peak_phase in regime.peak_operation:
        return regime.peak_operation
    return f"{regime.peak_operation} ({regime.peak_phase})"


def _none_fits(result: Result, board: str) -> str:
    regimes = result.regimes
    if len(regimes) == 1:
        return f"{regimes[0].regime} does not fit {board}."
    nearest = min(regimes, key=lambda regime: regime.peak_bytes)
    return (
        f"None of the {len(regimes)} regimes fits {board}. "
        f"Nearest is {nearest.regime} with {size(nearest.peak_bytes)}."
    )


def _obstacle(regime: RegimeResult, result: Result) -> str:
    ram = result.device.ram_bytes
    needed, ratio = size(regime.peak_bytes), times(regime.peak_bytes, ram)
    text = f"{regime.regime} needs {needed}, {ratio} the RAM"
    if regime.peak_bytes > ram:
        text += f": {_culprits(regime, ram)}."
    else:  # the bytes would do, the addresses do not
        largest = size(result.device.largest_contiguous_bytes)
        text += f", but no run of its addresses holds them (the largest is {largest})."
    text += f" Peak: {moment(regime)}"
    for tensor in regime.tensors_at_peak[:1]:
        text += f"; largest tensor {tensor.name} ({size(tensor.bytes)})"
    return f"{text}.{_smaller_batch(regime, ram)}"


def _culprits(regime: RegimeResult, ram_bytes: int) -> str:
    decisive = decisive_categories(regime, ram_bytes)
    named = join([f"{category} ({size(count)})" for category, count in decisive[:FEW]])
    return f"{named} alone exceed it" if len(decisive) <= FEW else f"mostly {named}"


def _smaller_batch(regime: RegimeResult, ram_bytes: int) -> str:
    """Advice: the largest batch that would fit, where one does."""
    if regime.peak_bytes <= ram_bytes:
        return ""
    fitting = [batch for batch, peak in regime.peak_by_batch.items() if peak <= ram_bytes]
    return f" It would fit at batch {max(fitting)}." if fitting else ""


def _spare(regime: RegimeResult, result: Result) -> str:
    return size(result.device.ram_bytes - regime.peak_bytes)


def _accuracy(regime: RegimeResult) -> float:
    accuracy = regime.test_accuracy
    return -1.0 if accuracy is None else accuracy


def fits_words(fits: bool) -> str:
    """The verdict on one regime."""
    return "fits" if fits else "does not fit"
