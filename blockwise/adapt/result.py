"""What the trials of a campaign say together: one row for each way, over all people held out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean
from typing import Any

from blockwise.adapt.ways import WAYS
from blockwise.statistics.paired import Paired, compared
from blockwise.statistics.spread import Spread
from blockwise.statistics.standing import Contestant, Standing, standing

REFERENCE = "bp"
"""The way that all others are compared with, person by person."""
MARGIN = 0.02
"""How near to its last accuracy a way has to be, and to stay, to have needed no more samples."""


@dataclass(frozen=True)
class WayRow:
    """One way. Accuracies are of the people whose training did not diverge; all None if there is none."""

    way: str
    regime: str
    words: str
    people: int
    diverged: int
    before: Spread | None
    after: Spread | None
    gain: Paired | None  # after against before
    others_before: Spread | None
    others_after: Spread | None
    forgetting: Paired | None  # of the others, before against after
    reference: Paired | None  # after against that of backpropagation; None for itself
    samples: Spread | None  # passed until the accuracy stayed within the margin of the last
    peak_bytes: int
    fits: bool
    macs_per_step: int
    macs: float  # of all steps, the mean over people
    network: str
    instructions: int | None = None  # of a step, where the firmware has kernels for it
    seconds: float | None = None  # on the board, of all steps, the mean over people; an estimate
    time_basis: str = ""  # of what that is made: "instructions" of kernels, or "products"
    by_person: dict[str, float | None] = field(default_factory=dict)  # after; None where it diverged


@dataclass(frozen=True)
class AdaptResult:
    """All ways beside each other."""

    rows: tuple[WayRow, ...]
    people: tuple[str, ...]
    conditions: dict[str, Any]
    environment: dict[str, str]  # where the trials were made; of several of a kind all

    @property
    def fits(self) -> bool:
        """Whether at least one way fits the board."""
        return any(row.fits for row in self.rows)

    @property
    def standing(self) -> Standing | None:
        """Which of the ways that fit is most accurate after, and which ties with it, person by person."""
        return standing([
            Contestant(
                row.way, {who: 1 - after for who, after in row.by_person.items() if after is not None},
                lost=row.diverged,
            )
            for row in self.rows
            if row.fits
        ])  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "fits": self.fits}


def environment_of(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Versions and hardware behind all of them; what is not the same everywhere stands in a row."""
    keys = dict.fromkeys(key for record in records for key in record["environment"])
    return {
        key: ", ".join(dict.fromkeys(str(record["environment"].get(key, "unknown")) for record in records))
        for key in keys
    }


def rows_of(records: Iterable[dict[str, Any]], margin: float = MARGIN) -> tuple[WayRow, ...]:
    """One for each way, in the order in which they come."""
    ways: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        ways.setdefault(record["way"], []).append(record)
    reference = {record["person"]: record["after"] for record in ways.get(REFERENCE, ())}
    return tuple(_row(name, found, reference, margin) for name, found in ways.items())


def _row(
    name: str, found: Sequence[dict[str, Any]], reference: dict[str, float | None], margin: float
) -> WayRow:
    ended = [record for record in found if record["after"] is not None]
    first = found[0]

    def spread(value: Callable[[dict[str, Any]], float]) -> Spread | None:
        return Spread.of([value(record) for record in ended]) if ended else None

    def paired(pairs: Sequence[tuple[float, float]]) -> Paired | None:
        return compared(pairs) if pairs else None

    against = [(r["after"], other) for r in ended if (other := reference.get(r["person"])) is not None]
    return WayRow(
        name, first["regime"], WAYS[name].words if name in WAYS else "", len(found), len(found) - len(ended),
        spread(lambda r: r["before"]), spread(lambda r: r["after"]),
        paired([(r["after"], r["before"]) for r in ended]),
        spread(lambda r: r["others_before"]), spread(lambda r: r["others_after"]),
        paired([(r["others_before"], r["others_after"]) for r in ended]),
        paired(against) if name != REFERENCE else None,
        spread(lambda r: needed(r, margin)),
        max(r["peak_bytes"] for r in found), all(r["fits"] for r in found),
        max(r["macs_per_step"] for r in found), mean(r["macs"] for r in found), first["network"],
        first["instructions"],
        mean(r["step_seconds"] * r["steps"] for r in found) if first["step_seconds"] is not None else None,
        first["time_basis"], {r["person"]: r["after"] for r in found},
    )  # fmt: skip


def needed(record: dict[str, Any], margin: float) -> int:
    """Samples passed until the accuracy came within ``margin`` of the last one, and stayed there."""
    curve = [(0, record["before"]), *((int(n), a) for n, a in record["curve"])]
    last = curve[-1][1]
    outside = [i for i, (_, accuracy) in enumerate(curve) if abs(accuracy - last) > margin]
    return curve[outside[-1] + 1][0] if outside else 0
