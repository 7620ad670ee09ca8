"""What bits hang on beside the configuration: threads go with the run, the rest is told."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from blockwise.cli import main as cli
from blockwise.cli.commands import compare
from blockwise.training import checkpoint
from blockwise.training.circumstances import Circumstances, as_begun, kept

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


def test_a_run_that_goes_on_as_it_began_is_told_nothing(tmp_path, capsys):
    assert begun(tmp_path / "a.pt") == kept(tmp_path / "a.pt") == Circumstances.now()
    with as_begun([tmp_path / "a.pt"]):
        pass
    assert capsys.readouterr().err == ""


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
