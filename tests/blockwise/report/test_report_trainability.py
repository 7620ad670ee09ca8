"""What keeps a regime from fitting is said in words, whatever it is."""

import dataclasses

import pytest

from blockwise.experiment.result import Result
from blockwise.experiment.step_rows import Change
from blockwise.report.advice import advice
from blockwise.report.cause import Cause, cause_of, cause_words
from blockwise.report.paging import paging_lines
from blockwise.report.text import KIB
from blockwise.report.trainability import obstacles
from blockwise.report.verdict import headline
from devices.program.categories import LATENT_WEIGHTS, OPTIMIZER_STATE, SAVED_ACTIVATIONS

WEIGHTS = (LATENT_WEIGHTS, OPTIMIZER_STATE)


def test_each_regime_that_does_not_fit_names_its_category_its_tensor_and_when(four: Result) -> None:
    sentences = obstacles(four)
    assert list(sentences) == ["bp", "bp-checkpoint", "local"]
    # 23,424 weights of 4 bytes in stage3, of 42,032
    assert sentences["bp"] == (
        "91.5 KiB of latent weights of stage3 (164.2 in all) throughout; largest: stage3.weight, 91.5 KiB; "
        "peak: operation 17 of 27, stage2.conv2 backward."
    )
    assert obstacles(four, whole=False)["bp"].endswith("stage3.weight, 91.5 KiB; peak at 17.")


def test_saved_activations_are_the_cause_where_they_dominate(four: Result) -> None:
    """Of stage1: four maps of 24 KiB, saved by operations 0 to 3 and read again by 20 to 23."""
    heavy = four.regimes[0]
    timeline = tuple(
        dataclasses.replace(m, by_category=m.by_category | dict.fromkeys(WEIGHTS, 0)) for m in heavy.timeline
    )
    found = cause_of(dataclasses.replace(heavy, timeline=timeline))
    assert found is not None
    largest = next(t for t in heavy.tensors if t.name == "stage1.conv1.out")
    whole = timeline[17].by_category[SAVED_ACTIVATIONS]
    assert found == Cause(SAVED_ACTIVATIONS, ("stage1",), 96 * KIB, whole, 0, 23, largest, 17, 27)
    words = cause_words(dataclasses.replace(heavy, timeline=timeline))
    assert words.startswith(
        f"96 KiB of saved activations of stage1 ({whole / KIB:.1f} in all), kept from operation 0 to 23; "
    )


def test_the_parts_that_are_named_are_the_fewest_that_hold_half(four: Result) -> None:
    for regime in four.regimes:
        found = cause_of(regime)
        assert found is not None
        alive = [t for t in regime.tensors if t.first <= found.peak <= t.last]
        held = {part: 0 for part in ("stage1", "stage2", "stage3")}
        for tensor in alive:
            held[tensor.owner] += tensor.bytes if tensor.category == found.category else 0
        named = [held[part] for part in found.parts]
        assert sum(named) == found.bytes >= sum(held.values()) / 2
        assert sum(named) - min(named) < sum(held.values()) / 2


def test_stages_are_named_for_their_units_and_heads_for_their_stage(four: Result) -> None:
    regime, owners = four.regimes[0], {"stage1": "stem..a", "stage2": "b", "stage3": "b.head"}
    units = {"stage1": "stage1_2", "stage2": "features_7", "stage3": "stage3_1"}
    tensors = tuple(
        dataclasses.replace(t, owner=owners[t.owner], name=t.name.replace(t.owner, units[t.owner]))
        for t in regime.tensors
    )
    assert cause_words(dataclasses.replace(regime, tensors=tensors)).startswith(
        "91.5 KiB of latent weights of stage3's heads (164.2 in all)"
    )


def test_a_result_without_its_tensors_still_names_the_category(four: Result) -> None:
    bare = dataclasses.replace(four.regimes[0], tensors=())
    assert cause_words(bare) == "164.2 KiB of latent weights; peak: stage2.conv2 backward"


@pytest.mark.parametrize(("peak", "advised"), [(312 * KIB, True), (312 * KIB + 8, False)])
def test_a_smaller_batch_is_advised_if_its_bytes_fit_beside_the_reserve(
    four: Result, peak: int, advised: bool
) -> None:
    first = dataclasses.replace(four.regimes[0], peak_by_batch={1: peak, 8: 400 * KIB})
    told = advice(dataclasses.replace(four, regimes=(first,)))[0]
    if advised:
        assert told == "smaller batches: the bytes of bp at batch 1 (312 KiB) would fit."
    else:
        assert told == "no batch size lets them fit: the lowest is bp at batch 1, 312.0 KiB."


def test_the_search_that_is_advised_is_a_command_for_the_same_network(four: Result) -> None:
    def told(**config: object) -> str:
        return advice(dataclasses.replace(four, config=four.config | config))[-1]

    assert told(device="stm32", model="cnn", width=None) == (
        "run.py fit --device stm32 --model cnn searches for settings that fit."
    )
    assert told(device="my board.toml", model="net.py:Net").startswith(
        "run.py fit --device 'my board.toml' --model net.py:Net "
    )
    small = dataclasses.replace(four.model, in_shape=(1, 8, 8), num_classes=2)
    found = dataclasses.replace(four, model=small, config=four.config | {"device": "x", "model": "cnn"})
    assert "--in-shape 1 8 8 --classes 2 searches" in advice(found)[-1]
    assert "run.py" not in told(device="stm32", model="module:Net")


