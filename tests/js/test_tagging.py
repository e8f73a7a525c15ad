"""The tagging page by keyboard alone, in a browser, against Django itself."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, Route

from annotation.curation import services
from annotation.curation.categorisers import PERSON, Verdict
from annotation.curation.queries import sources_of
from annotation.library import load_tasks
from annotation.models import Dataset, Source
from tests import make
from tests.browser import signed_in

WAIT = 10_000
PICTURES = 12


class Tagger:
    """A person in front of the page."""

    def __init__(self, page: Page, url: str, data: Dataset) -> None:
        self.page, self.url, self.data = page, url, data
        self.images = list(sources_of(data).order_by("pk"))
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(WAIT)

    def open(self, query: str = "") -> None:
        self.page.goto(self.url + query)
        self.page.wait_for_selector("body[data-image]")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def in_view(self) -> int:
        """The number of the picture, from 0."""
        uid = self.page.get_attribute("body", "data-image")
        return [str(image.uid) for image in self.images].index(str(uid))

    def until_saved(self) -> None:
        self.page.wait_for_selector('#save[data-status="saved"]')

    def stored(self) -> dict[int, str | None]:
        """What people have said, by the number of the picture."""
        self.until_saved()
        rows = dict(Source.objects.filter(method=PERSON).values_list("image_id", "category"))
        return {number: rows[image.pk] for number, image in enumerate(self.images) if image.pk in rows}


@pytest.fixture
def tagger(live_server: Any, tmp_path: Path, browser: Browser, person: Callable[..., Any]) -> Iterator[Tagger]:
    load_tasks()
    services.load_categories()
    data = make.dataset(tmp_path, cases=PICTURES, editors=0)
    bob = person("bob", "engineer")
    context = signed_in(browser, live_server.url, bob, viewport={"width": 1280, "height": 800})
    found = Tagger(context.new_page(), live_server.url + reverse("tagging", args=[data.uid]), data)
    yield found
    context.close()
    assert found.errors == []


def test_a_whole_data_set_by_keyboard(tagger: Tagger) -> None:
    """Letters with Enter, digits, arrows, none of these; more pictures than come at once; the end is said."""
    tagger.open()
    digits = tagger.page.eval_on_selector_all("#names kbd", "all => all.map(one => one.parentElement.dataset.slug)")
    assert len(digits) == 9
    tagger.page.keyboard.type("ted")
    tagger.keys("Enter", "0", "3")
    tagger.page.keyboard.type("ball")  # sports ball, baseball bat, baseball glove: the second
    tagger.keys("ArrowDown", "Enter")
    assert tagger.in_view() == 4
    assert tagger.stored() == {0: "teddy-bear", 1: None, 2: digits[2], 3: "baseball-bat"}
    for _picture in range(PICTURES - 4):
        tagger.keys("1")
    tagger.page.wait_for_selector("#screen:not([hidden])")
    assert "Every picture has been looked at." in tagger.page.inner_text("#screen")
    assert tagger.page.inner_text("#left") == "0 pictures left"
    stored = tagger.stored()
    assert len(stored) == PICTURES
    assert {stored[number] for number in range(4, PICTURES)} == {digits[0]}


def test_undo_goes_back_as_far_as_one_likes(tagger: Tagger) -> None:
    tagger.open()
    tagger.keys("1", "2", "ArrowRight", "3")
    assert tagger.in_view() == 4
    assert tagger.page.inner_text("#left") == f"{PICTURES - 3} pictures left"
    tagger.keys("Backspace", "Backspace", "Backspace")  # the third answer, the picture left for later, the second
    assert tagger.in_view() == 1
    tagger.until_saved()
    assert list(tagger.stored()) == [0]
    tagger.page.keyboard.type("zeb")
    tagger.keys("Enter")
    assert tagger.stored()[1] == "zebra"
    tagger.page.reload()
    tagger.page.wait_for_selector("body[data-image]")
    assert tagger.in_view() == 2  # what was left for later comes again


def test_text_is_edited_before_anything_is_undone(tagger: Tagger) -> None:
    tagger.open()
    tagger.keys("1")
    tagger.page.keyboard.type("do")
    tagger.keys("Backspace", "Backspace")
    assert tagger.in_view() == 1
    tagger.page.keyboard.type("qqq")
    tagger.keys("Enter")  # nothing matches
    assert tagger.in_view() == 1
    tagger.keys("Escape", "Enter")  # nothing is written and no model has said anything
    assert tagger.in_view() == 1
    assert list(tagger.stored()) == [0]


def test_enter_agrees_with_the_model(tagger: Tagger) -> None:
    verdicts = [Verdict(image.pk, "giraffe", "clip tiny", 0.62) for image in tagger.images[3:5]]
    services.record(verdicts=verdicts)
    tagger.open("?check=1")
    assert tagger.in_view() == 3
    assert "The model says “giraffe” (62 %, clip tiny)" in tagger.page.inner_text("#said")
    tagger.keys("Enter", "0")
    tagger.page.wait_for_selector("#screen:not([hidden])")
    assert tagger.stored() == {3: "giraffe", 4: None}


def test_the_next_pictures_are_there_before_they_are_needed(tagger: Tagger) -> None:
    asked: list[str] = []
    tagger.page.on("request", lambda request: asked.append(request.url))
    tagger.open()
    tagger.page.wait_for_load_state("networkidle")
    for image in tagger.images[:4]:
        assert any(str(image.uid) in url for url in asked)
    assert not any(str(tagger.images[9].uid) in url for url in asked)


def test_answers_wait_while_the_server_does_not_answer(tagger: Tagger) -> None:
    broken = [True]

    def answer(route: Route) -> None:
        if broken[0]:
            route.abort()
        else:
            route.continue_()

    tagger.page.route("**/tagging/events/", answer)
    tagger.open()
    tagger.keys("1", "2")
    tagger.page.wait_for_selector('#save[data-status="retrying"]')
    assert tagger.in_view() == 2
    assert not Source.objects.exists()
    tagger.keys("Backspace")
    broken[0] = False
    assert list(tagger.stored()) == [0]
    assert tagger.in_view() == 1


def test_a_refusal_is_shown(tagger: Tagger) -> None:
    tagger.open()
    services.Category.objects.all().delete()
    tagger.keys("1")
    tagger.page.wait_for_selector("#notices .alert")
    assert "is no category" in tagger.page.inner_text("#notices")


@pytest.mark.parametrize("size", [(1280, 800), (640, 400), (360, 640)])
def test_the_picture_and_the_names_are_in_view(tagger: Tagger, size: tuple[int, int]) -> None:
    tagger.page.set_viewport_size({"width": size[0], "height": size[1]})
    tagger.open()
    assert tagger.page.is_visible("#picture")
    assert tagger.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = tagger.page.locator("#picture").bounding_box()
    assert box is not None
    assert box["height"] >= min(200, size[1] / 2)
    assert tagger.page.evaluate("document.activeElement.id") == "search"


def test_by_pointer(tagger: Tagger) -> None:
    tagger.open()
    tagger.page.click("#name-person")
    tagger.page.click("#none")
    tagger.page.click("#skip")
    tagger.page.click("#undo")
    tagger.page.keyboard.type("cat")
    tagger.keys("Enter")
    assert tagger.stored() == {0: "person", 1: None, 2: "cat"}


def test_the_value_holds_no_more_pictures_than_it_needs(tagger: Tagger) -> None:
    tagger.open()
    value = json.loads(tagger.page.inner_text("#tagging") or tagger.page.text_content("#tagging") or "{}")
    assert (len(value["images"]), len(value["categories"]), value["left"]) == (8, 80, PICTURES)
