"""``run.py arena``: exit codes, what it prints and writes, and one line for whatever is wrong."""

import json
import random
from xml.etree import ElementTree

import pytest

from blockwise.cli import main as cli
from blockwise.report.packing import svg
from devices.memory.arena import Buffer, csv_form, pack, planner, solver, violations

# Never more than 4 bytes live. In 4 bytes a and b must lie where x was, c and d where y was, and, for z
# and w, a beside c and b beside d: four in a row have no such ring of neighbours.
RING = """id,lower,upper,size
x,0,1,2\ny,0,2,2\na,1,3,1\nb,1,4,1\nc,2,3,1\nd,2,4,1\nz,3,5,2\nw,4,5,2
"""
EXAMPLE = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n"


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """A folder of its own, with the example of five buffers that need 12 bytes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "five.csv").write_text(EXAMPLE, encoding="utf-8")
    return tmp_path


def arena(*arguments: object) -> int:
    return cli.main(["arena", *map(str, arguments)])


def test_what_fits_ends_with_0_and_a_valid_plan_beside_a_picture(workplace, capsys):
    assert arena("five.csv", "--capacity", 12) == 0
    table = csv_form.read(workplace / "five-with-offsets.csv")
    places = {name: (0, offset) for name, offset in table.offsets.items()}
    assert violations(table.buffers, places, [(0, 12)]) == []
    ElementTree.parse(workplace / "five-with-offsets.svg")
    printed = capsys.readouterr().out
    for words in ("fits: 12 of 12 bytes", "lower bound 12", "gap", "0.00%", "capacity", "method", "time"):
        assert words in printed


def test_what_does_not_fit_ends_with_3_and_says_that_no_plan_does(workplace, capsys):
    assert arena("five.csv", "--capacity", 11, "--quiet") == 3
    assert capsys.readouterr().out == "does not fit: 12 bytes, 11 there are; no plan fits\n"
    assert (workplace / "five-with-offsets.csv").exists()


def test_nothing_is_counted_behind_the_last_buffer_and_the_alignment_survives(workplace, capsys):
    text = "id,lower,upper,size,alignment\nonly,0,3,5,8\n"
    (workplace / "only.csv").write_text(text, encoding="utf-8")
    assert arena("only.csv", "--capacity", 5, "--quiet") == 0
    assert capsys.readouterr().out == "fits: 5 of 5 bytes\n"
    written = (workplace / "only-with-offsets.csv").read_text("utf-8")
    assert written == "id,lower,upper,size,alignment,offset\nonly,0,3,5,8,0\n"
    assert arena("only.csv", "--capacity", 4, "--quiet") == 3


def test_a_buffer_above_the_capacity_does_not_fit(workplace, capsys):
    assert arena("five.csv", "--capacity", 3) == 3
    assert capsys.readouterr().out.startswith("does not fit: 12 bytes, 3 there are; no plan fits\n")
    assert (workplace / "five-with-offsets.csv").exists()


@pytest.mark.parametrize("solver_is_there", [True, False])
def test_that_no_plan_fits_is_said_only_where_it_is_proven(workplace, capsys, monkeypatch, solver_is_there):
    if not solver_is_there:
        monkeypatch.setattr(solver, "available", lambda: False)
    (workplace / "ring.csv").write_text(RING, encoding="utf-8")
    assert arena("ring.csv", "--capacity", 5, "--quiet") == 0
    assert arena("ring.csv", "--capacity", 4, "--quiet") == 3
    assert capsys.readouterr().out.endswith("does not fit: 5 bytes, 4 there are; no plan fits\n")
    monkeypatch.setattr(planner, "QUICK_NODES", 1)
    assert arena("ring.csv", "--capacity", 4, "--quiet", "--time-limit", 0) == 3
    printed = capsys.readouterr().out
    assert printed.endswith("none that fits was found in 0 s, but one may exist\n")


def test_a_search_that_is_told_its_capacity_stops_as_soon_as_it_is_met(workplace, capsys):
    assert arena("five.csv", "--capacity", 1000, "--json") == 0
    rules = json.loads(capsys.readouterr().out)
    assert rules["height"] <= 1000 and rules["seconds"] < 1


def test_json_has_the_figures_and_the_offsets(capsys):
    assert arena("five.csv", "--capacity", 16, "--json", "--out", "new/folder") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["fits"], result["height"], result["lower_bound"], result["gap"]) == (True, 12, 12, 0)
    assert result["offsets"].keys() == {"b1", "b2", "b3", "b4", "b5"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["absent.csv", "--capacity", 12], "No such file"),
        (["five.csv"], "--capacity: got nothing, wanted the bytes of the memory"),
        (["--capacity", 12], "PATH: got nothing, wanted the CSV file with the columns id,"),
        (["five.csv", "--capacity", 0], "--capacity: got 0"),
        (["five.csv", "--capacity", -5], "--capacity: got -5"),
        (["five.csv", "--capacity", "12k"], "--capacity: got '12k'"),
        (["five.csv", "--capacity", 2**60], "--capacity: got"),
        (["five.csv", "--capacity", 12, "--time-limit", -1], "--time-limit: got -1"),
        (["five.csv", "--capacity", 12, "--time-limit", "nan"], "--time-limit: got nan"),
        (["five.csv", "--capacity", 12, "--out", "five.csv/x"], "--out five.csv/x: got Not a directory"),
        (["five.csv", "--capacity", 12, "--out", "taken"], "--out taken/five-with-offsets.csv: got a folder"),
        (["five.csv", "--capacity", 12, "--out", "half"], "--out half/five-with-offsets.svg: got a folder"),
        (["five.csv", "--capacity", 12, "--out", "/proc/none"], "--out /proc/none: got"),
        (["five.csv", "--capacity", 12, "--out", "n" * 300], "File name too long"),
        (["five.csv", "--capcity", 12], "got '--capcity'"),
        (["placed.csv", "--capacity", 12], "a column 'offset'"),
        (["link.csv", "--capacity", 12], "the input itself"),
    ],
)
def test_bad_input_ends_with_2_and_one_line_and_writes_nothing(workplace, arguments, complaint, capsys):
    (workplace / "placed.csv").write_text("id,lower,upper,size,offset\na,0,1,4,0\n", encoding="utf-8")
    (workplace / "link-with-offsets.csv").write_text(EXAMPLE, encoding="utf-8")
    (workplace / "link.csv").symlink_to("link-with-offsets.csv")
    (workplace / "taken" / "five-with-offsets.csv").mkdir(parents=True)
    (workplace / "half" / "five-with-offsets.svg").mkdir(parents=True)
    before = sorted(workplace.rglob("*"))
    assert arena(*arguments) == 2
    streams = capsys.readouterr()
    assert complaint in streams.err
    assert streams.err.count("\n") == 1 and streams.out == ""
    assert ".tmp" not in streams.err
    assert sorted(workplace.rglob("*")) == before
    assert (workplace / "link-with-offsets.csv").read_text("utf-8") == EXAMPLE


def test_the_picture_shows_every_buffer_the_bound_and_the_capacity():
    rng = random.Random(1)
    buffers = [
        Buffer(f"<b&{i}>", rng.randint(1, 50), t, t + rng.randint(1, 9))
        for i, t in enumerate(rng.choices(range(60), k=300))
    ]
    plan = pack(buffers, 8)
    root = ElementTree.fromstring(svg(plan, plan.height + 8))
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text for title in root.iter(f"{space}title")]
    assert len(titles) == 300
    assert titles[0] == (
        f"<b&0>: {buffers[0].size} bytes at {plan.offsets['<b&0>']}, "
        f"alive in [{buffers[0].lower}, {buffers[0].upper})"
    )
    texts = " ".join(text.text for text in root.iter(f"{space}text"))
    assert f"lower bound {plan.bound:,}" in texts and f"capacity {plan.height + 8:,}" in texts
    for box in root.iter(f"{space}rect"):
        assert float(box.get("width")) > 0 and float(box.get("height")) > 0


def test_a_picture_of_nothing_can_be_drawn():
    ElementTree.fromstring(svg(pack([]), 10))
