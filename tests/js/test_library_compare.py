"""The page that lays candidates over each other and over the source: the real page, in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page

from annotation.library import load_tasks
from annotation.models import Candidate, Case
from tests import make
from tests.browser import signed_in
from webapp.accounts.models import User

WAIT = 10_000


@pytest.fixture
def case(transactional_db: None, tmp_path: Path) -> Case:
    load_tasks()  # a test with real transactions before this one has emptied all tables
    return make.dataset(tmp_path, cases=1, editors=3).cases.get()


@pytest.fixture
def page(browser: Browser, live_server: Any, case: Case) -> Iterator[Page]:
    """A signed-in engineer's page; nothing may be written to the console."""
    bob = User.objects.create(username="bob", role="engineer")
    context = signed_in(browser, live_server.url, bob, viewport={"width": 1400, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert errors == []


def shown(page: Page, *candidates: Candidate) -> None:
    """Until these candidates are painted."""
    uids = " ".join(str(candidate.uid) for candidate in candidates)
    page.wait_for_selector(f'#stage[data-shown="{uids}"]', timeout=WAIT)


def captions(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".pane figcaption", "all => all.map((one) => one.textContent)")
    return found


def test_a_click_on_the_case_page_lays_a_candidate_over_the_source(page: Page, case: Case) -> None:
    one = case.candidates.order_by("editor__slug")[1]
    page.goto(reverse("case", args=[case.uid]))
    page.click(f'a[href$="show={one.uid}"]')
    shown(page, one)
    assert captions(page) == ["Source", "editor-1, seed 0"]
    page.keyboard.down("Space")
    assert captions(page) == ["Source", "Source (held)"]
    page.keyboard.up("Space")
    assert captions(page) == ["Source", "editor-1, seed 0"]
    page.keyboard.press("d")
    assert captions(page)[1] == "editor-1, seed 0 · Difference ×1"
    page.keyboard.press("w")
    assert page.locator(".wipe-handle:visible").get_attribute("aria-valuenow") == "50"
    page.keyboard.press("z")
    assert "zoomed" in str(page.get_attribute(".panes", "class"))


def test_two_marked_candidates_lie_beside_each_other(page: Page, case: Case) -> None:
    first, second, third = case.candidates.order_by("editor__slug")
    page.goto(reverse("case", args=[case.uid]))
    page.check(f'input[value="{first.uid}"]')
    page.check(f'input[value="{third.uid}"]')
    page.click("button:has-text('Compare the marked ones')")
    shown(page, first, third)
    assert captions(page) == ["editor-0, seed 0", "Source", "editor-2, seed 0"]
    page.keyboard.down("s")
    assert captions(page) == ["editor-2, seed 0", "Source", "editor-0, seed 0"]
    page.keyboard.up("s")
    page.keyboard.press("ArrowRight")
    shown(page, second, third)
    page.select_option("#second", "")
    shown(page, second)
    assert page.url.endswith(f"?show={second.uid}")
    page.reload()
    shown(page, second)
    page.click("#details")
    page.wait_for_url(f"**{reverse('candidate', args=[second.uid])}")


def test_the_arrow_keys_go_round_all_candidates(page: Page, case: Case) -> None:
    candidates = list(case.candidates.order_by("editor__slug"))
    page.goto(reverse("compare", args=[case.uid]))
    shown(page, candidates[0])
    for candidate in (*candidates[1:], candidates[0]):
        page.keyboard.press("ArrowRight")
        shown(page, candidate)
    page.keyboard.press("ArrowLeft")
    shown(page, candidates[-1])


def test_a_case_without_candidates_says_so(page: Page, case: Case) -> None:
    case.candidates.all().delete()
    page.goto(reverse("compare", args=[case.uid]))
    assert "This case has no candidates yet." in page.inner_text("main")
