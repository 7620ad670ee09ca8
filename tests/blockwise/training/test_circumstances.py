"""What bits hang on beside the configuration: threads go with the run, the rest is told."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from blockwise.cli import main as cli
from blockwise.cli.commands import compare
from blockwise.experiment import result_json
from blockwise.report.facts import run_line
from blockwise.studies import qat, records, tasks
from blockwise.training import checkpoint
from blockwise.training.circumstances import as_begun, kept, places_in, state_of
from blockwise.training.options import Silent
from blockwise.training.places import Circumstances, Place, moves

TINY = ("--model", "cnn", "--width", "4", "--regimes", "bp")
RUN = (*TINY, "--epochs", "2", "--batch-size", "256", "--device", "stm32n657", "--digest")


@pytest.fixture
def threads():
    """So many in this process; put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def begun(path: Path, **changed: object) -> Circumstances:
    """A checkpoint of a run that was begun otherwise."""
    found = replace(Circumstances.now(), **changed)
    checkpoint.save(path, {"circumstances": asdict(found)}, "f")
    return found


def test_a_run_goes_on_with_as_many_threads_as_it_began_and_says_so(tmp_path, threads, capsys):
    threads(1)
    begun(tmp_path / "a.pt", threads=3)
    with as_begun([tmp_path / "none.pt", tmp_path / "a.pt"]):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 1
    err = capsys.readouterr().err
    assert err.startswith("blockwise: goes on with 3 threads, as the run began, not with 1")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"torch": "2.11.0"}, "the run began with PyTorch 2.11.0, not PyTorch "),
        ({"instructions": "VSX"}, "the run began with a processor with VSX, not "),
        ({"processor": "A Chip (x)"}, "the run began with the processor A Chip (x), not the processor "),
        ({"accelerator": "H1"}, "the run began with accelerator H1, not accelerator "),
    ],
)
def test_what_cannot_be_helped_is_told_in_one_line(tmp_path, capsys, changed, told):
    begun(tmp_path / "a.pt", **changed)
    with as_begun([tmp_path / "a.pt"]):
        pass
    err = capsys.readouterr().err
    assert told in err
    assert err.endswith("its weights may differ from an uninterrupted run's\n")
    assert err.count("\n") == 1


def test_a_change_between_compiled_and_eager_steps_is_told_where_both_are_known(tmp_path, capsys):
    begun(tmp_path / "a.pt", compiled=True)
    begun(tmp_path / "b.pt")  # of an earlier version
    for path, compiled, told in (
        ("a", False, True),
        ("a", True, False),
        ("a", None, False),
        ("b", True, False),
    ):
        with as_begun([tmp_path / f"{path}.pt"], compiled=compiled):
            pass
        err = capsys.readouterr().err
        assert ("the run began with compiled steps, not eager steps: its weights may differ" in err) == told
        assert bool(err) == told


def test_a_run_that_goes_on_as_it_began_is_told_nothing(tmp_path, capsys):
    assert (begun(tmp_path / "a.pt"),) == kept(tmp_path / "a.pt") == (Circumstances.now(),)
    with as_begun([tmp_path / "a.pt"]):
        pass
    assert capsys.readouterr().err == ""


def test_an_earlier_version_kept_one_place_and_no_model_of_a_processor(tmp_path, capsys):
    earlier = asdict(Circumstances.now())
    del earlier["processor"]
    checkpoint.save(tmp_path / "a.pt", {"circumstances": earlier}, "f")
    assert kept(tmp_path / "a.pt") == (Circumstances(**earlier),)
    with as_begun([tmp_path / "a.pt"]):
        pass
    assert capsys.readouterr().err == ""


def test_a_checkpoint_holds_how_its_training_began_and_each_change():
    now = Circumstances.now()
    there = replace(now, accelerator="H1", torch="2.11.0")
    places = (Place("one", 1, there), Place("one", 3, now), Place("two", 2, there))
    assert state_of(places)["circumstances"] == asdict(there)
    assert places_in(state_of(places), "one") == places
    assert places_in(state_of(()), "one") == ()
    here = f"{now.threads} thread{'s' if now.threads > 1 else ''} of {now.processor} (torch {now.torch})"
    assert moves(places) == (
        f"begun on H1 (torch 2.11.0), from epoch 3 of one on {here}, from epoch 2 of two on H1 (torch 2.11.0)"
    )
    assert moves(places[:1]) == ""


