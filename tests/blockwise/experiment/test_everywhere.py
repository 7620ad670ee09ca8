"""What is told of other boards is what a run on each of them tells."""

from blockwise.cli.commands.compare import parse
from blockwise.experiment.everywhere import everywhere
from blockwise.experiment.prepare import prepare
from devices.boards import profile

WORDS = (
    "--model cnn --in-shape 1 8 8 --head gap --blocks stages --batch-size 32 --dry-run "
    "--regimes bp bp-best local"
)


def test_every_board_has_the_figures_of_a_run_on_it() -> None:
    rows = {row.name: row for row in everywhere(prepare(parse(WORDS.split())))}
    assert list(rows) == sorted(rows, key=lambda name: (rows[name].usable_bytes, name))
    assert set(rows) == set(profile.catalogue())
    for name in list(rows)[::4]:
        alone = prepare(parse([*WORDS.split(), "--device", name]))
        for cell in rows[name].regimes:
            plan = alone.plan(cell.regime)
            assert (cell.peak_bytes, cell.fits) == (plan.peak_bytes, plan.fits)
            assert cell.macs_per_step == plan.schedule.macs
    assert len({row.regimes[1].peak_bytes for row in rows.values()}) > 1  # bp-best takes what there is


def test_only_what_is_trained_of_a_network_counts_on_other_boards_too() -> None:
    part = prepare(parse([*WORDS.split(), "--train", "last:1"]))
    row = next(row for row in everywhere(part) if row.name == part.device.name)
    assert [cell.peak_bytes for cell in row.regimes] == [part.plan(c.regime).peak_bytes for c in row.regimes]
