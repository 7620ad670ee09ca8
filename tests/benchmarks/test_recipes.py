"""The section of recorded recipes: a row each, from the lines of the record alone."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blockwise.statistics.shares import wilson
from blockwise.studies import records
from blockwise.studies.qat import PROTOCOLS
from blockwise.studies.recipe import Recipe, RecipeSpace
from blockwise.studies.recipe_rows import plain_of

LINE: dict[str, Any] = {
    "revision": records.REVISION, "precision": "float32", "study": "recipe", "protocol": "short",
    "model": "cnn", "width": 16, "norm": "batch", "method": "lsq", "activation_method": "lsq",
    "weight_bits": 3, "activation_bits": 3, "bit_chain": [], "residual": "codes", "regime": "local",
    "blocks": "2", "head": "gap", "epochs": 5, "batch_size": 128, "optimizer": "sgd-momentum",
    "learning_rate": 0.1, "data": "CIFAR-10 (JPEG)", "in_shape": [1, 8, 8], "classes": 10,
    "images": [1280, 10, 1000], "peak_kib": 50.0, "peak_kib_of_one": 10.0, "paged_kib": None,
    "training_macs": 10**9, "seconds": 60.0, "stored_bytes": 1, "weights": 1, "host_tensor_bytes": 1,
    "board": "stm32", "environment": {"threads": "1", "processor": "one", "torch": "2"},
}  # fmt: skip


@pytest.fixture
def section(tmp_path, monkeypatch):
    """The text that is made of lines in a record of a preset."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sections"]:
        monkeypatch.delitem(sys.modules, name)
    from sections import recipes, recorded

    monkeypatch.setattr(recorded, "RESULTS", tmp_path)

    def made(preset: str = "", lines: list[dict[str, Any]] | None = None) -> str:
        if preset:
            (tmp_path / "studies").mkdir(exist_ok=True)
            rows = [LINE | {"protocol": preset, "key": str(n)} | line for n, line in enumerate(lines or ())]
            records.write(tmp_path / "studies" / f"recipe_{preset}.jsonl", rows)
        return str(recipes.recipes())

    return made


def test_nothing_is_shown_where_nothing_is_recorded(section):
    assert section() == ""


def test_every_recipe_has_its_interval_its_shares_and_the_flags_that_train_it(section):
    taught = {"distill": "3:0.3", "test_error": 0.2}
    lines = [{"seed": seed, **own} for own in ({"test_error": 0.3}, taught) for seed in (0, 1)]
    text = section("short", lines)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    head, _, best, base = rows
    assert "p" not in head and head.index("share") < head.index("share of 1")
    told = dict(zip(head, best, strict=True))
    low, high = (f"{100 * x:.1f}" for x in wilson(0.2, 1000))
    assert told["95 %"] == f"{low} to {high}" == "17.6 to 22.6"
    assert (told["recipe"], told["n"], told["to the base"]) == ("taught at 3:0.3", "2", "-10.0 ± 0.0")
    space = RecipeSpace({"regime": ("local",), "blocks": ("2",), "head": ("gap",)}, model="cnn")
    plain = plain_of(space, PROTOCOLS["short"], 3, LINE)
    assert told["share"] == f"{50 / plain.peaks.batch:.2f}"
    assert told["share of 1"] == f"{10 / plain.peaks.one:.2f}"
    assert "--distill 3:0.3" in told["flags"] and told["flags"].endswith("--seeds 0 1`")
    assert dict(zip(head, base, strict=True))["recipe"] == "the base"
    assert space.base == Recipe("local", "2", "gap")


def test_every_preset_that_is_recorded_has_a_table_of_its_own(section):
    section("short", [{"seed": 0, "test_error": 0.3}])
    text = section("long", [{"seed": 0, "test_error": 0.1, "epochs": 60}])
    assert text.count("## Recipes") == 1 and text.count("| the base |") == 2
    assert "`run.py study recipe --preset long --model cnn`" in text and "60 epochs" in text


def test_another_width_or_arithmetic_has_a_table_of_its_own_beside_plain_backpropagation_of_its_width(
    section,
):
    wide = {"test_error": 0.1, "width": 32, "precision": "bf16"}
    text = section("short", [{"seed": 0, **wide}, {"seed": 0, "test_error": 0.3}])
    usual, other = text.split("`run.py study recipe --preset short --model cnn --width 32 --precision bf16`")
    assert "`run.py study recipe --preset short --model cnn`" in usual and "at width 32" in other
    space = RecipeSpace({"regime": ("local",), "blocks": ("2",), "head": ("gap",)}, model="cnn")
    shares = []
    for part, width in ((usual, 16), (other, 32)):
        (told,) = (line for line in part.splitlines() if line.startswith("| the base |"))
        row = told.strip("| ").split(" | ")
        plain = plain_of(space, replace(PROTOCOLS["short"], width=width), 3, LINE)
        shares.append(f"{50 / plain.peaks.batch:.2f}")
        assert shares[-1] in row
        assert ("--width 32" in row[-1] and "--precision bf16" in row[-1]) == (width == 32)
    assert shares[0] != shares[1]


def test_another_method_has_a_table_of_its_own_with_float32_beside_it(section):
    dorefa = {"method": "dorefa", "activation_method": "dorefa"}
    floats = {"method": "fp32", "activation_method": "fp32", "weight_bits": 32, "activation_bits": 32}
    lines = [{"test_error": 0.3}, {"test_error": 0.5, **dorefa}, {"test_error": 0.1, **floats}]
    text = section("short", [{"seed": 0, **line} for line in lines])
    usual, other = text.split("`run.py study recipe --preset short --model cnn --method dorefa`")
    for part, error, method in ((usual, "30.0%", "lsq"), (other, "50.0%", "dorefa")):
        (base,) = (line for line in part.splitlines() if line.startswith("| the base |"))
        assert error in base and f"--method {method}" in base and base.endswith("--seeds 0` |")
        (float32,) = (line for line in part.splitlines() if line.startswith("| float32 |"))
        assert "10.0%" in float32


def test_the_figure_is_of_the_rows_of_the_first_table(section, tmp_path, monkeypatch):
    wide = {"test_error": 0.1, "width": 32}
    lines = [wide, {"test_error": 0.3}, {"test_error": 0.4, "distill": "3:0.3"}]
    section("short", [{"seed": 0, **line} for line in lines])
    recipes, drawn = sys.modules["sections.recipes"], []
    monkeypatch.setattr(recipes, "draw_recipes", lambda runs, rows, stem: drawn.append((runs, rows, stem)))
    recipes.draw("short", tmp_path / "recipe_short")
    ((runs, rows, stem),) = drawn
    assert {run["width"] for run in runs} == {16} and [row.error for row in rows] == [0.3, 0.4]
    assert stem == tmp_path / "recipe_short"
    recipes.draw("long", tmp_path / "recipe_long")  # of which nothing is recorded
    assert len(drawn) == 1


def test_the_base_is_what_the_others_change_whatever_was_recorded_first(section):
    """With several workers any run may be the first that ends."""
    lines = [{"distill": "3:0.3"}, {"test_error": 0.25}, {"skip_heads": 0.5}]
    text = section("short", [{"seed": 0, "test_error": 0.3, **line} for line in lines])
    (base,) = (line for line in text.splitlines() if line.startswith("| the base |"))
    assert "25.0%" in base
