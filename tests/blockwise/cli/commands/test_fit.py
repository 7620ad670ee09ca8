"""``run.py fit``: what it prints, its JSON, its exit codes and its complaints."""

import json
import re
import shlex
from pathlib import Path

import pytest
from command_lines import changed

from blockwise.cli import main as cli
from blockwise.cli.commands.compare import parse
from blockwise.cli.commands.fit_training import evenly
from devices import load

TINY = ["fit", "--model", "cnn", "--width", "4", "--in-shape", "1", "8", "8", "--jobs", "1"]
SMALL = [
    *TINY, "--blocks", "stages", "2", "--head", "gap", "--norm", "group", "--optimizer", "sgd", "adam",
    "--bits", "3", "4x8",
]  # fmt: skip
ROW = {
    "regime", "blocks", "head", "norm", "batch", "optimizer", "weight_bits", "activation_bits", "update",
    "micro_batch", "flags", "peak_bytes", "share_of_usable", "macs_per_step", "macs_per_image",
    "flash_read_bytes_per_step", "flash_written_bytes_per_step", "flash_bytes_per_step",
    "flash_bytes_per_image", "arena_bytes", "placed", "seconds_per_step", "seconds_per_image", "time_basis",
    "time_rests_on",
}  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_front_is_printed_as_plain_text(capsys):
    assert cli.main([*SMALL, "--limit", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out and max(map(len, out.splitlines())) <= 100
    first, *_ = out.splitlines()
    assert "candidates;" in first and "fit by the sum of their live bytes" in first and first.endswith("s.")
    assert "cnn at width 4, 1x8x8, 10 classes, lsq" in out
    for words in ("local-paged", "MMAC", "flash", "arena", "group norm", "not shown (--limit)"):
        assert words in out


def test_json_tells_every_figure_and_out_the_same(capsys):
    assert cli.main([*SMALL, "--json", "--out", "fit.json", "--batch-size", "4"]) == 0
    out, _ = capsys.readouterr()
    assert out == Path("fit.json").read_text("utf-8")
    data = json.loads(out)
    assert data["schema_version"] == 1
    assert set(data) == {
        "schema_version", "conditions", "space", "usable_bytes", "candidates", "front", "nearest_miss",
        "smallest_board",
    }  # fmt: skip
    assert data["conditions"]["balanced_for"]["batch"] == 4
    assert {"torch", "git_commit", "alignment_bytes", "model", "device"} <= set(data["conditions"])
    assert data["space"]["bits"] == [[3, 3], [4, 8]]
    assert data["nearest_miss"] is data["smallest_board"] is None
    counts = data["candidates"]
    assert counts["possible"] == counts["looked_at"] >= counts["fitting"] > 0
    assert data["front"]
    for row in data["front"]:
        assert set(row) == ROW | {"ties", "command", "test_accuracy", "run"}
        assert row["seconds_per_image"] == row["seconds_per_step"] / row["batch"]
        assert row["batch"] == 4 and row["placed"]
        assert row["macs_per_image"] * 4 == row["macs_per_step"]
        assert row["flash_bytes_per_image"] * 4 == row["flash_bytes_per_step"]
        assert row["share_of_usable"] == row["peak_bytes"] / load("stm32").usable_bytes


def test_nothing_fits(capsys):
    flags = ["--device", "stm32f103", "--reserve-kib", "16", "--batch-size", "32", "--regimes", "bp", "local"]
    assert cli.main([*SMALL, *flags]) == 3
    out, _ = capsys.readouterr()
    for words in ("Nothing fits. Nearest: ", "of RAM missing", "conv1", "smallest built-in board"):
        assert words in " ".join(out.split())
    assert cli.main([*SMALL, *flags, "--json"]) == 3
    data = json.loads(capsys.readouterr().out)
    assert data["front"] == []
    miss, board = data["nearest_miss"], data["smallest_board"]
    assert set(miss) == ROW | {
        "ram_missing_bytes", "flash_missing_bytes", "peak_operation", "tensors_at_peak"
    }  # fmt: skip
    assert miss["ram_missing_bytes"] == miss["peak_bytes"] - data["usable_bytes"] > 0
    assert set(miss["tensors_at_peak"][0]) == {"name", "owner", "category", "bytes"}
    assert set(board) == {"name", "title", "usable_bytes", "candidate"}
    assert set(board["candidate"]) == ROW and board["candidate"]["placed"]
    assert board["candidate"]["share_of_usable"] == board["candidate"]["peak_bytes"] / board["usable_bytes"]


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["3", "4x8", "32", "32x8", "4x32"])
def test_the_flags_of_a_row_plan_its_peak(capsys, bits):
    chosen = ["--regimes", "bp", "--optimizer", "sgd", "--update", "end", "--batch-size", "4", "--bits", bits]
    assert cli.main(changed([*SMALL, *chosen, "--json"])) == 0
    (row,) = json.loads(capsys.readouterr().out)["front"]
    network = ["--model", "cnn", "--width", "4", "--in-shape", "1", "8", "8", "--dry-run", "--json"]
    assert cli.main([*network, *row["flags"]]) == 0
    (planned,) = json.loads(capsys.readouterr().out)["regimes"]
    assert planned["peak_bytes"] == row["peak_bytes"]


def pasted(out):
    """The commands of a table, as a shell would take them."""
    text = out.partition("Commands, by row:\n")[2].replace(" \\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.slow
def test_every_row_prints_the_command_that_has_its_settings_and_no_others(capsys):
    asked = [*SMALL, "--reserve-kib", "4", "--regimes", "bp-best", "local", "local-resident"]
    assert cli.main(asked) == 0
    printed = pasted(capsys.readouterr().out)
    assert cli.main([*asked, "--json"]) == 0
    front = json.loads(capsys.readouterr().out)["front"]
    assert printed == [row["command"] for row in front] and len(front) > 2
    for command, row in zip(printed, front, strict=True):
        assert command[0] == "run.py"
        config = parse(command[1:])
        network, training, bits = config.network, config.training, config.quantization
        assert training.regimes == (row["regime"],) and training.batch_size == row["batch"]
        assert (training.optimizer, training.update) == (row["optimizer"], row["update"])
        assert (bits.weight_bits, bits.activation_bits) == (row["weight_bits"], row["activation_bits"])
        assert (network.norm, network.model, network.width) == (row["norm"], "cnn", 4)
        assert row["blocks"] in (None, network.blocks) and row["head"] in (None, network.head)
        assert (config.board.device, config.board.reserve_kib) == ("stm32", 4)
        assert config.images.in_shape == (1, 8, 8) and config.images.classes == 10


TRAIN = (
    "--model cnn --width 4 --jobs 1 --blocks stages --head gap --norm group --optimizer sgd --bits 3 "
    "--batch-size 64 --data digits --regimes bp-fused local"
)


@pytest.mark.slow
def test_rows_are_trained_once_and_read_afterwards(capsys):
    wanted = ["fit", *TRAIN.split(), "--train", "2", "--epochs", "1", "--json"]
    assert cli.main(wanted) == 0
    first = json.loads(capsys.readouterr().out)["front"]
    trained = [row for row in first if row["run"]]
    assert len(trained) == min(2, len(first)) and first[0] in trained and first[-1] in trained
    assert all("--epochs 1" in " ".join(row["command"]) for row in first)
    for row in trained:
        (found,) = json.loads((Path(row["run"]) / "result.json").read_text("utf-8"))["regimes"]
        assert found["test_accuracy"] == row["test_accuracy"] > 0
        assert (found["regime"], found["peak_bytes"]) == (row["regime"], row["peak_bytes"])
    assert all(row["test_accuracy"] is None for row in first if not row["run"])
    (Path(trained[0]["run"]) / "result.json").unlink()  # as if it had been stopped before its end
    before = (Path(trained[1]["run"]) / "result.json").stat().st_mtime_ns
    elsewhere = ["--executor", "processes", "--workers", "1", "--storage", "kept"]
    assert cli.main([*wanted, *elsewhere]) == 0
    assert list(Path("kept").iterdir()) == []  # what it went on from is in its folder now
    out, err = capsys.readouterr()
    assert json.loads(out)["front"] == first
    assert err.count("blockwise: training ") == 1
    assert (Path(trained[1]["run"]) / "result.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("length", "count", "chosen"),
    [(5, 9, [0, 1, 2, 3, 4]), (5, 1, [0]), (5, 2, [0, 4]), (9, 3, [0, 4, 8]), (10, 4, [0, 3, 6, 9])],
)
def test_the_rows_that_are_trained_are_spread_over_the_front(length, count, chosen):
    assert evenly(length, count) == chosen


def test_a_sample_is_announced(capsys):
    assert cli.main([*SMALL, "--max-candidates", "20"]) in (0, 3)
    out, err = capsys.readouterr()
    assert "of which 20 were looked at" in err and err.count("\n") == 1
    assert out.startswith("20 candidates of ")
    words = " ".join(out.split())
    assert "No other of the 20 candidates looked at, of " in words and "; others may be" in words


@pytest.mark.slow
def test_only_of_all_candidates_it_is_said_that_no_other_is_better(capsys):
    assert cli.main(SMALL) == 0
    assert re.search(
        r"No other of the \d+ candidates is better in peak", " ".join(capsys.readouterr().out.split())
    )


def test_bits_that_a_method_lacks_are_left_out_of_the_defaults_only(capsys):
    flags = [*TINY, "--regimes", "bp", "--batch-size", "1", "--method", "apot"]
    assert cli.main(flags) == 0
    capsys.readouterr()
    assert cli.main([*flags, "--bits", "8"]) == 2
    assert "--bits: got 8, wanted 2 to 5 with apot" in capsys.readouterr().err


def test_a_search_that_was_cut_off_where_nothing_fits_does_not_say_that_it_was_whole(capsys):
    cut = ["fit", "--device", "stm32f103", "--model", "resnet8", "--in-shape", "3", "32", "32", "--jobs", "1"]
    assert cli.main([*cut, "--max-candidates", "10", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["candidates"]["closed"] is False


def test_cuts_that_a_network_lacks_are_left_out_of_the_defaults_only(capsys):
    assert cli.main([*TINY, "--regimes", "bp", "--batch-size", "1", "--bits", "3"]) == 0
    assert cli.main(changed([*SMALL, "--blocks", "4"])) == 2
    assert "1 to 3, the layers that can be cut" in capsys.readouterr().err


def test_help_says_that_figures_are_compared_per_image(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["fit", "--help"])
    assert stop.value.code == 0
    assert "compared per image" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--device stm33", "did you mean"),
        ("--model resnet21", "model: got 'resnet21'"),
        ("--regimes bq", "regime: got 'bq'"),
        ("--head lookahed:8", "did you mean 'lookahead'"),
        ("--head lookahead:wide", "head width: got 'wide'"),
        ("--head lookahead:", "--head: got 'lookahead:'"),
        ("--head gap:3", "head gap"),
        ("--norm bach", "did you mean 'batch'"),
        ("--optimizer sgdm", "optimizer: got 'sgdm'"),
        ("--method lsk", "method: got"),
        ("--bits 9", "--bits: got 9"),
        ("--bits 32x9", "--bits: got 9"),
        ("--in-shape 3 32", "model cnn: got inputs of shape 3x32"),
        ("--in-shape 3 32 32 32", "--in-shape: got 4 numbers"),
        ("--batch-size 1 x", "--batch-size: got '1 x', wanted whole numbers"),
        ("--model resnet18", "did you mean 'torchvision:resnet18'?"),
        ("--bits 4x", "--bits: got '4x'"),
        ("--bits 3 --method fp32", "--bits: got 3, wanted 32 with fp32"),
        ("--update later", "--update: got 'later'"),
        ("--head", "--head"),
        ("--batch-size", "--batch-size"),
        ("--batch-size 0", "--batch-size: got 0, wanted at least 1"),
        ("--batch-size 4 4", "--batch-size: got 4 4"),
        ("--batch-size many", "--batch-size"),
        ("--micro-batch 0", "--micro-batch: got 0"),
        ("--blocks 9", "--blocks: got '9'"),
        ("--blocks halves", "--blocks: got 'halves'"),
        ("--in-shape 3 0 8", "--in-shape: got 0"),
        ("--classes 1", "--classes: got 1"),
        ("--width 0", "--width: got 0"),
        ("--width 100000", "--width: got 100000, wanted at most 65,536"),
        ("--classes 100000", "--classes: got 100000, wanted at most 65,536"),
        ("--batch-size 1 1000000000", "--batch-size: got 1000000000, wanted at most 16,777,216"),
        ("--head lookahead:100000", "head width: got 100000, wanted at most 65,536"),
        ("--in-shape 3 60000 60000", "--in-shape: got 10800000000, wanted at most 1,073,741,824"),
        ("--jobs 0", "--jobs: got 0"),
        ("--limit 0", "--limit: got 0"),
        ("--train 2", "--train: got no --data beside it"),
        ("--train 0 --data digits", "--train: got 0"),
        ("--epochs 30", "--epochs: got no --train beside it, wanted rows of the front to train"),
        ("--runs elsewhere --data digits", "--runs: got no --train beside it"),
        ("--threads 2", "--threads: got no --train beside it"),
        ("--all --max-candidates 3", "--all: got --max-candidates 3 beside it"),
        ("--max-candidates 0", "--max-candidates: got 0"),
        ("--reserve-kib -1", "--reserve-kib: got -1"),
        ("--reserve-kib 9999", "--reserve-kib: got 9999"),
        ("--head sim --regimes local --batch-size 1", "--batch-size: got 1, wanted at least 2"),
        ("--out missing/fit.json", "--out missing/fit.json: got no folder missing"),
        ("--out .", "--out .: got a folder"),
        ("--out fit.json/fit.json", "--out fit.json/fit.json: got no folder fit.json"),
        ("--out " + 300 * "n", "got File name too long"),
        ("--epoch 3", "'--epoch'"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing_behind(capsys, arguments, words):
    assert cli.main(changed([*SMALL, *arguments.split()])) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err and err.count("\n") == 1
    assert list(Path().iterdir()) == []
    assert list(Path().iterdir()) == []
