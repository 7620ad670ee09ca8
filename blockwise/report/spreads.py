"""Spreads, paired differences and ties in words, the same in every table."""

from typing import TYPE_CHECKING

from blockwise.report.text import ABSENT, AT_CHANCE, DIVERGED, interval, join
from blockwise.statistics.paired import LEAST, LEAST_RANKED, Paired
from blockwise.statistics.spread import Spread
from blockwise.statistics.standing import Standing

if TYPE_CHECKING:
    from blockwise.studies.errors import Errors

MEANS = (
    "Mean ± standard deviation over n seeds. Seeds that lost their way are told: those at chance (what test "
    "images do not tell from guessing) are in the mean, those that diverged have no error."
)
TESTS = (
    f"p: paired t-test, from n = {LEAST} on; behind a slash Wilcoxon's signed ranks, from n = {LEAST_RANKED} "
    "on."
)


def mean_words(found: Spread, unit: str = "%", digits: int = 1, factor: float = 100) -> str:
    """Mean and standard deviation: 12.1 ± 0.3%; of one value the value alone."""
    deviation = "" if found.deviation is None else f" ± {factor * found.deviation:.{digits}f}"
    return f"{factor * found.mean:.{digits}f}{deviation}{unit}"


def lost_words(diverged: int, at_chance: int) -> str:
    """How many seeds lost their way, behind a mean: ", 1 diverged"; empty where none did."""
    told = {DIVERGED: diverged, AT_CHANCE: at_chance}
    return "".join(f", {count} {how}" for how, count in told.items() if count)


def error_words(found: "Errors") -> str:
    """Mean and deviation of test errors, and how many seeds lost their way: 12.1 ± 0.3%, 1 diverged.

    Those that diverged have no error; those at chance are in the mean.
    """
    if found.spread is None:
        return DIVERGED
    return mean_words(found.spread) + lost_words(found.diverged, found.at_chance)


def interval_words(found: Spread) -> str:
    """Where the mean of shares lies at 95 %, in percent: 11.2 to 13.0. No share is below 0 or above 1."""
    return ABSENT if found.interval is None else interval(*found.interval).removesuffix(" %")


def points_words(found: Paired | None) -> str:
    """A difference in points, with its deviation over pairs: +1.2 ± 0.4."""
    if found is None:
        return ABSENT
    deviation = found.difference.deviation
    return f"{100 * found.difference.mean:+.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")


def p_words(found: Paired | None) -> str:
    """Of the t-test: 0.012; that there is none where pairs are few, a dash where they are all equal."""
    if found is None:
        return ABSENT
    if found.p is None:
        return f"n < {LEAST}" if found.difference.n < LEAST else ABSENT
    return _probability(found.p)


def tests_words(found: Paired | None) -> str:
    """The same with that of ranks behind a slash where there is one: 0.012 / 0.031."""
    ranks = None if found is None else found.p_ranks
    return p_words(found) + ("" if ranks is None else f" / {_probability(ranks)}")


def _probability(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def standing_words(found: Standing | None) -> str:
    """Who has the lowest error, who ties with it, and by what that was judged; empty of fewer than two."""
    if found is None or not found.rivals:
        return ""
    ties = [rival for rival in found.rivals if not rival.behind]
    lost = f", though {found.lost} of its seeds lost their way" if found.lost else ""
    if not ties:
        return f"{found.leader} is the best of {len(found.rivals) + 1}{lost} ({_judged(found)})."
    everyone = len(ties) == len(found.rivals)
    names = f"all others ({len(ties)})" if everyone and len(ties) > 3 else join([t.name for t in ties])
    return f"{found.leader} has the lowest error{lost}; a tie with it: {names} ({_judged(found)})."


def _judged(found: Standing) -> str:
    counts = sorted({rival.beside.difference.n for rival in found.rivals if rival.tested and rival.beside})
    told = []
    if counts:
        n = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
        told.append(f"paired t-tests, {n}, false discoveries held at 5 %")
    if not all(rival.tested for rival in found.rivals):
        few = (
            f"where fewer than {LEAST} seeds are shared " if counts else f"fewer than {LEAST} shared seeds: "
        )
        told.append(f"{few}by the test images' 95 % intervals, seeds aside")
    return "; ".join(told)
