"""A run that an earlier version began goes on, though settings have come since."""

import json
from pathlib import Path

import pytest
from command_runs import TINY, refusal

from blockwise.cli import main as cli
from blockwise.experiment.config import Config

LATER = (
    "frozen",
    "augment",
    "hold_out",
    "zo_eps",
    "zo_lr",
    "zo_directions",
    "zo_backprop",
    "zo_range",
    "zo_mu",
    "distill",
    "skip_heads",
    "jump_every",
)


def trainings() -> list[tuple[str, list[dict[str, float]]]]:
    """The bits that each ended with, and its epochs with the seconds that they took."""
    rows = json.loads(Path("run/result.json").read_text("utf-8"))["regimes"]
    return [(row["training"]["digest"], row["training"]["history"]) for row in rows]


@pytest.mark.slow
def test_it_goes_on_from_its_checkpoints_and_can_be_shown_and_exported(capsys, monkeypatch):
    learning = Config.learning

    def then(config):
        return {name: value for name, value in learning(config).items() if name not in LATER}

    with monkeypatch.context() as earlier:
        earlier.setattr(Config, "learning", then)  # what the fingerprints of its checkpoints were made of
        assert cli.main([*TINY, "--epochs", "2", "--digest", "--quiet", "--out", "run"]) == 0
    path = Path("run/config.json")
    groups = {
        group: {name: value for name, value in values.items() if name not in LATER}
        for group, values in json.loads(path.read_text("utf-8")).items()
        if group not in ("zeroth_order", "local")
    }
    path.write_text(json.dumps(groups), encoding="utf-8")
    ended = trainings()
    Path("run/result.json").unlink()
    for _ in range(2):  # it stays a run of the earlier version
        assert cli.main(["--resume", "run", "--quiet"]) == 0
        assert trainings() == ended  # nothing was trained again
        assert json.loads(path.read_text("utf-8")) == groups
    assert cli.main(["export", "run"]) == 0
    capsys.readouterr()
    groups["training"]["bunching"] = 3
    path.write_text(json.dumps(groups), encoding="utf-8")
    told = "run/config.json: got no valid configuration: training.bunching, which this version does not know"
    for words in (["--resume", "run"], ["export", "run"], ["firmware", "--from", "run"]):
        assert told in refusal(capsys, *words)
