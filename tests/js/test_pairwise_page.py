"""Pairs: one key answers, U takes one back to change it."""

import pytest

from tests.js.desk import Start
from tests.js.fake_server import QUALITY, FakeServer, assignment, study


def server(*names: str) -> FakeServer:
    return FakeServer(study("pairwise", dimensions=[QUALITY]), [assignment(name, letters="AB") for name in names])


def test_it_works(start: Start) -> None:
    desk = start(server("First", "Second", "Third", "Fourth"))
    for key, following in (("ArrowLeft", "Second"), ("ArrowRight", "Third"), ("ArrowDown", "Fourth")):
        desk.keys(key)
        desk.until_instruction(following)
    desk.keys("ArrowUp")
    desk.until_done()
    assert [answer["choice"] for answer in desk.answers()] == ["A", "B", "tie", "both_bad"]


@pytest.mark.parametrize(
    ("text", "choice"),
    [("Left is better", "A"), ("Right is better", "B"), ("Equally good", "tie"), ("Both are bad", "both_bad")],
)
def test_buttons_do_the_same(start: Start, text: str, choice: str) -> None:
    desk = start(server("First"))
    desk.page.click(f"button:has-text('{text}')")
    desk.until_done()
    assert desk.answers() == [{"choice": choice, "flag": None, "remark": ""}]


def test_enter_without_a_choice_is_no_answer(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("Enter")
    assert "first" in desk.text("#hint")
    assert desk.server.answers() == []


def test_u_returns_to_the_earlier_answer_and_marks_it(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.keys("ArrowRight")
    desk.until_instruction("Second")
    assert desk.page.locator("[data-choice][aria-pressed=true]").count() == 0
    desk.keys("u")
    desk.until_instruction("First")
    assert desk.page.get_attribute("[data-choice][aria-pressed=true]", "data-choice") == "B"
    desk.keys("Enter")
    desk.until_instruction("Second")
    desk.keys("u")
    desk.until_instruction("First")
    desk.keys("ArrowLeft")
    desk.until_instruction("Second")
    desk.until("saved")
    assert [answer["choice"] for answer in desk.answers()] == ["B", "B", "A"]


def test_a_pair_that_cannot_be_judged_is_flagged_and_left_open(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("x", "4", "Enter")
    desk.until_done()
    assert desk.answers() == [{"choice": None, "flag": "cannot_judge", "remark": ""}]
