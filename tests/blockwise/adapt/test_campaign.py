"""A campaign on a set of one's own: trained on the others, deployed, adapted, recorded, resumed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from blockwise.adapt import campaign as trials
from blockwise.adapt.asked import Asked, campaign
from blockwise.adapt.pretraining import WithHeads, deployed
from blockwise.cli import main as cli
from blockwise.data import load
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.trainer import options_of, run_of
from blockwise.training import Run

pytestmark = pytest.mark.filterwarnings("ignore::blockwise.system.notes.Note")


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """Signals of 4 people who do two things twice each, twelve samples in one go."""
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    y = np.tile(np.repeat([0, 1, 0, 1], 12), 4)
    x = draws.normal(size=(len(y), 2, 16)) + y[:, None, None] * np.sin(np.arange(16))
    np.savez("own.npz", x_train=x, y_train=y, group_train=np.repeat(["ann", "bo", "cy", "di"], 48))
    return tmp_path / "own.npz"


def asked(*ways: str, **settings: object) -> Asked:
    usual = Asked(
        ("bo",), ways, "own.npz", "recording", model="cnn1d", width=2, blocks="2", base_epochs=1, epochs=2,
        folder=Path("out"),
    )  # fmt: skip
    return replace(usual, **settings)  # type: ignore[arg-type]


def test_trials_of_an_earlier_version_are_found_though_settings_have_come_since(own, monkeypatch):
    made = campaign(asked("bp"))
    (way,), learning = made.ways, Config.learning
    now = made.key(way, "bo"), made.base_key(way, "bo")

    def then(config: Config) -> dict[str, object]:
        return {name: value for name, value in learning(config).items() if name not in trials.FORMERLY}

    with monkeypatch.context() as earlier:
        earlier.setattr(Config, "learning", then)
        assert (made.key(way, "bo"), made.base_key(way, "bo")) == now
    waits = replace(way, settings={**way.settings, "jump_every": 2})
    assert made.key(waits, "bo") != now[0]


@pytest.mark.slow
def test_ways_start_alike_and_what_is_recorded_is_not_done_again(own, monkeypatch):
    made = campaign(asked("bp", "bp-fused", "local", "head"))
    trials.check(made)
    first = list(trials.run(made, lambda text: None))
    assert [row["way"] for row in first] == ["bp", "bp-fused", "local", "head"]
    assert len({(row["before"], row["others_before"]) for row in first}) == 1  # one network is deployed
    assert first[0]["after"] == first[1]["after"] and first[0]["peak_bytes"] > first[1]["peak_bytes"]
    assert first[3]["peak_bytes"] < first[2]["peak_bytes"] < first[0]["peak_bytes"]
    assert first[0]["samples"] == [24, 24, 48]
    assert [n for n, _ in first[0]["curve"]] == [24, 48]
    assert first[0]["curve"][-1][1] == first[0]["after"]
    lines = Path("out/records.jsonl").read_text("utf-8").splitlines(keepends=True)
    Path("out/records.jsonl").write_text("".join(lines[:-1]), "utf-8")  # as if it were interrupted
    monkeypatch.setattr(trials, "deployed", None)  # the network that was deployed is kept
    again = list(trials.run(made, lambda text: None))
    assert lasting(again) == lasting(first)


def lasting(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """As they are read back, without what another day changes."""
    changing = ("seconds", "created", "environment")
    kept = [{name: value for name, value in row.items() if name not in changing} for row in rows]
    found: list[dict[str, object]] = json.loads(json.dumps(kept))
    return found


def test_heads_learn_beside_backpropagation_and_change_no_bit_of_it(own):
    made = campaign(asked("bp"))
    config = made.config(made.ways[0], "bo", base=True)
    prepared = prepare(config, load("own.npz", hold_out=("bo",)))
    nets = []
    for procedure in (None, WithHeads()):
        run = run_of(prepared, "bp", options_of(prepared, "bp"))
        if procedure is not None:
            run = Run(run.net, prepared.dataset, procedure, options_of(prepared, "bp"))
        run.train()
        nets.append(run.net)
    plain, beside = nets
    for name, tensor in plain.bodies.state_dict().items():
        assert torch.equal(tensor, beside.bodies.state_dict()[name]), name
    heads = zip(plain.heads.parameters(), beside.heads.parameters(), strict=True)
    moved = [not torch.equal(before, after) for before, after in heads]
    assert moved and all(moved)


@pytest.mark.slow
def test_integers_are_deployed_to_the_bit_in_which_they_were_trained(own):
    made = campaign(asked("niti-local"))
    way, parts = made.ways[0], made.parts("bo")
    start, facts = deployed(way, made.config(way, "bo", base=True), parts)
    base = prepare(made.config(way, "bo", base=True), parts.others)
    run = run_of(base, "niti-local", options_of(base, "niti-local"))
    run.train()
    net = prepare(made.config(way, "bo"), parts.person, initial=start).build("niti-local")
    weights = {n: t for n, t in run.net.state_dict().items() if n.endswith("weight")}
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in weights.items())
    assert facts["validation_accuracy"] is not None


@pytest.mark.slow
def test_the_command_tells_all_ways_in_one_table_and_writes_it(own, capsys):
    flags = [
        "adapt", "--data", "own.npz", "--hold-out", "bo", "cy", "--ways", "bp", "head", "--model", "cnn1d",
        "--width", "2", "--blocks", "2", "--base-epochs", "1", "--epochs", "1", "--out", "out",
    ]  # fmt: skip
    assert cli.main(flags) == 0
    text, progress = capsys.readouterr()
    assert "1 of 4: bp, bo" in progress
    assert [line.split()[0] for line in text.splitlines() if line[:4] in ("bp  ", "head")] == ["bp", "head"]
    found = json.loads(Path("out/result.json").read_text("utf-8"))
    assert [row["way"] for row in found["rows"]] == ["bp", "head"]
    assert found["conditions"]["samples"] == {"bo": [24, 24, 48], "cy": [24, 24, 48]}
    assert "n = 2 people" in Path("out/report.html").read_text("utf-8")
    assert cli.main([*flags, "--json"]) == 0
    text, progress = capsys.readouterr()
    assert json.loads(text)["rows"] == found["rows"]
    assert progress == ""  # nothing was done again


def test_where_every_training_diverged_it_has_failed(own, capsys):
    flags = ["--model", "cnn1d", "--width", "2", "--blocks", "2", "--base-epochs", "1", "--epochs", "1"]
    lost = ["adapt", "--data", "own.npz", "--hold-out", "bo", "--ways", "bp", "--lr", "1e30", *flags]
    assert cli.main([*lost, "--out", "out"]) == 1
    assert "no way that fits the board was trained to the end" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--hold-out: got nobody, wanted each group once"),
        (["--hold-out", "bo", "bo"], "--hold-out: got bo bo, wanted each group once"),
        (["--hold-out", "zed"], "--hold-out: got 'zed'"),
        (["--hold-out", "bo", "--ways", "bpp"], "--ways: got 'bpp'.*did you mean 'bp'"),
        (["--hold-out", "bo", "--split", "hour"], "--split: got 'hour'"),
        (["--hold-out", "bo", "--margin", "2"], "--margin: got 2"),
        (["--hold-out", "bo", "--epochs", "0"], "--epochs: got 0"),
        (["--hold-out", "bo", "--data", "digits"], "--hold-out: got digits, whose samples have no groups"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_any_work(own, flags, message, capsys):
    usual = [] if "--data" in flags else ["--data", "own.npz"]
    assert cli.main(["adapt", *usual, *flags]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("blockwise: ")
    assert re.search(message, err.splitlines()[-1]), err
    assert not Path("runs").exists()
