"""``run.py boards`` and several boards in the default command."""

import json
from pathlib import Path

import pytest

from blockwise.cli import flags
from blockwise.cli import main as cli
from blockwise.cli.commands.compare import parse
from devices.boards import profile
from devices.boards.profile import TEMPLATE

SMALL = ["--model", "plain4", "--width", "8", "--in-shape", "1", "8", "8", "--batch-size", "4"]
REGIMES = ["--regimes", "bp", "local", "niti-local"]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_built_in_board_has_a_row_with_a_verdict_for_every_regime(capsys):
    assert cli.main(["boards", *SMALL, *REGIMES]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "\x1b" not in out and max(map(len, out.splitlines())) <= 100
    assert out.startswith("The smallest board that trains plain4: ")
    for name in profile.catalogue():
        row, *times = [line for line in out.splitlines() if line.startswith(f"{name} ")]
        assert len(times) == ("fits" in row)
        assert row.count("fits") + row.count("lacks") == 3


@pytest.mark.parametrize(("regimes", "how"), [(REGIMES[1:], "lsq W3A3, batch 4."), (["niti"], "batch 4.")])
def test_a_method_is_told_where_a_regime_quantizes_by_it(capsys, regimes, how):
    assert cli.main(["boards", *SMALL, "--regimes", *regimes]) == 0
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("plain4 of width 8"))
    assert told.split("parameters; ")[1] == how


def test_boards_that_a_reserve_fills_are_left_out_of_all_and_it_says_so(capsys):
    assert cli.main(["boards", *SMALL, "--regimes", "bp", "--reserve-kib", "20"]) == 0
    out, err = capsys.readouterr()
    assert "stm32f103 " not in out and "rp2040 " in out
    assert "whose longest run of RAM is no more than the reserve: stm32f103" in err
    assert (
        cli.main(["boards", *SMALL, "--regimes", "bp", "--reserve-kib", "20", "--device", "stm32f103"]) == 2
    )
    assert "got 20, wanted less than 20, the longest run of stm32f103" in capsys.readouterr().err


def test_what_one_board_has_no_room_for_stands_in_its_cell(capsys):
    shape = ["--model", "resnet8", "--in-shape", "3", "32", "32"]
    part = ["--regimes", "bp-fused", "--train", "sparse:auto"]
    assert cli.main(["boards", *shape, *part, "--device", "stm32f103", "stm32h743"]) == 0
    out, _ = capsys.readouterr()
    assert "stm32f103" in out and "stm32h743" in out and "fits" in out


