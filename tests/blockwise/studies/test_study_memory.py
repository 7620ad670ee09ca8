"""``run.py study memory``: every printed cell of the study, its rounding rule, and the command."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockwise import models
from blockwise.cli import main as cli
from blockwise.studies.digits import printed, printed_total
from blockwise.studies.memory import measure
from blockwise.studies.memory_result import MemoryStudy
from devices import load
from devices.memory.paper import paper_figures

# The study's tables for ResNet-20, MB: (precision, phase) -> the cells from top to bottom.
PUBLISHED = {
    ("W32A32", "inference"): {"activations": "0.07", "parameters": "1.08", "total": "1.15"},
    ("W3A3", "inference"): {"activations": "0.006", "parameters": "0.10", "total": "0.11"},
    ("W32A32", "training"): {
        "activations": "0.77 x B", "parameters": "1.08", "optimizer": "1.08", "total": "2.16 + 0.77 B"
    },
    ("W3A3", "training"): {
        "activations": "0.07 x B", "parameters": "1.08", "optimizer": "1.08", "total": "2.16 + 0.07 B"
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def study() -> MemoryStudy:
    return measure(load("stm32"), batch_size=2)


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_printed_cell_of_the_study_comes_out(study):
    found = {
        (table.precision, table.phase): {e.name: e.study for e in (*table.entries, table.total) if e.study}
        for table in study.tables
    }
    assert found == PUBLISHED


def test_the_formula_at_four_bits_would_print_other_activations():
    network = models.build("resnet20").describe(blocks="stages", head="gap")
    three, four = (paper_figures(network, bits=3, activation_bits=bits) for bits in (3, 4))
    assert [str(printed(f.inference_activations)) for f in (three, four)] == ["0.006", "0.008"]
    assert [str(printed(f.training_activations)) for f in (three, four)] == ["0.07", "0.10"]


@pytest.mark.parametrize(
    ("count", "digits"),
    [
        (0, "0.00"), (1, "0.000001"), (6_144, "0.006"), (9_499, "0.009"), (9_500, "0.01"), (9_999, "0.01"),
        (10_000, "0.01"), (14_999, "0.01"), (15_000, "0.02"), (65_536, "0.07"), (101_146, "0.10"),
        (1_078_888, "1.08"), (123_456_789, "123.46"),
    ],
)  # fmt: skip
def test_bytes_are_printed_to_two_decimals_or_one_digit(count, digits):
    assert str(printed(count)) == digits


def test_totals_add_what_is_printed_not_the_bytes():
    assert str(printed_total([printed(65_536), printed(1_078_888)])) == "1.15"
    assert str(printed(65_536 + 1_078_888)) == "1.14"
    assert str(printed_total([Decimal("0.006"), Decimal("0.10")])) == "0.11"


@given(count=st.integers(0, 10**12))
def test_a_printed_figure_is_off_by_half_a_digit_at_most(count):
    figure = printed(count)
    assert abs(figure * 1_000_000 - count) <= Decimal(5) * Decimal(10) ** (figure.as_tuple().exponent + 5)


def test_entries_add_up_to_totals_and_differences_join_both_sides(study):
    assert len(study.tables) == 4
    for table in study.tables:
        assert sum(e.program_bytes for e in table.entries) == table.total.program_bytes
        assert sum(table.by_category.values()) == table.total.program_bytes
        assert sum(e.formula_bytes or 0 for e in table.entries) == table.total.formula_bytes
        more = sum(line.bytes for line in table.differences)
        assert table.total.formula_bytes + more == table.total.program_bytes
        assert table.batch_size == (2 if table.phase == "training" else 1)


def test_quantized_inference_needs_less_than_float_and_training_far_more(study):
    program = {(t.precision, t.phase): t.total.program_bytes for t in study.tables}
    assert program["W3A3", "inference"] * 5 < program["W32A32", "inference"]
    assert program["W3A3", "training"] < program["W32A32", "training"]
    assert all(t.total.program_bytes > t.total.formula_bytes for t in study.tables)


# ------------------------------------------------------------------------ command


@pytest.mark.slow
def test_the_command_prints_the_tables_as_plain_text(capsys):
    assert cli.main(["study", "memory"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100
    for words in ("2.16 + 0.07 B", "0.006", "MiB, rounded up", "images at 8 bits instead of 3", "45"):
        assert words in out


@pytest.mark.slow
def test_json_holds_every_figure_and_its_conditions_and_out_the_same(capsys):
    assert cli.main(["study", "memory", "--json", "--batch-size", "3", "--out", "memory.json"]) == 0
    out, _ = capsys.readouterr()
    assert out == Path("memory.json").read_text("utf-8")
    data = json.loads(out)
    assert data["schema_version"] == 1
    assert data["conditions"]["training_batch_size"] == 3
    assert data["conditions"]["device"] == load("stm32").name
    assert {"torch", "torchvision", "git_commit", "alignment_bytes", "optimizer"} <= set(data["conditions"])
    assert [len(data[part]) for part in ("tables", "parameters")] == [4, 6]
    plain = json.loads(json.dumps(measure(load("stm32"), 3).to_json()))
    assert data == plain


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--batch-size 0", "--batch-size: got 0, wanted at least 1"),
        ("--batch-size many", "--batch-size: got 'many', wanted a whole number"),
        ("--device stm33", "did you mean"),
        ("--out missing/memory.json", "--out missing/memory.json: got no folder missing"),
        ("--out .", "--out .: got a folder"),
        ("--epochs 3", "'--epochs'"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing_behind(capsys, arguments, words):
    assert cli.main(["study", "memory", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err and err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_the_study_is_listed(capsys):
    assert cli.main(["study", "--help"]) == 0
    assert "memory" in capsys.readouterr().out
