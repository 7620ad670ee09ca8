"""The line that tells of a training, and the time that is left."""

import dataclasses
import io

import pytest
from hand_made import SCENARIOS
from rich.console import Console

from blockwise.cli.expected import Expected, Share, shares
from blockwise.cli.progress import ConsoleWatcher
from blockwise.experiment.config import Config
from blockwise.experiment.settings import TrainingSettings
from blockwise.training.outcome import Epoch

SHARES = (Share("bp", ("",), 10.0), Share("local-resident", ("stem", "stage1", "stage2"), 30.0))


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_that_of_all_regimes_by_the_work_that_is_left() -> None:
    clock = Clock()
    expected = Expected(SHARES, clock=clock)
    assert expected.seconds_left("bp", "", 0.0) is None
    clock.now += 5
    assert expected.seconds_left("bp", "", 0.5) == pytest.approx(35)  # 5 of 40 in 5 s
    clock.now += 10
    assert expected.seconds_left("local-resident", "stage1", 0.0) == pytest.approx(15)  # 20 of 40 in 15 s
    assert expected.count("local-resident") == (2, 2)


def test_a_run_that_is_resumed_reckons_by_what_it_has_done_itself() -> None:
    clock = Clock()
    expected = Expected(SHARES, clock=clock)
    assert expected.seconds_left("local-resident", "stage1", 0.5) is None  # 25 of 40 were done before
    clock.now += 2
    assert expected.seconds_left("local-resident", "stage2", 0.0) == pytest.approx(4)  # 5 of 40 in 2 s


def test_rounds_that_are_to_come_are_reckoned_with() -> None:
    clock = Clock()
    expected = Expected(rounds=2, clock=clock)
    expected.begin(SHARES)
    expected.seconds_left("bp", "", 0.0)
    clock.now += 8
    assert expected.seconds_left("local-resident", "stem", 0.0) == pytest.approx(56)  # 10 of 80 in 8 s
    expected.begin(SHARES)
    clock.now += 32
    assert expected.seconds_left("bp", "", 0.0) == pytest.approx(40)  # a half in 40 s


def test_where_nothing_is_expected_one_training_is_all() -> None:
    clock = Clock()
    expected = Expected((), clock=clock)
    expected.seconds_left("bp", "", 0.0)
    clock.now += 3
    assert expected.seconds_left("bp", "", 0.25) == pytest.approx(9)
    assert expected.count("bp") == (0, 0)


def test_a_last_phase_that_is_longer_takes_as_much_longer() -> None:
    """Three blocks of 10 s an epoch, the last one of 20 epochs where the others have one."""
    clock = Clock()
    expected = Expected((Share("local-resident", ("a", "b", "c"), 30.0, last=20.0),), clock=clock)
    expected.seconds_left("local-resident", "a", 0.0)
    clock.now += 10
    assert expected.seconds_left("local-resident", "b", 0.0) == pytest.approx(210)
    clock.now += 110
    assert expected.seconds_left("local-resident", "c", 0.5) == pytest.approx(100)


def test_what_is_expected_are_the_trainings_whose_bits_differ() -> None:
    regimes = ("bp", "bp-best", "local", "local-paged", "local-resident")
    found = shares(Config(training=TrainingSettings(regimes=regimes)), SCENARIOS["default"]())
    assert [(share.regime, share.phases) for share in found] == [
        ("bp", ("",)), ("local", ("",)), ("local-resident", ("stage1", "stage2", "stage3")),
    ]  # fmt: skip
    assert {share.work for share in found} == {41e6}


def watcher(width: int, terminal: bool, **options: bool) -> tuple[ConsoleWatcher, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None)
    found = ConsoleWatcher(console, 5, **options)
    found.expect(SHARES, lambda: None)
    return found, stream


def test_the_line_names_regime_block_epoch_loss_and_accuracy() -> None:
    wide, _ = watcher(120, True)
    narrow, _ = watcher(80, True)
    for told in (wide, narrow):
        told.phase("local-resident", "stage1", 50, 5)
        told.epoch("local-resident", Epoch(2, "stage1", 0.4118, 0.914, 1.5))
    assert wide.line(25) == (
        "regime 2 of 2: local-resident, block stage1, epoch 3 of 5, loss 0.412, validation accuracy 91.4%"
    )
    assert narrow.line(25) == "2/2 local-resident, stage1, epoch 3/5, loss 0.412, valid. 91.4%"
    assert narrow.line(50).startswith("2/2 local-resident, stage1, epoch 5/5")
    wide.phase("bp", "", 50, 5)
    assert wide.line(0) == "regime 1 of 2: bp, epoch 1 of 5"
    wide.phase("local-resident", "stage2", 100, 10)  # a last block of epochs of its own
    assert wide.line(65) == "regime 2 of 2: local-resident, block stage2, epoch 7 of 10"


@pytest.mark.parametrize("terminal", [True, False])
def test_finished_epochs_stay_in_sight_with_a_terminal_and_without(terminal: bool) -> None:
    told, stream = watcher(80, terminal)
    with told:
        told.phase("bp", "", 50, 5)
        told.batch(10)
        told.epoch("bp", Epoch(1, "", 0.5, None, 2.0))
    assert "bp: epoch 1/5, loss 0.500, 2.0 s\n" in stream.getvalue()
    assert ("1/2 bp, epoch 2/5" in stream.getvalue()) == terminal
    assert ("left" in stream.getvalue()) == terminal


def test_a_study_on_a_terminal_leaves_no_line_for_each_epoch() -> None:
    for terminal in (True, False):
        told, stream = watcher(80, terminal, lines=False)
        told.epoch("bp", Epoch(1, "", 0.5, None, 2.0))
        assert ("epoch 1/5" in stream.getvalue()) != terminal


def test_a_loss_is_told_without_the_accuracy_that_a_head_does_not_have() -> None:
    told, _ = watcher(120, True)
    told.phase("bp", "", 50, 5)
    told.epoch("bp", dataclasses.replace(Epoch(1, "", 0.5, 0.9, 2.0), validation_accuracy=None))
    assert told.line(10).endswith("epoch 2 of 5, loss 0.500")
