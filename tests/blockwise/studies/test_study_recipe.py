"""The study of recipes, as a user runs it, and its rows by hand."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from command_lines import changed

from blockwise.cli import flags
from blockwise.cli import main as cli
from blockwise.cli.commands import study_recipe
from blockwise.experiment.finished import finished_run
from blockwise.experiment.initial import sources
from blockwise.report.recipe import HEADINGS, cells, recipe_notes, recipe_told, recipe_words
from blockwise.studies import recipe, records, tasks
from blockwise.studies.commands import command
from blockwise.studies.qat import QatProtocol
from blockwise.studies.recipe import PROTOCOLS, Recipe, RecipeSpace
from blockwise.studies.recipe_rows import Peaks, recipe_rows
from devices.boards.profile import KIB

VALUES: dict[str, tuple[Any, ...]] = {
    "regime": ("local", "bp"), "blocks": ("2", "layers"), "head": ("gap", "lookahead:4"),
    "bit_chain": ((), (32, 8, 3)), "bits": (3, 32),
}  # fmt: skip
SPACE = RecipeSpace(VALUES, model="cnn", source="digits")
TINY = QatProtocol("tiny", "", epochs=1, batch_size=32, image_size=None, width=2, seeds=(0,))
ARGUMENTS = [
    "study", "recipe", "--data", "digits", "--model", "cnn", "--epochs", "1", "--out", "runs.jsonl",
    "--regimes", "local", "local-resident", "--blocks", "2", "--heads", "gap", "--bit-chains", "none",
    "--bits", "3",
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return cli.main(changed([*ARGUMENTS, *arguments]))


def test_one_ingredient_is_changed_at_a_time_and_no_training_comes_twice():
    base, *others = SPACE.recipes
    assert base == Recipe("local", "2", "gap", 3, ())
    assert [other.changes(base) for other in others] == [
        {"regime": "bp"}, {"blocks": "layers"}, {"head": "lookahead:4"}, {"bit_chain": (32, 8, 3)},
        {"bits": 32},
    ]  # fmt: skip
    longer = replace(SPACE, values=VALUES | {"regime": ("local-resident", "bp"), "last_epochs": (2, 1)})
    assert [recipe.changes(longer.base) for recipe in longer.recipes[-1:]] == [{"last_epochs": 1}]
    told = [job.conditions["last_epochs"] for job in recipe.jobs(longer, replace(TINY, epochs=3))]
    assert told == [6, None, 6, 6, 6, 6, None]
    globally = replace(SPACE, values=VALUES | {"regime": ("bp",)})
    assert [r.changes(globally.base) for r in globally.recipes] == [
        {},
        {"bit_chain": (32, 8, 3)},
        {"bits": 32},
    ]
    found = recipe.jobs(SPACE, replace(TINY, epochs=3))
    assert len({job.key for job in found}) == len(found) == 6
    assert [job.conditions["method"] for job in found] == ["lsq"] * 5 + ["fp32"]


def test_blocks_that_learn_together_are_taught_and_skip_steps_and_others_take_no_notice():
    one = {"blocks": ("2",), "head": ("gap",), "bits": (3,), "bit_chain": ((),)}
    tried = {"regime": ("local", "local-resident"), "distill": ("", "3:0.3"), "skip_heads": (0.0, 0.5)}
    space = replace(SPACE, values=one | tried)
    told = [(j.conditions["distill"], j.conditions["skip_heads"]) for j in recipe.jobs(space, TINY)]
    assert told == [(None, None), (None, None), ("3:0.3", None), (None, 0.5)]
    words = [recipe_words(r.changes(space.base)) for r in space.recipes]
    assert words == ["the base", "local-resident", "taught at 3:0.3", "50% of steps skipped"]
    always = {"regime": ("local", "local-resident", "bp"), "distill": ("3:0.3",), "skip_heads": (0.5,)}
    base, *others = replace(SPACE, values=one | always).recipes
    assert recipe_told(base) == "local, 2 blocks, gap, W3A3, taught at 3:0.3, 50% of steps skipped"
    for other in others:
        assert (other.distill, other.skip_heads) == ("", 0.0)
        assert other.changes(base) == {"regime": other.regime}


def test_runs_keep_the_keys_that_they_had_before_there_was_a_choice():
    """Those of before stand in records; whatever else is chosen has a key of its own."""
    base, *others = recipe.jobs(SPACE, replace(TINY, epochs=3))
    later = ("distill", "skip_heads", "last_epochs", "init", "residual", "precision")
    earlier = {n: value for n, value in base.conditions.items() if n not in later}
    text = json.dumps([base.images.fingerprint, earlier], sort_keys=True)
    assert (hashlib.sha256(text.encode()).hexdigest()[:16], base.augment) in base.lines
    assert all(base.conditions[name] == records.FORMERLY[name] for name in later)
    taught = replace(SPACE, values=VALUES | {"distill": ("3:0.3",), "skip_heads": (0.5,)})
    assert {recipe.jobs(taught, replace(TINY, epochs=3))[0].key}.isdisjoint(
        {job.key for job in (base, *others)}
    )


def test_the_usual_study_has_the_network_images_and_epochs_of_the_study_of_methods():
    short, full, long = PROTOCOLS.values()
    assert (short.epochs, short.image_size, short.seeds) == (5, 16, (0,))
    assert (full.epochs, full.image_size, full.batch_size) == (24, None, 128)
    assert (long.epochs, long.seeds) == (60, (0, 1, 2))
    assert RecipeSpace(recipe.INGREDIENTS).base == Recipe("local", "4", "lookahead:64", 3, ())


@pytest.mark.slow
def test_a_recipe_starts_from_a_run_of_its_seed_whose_peak_and_work_count_too(here, monkeypatch, capsys):
    monkeypatch.setitem(PROTOCOLS, "short", replace(TINY, name="short", seeds=(3,)))
    warm = ["--model", "cnn", "--width", "2", "--blocks", "2", "--head", "gap", "--regimes", "bp"]
    warm += ["--epochs", "1", "--batch-size", "128", "--quiet", "--out", "warm"]
    assert cli.main([*warm, "--seeds", "3", "4"]) in (0, 3)
    assert run("--regimes", "local", "--inits", "none", "warm", "warm/seed-3") == 0  # one under two names
    drawn, started = records.read(here / "runs.jsonl")
    source = finished_run(here / "warm" / "seed-3").regimes[0]
    assert (drawn["init"], drawn["init_name"], drawn["start_kib"]) == (None, None, None)
    assert started["init"] == sources.read("warm/seed-3").digest and started["init_name"] == "./warm"
    assert started["start_kib"][1] == round(source.peak_by_batch[1] / KIB, 1)
    assert started["start_macs"] == source.training_macs
    space = replace(SPACE, values=dict.fromkeys(VALUES, ()) | {
        "regime": ("local",), "blocks": ("2",), "head": ("gap",), "bits": (3,), "bit_chain": ((),),
        "init": ("", "./warm"),
    })  # fmt: skip
    rows = {row.recipe.init: row for row in recipe_rows([drawn, started], space, TINY)}
    more = rows["./warm"].work - rows[""].work
    per_epoch = rows[""].plain.macs * (drawn["images"][0] // 32)
    assert more == pytest.approx(source.training_macs / per_epoch)
    large = replace(rows["./warm"], start=Peaks(1e6, 1e6))
    assert large.share.one > 100 > 1 > rows["./warm"].share.one
    assert "from ./warm" in capsys.readouterr().out
    words = command(started)
    assert words[words.index("--inits") + 1] == "./warm" and "--inits" not in command(drawn)


def line(recipe: Recipe, seed: int, error: float, peak: float, paged: list[float] | None) -> dict[str, Any]:
    local = recipe.regime != "bp"
    return {
        "regime": recipe.regime, "blocks": recipe.blocks if local else None,
        "head": recipe.head if local else None, "weight_bits": recipe.bits,
        "bit_chain": list(recipe.bit_chain),
        "key": f"{recipe} {seed} {error}", "seed": seed, "test_error": error, "images": [320, 10, 100],
        "batch_size": 32, "epochs": 1,
        "last_epochs": None, "distill": None, "skip_heads": None,
        "peak_kib": peak, "peak_kib_of_one": peak / 2, "paged_kib": paged, "seconds": 60.0 * (seed + 1),
        "training_macs": 10 * 1000, "in_shape": [1, 8, 8], "classes": 10,
    }  # fmt: skip


def test_starts_of_one_name_and_other_weights_are_rows_of_their_own():
    base = SPACE.base
    warm = {"init_name": "./warm"}
    lines = [line(base, seed, 0.5, 8.0, None) | warm | {"init": f"{seed}"} for seed in (0, 1)]
    (alone,) = recipe_rows(lines, SPACE, TINY)  # one folder with weights of each seed
    assert alone.recipe.init == "./warm" and alone.over_seeds.runs == 2
    lines += [line(base, 0, 0.4, 8.0, None) | warm | {"init": "a"}]
    found = {row.recipe.init: row.over_seeds.by_seed for row in recipe_rows(lines, SPACE, TINY)}
    assert found == {
        "./warm, weights a": {0: 0.4}, "./warm, weights 0": {0: 0.5}, "./warm, weights 1": {1: 0.5}
    }  # fmt: skip


def test_what_is_asked_for_today_is_told_by_todays_name_and_other_weights_of_that_name_apart():
    """Keys know weights by their digest: a file may have been renamed, or trained anew under its name."""
    base = replace(SPACE, values=VALUES | {"init": ("./warm",)}).base
    gap = replace(base, head="gap" if base.head != "gap" else "pred")
    today = [line(base, 0, 0.5, 8.0, None), line(gap, 0, 0.4, 8.0, None)]
    lines = [row | {"init": "new", "init_name": "/elsewhere/warm"} for row in today]
    lines += [line(base, seed, 0.9, 8.0, None) | {"init": "old", "init_name": "./warm"} for seed in (0, 1)]
    named = {row["key"]: recipe for row, recipe in zip(lines, (base, gap), strict=False)}
    space = replace(SPACE, values=VALUES | {"init": ("./warm",)})
    found = {row.recipe: row for row in recipe_rows(lines, space, TINY, named)}
    old = replace(base, init="./warm, weights old")
    assert {recipe: row.over_seeds.by_seed for recipe, row in found.items()} == {
        base: {0: 0.5}, gap: {0: 0.4}, old: {0: 0.9, 1: 0.9}
    }  # fmt: skip
    assert found[gap].beside is not None
    assert found[gap].beside.difference.mean == pytest.approx(-0.1)


def test_a_recipe_is_told_alone_within_the_share_only_if_it_has_an_error():
    base = SPACE.base
    within = line(base, 0, 0.5, 8.0, [0.1, 0.1]) | {"test_error": None}
    notes = recipe_notes(recipe_rows([within], SPACE, TINY), base)
    assert [note for note in notes if "Within" in note] == [
        f"Within a third of bp's peak at batch {size}: none." for size in ("of the training", "1")
    ]
    notes = recipe_notes(recipe_rows([within | {"test_error": 0.5}], SPACE, TINY), base)
    assert all(note.endswith("the base alone.") for note in notes if "Within" in note)


def test_p_of_six_seeds_is_that_of_ranks_as_well():
    lean = replace(SPACE.base, head="pred")
    lines = [line(SPACE.base, seed, 0.5 + 0.01 * seed, 8.0, None) for seed in range(6)]
    lines += [line(lean, seed, 0.4 - 0.001 * seed, 8.0, None) for seed in range(6)]
    rows = recipe_rows(lines, SPACE, TINY)
    assert cells(rows[0])[HEADINGS.index("p")] == "<0.001 / 0.031"  # of 2^6 signs the two that are all alike
    assert any("Wilcoxon" in note for note in recipe_notes(rows, SPACE.base))
    assert not any("Wilcoxon" in note for note in recipe_notes(rows[1:], SPACE.base))


def test_a_row_stands_beside_the_base_seed_by_seed_and_beside_plain_backpropagation_of_its_bits():
    base, lean = SPACE.base, replace(SPACE.base, head="lookahead:4", blocks="layers")
    lines = [line(base, seed, error, 8.0, [4.0, 1.0]) for seed, error in enumerate((0.2, 0.3, 0.4))]
    lines += [line(lean, seed, error, 8.0, None) for seed, error in enumerate((0.1, 0.22, 0.28, 0.9))]
    lines += [line(replace(base, regime="bp"), 0, 0.5, 9.0, None)]
    best, second, third = recipe_rows(lines, SPACE, TINY)
    assert (best.changes, second.changes, third.changes) == (
        {}, {"blocks": "layers", "head": "lookahead:4"}, {"regime": "bp"}
    )  # fmt: skip
    assert best.beside is None and second.beside is not None
    assert second.beside.difference.mean == pytest.approx(-0.1)  # 0.1, 0.08 and 0.12 less; the fourth alone
    assert second.beside.p == pytest.approx(0.0130, abs=5e-4)  # t = 0.1 / (0.02 / sqrt 3), 2 degrees
    (plain,) = recipe.jobs(replace(SPACE, values=dict.fromkeys(VALUES, ()) | {
        "regime": ("bp",), "blocks": ("2",), "head": ("gap",), "bits": (3,), "bit_chain": ((),)
    }), TINY)  # fmt: skip
    planned = plain.prepare()
    kib, of_one = (planned.plan("bp", batch).peak_bytes / KIB for batch in (None, 1))
    assert (best.share.batch, best.share.one) == (pytest.approx(4 / kib), pytest.approx(1 / of_one))
    assert (second.share.batch, second.share.one) == (pytest.approx(8 / kib), pytest.approx(4 / of_one))
    assert best.work == pytest.approx(10 * 1000 / (planned.plan("bp").schedule.macs * 10))
    told = dict(zip(HEADINGS, cells(second), strict=True))
    assert (told["recipe"], told["to the base"], told["p"]) == (
        "blocks layers, lookahead:4", "-10.0 ± 2.0", "0.013"
    )  # fmt: skip
    started = replace(second, start=Peaks(2 * kib, 3 * of_one))  # what it starts from is trained there, too
    assert [cells(started)[at] for at, name in enumerate(HEADINGS) if name == "share"] == ["2.00", "3.00"]
    notes = recipe_notes([best, second, third], SPACE.base)
    assert notes[0] == "The base: local, 2 blocks, gap, W3A3."


@pytest.mark.slow
def test_runs_are_recorded_once_each_with_their_commands(here, monkeypatch, capsys):
    monkeypatch.setitem(PROTOCOLS, "short", replace(TINY, name="short"))
    assert run("--distill", "none", "3", "--skip-heads", "0", "0.5") == 0
    rows = records.read(here / "runs.jsonl")
    assert [row["regime"] for row in rows] == ["local", "local-resident", "local", "local"]
    assert [(row["distill"], row["skip_heads"]) for row in rows[2:]] == [("3:0.3", None), (None, 0.5)]
    assert rows[2]["training_macs"] > rows[0]["training_macs"] > rows[3]["training_macs"]
    assert rows[0]["paged_kib"][1] < rows[0]["peak_kib_of_one"] and rows[1]["paged_kib"] is None
    assert all(row["training_macs"] > 0 for row in rows)
    assert {path.name for path in here.iterdir()} == {"runs.jsonl", "runs.svg", "runs.png", "runs.html"}
    capsys.readouterr()
    monkeypatch.setattr(tasks, "train", lambda *_: pytest.fail("trained again"))
    assert run("--distill", "none", "3", "--skip-heads", "0", "0.5") == 0
    out = capsys.readouterr().out
    assert "the base" in out and all(f"{100 * row['test_error']:.1f}%" in out for row in rows)
    page = (here / "runs.html").read_text("utf-8")
    assert "lsq, taught at 3:0.3" in page and "lsq, 50% of steps skipped" in page
    for row in rows:
        words = command(row)[2:]
        options = flags.parse(study_recipe.RecipeStudyOptions(), words, prog="", description="")
        (job,) = recipe.jobs(study_recipe._space(options), study_recipe._protocol(options))
        assert job.key == row["key"]
    wide = command(rows[0] | {"width": 8})[2:]
    options = flags.parse(study_recipe.RecipeStudyOptions(), wide, prog="", description="")
    (job,) = recipe.jobs(study_recipe._space(options), study_recipe._protocol(options))
    assert job.config.network.width == 8 and job.key != rows[0]["key"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--regimes", "lokal"], "regime: got 'lokal'"),
        (["--regimes", "niti"], "regime: got 'niti'"),
        (["--method", "lqs"], "method: got 'lqs'"),
        (["--preset", "best"], "--preset: got 'best'"),
        (["--model", "resnet"], "model: got 'resnet'"),
        (["--heads", "gap", "gap"], "--heads: got gap gap"),
        (["--heads", "lookahaed"], "head: got 'lookahaed'"),
        (["--blocks", "9"], "--blocks: got '9'"),
        (["--bit-chains", "32,8"], "--bit-chains: got '32,8', wanted falling widths as 32-8-4-3, or none"),
        (["--bit-chains", "none", "4-8"], "--bit-chain: got 4 8, wanted widths of 1 to 32 bits that fall"),
        (["--bit-chains", "32-8-4-3"], "--epochs: got 1, wanted at least 4"),
        (["--bits", "9"], "9"),
        (["--bits"], "--bits: got no value"),
        (["--inits", "none", "nowhere/at/all"], "--init nowhere/at/all: got no such file or folder"),
        (["--last-epochs", "0"], "--last-epochs: got 0"),
        (["--distill", "none", "0"], "--distill: got '0', wanted T or T:WEIGHT"),
        (["--distill", "3", "3:0.3", "--heads", "sim"], "--distill: got no local head"),
        (["--skip-heads", "0", "1"], "--skip-heads: got 1.0"),
        (["--skip-heads", "0.5", "0.5"], "--skip-heads: got 0.5 0.5"),
        (["--seeds", "1", "1"], "--seeds: got 1 1"),
        (["--epochs", "0"], "--epochs: got 0"),
        (["--precision", "fp8"], "--precision: got 'fp8'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, message, here, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(here.iterdir()) == []
