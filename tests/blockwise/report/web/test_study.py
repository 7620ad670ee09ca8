"""The page of a study says what is recorded, and its commands train the recorded runs."""

import html
import re
import shlex
from pathlib import Path

import pytest

from blockwise.cli import flags
from blockwise.cli.commands import study_integer, study_precision, study_qat
from blockwise.report import integer_means, qat_means, write_study
from blockwise.report.web.study import conditions, curves, losses, runs, study_page
from blockwise.studies import integers, precision, precision_runs, qat
from blockwise.studies.commands import command
from blockwise.studies.jobs import Job
from blockwise.studies.records import read
from blockwise.studies.summary import summaries

RECORDS = Path(__file__).parents[4] / "results" / "studies"
STUDIES = ("qat_short", "qat_full", "integer_short", "precision_short")
FIGURE = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><metadata>x</metadata><g/></svg>'
SAME = (
    "study", "protocol", "model", "width", "method", "activation_method", "weight_bits", "activation_bits",
    "residual", "regime", "head", "blocks", "epochs", "batch_size", "seed", "compression", "bits",
)  # fmt: skip


def jobs_of(words: tuple[str, ...]) -> tuple[Job, ...]:
    """What the command would train."""
    study, arguments = words[1], words[2:]
    if study == "qat":
        options = flags.parse(study_qat.QatStudyOptions(), arguments, prog="", description="")
        return qat.jobs(study_qat._space(options), study_qat._protocol(options))
    if study == "integer":
        asked = flags.parse(study_integer.IntegerStudyOptions(), arguments, prog="", description="")
        space = integers.IntegerSpace(asked.regimes, asked.data, asked.accelerator)
        return integers.jobs(space, study_integer._protocol(asked))
    wanted = flags.parse(study_precision.PrecisionStudyOptions(), arguments, prog="", description="")
    protocol = study_precision._check(wanted)
    family = precision_runs.family(wanted.model, "digits", protocol)
    points = precision.points(family, protocol.base_width or 16, wanted.compression, wanted.bits)
    return precision_runs.jobs(points, wanted.model, "digits", protocol, "cpu")


@pytest.mark.parametrize("name", ["qat_short", "qat_full", "integer_short"])
def test_the_command_of_each_recorded_run_trains_it(name: str) -> None:
    rows = read(RECORDS / f"{name}.jsonl")
    assert len(rows) > 10
    for row in rows:
        wanted = {key: row[key] for key in SAME if key in row}
        found = [{key: job.conditions.get(key) for key in wanted} for job in jobs_of(command(row))]
        assert wanted in found


def test_runs_that_jump_at_other_times_have_other_names() -> None:
    rows = read(RECORDS / "integer_jumps.jsonl")
    drawn = [(curve["regime"], curve["block"]) for curve in curves(rows)]
    blocks = [4 if row["regime"].endswith("resident") else 1 for row in rows]
    assert len(set(drawn)) == len(drawn) == sum(blocks) > len(rows)
    assert len({row[0] for row in losses(rows).rows}) == len(drawn)


@pytest.mark.parametrize(
    ("count", "last", "wanted"),
    [(6, None, [2, 2, 2]), (9, 5, [2, 2, 5]), (3, None, [2, 1]), (1, 5, [1]), (4, 4, [4]), (2, None, [2])],
)
def test_losses_of_blocks_trained_in_turn_are_curves_of_their_own(count, last, wanted) -> None:
    row = next(r for r in read(RECORDS / "qat_full.jsonl") if r["regime"] == "local-resident")
    row |= {"losses": [1 / (1 + n) for n in range(count)], "epochs": 2, "last_epochs": last}
    found = curves([row])
    assert [len(curve["loss"]) for curve in found] == [curve["epochs"][-1] for curve in found] == wanted
    assert [curve["block"][-7:] for curve in found] == [f"block {n + 1}" for n in range(len(wanted))]
    assert [loss for curve in found for loss in curve["loss"]] == row["losses"]
    (whole,) = curves([row | {"regime": "local"}])
    assert whole["loss"] == row["losses"] and "block" not in whole["block"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"data": "digits"}, "--data digits"),
        ({"data": "photos"}, "--data PATH --data-name photos"),
        ({"data": "cifar10", "source": None}, "--data PATH --data-name cifar10"),
        ({"data": "my digits", "source": "digits"}, "--data digits --data-name 'my digits'"),
        ({"data": "Epilepsy", "source": "aeon:Epilepsy"}, "--data aeon:Epilepsy"),
    ],
)
def test_a_command_names_the_images_of_its_run(line, words) -> None:
    row = next(r for r in read(RECORDS / "qat_full.jsonl")) | line
    told = shlex.join(command(row))
    assert told.startswith(f"study qat {words} --preset full ")


def test_the_command_of_a_point_of_precision_names_its_place() -> None:
    row = read(RECORDS / "precision_short.jsonl")[0]
    (job,) = jobs_of(command(row))
    assert (job.labels["compression"], job.labels["bits"]) == (row["compression"], row["bits"])
    assert job.conditions["seed"] == row["seed"]


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_has_every_run_with_its_error_and_command_and_loads_nothing(name: str) -> None:
    rows = read(RECORDS / f"{name}.jsonl")
    page = study_page(name, rows, FIGURE)
    bare = html.unescape(re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL))
    for row in rows:
        assert f"<td>{100 * row['test_error']:.2f} %</td>" in bare
        assert shlex.join(("python", "run.py", *command(row))) in bare
    assert "<metadata>" not in page and "xmlns" not in bare
    assert not re.search(r"(src|href)=|https?://", bare)
    assert page == study_page(name, rows, FIGURE)


def test_runs_are_sorted_by_error_and_what_diverged_comes_last() -> None:
    rows = read(RECORDS / "integer_short.jsonl")
    lost = rows[3] | {"test_error": None, "validation_error": None, "best_epoch": 0}
    grid = runs([*rows, lost])
    column = grid.head.index("test error")
    errors = [row[column] for row in grid.rows]
    assert errors[-1] == "diverged"
    assert errors[:-1] == [f"{100 * error:.2f} %" for error in sorted(row["test_error"] for row in rows)]
    assert dict(conditions([*rows, lost]))["runs"] == f"{len(rows) + 1}, 1 of them diverged"


def test_losses_are_those_of_the_record_and_their_absence_is_no_fault() -> None:
    rows = read(RECORDS / "qat_short.jsonl")
    table, drawn = losses(rows), curves(rows)
    assert table is not None and len(table.rows) == len(drawn) == len(rows)
    assert drawn[0]["loss"] == rows[0]["losses"] and drawn[0]["epochs"] == [1, 2, 3, 4, 5]
    assert table.rows[0][1:] == tuple(f"{loss:.3f}" for loss in rows[0]["losses"])
    bare = [{k: v for k, v in row.items() if k != "losses"} for row in rows]
    assert losses(bare) is None and curves(bare) == []
    assert "Training loss" not in study_page("bare", bare, FIGURE)


def test_means_stand_on_the_page_beside_the_figure(tmp_path: Path) -> None:
    for name, means in (("qat_short", qat_means), ("integer_short", integer_means)):
        rows = read(RECORDS / f"{name}.jsonl")
        (tmp_path / f"{name}.svg").write_text(FIGURE)
        path = write_study(name, rows, tmp_path / name, means(summaries(rows)))
        page = path.read_text("utf-8")
        assert path == tmp_path / f"{name}.html"
        assert "Means over seeds" in page and f"{100 * summaries(rows)[0].error:.1f}" in page
