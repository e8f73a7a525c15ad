"""Training and qualification on the annotation pages, the way in, and the figures of the viewing check."""

from collections.abc import Callable
from typing import Any

import pytest

from annotation.entry.viewing import Measures, zoom_of
from tests.js.desk import Desk, Start
from tests.js.fake_server import FakeServer, assignment, study

PRACTICE = {"purpose": "training", "label": "Training"}
FEEDBACK = {
    "is_right": False,
    "title": "Not right",
    "lines": [{"label": "Visual quality", "said": "4", "right": "2", "is_right": False}],
    "words": "The edges are torn.",
    "images": [],
}


def practice(*names: str) -> FakeServer:
    return FakeServer(study("rating", practice=PRACTICE), [assignment(name) for name in names])


def shows(desk: Desk, reason: str) -> None:
    desk.page.wait_for_selector(f'#screen[data-reason="{reason}"]')


def test_training_shows_what_was_right_after_each_answer(start: Start) -> None:
    desk = start(practice("First", "Second"))
    assert desk.text("#progress-text") == "Training 1 of 2"
    assert desk.text(".work-bar .badge.info") == "Training"
    desk.server.feedback = FEEDBACK
    desk.keys("4", "Enter")
    shows(desk, "feedback")
    for words in ("Not right", "Visual quality", "✗ 4", "2", "The edges are torn."):
        assert words in desk.text("#screen")
    assert desk.text("#progress-text") == "Training 1 of 2"
    assert "Not right. The edges are torn." in str(desk.page.text_content("#live"))
    desk.keys("5")
    assert len(desk.stored("score")) == 1, "keys pressed while the feedback is read judge nothing"
    desk.server.feedback = None
    desk.keys("Enter")  # the button has the focus
    desk.until_instruction("Second")
    desk.page.wait_for_selector("#progress-text:has-text('Training 2 of 2')")
    assert [body["want"] for body in desk.server.bodies] == [1] * len(desk.server.bodies)


def test_the_result_comes_after_the_last_feedback(start: Start) -> None:
    desk = start(practice("Only"))
    desk.server.feedback = FEEDBACK
    desk.server.step = {"title": "Training is finished", "sentence": "0 of 1 were right.", "go": "/work/next/"}
    desk.keys("4", "Enter")
    shows(desk, "feedback")
    desk.keys("Enter")
    shows(desk, "step")
    assert "Training is finished" in desk.text("#screen") and "0 of 1 were right." in desk.text("#screen")
    assert desk.page.get_attribute("#screen a.primary", "href") == "/work/next/"


def test_new_guidelines_come_between_items_and_never_in_the_middle_of_one(start: Start) -> None:
    desk = start(FakeServer(study(), [assignment("First"), assignment("Second")]))
    desk.server.step = {"title": "", "sentence": "There are guidelines to read.", "go": "/work/s/entry/"}
    desk.keys("3")
    desk.until("saved")
    assert desk.text(".dim-value") == "3", "the item in hand stays"
    desk.keys("Enter")
    shows(desk, "step")
    assert "There are guidelines to read." in desk.text("#screen")
    assert len(desk.answers()) == 1


def test_who_may_not_work_is_told_where_to_go(start: Start) -> None:
    fake = FakeServer(study(), [assignment("First")])
    fake.failures.append("step")
    desk = start(fake, shown=False)
    shows(desk, "step")
    assert "Pass the test first." in desk.text("#screen")
    assert desk.page.get_attribute("#screen a.primary", "href") == "/work/s/entry/"


def test_the_guidelines_lead_to_their_examples(start: Start) -> None:
    urls = {**study()["urls"], "guidelines": "/work/s/guidelines/"}
    desk = start(FakeServer(study(urls=urls), [assignment("First")]))
    desk.keys("q")
    assert desk.page.get_attribute("dialog a.button", "href") == "/work/s/guidelines/"


FIGURES = [(1280, 1280, 1.0), (640, 1280, 2.0), (1280, 1280, 2.0), (1024, 1280, 1.25), (1024, 1280, 1.0), (0, 1, 1.0)]


@pytest.mark.parametrize(("inner", "outer", "ratio"), FIGURES)
def test_page_and_server_tell_the_same_zoom(js: Callable[..., Any], inner: int, outer: int, ratio: float) -> None:
    found = js("viewing.js", "m.zoomOf(x)", {"inner_width": inner, "outer_width": outer, "ratio": ratio})
    assert found == zoom_of(Measures(inner, 720, outer, 800, 1920, 1080, ratio))
