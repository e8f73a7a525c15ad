"""The grid of a case: a column for each editor; all pictures zoom together, and show the source while it is held."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page

from annotation.library import load_tasks
from annotation.models import Case
from tests import make
from tests.browser import signed_in
from webapp.accounts.models import User

HELD = "all => all.map((one) => getComputedStyle(one).display !== 'none')"
VIEW = """all => all.map((one) => {
    const style = getComputedStyle(one);
    return [new DOMMatrix(style.transform).a, ...style.transformOrigin.split(' ').map(parseFloat)];
})"""


@pytest.fixture
def case(transactional_db: None, tmp_path: Path) -> Case:
    load_tasks()  # a test with real transactions before this one has emptied all tables
    case = make.dataset(tmp_path, cases=1, editors=3).cases.get()
    for number, candidate in enumerate(case.candidates.order_by("editor__slug")):
        candidate.seed = number // 2
        candidate.save()
    return case


@pytest.fixture
def page(browser: Browser, live_server: Any, case: Case) -> Iterator[Page]:
    """The case's page, for a signed-in engineer; nothing may be written to the console."""
    bob = User.objects.create(username="bob", role="engineer")
    context = signed_in(browser, live_server.url, bob, viewport={"width": 1280, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(reverse("case", args=[case.uid]))
    yield page
    context.close()
    assert errors == []


def held(page: Page) -> list[bool]:
    """Of each candidate's picture: whether the source lies over it."""
    found: list[bool] = page.eval_on_selector_all(".lens .held", HELD)
    return found


def views(page: Page) -> list[list[float]]:
    """Of each picture: [factor, x, y of the point that stays]."""
    found: list[list[float]] = page.eval_on_selector_all(".lens img:not(.held)", VIEW)
    return found


def box_of_one(page: Page) -> tuple[float, float, float]:
    """Left edge, top edge and side of a candidate's picture."""
    box = page.locator("a.lens").first.bounding_box()
    assert box
    return box["x"], box["y"], box["width"]


def test_it_works(page: Page, case: Case) -> None:
    """A column for each editor, a row for each seed, the source in front of each row."""
    assert page.locator(".seeds thead th").all_inner_texts() == ["Source", "editor-0", "editor-1", "editor-2"]
    assert page.locator(".seeds tbody th").all_inner_texts() == ["Seed 0", "Seed 1"]
    for seed, row in enumerate(page.locator(".seeds tbody tr").all()):
        cells = row.locator("td").all()
        assert [cell.locator("img:not(.held)").count() for cell in cells] == [1, 1, 0] if seed == 0 else [0, 0, 1]
    source = page.locator(".lens.source img").first.get_attribute("src")
    assert {one.get_attribute("src") for one in page.locator(".lens .held").all()} == {source}
    assert page.locator(".lens .held").count() == case.candidates.count() == 3


def test_space_shows_the_source_in_every_cell_while_it_is_held(page: Page) -> None:
    assert held(page) == [False] * 3
    page.keyboard.down("Space")
    assert held(page) == [True] * 3
    assert page.evaluate("scrollY") == 0
    page.keyboard.up("Space")
    assert held(page) == [False] * 3


def test_the_button_shows_the_source_while_it_is_pressed(page: Page) -> None:
    page.hover("#grid-hold")
    page.mouse.down()
    assert held(page) == [True] * 3
    page.mouse.up()
    assert held(page) == [False] * 3
    page.focus("#grid-hold")
    for expected in (True, False):  # by keyboard it stays until it is pressed again
        page.keyboard.press("Space")
        assert held(page) == [expected] * 3
        assert page.get_attribute("#grid-hold", "aria-pressed") == str(expected).lower()


def test_all_pictures_zoom_and_move_together(page: Page) -> None:
    page.keyboard.press("z")
    assert page.inner_text("#grid-zoom span") == "200 %"
    left, top, side = box_of_one(page)
    page.mouse.move(left + side / 4, top + side / 2)
    found = views(page)
    assert len(found) == 5
    assert all(one == found[0] for one in found)
    assert found[0][0] == 2
    assert found[0][1] == pytest.approx(side / 4, abs=2)
    page.keyboard.press("ArrowRight")
    assert views(page)[0][1] == pytest.approx(side * (0.25 + 0.08), abs=2)
    for expected in ("400 %", "800 %", "100 %"):
        page.click("#grid-zoom")
        assert page.inner_text("#grid-zoom span") == expected
    page.click("#grid-out")
    assert views(page)[0][0] == 1, "no smaller than fitted"
    for _turn in range(5):
        page.click("#grid-in")
    assert views(page)[0][0] == 8, "no larger than that"


def test_a_checkbox_keeps_its_keys(page: Page) -> None:
    page.focus("[name=show]")
    page.keyboard.press("Space")
    assert page.is_checked("[name=show]")
    assert held(page) == [False] * 3


def test_a_case_without_candidates_has_no_grid(page: Page, case: Case) -> None:
    case.candidates.all().delete()
    page.reload()
    assert "No candidates yet" in page.inner_text("main")
