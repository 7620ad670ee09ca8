"""The page in a real browser: no errors, nothing fetched, nothing too wide, and the pointer is told things.

Pages of the default command, of a network of torchvision and of an integer run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checked_firmware import firmware_result
from planned import planned_result
from tools import BROWSER, needs_browser

from blockwise.experiment.compare import compare
from blockwise.experiment.config import Config
from blockwise.experiment.prepare import prepare
from blockwise.experiment.result import Result
from blockwise.experiment.settings import NetworkSettings, TrainingSettings
from blockwise.report import to_html
from blockwise.report.firmware import write_all
from blockwise.report.web.grids import Grid
from blockwise.report.web.study import study_page
from blockwise.studies.records import read

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [needs_browser, pytest.mark.slow]

RECORDS = Path(__file__).parents[4] / "results" / "studies"
FIGURES = Path(__file__).parents[4] / "docs" / "results"
PHONE, DESK = 390, 1440
MOST_BYTES = 1_500_000
DEFAULT_REGIMES = TrainingSettings().regimes
TORCHVISION = "torchvision:squeezenet1_1"


def trained_on_integers() -> Result:
    network = NetworkSettings(model="plain4")
    training = TrainingSettings(regimes=("niti", "niti-local"), epochs=2, batch_size=64)
    return compare(prepare(Config(network=network, training=training)))


PAGES = {
    "default": lambda: planned_result("resnet20", DEFAULT_REGIMES, head="lookahead:16"),
    "torchvision": lambda: planned_result(TORCHVISION, ("bp", "local-resident"), (3, 32, 32)),
    "integers": trained_on_integers,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module", params=PAGES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(to_html(PAGES[request.param]()), encoding="utf-8")
    return path


@dataclasses.dataclass
class Opened:
    """A page and what went wrong with it."""

    page: Page
    faults: list[str]

    @property
    def overhang(self) -> int:
        """Pixels beyond the width of the screen."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    @property
    def barriers(self) -> list[str]:
        """What axe-core finds: contrast (WCAG AA), names, headings, regions that no keyboard reaches."""
        from axe_playwright_python.sync_playwright import Axe

        alike = {"exclude": [["tbody tr:nth-child(n + 4)"]]}
        broken = Axe().run(self.page, context=alike).response["violations"]
        return [f"{fault['id']}: {node['html']}" for fault in broken for node in fault["nodes"]]


def opened(browser: Browser, file: Path, width: int, scheme: str, *, scripts: bool = True) -> Opened:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda asked: None if asked.url.startswith("file:") else faults.append(asked.url))
    page.goto(file.as_uri())
    if scripts:
        page.wait_for_selector("html[data-ready]")
    return Opened(page, faults)


@pytest.fixture(scope="module")
def desk(browser: Browser, file: Path) -> Iterator[Opened]:
    """The dark page on a wide screen. Tests leave its switches as they found them."""
    made = opened(browser, file, DESK, "dark")
    yield made
    made.page.context.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, file: Path) -> Iterator[Opened]:
    """The light page on a narrow screen."""
    made = opened(browser, file, PHONE, "light")
    yield made
    made.page.context.close()