def test_what_was_planned_to_be_enough_is_told_with_its_command(four: Result) -> None:
    words = ("--regimes", "bp", "--device", "my board.toml", "--batch-size", "4", "--dry-run")
    enough = Change("bp", "fused updates, batch of 4", 300 * KIB, 50 * KIB, True, words)
    small = dataclasses.replace(enough, what="optimizer sgd", fits=False)
    nameless = dataclasses.replace(enough, regime="local", command=())
    assert advice(dataclasses.replace(four, changes=(small, enough, nameless))) == [
        "bp fits with fused updates, batch of 4: 300 KiB, 50 KiB less; "
        "run.py --regimes bp --device 'my board.toml' --batch-size 4",
        "local fits with fused updates, batch of 4: 300 KiB, 50 KiB less",
    ]
    assert advice(dataclasses.replace(four, changes=(small,))) == advice(four)
    of_a_shape = dataclasses.replace(
        four, changes=(enough,), config=four.config | {"in_shape": [3, 8, 8]}
    )  # nothing to train on: without the flag the command would be refused
    assert advice(of_a_shape)[0].endswith(" --batch-size 4 --dry-run")


def test_what_fits_needs_no_advice(four: Result) -> None:
    fitting = tuple(dataclasses.replace(regime, fits=True) for regime in four.regimes)
    assert advice(dataclasses.replace(four, regimes=fitting)) == []


def test_each_reason_within_the_ram_is_told_apart(obstructed: Result) -> None:
    reserve, gaps, lowest, flash = obstacles(obstructed).values()
    assert "of the board's 320 KiB, 8 KiB are reserved" in reserve
    assert "3.3 KiB are missing" in reserve
    assert "takes 322 KiB, 10 KiB too many (a lower one is not ruled out)" in gaps
    assert "takes 322 KiB, 10 KiB too many (none is lower)" in lowest
    state = "the state that it pages (3,182.1 KiB, 3,200 KiB in whole erase units)"
    assert flash == f"{state} exceeds the board's 2,048 KiB of flash."


def in_place(four: Result, **changed: object) -> Result:
    """The regime with the highest peak, in RAM that would do, with more weights in flash than it holds."""
    arena = dataclasses.replace(four.regimes[0].arena, placed=True, missing_bytes=0)
    settings = {"peak_bytes": 100 * KIB, "peak_by_batch": {1: 90 * KIB, 8: 100 * KIB, 32: 999 * KIB}}
    flash = {"mapped_bytes": 1080 * KIB, "flash_missing_bytes": 56 * KIB}
    given = settings | flash | {"arena": arena, "fits": False} | changed
    first = dataclasses.replace(four.regimes[0], **given)
    return dataclasses.replace(four, regimes=(first,), changes=())


def test_weights_that_are_read_in_place_may_be_too_large_for_the_flash(four: Result) -> None:
    found = in_place(four)
    assert obstacles(found) == {
        "bp": "the weights that are read in place (1,080 KiB) exceed by 56 KiB what the flash holds."
    }
    assert headline(found) == (
        "bp fits the RAM of the board (312 KiB of usable RAM), but not its flash: 56 KiB are missing."
    )
    less = dataclasses.replace(found.regimes[0], regime="local", flash_missing_bytes=8)
    assert headline(dataclasses.replace(found, regimes=(*found.regimes, less))).endswith(
        "but not its flash: local lacks the least, 8 bytes."
    )
    over = in_place(four, peak_bytes=999 * KIB)
    assert headline(over) == "bp does not fit the board (312 KiB of usable RAM)."
    assert obstacles(over)["bp"].endswith("Besides, the weights that are read in place (1,080 KiB) exceed by "
                                          "56 KiB what the flash holds.")  # fmt: skip
    assert not any("batch" in told for found in (found, over) for told in advice(found))


def test_state_that_is_paged_and_weights_that_are_read_share_the_flash(obstructed: Result) -> None:
    flash = obstructed.regimes[3]
    paging = dataclasses.replace(flash.paging, ring_bytes=2000 * KIB, fits=True)
    both = dataclasses.replace(flash, paging=paging, mapped_bytes=100 * KIB, flash_missing_bytes=52 * KIB)
    assert obstacles(dataclasses.replace(obstructed, regimes=(both,)))["local-paged"] == (
        "the weights that are read in place (100 KiB) and the state that it pages (3,182.1 KiB, 2,000 KiB in "
        "whole erase units) exceed by 52 KiB what the flash holds."
    )
    assert paging_lines(paging, obstructed, 100 * KIB)["room"].endswith(
        "; the program and 100 KiB that are read in place come on top"
    )


def test_runs_of_earlier_versions_tell_of_paging_that_the_flash_is_too_small(obstructed: Result) -> None:
    assert [regime.lacking_flash_bytes for regime in obstructed.regimes] == [0, 0, 0, 1152 * KIB]
    assert headline(dataclasses.replace(obstructed, regimes=obstructed.regimes[3:])).endswith(
        "but not its flash: 1,152 KiB are missing."
    )


def test_ram_and_flash_may_both_be_too_small(obstructed: Result) -> None:
    large = dataclasses.replace(obstructed.regimes[3], peak_bytes=400 * KIB)
    found = dataclasses.replace(obstructed, regimes=(large,))
    sentence = obstacles(found)["local-paged"]
    assert "of latent weights of stage3" in sentence
    assert "Besides, the state that it pages" in sentence
    assert not any("smaller" in line for line in advice(found))


def test_bytes_that_fit_but_in_no_run_of_addresses_are_explained(split_ram: Result) -> None:
    assert "the longest (16 KiB) is 4 KiB too short" in obstacles(split_ram)["bp"]


def test_regimes_that_fit_have_no_obstacle(default: Result) -> None:
    assert list(obstacles(default)) == ["bp", "bp-best", "local"]
