"""Every colour can be told from what it lies on, in both schemes (WCAG 2.2, 1.4.3 and 1.4.11, level AA)."""

import itertools
import re

import pytest

from blockwise.report.web import palette
from devices.program.categories import CATEGORIES

SCHEMES = {"light": (palette.LIGHT, 0), "dark": (palette.DARK, 1)}
TEXT, GRAPHICS = 4.5, 3.0


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Ratio of two colours, 1 to 21."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_contrast_of_black_on_white_is_the_largest_there_is():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # the usual example of AA


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["ink", "dim", "good", "bad", "link"])
def test_texts_can_be_read_on_the_page_and_on_cards(scheme, name):
    colours = SCHEMES[scheme][0]
    for below in (colours.paper, colours.raised):
        assert contrast(getattr(colours, name), below) >= TEXT


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("category", [*CATEGORIES, "another"])
def test_areas_can_be_told_from_what_they_lie_on(scheme, category):
    colours, column = SCHEMES[scheme]
    fill = palette.CATEGORY_COLOURS.get(category, palette.OTHER_COLOUR)[column]
    assert contrast(fill, colours.raised) >= GRAPHICS


@pytest.mark.parametrize("column", [0, 1])
def test_no_two_categories_look_alike(column):
    """Further apart than 0.08 in Oklab, where a difference of 0.02 is just seen."""
    for one, other in itertools.combinations(palette.CATEGORY_COLOURS.values(), 2):
        assert distance(one[column], other[column]) > 0.08


def distance(one: str, other: str) -> float:
    """In Oklab (Ottosson 2020)."""
    return sum((a - b) ** 2 for a, b in zip(oklab(one), oklab(other), strict=True)) ** 0.5


def oklab(colour: str) -> tuple[float, float, float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    mid = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * mid - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * mid + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * mid - 0.8086757660 * short,
    )


def test_the_sheet_names_each_colour_in_both_schemes():
    light, dark = palette.css().split("@media (prefers-color-scheme: dark)")
    names = re.findall(r"--(\w+):", light)
    assert sorted(names) == sorted(re.findall(r"--(\w+):", dark))
    assert {palette.variable(category) for category in [*CATEGORIES, "another"]} <= set(names)
