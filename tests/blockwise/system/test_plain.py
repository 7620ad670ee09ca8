"""Plain objects of dataclasses are those of the standard library."""

from dataclasses import asdict, dataclass, field

from blockwise.system.plain import plain


@dataclass(frozen=True)
class Inner:
    numbers: tuple[int, ...]
    by_name: dict[str, float]


@dataclass(frozen=True)
class Outer:
    name: str
    inner: tuple[Inner, ...]
    nothing: None = None
    rows: list[dict[int, Inner]] = field(default_factory=list)


def test_dataclasses_within_tuples_lists_and_dicts_become_dicts_as_asdict_makes_them():
    one = Inner((1, 2), {"a": 0.5})
    whole = Outer("x", (one, one), rows=[{3: one}])
    assert plain(whole) == asdict(whole)
    assert list(plain(whole)) == list(asdict(whole)) and type(plain(whole)["inner"]) is tuple
    assert plain((whole, {"k": True})) == (asdict(whole), {"k": True})
