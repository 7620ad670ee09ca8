"""The answer in words: which regimes fit, and how well they train."""

from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.facts import plain_backpropagation
from blockwise.report.text import interval, join, percent, ram_words, size, times
from blockwise.statistics.shares import apart, wilson
from blockwise.training.outcome import LARGEST_SUM, Divergence, Training
from devices.program.regimes import PLAIN


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
        every = "Both" if len(regimes) == 2 else f"All {len(regimes)}"
        return f"{every} regimes fit {board}: {spare}."
    verb = "fits" if len(fitting) == 1 else "fit"
    return f"{len(fitting)} of {len(regimes)} regimes {verb} {board}: {spare}."


def answer(result: Result) -> str:
    """All of the verdict in one line."""
    return " ".join(filter(None, (headline(result), accuracy_sentence(result))))


def accuracy_sentence(result: Result, *, alone: bool = True) -> str:
    """The most accurate of the regimes that fit, or of all if none does, and those that are better or tie.

    It is called best only where its interval is apart from that of every other regime that ends with other
    bits (:func:`~blockwise.statistics.shares.apart`). ``alone``, no table beside it has the intervals.
    Empty in a dry run.
    """
    chosen = result.choice or result.most_accurate
    if chosen is None or chosen.test_accuracy is None:
        return ""
    images, accuracy = result.data.test, chosen.test_accuracy
    bounds = f" (95 % interval {interval(*wilson(accuracy, images))})" if alone else ""
    text = f"Test accuracy: {chosen.regime} {percent(accuracy)}{bounds}{_price(chosen, result)}"
    others = _others(result, chosen)
    if not others:
        return f"{text}."
    tied = [r for r in others if not apart(accuracy, _accuracy(r), images)]
    better = [r for r in others if r not in tied and _accuracy(r) > accuracy]
    if not tied and not better:
        return f"{text}, the best of all regimes."
    parts = [text]
    if better:
        parts.append(f"better: {join([_named(r, chosen) for r in better])}")
    if tied:
        parts.append(f"a tie on {images:,} test images: {join([_named(r, chosen) for r in tied])}")
    return "; ".join(parts) + "."


def _price(regime: RegimeResult, result: Result) -> str:
    """Its work beside plain backpropagation's, in as many epochs, or as many of each block."""
    plain = plain_backpropagation(result)
    if plain is None or regime.regime == PLAIN:
        return ""
    return f" for {times(result.weighed_macs(regime), plain.macs_per_step)} the work of {PLAIN}"


def divergence_sentences(result: Result) -> tuple[str, ...]:
    """Which trainings diverged, and where."""
    return tuple(
        f"{regime.regime} diverged: {divergence_words(regime.divergence, regime.training)}."
        for regime in result.regimes
        if regime.divergence and regime.training and not regime.trained_as
    )


def divergence_words(found: Divergence, training: Training) -> str:
    """What was no number, and where: the loss of stage1 in step 3 of epoch 1, at learning rate 0.12."""
    none = "beyond 32 bits" if found.what.endswith(LARGEST_SUM) else "not finite"
    verb = "were" if found.what == "weights" else "was"
    whose = f" of {found.block}" if found.block else ""
    step = f"in step {found.step} of epoch" if found.step else "after epoch"
    peak = "" if training.learning_rate is None else f" (peak {training.learning_rate:g})"
    if found.learning_rate is not None:
        peak = f", at learning rate {found.learning_rate:.3g}{peak}"
    return f"the {found.what}{whose} {verb} {none} {step} {found.epoch}{peak}"


def work_sentence(result: Result) -> str:
    """How regimes that train one block after the other were trained; empty where there is none."""
    found = []
    for regime in result.regimes:
        training = regime.training
        if training is None or training.divergence or training.phases == 1:
            continue
        price = _price(regime, result).replace(" for ", ", ", 1)
        own = training.last_epochs not in (None, training.epochs)
        last = f", of the last {training.last_epochs}" if own else ""
        each = f"{training.epochs} epochs of each of {training.phases} blocks"
        found.append(f"{regime.regime} trained {each}{last}{price}.")
    return " ".join(found)


def _others(result: Result, chosen: RegimeResult) -> list[RegimeResult]:
    """One regime for each training with other bits than the chosen one's, of equal ones one that fits."""
    found: dict[str, RegimeResult] = {}
    for regime in sorted(result.regimes, key=lambda r: not r.fits):
        if regime.test_accuracy is not None and regime.bits_of != chosen.bits_of:
            found.setdefault(regime.bits_of, regime)
    return sorted(found.values(), key=result.regimes.index)


def _named(regime: RegimeResult, chosen: RegimeResult) -> str:
    over = chosen.fits and not regime.fits  # where none fits, the headline says so
    return f"{regime.regime} ({percent(regime.test_accuracy)}{', does not fit' if over else ''})"


def _none_fits(result: Result, board: str) -> str:
    regimes = result.regimes
    if all(_lacks_flash_alone(regime, result) for regime in regimes):
        return _flash_is_short(regimes, board)
    if len(regimes) == 1:
        return f"{regimes[0].regime} does not fit {board}."
    lowest = min(regimes, key=lambda regime: regime.peak_bytes)
    return (
        f"None of the {len(regimes)} regimes fits {board}. "
        f"{lowest.regime} has the lowest peak, {size(lowest.peak_bytes)}."
    )


def _lacks_flash_alone(regime: RegimeResult, result: Result) -> bool:
    in_ram = regime.peak_bytes <= result.device.usable_bytes and regime.arena.placed
    return in_ram and regime.lacking_flash_bytes > 0


def _flash_is_short(regimes: tuple[RegimeResult, ...], board: str) -> str:
    """Where the RAM would do for all of them."""
    least = min(regimes, key=lambda regime: regime.lacking_flash_bytes)
    missing = size(least.lacking_flash_bytes)
    if len(regimes) == 1:
        return f"{least.regime} fits the RAM of {board}, but not its flash: {missing} are missing."
    return (
        f"All {len(regimes)} regimes fit the RAM of {board}, but not its flash: "
        f"{least.regime} lacks the least, {missing}."
    )


def _spare(regime: RegimeResult, result: Result) -> str:
    return size(result.device.usable_bytes - regime.peak_bytes)


def _accuracy(regime: RegimeResult) -> float:
    accuracy = regime.test_accuracy
    return -1.0 if accuracy is None else accuracy
