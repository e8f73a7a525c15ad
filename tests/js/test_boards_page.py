"""Boards of a study in a browser: a saved chart says what is not real; in narrow windows tables scroll, not pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page

from annotation.library import load_tasks
from annotation.models import Study
from tests.browser import signed_in
from tests.scoring_boards.rows import judge, study, worth
from webapp.accounts.models import User

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def made(transactional_db: None) -> Study:
    load_tasks()  # a test with real transactions before this one has emptied all tables
    carol = User.objects.create(username="carol", role="annotator")
    found = study("mos", (carol,), notice="Demo data. Drawn scenes.")
    judge(found, carol, lambda _u, c: dict.fromkeys(("quality", "alignment", "preservation"), 2.0 + worth(c)))
    return found


@pytest.fixture
def page(browser: Browser, live_server: Any, made: Study) -> Iterator[Page]:
    """The leaderboard on a dark screen; nothing may be written to the console."""
    bob = User.objects.create(username="bob", role="engineer")
    context = signed_in(browser, live_server.url, bob, color_scheme="dark")
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    stream = {"content_type": "text/event-stream", "body": ": open\n\n"}
    page.route("**/live/**", lambda route: route.fulfill(status=200, **stream))  # the test's server has no streams
    page.goto(reverse("study_leaderboard", args=[made.uid]))
    yield page
    context.close()
    assert errors == []


def test_it_works(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.click("[data-chart=leaderboard-matrix] [data-save-svg]")
    assert download.value.suggested_filename == "leaderboard-matrix.svg"
    download.value.save_as(tmp_path / "chart.svg")
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()  # noqa: S314  (our own file)
    assert root.tag == f"{SVG}svg" and not root.findall(f".//{SVG}a") and "class" not in root.attrib
    paper, *_rest = root.findall(f"{SVG}rect")
    assert paper.get("fill") == "#ffffff"
    fills = {path.get("fill") for path in root.findall(f".//{SVG}path")}
    assert "rgb(0, 114, 178)" in fills and "rgb(236, 238, 240)" in fills  # of paper, though the screen is dark
    words = [text.text for text in root.findall(f".//{SVG}text")]
    assert "1.00" in words and " ".join(str(word) for word in words).endswith("Demo data. Drawn scenes.")
    assert page.query_selector(".chart-saving") is None


def test_the_numbers_of_a_chart_are_saved_beside_it(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.click("[data-chart=leaderboard-overall] a[download]")
    assert download.value.suggested_filename == "demo-leaderboard-overall.csv"
    download.value.save_as(tmp_path / "chart.csv")
    assert (tmp_path / "chart.csv").read_text().startswith("Editor,Candidates,Overall,")


def test_weights_are_changed_by_keyboard(page: Page) -> None:
    page.focus("[name=weight_quality]")
    page.keyboard.press("Control+a")
    page.keyboard.type("1.3")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "weight_quality=1.3" in page.url
    assert "The weights add to 2" in page.inner_text("#weights")


@pytest.mark.parametrize("name", ["study_report", "study_leaderboard", "study_annotators", "study_checks"])
def test_a_narrow_window_scrolls_tables_and_not_the_page(page: Page, made: Study, name: str) -> None:
    """As at 200 % zoom on a small screen."""
    page.set_viewport_size({"width": 640, "height": 400})
    page.goto(reverse(name, args=[made.uid]))
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
