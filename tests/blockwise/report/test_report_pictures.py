"""The timeline."""

import dataclasses
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import pytest
from tiers import quick

from blockwise.experiment.result import Result
from blockwise.report import timeline_images, timeline_svg_png
from blockwise.report.panels import PHASE_SHADES, phase_key
from blockwise.report.pictures import y_limits

pytestmark = pytest.mark.slow


def texts_of(svg: str) -> list[str]:
    """What a reader of the picture sees; comments do not count."""
    return [text.strip() for text in ElementTree.fromstring(svg).itertext() if text.strip()]


def test_the_svg_is_well_formed_and_names_ram_regimes_and_peaks(result: Result) -> None:
    texts = texts_of(timeline_images(result).svg)
    assert "usable RAM" in texts
    assert "312 KiB" in texts
    assert any("RAM 320 KiB, 8 KiB reserved" in text for text in texts)
    for regime in result.regimes:
        assert regime.regime in texts
        assert any(regime.peak_operation in text and "peak" in text for text in texts)


def test_pictures_are_identical_the_second_time(four: Result) -> None:
    first, second = timeline_images(four), timeline_images(four)
    assert first.svg == second.svg
    assert first.png == second.png
    assert first.png.startswith(b"\x89PNG")
    assert "<dc:date>" not in first.svg


def test_pictures_neither_obey_nor_change_the_callers_settings(four: Result) -> None:
    expected = timeline_images(four)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        assert timeline_images(four) == expected
        assert dict(matplotlib.rcParams) == before


def test_panels_share_a_scale_unless_peaks_are_far_apart(four: Result) -> None:
    assert len(set(y_limits(four))) == 1
    low = dataclasses.replace(four.regimes[3], peak_bytes=four.regimes[0].peak_bytes // 20)
    assert len(set(y_limits(dataclasses.replace(four, regimes=(four.regimes[0], low))))) == 2


def test_a_ram_far_above_the_peaks_is_named_at_the_edge(four: Result) -> None:
    large = dataclasses.replace(four.device, ram_bytes=2**26)
    svg = timeline_images(dataclasses.replace(four, device=large)).svg
    assert "65,528 KiB" in svg
    assert "this scale)" in svg


def test_results_without_a_timeline_still_give_a_picture(four: Result) -> None:
    bare = tuple(dataclasses.replace(regime, timeline=()) for regime in four.regimes)
    for regimes in (bare, ()):
        svg = timeline_images(dataclasses.replace(four, regimes=regimes)).svg
        assert "no timeline was recorded" in svg


def test_unknown_categories_and_phases_are_drawn(four: Result) -> None:
    regime = four.regimes[0]
    row = dataclasses.replace(regime.timeline[0], phase="flush", by_category={"tables": 4096})
    changed = dataclasses.replace(regime, timeline=(row,))
    svg = timeline_images(dataclasses.replace(four, regimes=(changed,))).svg
    assert "tables" in svg
    assert "F flush" in svg


def test_no_two_phases_share_an_initial(four: Result) -> None:
    row = four.regimes[0].timeline[0]
    timeline = tuple(dataclasses.replace(row, phase=phase) for phase in PHASE_SHADES)
    key = phase_key([dataclasses.replace(four.regimes[0], timeline=timeline)])
    assert "P pack, I page in, O page out" in key
    initials = [entry.split()[0] for entry in key.split(", ")]
    assert len(set(initials)) == len(initials)


def test_both_files_are_written(four: Result, tmp_path: Path) -> None:
    assert timeline_svg_png(four, tmp_path) == ("timeline.svg", "timeline.png")
    assert {path.name for path in tmp_path.iterdir()} == {"timeline.svg", "timeline.png"}


@pytest.mark.parametrize("name", quick(["$x^2$", "a_b", "{x}", "$title"], "$x^2$"))
def test_names_are_no_mathematics(four: Result, name: str) -> None:
    changed = dataclasses.replace(four, model=dataclasses.replace(four.model, name=name))
    svg = timeline_images(changed).svg
    assert any(f"training step: {name} on" in text for text in texts_of(svg))


def test_characters_that_the_font_lacks_are_text_in_the_svg_and_no_warning(four: Result) -> None:
    device = dataclasses.replace(four.device, title="开发板 🎉")
    with warnings.catch_warnings(action="error"):
        images = timeline_images(dataclasses.replace(four, device=device))
    assert "开发板 🎉" in images.svg
