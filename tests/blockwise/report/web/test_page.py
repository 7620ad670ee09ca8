"""The page as text: what it says, that it is whole in itself, and that names cannot change it."""

import dataclasses
import html
import re
from html.parser import HTMLParser

import pytest
from hand_made import SCENARIOS
from planned import planned_result
from tiers import quick

from blockwise.experiment.result import Result
from blockwise.experiment.step_rows import Change
from blockwise.report import headline, to_html
from blockwise.report.web import cards
from blockwise.report.web.assets import LIBRARY, asset
from blockwise.report.web.page import SCRIPTS
from devices.program.regimes import ALL_REGIMES

MOST_BYTES = 1_500_000
VOID = {"meta", "input", "br", "link", "img", "rect", "path"}


class Outline(HTMLParser):
    """The elements in order, their texts by element, and whether each is closed where it belongs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.faults: list[str] = []
        self.feed(page)
        self.faults += self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())


def visible(page: str) -> str:
    """What is read without styles and scripts."""
    bare = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())


@pytest.mark.parametrize("name", quick(SCENARIOS, "default", "obstructed"))
def test_every_element_is_closed_and_the_verdict_is_said(name):
    result = SCENARIOS[name]()
    page = to_html(result)
    assert Outline(page).faults == []
    assert headline(result) in visible(page)
    assert len(page.encode()) <= MOST_BYTES


def test_the_page_loads_nothing(four: Result) -> None:
    outline = Outline(to_html(four))
    assert {tag for tag, _ in outline.elements} & {"link", "img", "iframe", "object"} == set()
    assert [a for _, a in outline.elements if {"src", "href", "action"} & set(a)] == []
    assert not re.search(r"@import|url\(", " ".join(outline.texts["style"]))
    policy = next(a["content"] for _, a in outline.elements if a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


def test_a_card_says_whether_it_fits_how_well_and_at_what_work(default: Result) -> None:
    """Hand-made: 0.8791 of 10,000 images; 658,968 bytes of bp against 319,488 of RAM."""
    first, *others = cards.cards(default)
    assert [card.regime for card in (first, *others)][:2] == ["local-paged", "local-resident"]
    assert (first.verdict, first.beyond, first.limit) == ("fits", 0, 100)
    facts = dict(first.facts)
    assert facts["Test accuracy"] == "88.74 % (95 % interval 88.1 to 89.3 %), as local"
    assert facts["Work beside bp"] == "1.00x"
    bp = next(card for card in others if card.regime == "bp")
    usable, peak = 312 * 1024, default.regimes[0].peak_bytes
    assert (bp.within, bp.limit) == (round(100 * usable / peak, 2),) * 2
    assert bp.spare == f"{(peak - usable) / 1024:,.1f} KiB more than the 312 KiB of usable RAM"
    assert bp.obstacle.startswith("91.5 KiB of latent weights of stage3 (164.2 in all) throughout; ")


def test_every_regime_says_what_sets_it_apart() -> None:
    assert all(cards._summary(name) for name in ALL_REGIMES)
    assert cards._summary("of another version") == ""


def test_what_fits_comes_first_by_accuracy_and_without_training_by_work() -> None:
    trained = SCENARIOS["all_fit"]()
    assert [c.regime for c in cards.cards(trained)] == ["bp", "bp-checkpoint", "local", "local-resident"]
    dry = SCENARIOS["dry"]()
    works = {"bp": 9, "bp-checkpoint": 2, "local": 3, "local-resident": 1}
    regimes = tuple(
        dataclasses.replace(r, macs_per_step=works[r.regime], fits=r.regime != "local-resident")
        for r in dry.regimes
    )
    order = [c.regime for c in cards.cards(dataclasses.replace(dry, regimes=regimes))]
    assert order == ["bp-checkpoint", "local", "bp", "local-resident"]


def test_the_tables_of_layers_add_up_to_the_peak() -> None:
    result = planned_result("plain4", ("bp", "local-resident", "niti-local"))
    page = visible(to_html(result))
    for regime in result.regimes:
        assert f"{regime.regime}: {regime.peak_bytes / 1024:,.1f} KiB at the peak" in page
    assert "conv1.conv conv conv1 8x8x8 8 32 72 4,608" in page
    assert "batch and inputs of blocks" in page


def test_a_change_is_told_with_what_it_saves_and_its_command(four: Result) -> None:
    changed = Change("bp", "batch of 4", 300 * 1024, 343 * 1024, True, ("--model", "my net.py:Net"))
    other = Change("zo", "regime zo", 1000, 658_968 - 1000, False, ())
    page = visible(to_html(dataclasses.replace(four, changes=(changed, other))))
    assert "bp : batch of 4 fits 300 KiB, 343 KiB less than as compared" in page
    assert "python run.py --model 'my net.py:Net'" in page
    assert "zo : regime zo does not fit 1,000 bytes, 642.5 KiB less than the lowest of those compared" in page
    assert "What would make it fit" not in to_html(four)


def test_without_scripts_timeline_and_packing_are_drawn_in_colours_of_the_page() -> None:
    page = to_html(planned_result("plain4", ("bp", "local-resident", "niti-local")))
    drawings = re.findall(r'<svg class="still".*?</svg>', page, flags=re.DOTALL)
    assert len(drawings) == 2 * 3
    assert all(re.search(r'<path fill="var\(--c\d\)" d="M', drawing) for drawing in drawings)
    assert not any("#" in drawing for drawing in drawings)


def test_a_result_without_timelines_or_regimes_is_a_page_too(four: Result) -> None:
    bare = tuple(dataclasses.replace(regime, timeline=(), tensors=()) for regime in four.regimes)
    assert "No timeline was recorded." in to_html(dataclasses.replace(four, regimes=bare))
    assert "No regime was compared." in to_html(dataclasses.replace(four, regimes=()))


def test_the_page_is_identical_the_second_time(four: Result) -> None:
    assert to_html(four) == to_html(four)


@pytest.mark.parametrize("name", ["<b>&cnn", "{{ title }}", "</script><script>alert(1)</script>", "$x^2$"])
def test_names_are_text_and_nothing_else(four: Result, name: str) -> None:
    regime = dataclasses.replace(four.regimes[0], regime=name)
    changed = dataclasses.replace(
        four, model=dataclasses.replace(four.model, name=name), regimes=(regime, *four.regimes[1:])
    )
    page, plain = to_html(changed), to_html(four)
    assert f"<h1>{html.escape(name)} on" in page.replace("&#34;", "&quot;")
    tags = [tag for tag, _ in Outline(page).elements]
    assert tags.count("script") == [tag for tag, _ in Outline(plain).elements].count("script")
    assert tags.count("b") == 0


@pytest.mark.parametrize("name", [LIBRARY, *SCRIPTS, "style.css"])
def test_no_script_or_style_ends_itself(name: str) -> None:
    assert not re.search(r"</(script|style)", asset(name), flags=re.IGNORECASE)
