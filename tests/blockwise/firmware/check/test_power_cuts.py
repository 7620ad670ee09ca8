"""A power cut loses nothing: trainings that are cut end with the bits of the one that is not disturbed."""

import numpy as np
import pytest
from saving_firmware import EVERY, STEPS, power_cuts

from blockwise.firmware.check.power_cuts import draw

CUTS = 12
PHASES = {"width": 1, "method": "lsq", "optimizer": "sgd-momentum"}
"""Blocks one behind the other, the momentum of each beginning with its phase."""
HEADER, SLOT = 32, 1024
NEWER = 0
"""The slot of the last save: of three, the first and the third."""


def trials(cuts, count, seed=5):
    return [cuts.trial(when, seed=number) for number, when in enumerate(draw(cuts.undisturbed, count, seed))]


def planted(old, new):
    """In persist.c, where it stands once."""

    def edit(text):
        assert text.count(old) == 1
        return text.replace(old, new)

    return edit


@pytest.fixture(scope="module")
def cuts(tmp_path_factory):
    """Undisturbed it was compared with the simulation after every step."""
    return power_cuts(tmp_path_factory.mktemp("saving"))


@pytest.mark.slow
def test_trainings_that_are_cut_at_three_places_end_with_the_bits_of_the_undisturbed_one(cuts):
    told = cuts.undisturbed
    assert told.steps == tuple(range(STEPS + 1)) and len(np.unique(told.states, axis=0)) == STEPS + 1
    assert told.defined.all()
    when = told.writing["program"][-500], told.writing["erase"][-1], told.saves[-1][1] + 5000
    found = [cuts.trial([instruction], seed=1) for instruction in when]
    assert [trial.wrong for trial in found] == [(), (), ()]
    seen = [(cut.within, cut.steps, cut.restored) for trial in found for cut in trial.cuts]
    assert seen == [("program", 6, 4), ("erase", 6, 4), ("step", 6, 6)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "regime", "settings"),
    [
        ("stm32f103", "niti-local", {}),
        pytest.param("rp2040", "niti4-jump", {}, marks=pytest.mark.long),
        pytest.param("nrf52840", "local-resident", PHASES, marks=pytest.mark.long),
        pytest.param("nrf52840", "niti4-jump-resident", {"jump_every": 3}, marks=pytest.mark.long),
    ],
)
def test_wherever_power_is_cut_training_ends_with_the_same_bits(board, regime, settings, tmp_path):
    found = trials(power_cuts(tmp_path, board, regime, **settings), CUTS)
    assert [trial.wrong for trial in found if trial.wrong] == []
    kinds = {cut.within for trial in found for cut in trial.cuts}
    assert {"step", "save", "erase", "program"} <= kinds


@pytest.mark.slow
def test_every_byte_of_a_slot_counts(cuts):
    """With any bit of the newer slot turned the older one counts: no byte of state is left out."""
    end, newest = HEADER + cuts.undisturbed.states.shape[1], STEPS // EVERY * EVERY
    for byte in (*range(0, HEADER, 4), *range(HEADER, end, end // 12), end - 1):
        assert cuts.spoiled(byte, byte, NEWER) == newest - EVERY
    assert cuts.spoiled(0, end, NEWER) == newest


def saves_of(begun):
    """Of each save how many sectors it erases, and the units that it programs, by their offsets."""
    found = []
    for kind, at in begun:
        if kind == "erase" and at % SLOT == 0:
            found.append((0, []))
        erased, units = found[-1]
        if kind == "erase":
            found[-1] = (erased + 1, units)
        else:
            units.append(at % SLOT)
    return found


@pytest.mark.slow
def test_every_save_erases_a_slot_and_programs_its_header_last(cuts):
    state = cuts.undisturbed.states.shape[1]
    wanted = [*range(HEADER, HEADER + state, 2), *range(0, HEADER, 2)]
    assert saves_of(cuts.written()) == [(1, wanted)] * (STEPS // EVERY)


# Planted faults: each is found by one of these.


@pytest.mark.slow
def test_a_header_that_is_written_first_is_found_by_the_order_of_what_is_programmed(tmp_path):
    order = "write_tensors(slot) || write_header(slot, header)"
    found = power_cuts(tmp_path, edit=planted(order, "write_header(slot, header) || write_tensors(slot)"))
    (_, units), *_ = saves_of(found.written())
    assert units[: HEADER // 2] == list(range(0, HEADER, 2))


@pytest.mark.slow
def test_a_checksum_that_leaves_out_the_random_state_is_found_by_a_turned_bit(cuts, tmp_path):
    names = [tensor.name for tensor in cuts.tensors]
    number = next(i for i, name in enumerate(names) if name.endswith(".generator"))
    start = sum(tensor.bytes for tensor in cuts.tensors[:number])
    writing, reading = (
        "crc = crc_of(crc, blockwise_state[i].bytes, blockwise_state[i].size);",
        "crc = crc_of(crc, piece, count);",
    )

    def edit(text):
        text = planted("PIECE = 32", "PIECE = 1")(text)
        text = planted(writing, f"if (i != {number}) {writing}")(text)
        return planted(reading, f"if (at < {start} || at >= {start + 4}) {reading}")(text)

    found, newest = power_cuts(tmp_path, edit=edit), STEPS // EVERY * EVERY
    assert [of.spoiled(0, HEADER + start, NEWER) for of in (cuts, found)] == [newest - EVERY, newest]


@pytest.mark.slow
def test_one_slot_that_is_written_again_and_again_is_found_by_a_cut(tmp_path):
    found = power_cuts(tmp_path, edit=planted("const int slot = newest.slot == 0;", "const int slot = 0;"))
    trial = found.trial([found.undisturbed.writing["program"][-500]], seed=1)
    assert trial.wrong == ("it goes on from step 0, though step 4 was saved",)
