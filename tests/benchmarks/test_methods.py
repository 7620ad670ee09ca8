"""Sections of the studies of methods: which recorded lines they show."""

import sys
from pathlib import Path

import pytest

from blockwise.studies import records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def methods(monkeypatch):
    """The module of those sections."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sections"]:
        monkeypatch.delitem(sys.modules, name)
    from sections import methods

    return methods


def test_runs_of_other_updates_width_or_length_are_experiments_and_rows_of_no_table(methods, monkeypatch):
    """They may explain a row, and change nothing else: neither rows nor float32 beside them.

    So it is with other networks and images, in the short study as well.
    """
    recorded = records.read(ROOT / "results" / "studies" / "qat_full.jsonl")
    before = methods.qat_full(), methods.front()
    others = {
        "optimizer": "adam", "learning_rate": 0.01, "width": 8, "epochs": 60, "model": "plain4",
        "batch_size": 16,
    }  # fmt: skip
    lines = [row | {name: value, "test_error": 0.9} for row in recorded for name, value in others.items()]
    lines += [row | {"epochs": 60, "model": "plain4", "data": "others"} for row in recorded]
    monkeypatch.setattr(
        methods, "runs_of", lambda name: [*lines, *recorded] if name == "qat_full" else runs_of(name)
    )
    runs_of = sys.modules["sections.recorded"].runs_of
    assert (methods.qat_full(), methods.front()) == before


def test_other_networks_and_images_stand_in_no_table_of_the_short_studies(methods, monkeypatch):
    before, runs_of = (methods.qat(), methods.precision()), sys.modules["sections.recorded"].runs_of
    others = {"model": "plain4", "data": "others", "in_shape": [1, 16, 16]}

    def more(name):
        recorded = runs_of(name)
        return [*recorded, *(r | {k: v, "test_error": 0.9} for r in recorded for k, v in others.items())]

    monkeypatch.setattr(methods, "runs_of", more)
    assert (methods.qat(), methods.precision()) == before


def test_the_front_tells_what_wider_networks_end_at_by_the_same_cut(methods, monkeypatch):
    runs_of = sys.modules["sections.recorded"].runs_of
    recipe = next(row for row in runs_of("recipe_full") if row["weight_bits"] == 3)
    wide = recipe | {"epochs": 60, "width": 24, "precision": "bf16", "paged_kib": [4321.4, 1.0]}
    lines = [wide | {"seed": seed, "test_error": 0.1 + seed / 50} for seed in (0, 1)]
    lines += [wide | {"head": "gap", "test_error": 0.5}, wide | {"distill": "3:0.3", "test_error": 0.01}]
    monkeypatch.setattr(methods, "runs_of", lambda name: lines if name == "recipe_long" else runs_of(name))
    told = (
        "At width 24, with heads `lookahead:64` and simulated in bf16, 60 epochs end at 11.0 ± 1.4% (n = 2)"
    )
    assert methods._wider() == [f"{told}, at a peak of 4,321 KiB."]
    assert told in methods.front()


def test_the_front_tells_of_one_recipe_whatever_else_is_recorded(methods, monkeypatch):
    before, runs_of = methods.front(), sys.modules["sections.recorded"].runs_of
    recipe = next(row for row in runs_of("recipe_full") if row["weight_bits"] == 3)
    others = [{"distill": "3:0.3"}, {"head": "gap", "blocks": "8", "paged_kib": [9e4, 9e3]}]
    others += [{"precision": "bf16"}, {"bit_chain": [32, 8, 4, 3]}]
    lines = [recipe | {"test_error": 0.5} | other for other in others]
    longer = [line | {"epochs": 60, "seed": seed} for line in lines for seed in (0, 5)]
    more = {"recipe_full": lines, "recipe_long": longer}
    monkeypatch.setattr(methods, "runs_of", lambda name: [*more.get(name, ()), *runs_of(name)])
    assert methods.front() == before


def test_the_front_tells_what_more_epochs_of_its_recipe_end_at(methods, monkeypatch):
    recorded = records.read(ROOT / "results" / "studies" / "recipe_full.jsonl")
    recipe = next(row for row in recorded if row["weight_bits"] == 3)
    longer = [recipe | {"epochs": 60, "seed": seed, "test_error": 0.15 + 0.01 * seed} for seed in (0, 1)]
    others = [recipe | {"epochs": 60, "blocks": "4"}, recipe | {"epochs": 60, "weight_bits": 8}]
    runs_of = sys.modules["sections.recorded"].runs_of
    for found, told in (([*others, *longer], "In 60 epochs it ends at 15.5 ± 0.7% (n = 2)."), (others, "")):
        monkeypatch.setattr(
            methods, "runs_of", lambda name, f=found: f if name == "recipe_long" else runs_of(name)
        )
        assert methods._longer([recipe]) == ([told] if told else [])
        assert told in methods.front()
