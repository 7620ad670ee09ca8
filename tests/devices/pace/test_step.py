"""How long a step takes: by hand from its instructions or products, and not at all without a source."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_networks import build

from devices import load
from devices.memory.paging import paging
from devices.pace.kernels import counted_for, record
from devices.pace.published import PUBLISHED
from devices.pace.step import step_time
from devices.planning import plan
from devices.program.regimes import find

RECORDED = json.loads((Path(__file__).parents[3] / "results/benchmarks/board_time.json").read_text("utf-8"))[
    "recorded"
]
NET = build("plain4", (1, 8, 8)).describe(blocks="stages", head="gap")


def time_of(regime, board, *, kernels=True, **changes):
    device = replace(load(board), **changes)
    found = plan(NET, device, regime=regime, batch_size=2)
    integer = find(regime).is_integer
    return found, step_time(
        found.schedule, device, integer=integer, kernels=kernels, paging=paging(found.schedule, device)
    )


def test_instructions_become_seconds_by_coremark_and_the_clock():
    _, found = time_of("bp", "stm32")
    assert found.basis == "instructions" and found.instructions
    cycles_per_instruction = 1e6 / 5.01 / 285_509
    assert found.seconds == pytest.approx(found.instructions * cycles_per_instruction / 216e6)
    _, slower = time_of("bp", "stm32", clock_mhz=108)
    assert slower.seconds == pytest.approx(2 * found.seconds)


def test_without_kernels_products_tell_by_what_counted_steps_took():
    done, found = time_of("bp", "rp2040", kernels=False)
    assert found.basis == "products" and found.instructions is None
    each = record()["Cortex-M0+"].per_product["float"] * 1e6 / 2.46 / 387_553
    assert found.seconds == pytest.approx(done.schedule.macs * each / 133e6)
    assert "instructions per multiply-accumulate" in found.rests_on


def test_an_action_without_a_kernel_makes_products_tell():
    _, found = time_of("zo", "stm32")
    assert found.basis == "products"


def test_other_cores_have_published_figures_or_none():
    done, found = time_of("niti", "esp32-c3")
    assert found.basis == "products" and "arXiv 1908.11263" in found.rests_on
    assert found.seconds == pytest.approx(done.schedule.macs * 63 / 15.5 / 160e6)
    _, none = time_of("bp", "esp32-c3")
    assert (none.seconds, none.basis) == (None, "") and "no figure" in none.rests_on


def test_a_core_without_the_units_of_the_counted_one_has_no_time():
    assert counted_for(replace(load("stm32l4r5"), fpu=False)) is None
    _, found = time_of("bp", "stm32l4r5", fpu=False)
    assert found.seconds is None


def test_paging_takes_the_flash_s_time_as_well():
    done, found = time_of("local-paged", "stm32")
    pages = paging(done.schedule, done.device)
    assert found.flash_seconds == pytest.approx(pages.read_seconds + pages.write_seconds)
    assert found.flash_seconds > 0
    _, unpaged = time_of("local", "stm32")
    assert found.seconds - found.flash_seconds == pytest.approx(unpaged.seconds)
    _, unknown = time_of("local-paged", "stm32", flash=None)
    assert unknown.seconds is None


def test_every_published_figure_has_its_source_and_is_of_a_core_that_a_board_has():
    for core, figures in PUBLISHED.items():
        assert (figures.integer is None) == (not figures.integer_source)
        assert (figures.float32 is None) == (not figures.float_source)
        assert any(load(board).core == core for board in ("esp32-s3", "esp32-c3", "gap8"))


def test_estimates_are_near_what_was_counted_of_other_networks_and_boards():
    errors = sorted(abs(row["error"]) for row in RECORDED)
    assert len(errors) == 13
    assert errors[len(errors) // 2] < 0.1 and errors[-1] < 0.25


def test_a_rate_of_cores_with_another_clock_is_at_that_clock():
    done, found = time_of("niti", "gap8")
    assert load("gap8").clock_mhz == 250 and "at 175 MHz" in found.rests_on
    assert found.seconds == pytest.approx(done.schedule.macs / 15.5 / 175e6)
