"""Two runs beside each other: what differs, by how much, and what is a tie."""

import dataclasses

from rich.console import Console

from blockwise.experiment.initial.taken import Taken
from blockwise.experiment.result import RegimeResult, Result
from blockwise.report.two_runs import difference, differing


def told(first: Result, second: Result) -> list[str]:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(difference(first, second, ("runs/a", "runs/b")))
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def with_accuracy(regime: RegimeResult, accuracy: float) -> RegimeResult:
    assert regime.training is not None
    training = dataclasses.replace(regime.training, test_accuracy=accuracy)
    return dataclasses.replace(regime, training=training)


def test_equal_runs_differ_in_nothing(four: Result) -> None:
    lines = told(four, four)
    assert lines[:4] == ["first: runs/a", "second: runs/b", "", "the same settings"]
    assert lines.count("board over over") == 3
    assert not any("saved" in line for line in lines)
    assert "peak KiB 643.5 643.5 0" in lines


def test_settings_data_and_versions_that_differ_are_listed(four: Result) -> None:
    other = dataclasses.replace(
        four, config=four.config | {"batch_size": 4, "regimes": ("bp", "local"), "lr": None},
        environment={**four.environment, "torch": "2.12.0"},
    )  # fmt: skip
    assert differing(four, other) == {
        "batch_size": (8, 4), "torch": ("2.11.0", "2.12.0"), "regimes": (None, ("bp", "local")),
    }  # fmt: skip
    assert "regimes - bp local" in told(four, other)


def test_another_board_network_or_scaling_behind_the_same_names_is_told(four: Result) -> None:
    device, model = four.device, four.model
    other = dataclasses.replace(
        four, device=dataclasses.replace(device, reserve_bytes=device.reserve_bytes + 1024),
        model=dataclasses.replace(model, parameters=model.parameters + 1),
        data=dataclasses.replace(four.data, low=(0.5,), high=(2.5,)),
    )  # fmt: skip
    assert differing(four, other) == {
        "usable RAM": (device.usable_bytes, device.usable_bytes - 1024),
        "parameters": (model.parameters, model.parameters + 1),
        "values that became 0": (four.data.low, (0.5,)), "values that became 255": (four.data.high, (2.5,)),
    }  # fmt: skip
    assert "the same settings" not in told(four, other)


def test_a_plan_of_a_shape_has_no_images_to_name(four: Result) -> None:
    first = dataclasses.replace(four, config=four.config | {"data": "digits", "in_shape": None})
    second = dataclasses.replace(four, config=first.config | {"in_shape": (3, 16, 16)})
    assert differing(first, second) == {"data": ("digits", None), "in_shape": (None, (3, 16, 16))}


def test_other_weights_to_start_from_behind_the_same_name_are_told(four: Result) -> None:
    taken = Taken("w.pt", "", "0a", 3, 40, (), "", (), False, False, False, False)
    first = dataclasses.replace(four, initial=taken)
    second = dataclasses.replace(four, initial=dataclasses.replace(taken, digest="0b"))
    digest = "digest of the first weights"
    assert differing(first, second) == {digest: ("0a", "0b")}
    assert differing(four, first) == {digest: (None, "0a"), "taken of them": (None, 40)}


def test_other_samples_behind_the_same_name_are_told_where_both_runs_know_theirs(four: Result) -> None:
    first, second = (
        dataclasses.replace(four, data=dataclasses.replace(four.data, contents=contents))
        for contents in ("0a", "0b")
    )
    assert differing(first, second) == {"digest of the samples": ("0a", "0b")}
    assert differing(four, first) == {}


def test_peaks_are_compared_by_the_categories_that_changed(four: Result) -> None:
    bp = four.regimes[0]
    fewer = bp.by_category | {"saved activations": bp.by_category["saved activations"] - 10_240}
    less = dataclasses.replace(bp, peak_bytes=bp.peak_bytes - 10_240, by_category=fewer, fits=True)
    lines = told(four, dataclasses.replace(four, regimes=(less, *four.regimes[1:])))
    assert "peak KiB 643.5 633.5 -10.0" in lines
    assert "saved activations 141.0 131.0 -10.0" in lines
    assert "board over fits" in lines
    assert not any(line.startswith("latent weights") for line in lines)


def test_accuracies_whose_intervals_overlap_are_a_tie(four: Result) -> None:
    near, far = (
        dataclasses.replace(four, regimes=(with_accuracy(four.regimes[0], value),)) for value in (0.915, 0.95)
    )
    assert "accuracy (95 %) 91.12 % (90.5-91.7) 91.50 % (90.9-92.0) +0.38 points, a tie" in told(four, near)
    assert "accuracy (95 %) 91.12 % (90.5-91.7) 95.00 % (94.6-95.4) +3.88 points" in told(four, far)


def test_a_regime_of_one_run_alone_stands_beside_nothing(four: Result) -> None:
    lines = told(four, dataclasses.replace(four, regimes=four.regimes[1:]))
    assert "peak KiB 643.5 - -" in lines
    assert "epochs 20 -" in lines