def test_the_figures_are_json_with_boards_by_their_ram(capsys):
    assert cli.main(["boards", *SMALL, *REGIMES, "--device", "stm32", "rp2040", "pico", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["rows"]] == ["rp2040", "stm32f746-disco"]
    assert found["ordered_by"] == "usable RAM" and found["smallest"] == "rp2040"
    assert {"regime", "peak_bytes", "fits", "missing_bytes", "head"} <= set(found["rows"][0]["regimes"][0])


def test_a_board_whose_flash_its_core_does_not_read_in_place_says_so_where_weights_are_to_lie_there(capsys):
    """``--device`` with such a board is refused."""
    part = [*SMALL, "--regimes", "bp", "--train", "last:1", "--head", "gap", "--frozen", "flash"]
    boards = ["--device", "esp32-c3", "stm32"]
    assert cli.main(["boards", *part, *boards]) == 0
    out, _ = capsys.readouterr()
    (row,) = [line for line in out.splitlines() if line.startswith("esp32-c3 ")]
    assert row.endswith(" unread flash") and "lacks" not in row
    assert "unread flash: no address is known at which the core would read" in out
    assert cli.main(["boards", *part, *boards, "--json"]) == 0
    cells = {row["name"]: row["regimes"][0] for row in json.loads(capsys.readouterr().out)["rows"]}
    unread, read = cells["esp32-c3"], cells["stm32f746-disco"]
    assert (unread["flash_is_read"], unread["fits"], unread["flash_missing_bytes"]) == (False, False, 0)
    assert (read["flash_is_read"], read["fits"]) == (True, True)
    kept = ["ram" if word == "flash" else word for word in part]
    assert cli.main(["boards", *kept, *boards]) == 0
    assert "unread" not in capsys.readouterr().out


def test_where_no_board_trains_it_the_exit_code_is_3(capsys):
    assert cli.main(["boards", *SMALL, "--regimes", "bp", "--device", "stm32f103"]) == 3
    assert "none of 1" in capsys.readouterr().out


def test_the_template_is_a_profile_that_the_command_takes(capsys, tmp_path):
    assert cli.main(["boards", "--template"]) == 0
    (tmp_path / "my.toml").write_text(capsys.readouterr().out, "utf-8")
    assert cli.main(["boards", *SMALL, *REGIMES, "--device", "my.toml", "stm32", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["name"] for row in rows] == ["my-board", "stm32f746-disco"]


@pytest.mark.parametrize("arguments", [["--device", "nope"], ["--device", "stm32", "--dry-run"]])
def test_what_cannot_be_is_one_line(arguments, capsys):
    assert cli.main(["boards", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "kept", "others"),
    [
        (["--device", "a", "b", "c", "--epochs", "2"], ["--device", "a", "--epochs", "2"], ("b", "c")),
        (["--epochs", "2", "--device=a", "b"], ["--epochs", "2", "--device=a"], ("b",)),
        (["--device", "a"], ["--device", "a"], ()),
        (["--device", "--quiet"], ["--device", "--quiet"], ()),
        (["--regimes", "bp", "local"], ["--regimes", "bp", "local"], ()),
    ],
)
def test_further_values_of_a_flag_are_told_apart(given, kept, others):
    assert flags.several(given, "--device") == (kept, others)


@pytest.mark.slow
def test_several_boards_are_the_first_one_s_run_and_a_table(capsys, tmp_path):
    flags_of_run = [*SMALL, *REGIMES, "--dry-run", "--out", "run", "--json"]
    assert cli.main(["--device", "rp2040", "stm32", "stm32f103", *flags_of_run]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"]["name"] == "rp2040"
    assert [row["name"] for row in found["boards"]] == ["stm32f103", "rp2040", "stm32f746-disco"]
    own = {cell["regime"]: cell["peak_bytes"] for cell in found["boards"][1]["regimes"]}
    assert own == {row["regime"]: row["peak_bytes"] for row in found["regimes"]}
    assert parse(["--resume", "run"]).board.other_devices == ("stm32", "stm32f103")


def test_an_unknown_board_among_several_is_refused_before_any_work(capsys, tmp_path):
    assert cli.main(["--device", "stm32", "nope", *SMALL, "--dry-run", "--out", "run"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "nope" in err
    assert not (tmp_path / "run").exists()


def test_a_board_of_ones_own_is_named_as_it_was_asked_for(capsys):
    Path("my boards").mkdir()
    profile = Path("my boards", "mine.toml")
    profile.write_text(TEMPLATE.read_text("utf-8"), "utf-8")
    assert cli.main(["boards", *SMALL, "--regimes", "local-resident", "--device", str(profile)]) == 0
    assert "--device 'my boards/mine.toml') by local-resident" in " ".join(capsys.readouterr().out.split())


def test_two_boards_of_one_name_are_refused(capsys):
    """Their rows could not be told apart, and the one compared would be hidden by the other."""
    text = TEMPLATE.read_text("utf-8")
    Path("mine.toml").write_text(text.replace('"my-board"', '"stm32f405"'), "utf-8")
    for command in (["boards"], ["--dry-run"]):
        assert cli.main([*command, *SMALL, "--regimes", "bp", "--device", "stm32f405", "mine.toml"]) == 2
        assert "--device: got two boards called stm32f405, wanted each name once" in capsys.readouterr().err
    assert cli.main(["boards", *SMALL, "--regimes", "bp", "--device", "stm32", "stm32f746-disco"]) == 0