def told(page: Page, chart: Locator, across: float, down: float) -> str:
    """What the chart says of the point at these shares of its width and height."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
    page.mouse.move(x, y)
    page.mouse.move(x + 1, y)
    tips = chart.locator(".tip")
    return tips.first.inner_text() if tips.count() and tips.first.is_visible() else ""


@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_nothing_fails_nothing_is_fetched_and_nothing_is_too_wide(screen, file, request):
    found: Opened = request.getfixturevalue(screen)
    assert found.faults == []
    assert found.overhang <= 0
    assert found.barriers == []
    assert file.stat().st_size <= MOST_BYTES


@pytest.mark.long
@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESK, "light")])
def test_the_other_scheme_is_as_good_on_either_screen(browser, file, width, scheme):
    found = opened(browser, file, width, scheme)
    assert (found.faults, found.barriers) == ([], [])
    found.page.context.close()


def test_the_timeline_tells_operation_live_bytes_and_the_largest_tensors(desk):
    page = desk.page
    chart = page.locator("[data-timeline='0'] .chart")
    text = told(page, chart, 0.4, 0.5)
    assert "live, KiB" in text and "largest tensors" in text and "operation " in text
    some = next(word for word in ("saved activations", "packed weights") if word in text)
    page.get_by_label(some, exact=True).uncheck()
    assert some not in told(page, chart, 0.4, 0.5)
    page.get_by_label(some, exact=True).check()
    regimes = page.locator("[data-switch=regimes] input")
    regimes.first.uncheck()
    assert chart.is_hidden() and page.locator("[data-timeline='1'] .chart").is_visible()
    regimes.first.check()


def test_the_packing_map_tells_name_shape_bits_offset_and_lifetime(desk):
    page = desk.page
    shown = page.locator("[data-packing]:visible")
    assert shown.count() == 1
    places = [(x / 20, y / 20) for x in range(4, 18, 2) for y in range(17, 4, -2)]
    text = next(filter(None, (told(page, shown.locator(".chart"), *place) for place in places)))
    for word in ("category", "shape", "bits", "size", "offset", "address\t0x", "alive from"):
        assert word in text
    before, other = (
        shown.get_attribute("data-packing"),
        page.locator("[data-switch=packing] input:not(:checked)"),
    )
    number = other.first.get_attribute("value")
    other.first.check()
    assert shown.get_attribute("data-packing") == number != before
    page.locator(f"[data-switch=packing] input[value='{before}']").check()


def test_a_table_is_sorted_by_the_column_whose_heading_is_pressed(desk):
    table = desk.page.locator("[data-layers]:visible table").first
    column = table.locator("thead th").all_inner_texts().index("parameters")
    for direction in ("ascending", "descending"):
        table.get_by_role("button", name="parameters").click()
        assert table.locator("thead th").nth(column).get_attribute("aria-sort") == direction
        cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        values = [int(text.replace(",", "")) for text in cells if text.strip("-")]
        assert values == sorted(values, reverse=direction == "descending") and len(set(values)) > 1
        assert not any(text.strip("-") for text in cells[len(values) :])  # what has no number stands last


def test_a_value_known_to_be_less_is_sorted_before_the_bound(browser, tmp_path):
    rows = read(RECORDS / "integer_short.jsonl")[:2]
    shown = Grid(
        "Means", ("run", "p"), (("a", "0.001"), ("b", "n < 3"), ("c", "<0.001"), ("d", "0.2")), 1, True
    )
    path = tmp_path / "study.html"
    svg = (FIGURES / "integer_short.svg").read_text("utf-8")
    path.write_text(study_page("A study", rows, svg, shown), "utf-8")
    found = opened(browser, path, PHONE, "light")
    table = found.page.locator("table.sortable").first
    table.get_by_role("button", name="p", exact=True).click()
    assert table.locator("tbody td:nth-child(2)").all_inner_texts() == ["<0.001", "0.001", "0.2", "n < 3"]
    found.page.context.close()


def test_without_scripts_everything_is_there_to_read(browser, file):
    found = opened(browser, file, PHONE, "light", scripts=False)
    page = found.page
    assert found.faults == []
    count = page.locator(".card").count()
    assert count == page.locator("[data-timeline] svg.still:visible").count() > 1
    assert count == page.locator("[data-packing] svg.still:visible").count()
    assert page.locator(".switches input:visible").count() == 0
    assert page.locator("#layers table").count() == 2 * count
    widths = page.locator("body").bounding_box(), page.locator("main").bounding_box()
    assert all(box is not None and box["x"] + box["width"] <= PHONE for box in widths)
    page.context.close()


def test_curves_are_drawn_of_what_was_trained(desk, file):
    curves = desk.page.locator("[data-curve] .chart")
    trained = file.stem == "integers"
    assert curves.count() == (2 if trained else 0)
    if trained:
        assert "niti" in told(desk.page, curves.first, 0.9, 0.5)


def test_the_page_of_a_study_is_as_good(browser, tmp_path):
    rows = read(RECORDS / "integer_short.jsonl")
    rows[0] |= {"test_error": None, "divergence": {"epoch": 1, "block": ""}}
    path = tmp_path / "study.html"
    path.write_text(study_page("A study", rows, (FIGURES / "integer_short.svg").read_text("utf-8")), "utf-8")
    found = opened(browser, path, PHONE, "dark")
    assert (found.faults, found.overhang, found.barriers) == ([], 0, [])
    assert "epoch" in told(found.page, found.page.locator("[data-curve] .chart"), 0.5, 0.5)
    table = found.page.locator("table.commands")
    table.get_by_role("button", name="test error").click()
    table.get_by_role("button", name="test error").click()
    column = table.locator("thead th").all_inner_texts().index("test error")
    cells = table.locator(f"tbody td:nth-child({column + 1})").all_inner_texts()
    *others, lost = cells
    errors = [float(cell.removesuffix(" %")) for cell in others]
    assert errors == sorted(errors, reverse=True) and lost.startswith("diverged")
    assert table.locator("button.copy").count() == len(rows)
    found.page.context.close()


@pytest.mark.long
def test_the_page_of_a_check_is_as_good(browser, tmp_path):
    write_all(firmware_result(), tmp_path)
    path = tmp_path / "report.html"
    for width, scheme in ((PHONE, "dark"), (DESK, "light")):
        found = opened(browser, path, width, scheme)
        assert (found.faults, found.overhang, found.barriers) == ([], 0, [])
        table = found.page.locator("table.sortable")
        table.get_by_role("button", name="instructions").click()
        cells = table.locator("tbody td:nth-child(2)").all_inner_texts()
        counts = [int(cell.replace(",", "")) for cell in cells]
        assert counts == sorted(counts) and len(counts) == 12
        found.page.context.close()
    assert path.stat().st_size < MOST_BYTES / 10
