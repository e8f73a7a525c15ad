"""The calibration page: figures arrive without a reload, points lead to the rows behind them, nothing typed is lost."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route

from annotation.models import Candidate
from scoring.calibration.figures import page_figures
from scoring.models import Calibration, PromptVersion
from tests.browser import signed_in
from tests.calibration import make
from tests.drawn import drawn, study_of
from webapp.accounts.models import User

WAIT = 10_000


@pytest.fixture
def desk(transactional_db: None, tmp_path: Path) -> Calibration:
    """A desk over drawn edits that three people have rated, scored by its first version."""
    from annotation.curation.services import load_categories
    from annotation.library import load_tasks

    load_tasks()
    load_categories()
    return a_desk(tmp_path)


def a_desk(folder: Path) -> Calibration:
    raters = make.people(3)
    study = study_of(drawn(folder, 12), raters=3, members=raters)
    worth = {pk: pk * 7 % 6 for pk in Candidate.objects.values_list("pk", flat=True)}
    for place, user in enumerate(raters):
        rates = partial(lambda shift, pk: min(5, max(0, worth[pk] + (pk + shift) % 3 - 1)), place)
        make.rated_by(study, user, rates, remark="Hm.")
    study.units.update(taken=3, done=3)
    made = make.calibration(
        study, make.prompt("hp", "Is the object gone?", task="remove"), judge=make.judge(kind="drawn")
    )
    assert made.current is not None
    score(made, made.current, worth, 1.2)
    return made


def score(desk: Calibration, version: PromptVersion, worth: dict[int, int], noise: float) -> None:
    chance = np.random.default_rng(3)
    make.scored(desk, version, lambda pk: float(np.clip(worth[pk] + chance.normal(0, noise), 0, 5)))


@pytest.fixture
def sent() -> dict[str, Any]:
    """What the board sends next; empty: nothing."""
    return {}


@pytest.fixture
def page(browser: Browser, live_server: Any, desk: Calibration, sent: dict[str, Any]) -> Iterator[Page]:
    def answer(route: Route) -> None:
        event = f"event: figures\ndata: {json.dumps(sent)}\n\n" if sent else ": beat\n\n"
        route.fulfill(content_type="text/event-stream", body=f"retry: 100\n\n{event}")

    context = signed_in(browser, live_server.url, User.objects.create(username="bob", role="engineer"))
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/live/**", answer)
    page.goto(desk.get_absolute_url())
    yield page
    context.close()
    assert errors == []


def pcc(page: Page) -> str:
    return page.inner_text("#dev [data-value='dev.figures.pcc.value']")


def test_it_works(page: Page, desk: Calibration) -> None:
    assert desk.current is not None
    shown = page_figures(desk, desk.current)
    assert pcc(page) == f"{shown['dev']['figures']['pcc']['value']:.3f}"
    assert len(page.query_selector_all("#scatter circle")) == len(shown["points"])
    assert page.is_hidden("#held")
    page.wait_for_selector("#versions [data-pcc='1']")
    assert pcc(page) in page.inner_text("#versions [data-pcc='1']")
    page.wait_for_selector("#disagreements .disagreement")
    assert len(page.query_selector_all("#confusion td")) == 36


def test_figures_arrive_without_a_reload(page: Page, desk: Calibration, sent: dict[str, Any]) -> None:
    assert desk.current is not None
    page.evaluate("window.loaded = 'once'")
    before = pcc(page)
    now = page_figures(desk, desk.current)
    now["dev"]["figures"]["pcc"] = {"value": 0.123, "low": -0.1, "high": 0.3}
    now["points"] = now["points"][:4]
    sent.update(now)
    page.wait_for_selector("#dev [data-value='dev.figures.pcc.value']:text('0.123')", timeout=WAIT)
    assert before != "0.123"
    assert "[-0.100, 0.300]" in page.inner_text("#dev")
    assert len(page.query_selector_all("#scatter circle")) == 4
    assert page.evaluate("window.loaded") == "once"


def test_a_figure_that_does_not_exist_is_a_dash_with_its_reason(
    page: Page, desk: Calibration, sent: dict[str, Any]
) -> None:
    assert desk.current is not None
    now = page_figures(desk, desk.current)
    now["dev"]["figures"]["pcc"] = {"value": None, "reason": "the scorer gives one value to everything"}
    sent.update(now)
    page.wait_for_selector("text=the scorer gives one value to everything", timeout=WAIT)
    assert pcc(page) == "–"


def test_points_that_are_dragged_over_are_shown_as_rows(page: Page) -> None:
    page.wait_for_selector("#disagreements .disagreement")
    page.locator("#scatter").scroll_into_view_if_needed()
    box = page.locator("#scatter").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.9)
    page.mouse.up()
    page.wait_for_selector("#all-rows:visible")
    chosen = len(page.query_selector_all("#scatter .chosen"))
    assert 0 < chosen < len(page.query_selector_all("#scatter circle"))
    page.wait_for_function(
        "count => document.querySelectorAll('#disagreements .disagreement').length === count", arg=min(chosen, 24)
    )
    page.click("#all-rows")
    page.wait_for_selector("#all-rows", state="hidden")
    assert not page.query_selector_all("#scatter .chosen")


def test_raters_and_remarks_are_a_click_away(page: Page) -> None:
    page.wait_for_selector("#disagreements .disagreement")
    page.click("#disagreements .disagreement details summary")
    assert "Hm." in page.inner_text("#disagreements .disagreement")


def test_the_held_out_part_comes_with_a_look_that_is_counted(page: Page) -> None:
    assert page.inner_text("[data-value='looks.all']") == "0"
    with page.expect_navigation():
        page.click("#look")
    page.wait_for_selector("#held:visible")
    assert page.inner_text("[data-value='looks.all']") == "1"
    assert page.query_selector_all("#scatter .held")


def test_a_version_is_written_and_shown(page: Page, desk: Calibration) -> None:
    page.click("[data-add]")
    page.keyboard.type("Is everything else as it was?")
    with page.expect_navigation():
        page.click("#save")
    assert "v=2" in page.url
    made = desk.prompt.versions.get(number=2)
    assert [question.text for question in made.questions.all()] == [
        "Is the object gone?",
        "Is everything else as it was?",
    ]


def test_what_is_refused_stays_in_the_form(page: Page) -> None:
    page.click("[data-add]")
    page.keyboard.type("Is the {thing} there?")
    with page.expect_navigation():
        page.click("#save")
    assert "There is no placeholder {thing}" in page.inner_text("main")
    assert page.input_value("[name^=question-text] >> nth=1") == "Is the {thing} there?"


def test_a_point_is_marked_as_unclear(page: Page, desk: Calibration) -> None:
    page.wait_for_selector("#disagreements .disagreement")
    row = page.locator("#disagreements .disagreement").first
    row.locator("summary:has-text('Guideline unclear?')").click()
    row.locator("[name=note]").fill("Is the shadow part of the object?")
    with page.expect_navigation():
        row.locator("button:has-text('Mark as unclear')").click()
    assert "Noted." in page.inner_text("body")
    assert desk.unclear_points.get().note == "Is the shadow part of the object?"


def test_the_page_fits_a_narrow_window(page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
