"""Adapting to a person: every way beside each other."""

from typing import Any

from blockwise.adapt.ways import WAYS
from blockwise.report.spreads import mean_words, p_words, points_words
from blockwise.statistics.paired import Paired
from blockwise.statistics.spread import Spread
from devices.boards.profile import KIB
from sections.markdown import table
from sections.recorded import load, threads

HEADINGS = [
    "way", "trained", "before", "after", "gain", "p", "beside `bp`", "others after", "peak KiB", "MMAC/step",
    "GMAC", "s", "samples",
]  # fmt: skip


def by_recording() -> str:
    """results/benchmarks/adapt_recording.json: one arm adapted to, the other tested."""
    return _section("adapt_recording")


def by_time() -> str:
    """results/benchmarks/adapt_time.json: the first half of every recording, and the rest."""
    return _section("adapt_time")


def _section(name: str) -> str:
    result = load(name)
    said, people = result["conditions"], result["people"]
    host, first = result["environment"], result["rows"][0]
    intro = (
        f"`run.py adapt --data {said['data']} --split {said['split_by']} --hold-out {' '.join(people)}"
        f"{_more(result)}`: "
        f"{first['network']}, {said['precision']}, on the {said['board']}; each of n = {len(people)} people "
        f"held out in turn, {said['split']}. {said['adapting'][0].upper()}{said['adapting'][1:]}. Mean ± "
        "standard deviation over people; p: paired t-test of the gain; beside `bp`: after, person by person; "
        f"others: not trained on, not held out, {_percent(first['others_before'])} before; samples: passed "
        f"until the accuracy stays within {100 * said['margin']:g} points of the last; s: the whole "
        "adaptation on the board, estimated of the instructions of the firmware's kernels or, *, of "
        f"multiply-accumulates. {_fits(result)} torch {host['torch']}, {threads(host)} of "
        f"{host['processor']}."
    )
    return f"{intro}\n\n{table(HEADINGS, [_cells(row) for row in result['rows']])}"


def _more(result: dict[str, Any]) -> str:
    """Flags that are not the usual ones."""
    width, ways = result["conditions"]["settings"]["network"]["width"], [r["way"] for r in result["rows"]]
    flags = [] if width is None else [f" --width {width}"]
    return "".join(flags if set(ways) == set(WAYS) else [*flags, f" --ways {' '.join(ways)}"])


def _cells(row: dict[str, Any]) -> list[str]:
    diverged = f" ({row['diverged']} diverged)" if row["diverged"] else ""
    gain, reference = _paired(row["gain"]), _paired(row["reference"])
    return [
        f"`{row['way']}`{diverged}", row["words"], _percent(row["before"]), _percent(row["after"]),
        points_words(gain), p_words(gain), points_words(reference), _percent(row["others_after"]),
        f"{row['peak_bytes'] / KIB:,.1f}", f"{row['macs_per_step'] / 1e6:,.2f}", f"{row['macs'] / 1e9:,.2f}",
        _seconds(row),
        "-" if row["samples"] is None else f"{row['samples']['mean']:,.0f}",
    ]  # fmt: skip


def _seconds(row: dict[str, Any]) -> str:
    """On the board; what rests on multiply-accumulates has a mark."""
    if row["seconds"] is None:
        return "-"
    return f"{row['seconds']:,.0f}{'' if row['time_basis'] == 'instructions' else '*'}"


def _fits(result: dict[str, Any]) -> str:
    over = [f"`{row['way']}`" for row in result["rows"] if not row["fits"]]
    return f"All ways fit but {', '.join(over)}." if over else "All ways fit the board."


def _percent(spread: dict[str, Any] | None) -> str:
    return "-" if spread is None else mean_words(Spread(**spread))


def _paired(found: dict[str, Any] | None) -> Paired | None:
    return None if found is None else Paired(**found | {"difference": Spread(**found["difference"])})