def test_a_run_that_came_back_is_told_that_a_part_of_it_was_trained_elsewhere(tmp_path, capsys):
    now = Circumstances.now()
    places = (Place("", 1, now), Place("", 2, replace(now, accelerator="H1")))
    checkpoint.save(tmp_path / "a.pt", state_of(places), "f")
    with as_begun([tmp_path / "a.pt"]):
        pass
    told = "blockwise: a part of the run was trained with accelerator H1, not accelerator none: its weights"
    assert capsys.readouterr().err.startswith(told)


class Stop(Exception):
    """Of a training."""


class Stopping(Silent):
    """Until so many epochs are finished."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def expect(self, blocks: list[str]) -> None:
        """Nothing."""

    def epoch(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            raise Stop


@pytest.fixture
def on(monkeypatch):
    """Trains on an accelerator of this name from now on; empty: on the processor."""
    here = Circumstances.now()

    def on(model: str) -> Circumstances:
        found = replace(here, accelerator=model)
        monkeypatch.setattr(Circumstances, "now", classmethod(lambda *_, **__: found))
        return found

    return on


def test_the_record_of_a_training_that_is_moved_tells_where_it_was_begun_and_from_when_it_went_on(
    tmp_path, on, capsys
):
    protocol = qat.QatProtocol("tiny", "", epochs=2, batch_size=256, image_size=None, width=4, seeds=(0,))
    space = qat.QatSpace(("fp32",), ("local-resident",), model="cnn", source="digits", accelerator="cpu")
    (job,) = qat.jobs(space, protocol)
    work = tasks.task_of(job, "", tmp_path / "runs.jsonl", "").work
    there, blocks = on("H1"), [block.name for block in job.prepare().network.blocks]
    with pytest.raises(Stop):
        work(tmp_path, Stopping(3))
    here = on("")
    for _ in range(2):  # the second is told as the first was
        capsys.readouterr()
        with pytest.raises(Stop):
            work(tmp_path, Stopping(1))
        assert "the run began with accelerator H1, not accelerator none" in capsys.readouterr().err
    row = work(tmp_path, Stopping(99))
    assert row["compiled"] is False and row["augment"] == "no augmentation"
    assert len(blocks) > 2 and len(row["losses"]) == 2 * len(blocks)
    assert row["places"] == [
        {"block": blocks[0], "epoch": 1, "circumstances": asdict(there)},
        {"block": blocks[1], "epoch": 2, "circumstances": asdict(here)},
    ]
    records.append(tmp_path / "runs.jsonl", row)
    assert records.read(tmp_path / "runs.jsonl")[0]["places"] == row["places"]


def test_the_result_of_a_run_that_is_moved_tells_it_and_that_of_a_regime_finished_before_stays_its_own(
    tmp_path, monkeypatch, on, capsys
):
    monkeypatch.chdir(tmp_path)
    there, epoch, seen = on("H1"), compare.ConsoleWatcher.epoch, []

    def third(self, regime, found):
        epoch(self, regime, found)
        seen.append(regime)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(compare.ConsoleWatcher, "epoch", third)
    two = (*TINY[:-1], "bp", "local", "--epochs", "2", "--batch-size", "256", "--device", "stm32n657")
    assert cli.main([*two, "--out", "run"]) == 130
    here = on("")
    capsys.readouterr()
    assert cli.main(["--resume", "run", "--quiet"]) == 0
    assert "the run began with accelerator H1" in capsys.readouterr().err
    result = result_json.load("run/result.json")
    first, second = (row.training.places for row in result.regimes)
    assert first == (Place("", 1, there),)
    assert second == (Place("", 1, there), Place("", 2, here))
    assert run_line(result).endswith(f"; local {moves(second)}") and "bp begun" not in run_line(result)


@pytest.mark.slow
def test_a_run_resumed_where_fewer_threads_are_asked_for_ends_with_the_bits_of_the_first(
    tmp_path, monkeypatch, threads, capsys
):
    monkeypatch.chdir(tmp_path)
    digests = {}
    for count in (1, 2):
        threads(count)
        assert cli.main([*RUN, "--json", "--out", f"on{count}"]) == 0
        digests[count] = json.loads(capsys.readouterr().out)["regimes"][0]["training"]["digest"]
    assert digests[1] != digests[2]
    monkeypatch.setattr(compare.ConsoleWatcher, "epoch", interrupted)
    assert cli.main([*RUN, "--out", "halves"]) == 130
    capsys.readouterr()
    threads(1)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--resume", "halves", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["regimes"][0]["training"]["digest"] == digests[2]
    assert found["environment"]["threads"] == "2"
    assert "blockwise: goes on with 2 threads, as the run began, not with 1" in err


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
