"""What a run wrote is read back as it was, and what is no finished run is refused in one line."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hand_made import SCENARIOS

from blockwise.experiment.finished import finished_run
from blockwise.experiment.result import Result
from blockwise.experiment.result_json import dumps, load, read
from blockwise.experiment.step_rows import Change
from blockwise.training.outcome import Divergence
from devices.errors import InputError


def with_more(result: Result) -> Result:
    """With a divergence, a loss that is no number, obstacles by batch and a change."""
    first, *others = result.regimes
    assert first.training is not None
    epoch = dataclasses.replace(first.training.history[0], train_loss=math.inf)
    stopped = Divergence("loss", "stage1", 2, 3, 0.1)
    training = dataclasses.replace(first.training, test_accuracy=None, divergence=stopped, history=(epoch,))
    first = dataclasses.replace(first, training=training, obstacle_by_batch={1: "norms"})
    change = Change("bp", "batch of 4", 8, 8, True, ("--batch-size", "4"))
    return dataclasses.replace(result, regimes=(first, *others), changes=(change,))


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_a_result_is_read_as_it_was_written(scenario: str, tmp_path: Path) -> None:
    result, path = SCENARIOS[scenario](), tmp_path / "result.json"
    path.write_text(dumps(result), "utf-8")
    assert load(path) == finished_run(tmp_path) == finished_run(path) == result


def test_what_json_cannot_spell_and_what_is_absent_are_read_too(tmp_path: Path) -> None:
    result, path = with_more(SCENARIOS["four"]()), tmp_path / "result.json"
    path.write_text(dumps(result), "utf-8")
    found = load(path)
    training = found.regimes[0].training
    assert training is not None and math.isnan(training.history[0].train_loss)
    assert dumps(found) == dumps(result)
    assert found.regimes[0].divergence == Divergence("loss", "stage1", 2, 3, 0.1)
    assert (found.regimes[0].obstacle_by_batch, found.changes) == ({1: "norms"}, result.changes)


def test_a_result_of_an_earlier_or_a_later_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    result, path = SCENARIOS["four"](), tmp_path / "result.json"
    data = json.loads(dumps(result))
    del data["changes"], data["regimes"][0]["tensors"]
    data["later"] = data["device"]["later"] = 1
    path.write_text(json.dumps(data), "utf-8")
    first = dataclasses.replace(result.regimes[0], tensors=())
    assert load(path) == dataclasses.replace(result, regimes=(first, *result.regimes[1:]))


def test_what_is_no_finished_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for folder, told in (("none", "got no such folder"), ("empty", "got a folder without a run")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=told):
            finished_run(tmp_path / folder)
    (tmp_path / "empty" / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"not finished.*; finish it with --resume .*empty"):
        finished_run(tmp_path / "empty")
    (tmp_path / "empty" / "result.json").write_text('{"schema_version": 2, "regimes": 3}')
    with pytest.raises(InputError, match="got another structure"):
        finished_run(tmp_path / "empty")


def test_its_json_is_held_against_the_structure_too(tmp_path: Path) -> None:
    """What export and --init read is refused as show refuses it."""
    (tmp_path / "result.json").write_text('{"schema_version": 2}', "utf-8")
    for reader in (load, read):
        with pytest.raises(InputError, match="got another structure"):
            reader(tmp_path / "result.json")
