"""One command trains under several seeds, goes on where it was stopped, and ends as single runs do."""

import json
from pathlib import Path

import pytest
import torch
from command_runs import TINY, refusal

from blockwise.cli import main as cli
from blockwise.cli.commands import compare_seeds
from blockwise.experiment import run_folder as outfolder

ARGUMENTS = (*TINY, "--epochs", "1")


def stop_at(seed, patch):
    """Ctrl-C before the result of this seed is written."""
    write = compare_seeds.report.write_all

    def stopped(result, out, drawing):
        if result.seed == seed:
            raise KeyboardInterrupt
        write(result, out, drawing)

    patch.setattr(compare_seeds.report, "write_all", stopped)


@pytest.mark.slow
def test_each_seed_is_a_run_of_its_own_and_all_are_put_together(capsys, monkeypatch):
    assert cli.main([*ARGUMENTS, "--seed", "3", "--out", "alone", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)["regimes"][0]["test_accuracy"]
    with monkeypatch.context() as stopped:
        stop_at(3, stopped)
        assert cli.main([*ARGUMENTS, "--seeds", "1", "3", "--out", "all", "--json"]) == 130
    err = capsys.readouterr().err
    assert err.endswith("blockwise: interrupted; go on with --resume all\n")
    assert "seed 1: 1 of 2" in err and err.count("Verdict") == 1
    assert "another --seeds than the run has" in refusal(capsys, "--resume", "all", "--seeds", "1", "2")
    assert cli.main(["--resume", "all", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == json.loads(Path("all/seeds.json").read_text("utf-8"))
    assert "seed 1:" not in err
    (row,) = found["regimes"]
    assert (found["seeds"], found["runs"]) == ([1, 3], ["seed-1", "seed-3"])
    assert row["accuracies"][1] == alone
    assert row["mean"] == pytest.approx(sum(row["accuracies"]) / 2)
    assert cli.main(["show", "all/seed-3", "--quiet"]) == 0
    assert "Test accuracy: bp" in capsys.readouterr().out
    for words in (["export", "all"], ["diff", "all", "all"], ["firmware", "--from", "all"]):
        assert "got the runs of several seeds, wanted one of them; name a" in refusal(capsys, *words)
    assert "got the runs of several seeds" in refusal(capsys, "--init", "all", "--out", "new")
    check_shown(found, capsys)


NETWORK = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, WIDE, 3), nn.ReLU(), nn.Flatten(), nn.Linear(WIDE * 36, 10))
"""


@pytest.mark.slow
def test_seeds_that_are_left_have_the_network_as_it_was_when_they_were_asked_for(capsys, monkeypatch):
    """A mean of two networks is none of either."""
    Path("net.py").write_text(NETWORK.replace("WIDE", "4"), "utf-8")
    asked = ["--model", "net.py:Net", "--regimes", "bp", "--method", "fp32", "--epochs", "1", "--head", "gap"]
    with monkeypatch.context() as stopped:
        stop_at(1, stopped)
        assert cli.main([*asked, "--seeds", "0", "1", "2", "--out", "all", "--quiet"]) == 130
    Path("net.py").write_text(NETWORK.replace("WIDE", "2"), "utf-8")
    assert cli.main(["--resume", "all", "--quiet"]) in (0, 3)
    found = [json.loads(Path(f"all/seed-{n}/result.json").read_text("utf-8"))["model"] for n in range(3)]
    assert found[0]["parameters"] == 4 * 9 + 4 + 4 * 36 * 10 + 10 and found[0] == found[1] == found[2]
    starts = [torch.load(f"all/seed-{n}/checkpoints/bp.pt", weights_only=True)["best"] for n in (1, 2)]
    assert not any(a.equal(b) for a, b in zip(*(s.values() for s in starts), strict=True) if a.ndim > 1)
    other = Path("all/seed-2/result.json")
    told = json.loads(other.read_text("utf-8"))
    told["model"]["parameters"] = 7
    other.write_text(json.dumps(told), "utf-8")
    capsys.readouterr()
    assert "runs seed-0 and seed-2: got networks, trained weights or" in refusal(capsys, "show", "all")


def check_shown(found, capsys):
    """``show`` of the folder tells what the command told, from the runs alone."""
    assert cli.main(["show", "all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert cli.main(["show", "all"]) == 0
    shown = capsys.readouterr().out
    assert cli.main(["--resume", "all"]) == 0
    assert shown == capsys.readouterr().out
    mean = f"{100 * found['regimes'][0]['mean']:.2f}"
    assert ["mean", mean, "%"] in [line.split() for line in shown.splitlines()]
    assert cli.main(["show", "all", "--quiet"]) == 0
    assert f"Mean test accuracy of 2 seeds: bp {mean} %" in capsys.readouterr().out
    Path("all/seed-3/result.json").unlink()
    told = refusal(capsys, "show", "all")
    assert "run all/seed-3: got a run that is not finished" in told and "--resume all/seed-3" in told
    Path("all/seeds.json").write_text("{", encoding="utf-8")
    assert "all/seeds.json: got JSONDecodeError" in refusal(capsys, "show", "all")


def test_seeds_of_which_there_is_no_deviation_are_refused(capsys):
    assert "--seeds: got 1, wanted two or more different seeds" in refusal(capsys, "--seeds", "1")
    assert "--seeds: got 1 1, wanted two" in refusal(capsys, "--seeds", "1", "1")
    assert "wanted a run that trains" in refusal(capsys, "--seeds", "1", "2", "--dry-run")
    assert "--seeds" in refusal(capsys, "--seeds", "1", "x")
    assert "--seeds: got -1" in refusal(capsys, "--seeds", "-1", "2")


@pytest.mark.slow
def test_runs_that_lie_there_are_not_taken_for_those_of_the_command(capsys):
    """Neither a finished run nor one that goes on, whose settings stay as they were."""
    assert cli.main([*ARGUMENTS, "--seed", "7", "--quiet", "--out", "all/seed-1"]) == 0
    capsys.readouterr()
    other = Path("all/seed-1")
    kept = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    told = refusal(capsys, *ARGUMENTS, "--seeds", "1", "3", "--out", "all")
    assert "--out all: got a folder that holds a run in seed-1, wanted a new or empty one" in told
    (other / "result.json").unlink()
    assert "holds a run in seed-1" in refusal(capsys, *ARGUMENTS, "--seeds", "1", "3", "--out", "all")
    del kept[other / "result.json"]
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == kept
    assert not Path("all/config.json").exists()


@pytest.mark.slow
def test_a_run_of_another_configuration_is_not_gone_on_with_nor_averaged(capsys):
    for seed, epochs in (("1", "1"), ("3", "2")):
        more = ["--epochs", epochs, "--seed", seed, "--quiet"]
        assert cli.main([*TINY, *more, "--out", f"other/seed-{seed}"]) == 0
    assert cli.main([*ARGUMENTS, "--seeds", "1", "3", "--quiet", "--out", "all"]) == 0
    Path("all/seed-3").rename("mine")
    Path("other/seed-3").rename("all/seed-3")
    capsys.readouterr()
    told = refusal(capsys, "--resume", "all")
    assert "--resume all: got another --epochs than seed-3 in it has" in told
    told = refusal(capsys, "show", "all")
    assert "runs seed-1 and seed-3: got settings (epochs) that are not the same" in told
    Path("all/seed-3").rename("other/seed-3")
    assert cli.main(["--resume", "all", "--quiet"]) == 0
    results = [json.loads(Path(f"{run}/result.json").read_text("utf-8")) for run in ("mine", "all/seed-3")]
    assert len({run["regimes"][0]["training"]["test_accuracy"] for run in results}) == 1


def test_two_commands_do_not_train_in_one_folder(capsys):
    Path("run").mkdir()
    with outfolder.only_command(Path("run")):
        assert cli.main([*ARGUMENTS, "--out", "run"]) == 2
    told = capsys.readouterr().err
    assert "--resume run: got another command that writes it, wanted one; wait for it" in told
