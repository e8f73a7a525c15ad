"""Rating by keyboard, mouse and touch: what is stored is what the annotator did."""

from typing import Any

import pytest

from tests.js.desk import Desk, Start
from tests.js.fake_server import ALIGNMENT, CONTINUOUS, PRESERVATION, QUALITY, FakeServer, assignment, study

THREE = [QUALITY, ALIGNMENT, PRESERVATION]
SMOOTH = [{**dimension, "scale": CONTINUOUS} for dimension in THREE]


def server(*names: str, dimensions: list[dict[str, Any]] | None = None) -> FakeServer:
    return FakeServer(study("rating", dimensions=dimensions or [QUALITY]), [assignment(name) for name in names])


def press(desk: Desk, **event: Any) -> None:
    """A key of another layout."""
    desk.page.evaluate(
        "e => document.body.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...e}))", event
    )


def test_it_works(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.keys("0", "Enter")
    desk.until_done()
    assert desk.answers() == [
        {"scores": {"quality": 4}, "flag": None, "remark": ""},
        {"scores": {"quality": 0}, "flag": None, "remark": ""},
    ]
    assert desk.stored("score") == [{"dimension": "quality", "value": 4}, {"dimension": "quality", "value": 0}]
    assert "nothing more" in desk.text("#screen")


def test_enter_submits_only_when_all_is_answered_and_says_what_is_missing(start: Start) -> None:
    desk = start(server("First", dimensions=THREE))
    desk.keys("3", "Enter")
    assert "Editing alignment has no score yet" in desk.text("#hint")
    assert desk.text(".dim.active h3") == "Editing alignment"
    assert desk.server.answers() == []
    desk.keys("2", "Enter")
    assert "Attribute preservation has no score yet" in desk.text("#hint")
    desk.keys("1", "Enter")
    desk.until_done()
    assert desk.answers()[0]["scores"] == {"quality": 3, "alignment": 2, "preservation": 1}


def test_tab_goes_to_the_next_dimension_and_back(start: Start) -> None:
    desk = start(server("First", dimensions=THREE))
    desk.keys("5", "Tab", "4", "Tab", "3", "Shift+Tab", "1")
    assert desk.page.eval_on_selector_all(".dim-value", "all => all.map(one => one.textContent)") == ["5", "1", "3"]


def test_a_continuous_scale_has_no_default(start: Start) -> None:
    desk = start(server("First", dimensions=SMOOTH))
    sliders = desk.page.locator("[role=slider].slider")
    assert sliders.count() == 3
    for index in range(3):
        assert sliders.nth(index).get_attribute("aria-valuenow") is None
        assert sliders.nth(index).locator(".thumb-mark").is_hidden()
    desk.keys("Shift+ArrowUp")
    assert "Type a digit" in desk.text("#hint")
    desk.keys("Enter")
    desk.page.wait_for_timeout(2300)
    assert {event["kind"] for event in desk.server.stored.values()} <= {"open"}


def test_typing_stepping_and_clicking_a_continuous_scale(start: Start) -> None:
    desk = start(server("First", dimensions=SMOOTH))
    desk.keys("3", ".", "7", "Tab", "4", "Shift+ArrowUp", "Shift+ArrowUp", "Shift+ArrowDown", "Tab")
    track = desk.page.locator(".dim.active .track").bounding_box()
    assert track
    desk.page.mouse.click(track["x"] + track["width"] * 0.5, track["y"] + 2)
    desk.keys("Enter")
    desk.until_done()
    assert desk.answers()[0]["scores"] == {"quality": 3.7, "alignment": 4.1, "preservation": 3}


def test_dragging_a_slider_stores_one_score(start: Start) -> None:
    desk = start(server("First", dimensions=SMOOTH[:1]))
    track = desk.page.locator(".track").bounding_box()
    assert track
    desk.page.mouse.move(track["x"], track["y"])
    desk.page.mouse.down()
    for share in (0.2, 0.5, 0.9, 1.0):
        desk.page.mouse.move(track["x"] + track["width"] * share, track["y"])
    desk.page.mouse.up()
    desk.until("saved")
    assert desk.stored("score") == [{"dimension": "quality", "value": 5}]


def test_a_digit_off_the_scale_is_refused_in_words(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("7")
    assert "The scale goes from 0 to 5" in desk.text("#hint")
    assert desk.page.locator("[aria-checked=true]").count() == 0


@pytest.mark.parametrize(("key", "shift"), [("'", False), ("4", True)])
def test_layouts_where_digits_need_shift(start: Start, key: str, shift: bool) -> None:
    desk = start(server("First"))
    press(desk, code="Digit4", key=key, shiftKey=shift)
    desk.until("saved")
    assert desk.stored("score") == [{"dimension": "quality", "value": 4}]


def test_combinations_with_ctrl_are_the_browsers(start: Start) -> None:
    desk = start(server("First"))
    press(desk, code="Digit4", key="4", ctrlKey=True)
    press(desk, code="KeyW", key="w", ctrlKey=True)
    assert desk.page.locator("[aria-checked=true]").count() == 0
    assert desk.page.get_attribute(".tool >> nth=2", "aria-pressed") == "false"


def test_mouse_alone_is_enough(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.page.click(".option[data-value='2']")
    desk.page.click(".submit")
    desk.until_instruction("Second")
    assert desk.answers()[0]["scores"] == {"quality": 2}


def test_a_touch_screen_is_enough(start: Start) -> None:
    desk = start(server("First", "Second"), size=(412, 800), has_touch=True)
    desk.page.tap(".option[data-value='5']")
    desk.page.tap(".submit")
    desk.until_instruction("Second")
    assert desk.answers()[0]["scores"] == {"quality": 5}


def test_undo_has_no_limit_and_survives_a_reload(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("1", "2", "3")
    desk.until("saved")
    desk.page.reload()
    desk.drawn()
    assert desk.text(".dim-value") == "3"
    desk.keys("u")
    assert desk.text(".dim-value") == "2"
    desk.keys("u", "u")
    assert desk.text(".dim-value") == ""
    desk.until("saved")
    assert len(desk.stored("score")) == 3, "the history stays"
    assert len(desk.stored("undo")) == 3


def test_u_at_the_start_of_an_item_returns_to_the_earlier_answer(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.keys("u")
    desk.until_instruction("First")
    assert desk.text(".dim-value") == "4"
    assert desk.page.get_attribute(".option[data-value='4']", "aria-checked") == "true"
    desk.keys("2", "Enter")
    desk.until_instruction("Second")
    desk.until("saved")
    assert [answer["scores"]["quality"] for answer in desk.answers()] == [4, 2]
    assert desk.page.locator("[aria-checked=true]").count() == 0, "the next item does not take the answer over"


def test_going_back_and_on_again_changes_nothing_but_what_was_changed(start: Start) -> None:
    desk = start(server("First", "Second", "Third"))
    desk.keys("1", "Enter")
    desk.until_instruction("Second")
    desk.keys("2", "Enter")
    desk.until_instruction("Third")
    desk.keys("p")
    desk.until_instruction("Second")
    desk.keys("p")
    desk.until_instruction("First")
    assert desk.text(".dim-value") == "1"
    desk.keys("p")
    desk.page.wait_for_selector("#hint:has-text('no earlier item')")
    desk.keys("Enter")
    desk.until_instruction("Second")
    assert desk.text(".dim-value") == "2"


def test_no_answer_is_stored_for_an_item_that_was_only_looked_at(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.keys("w", "z", "p")
    desk.until_instruction("First")
    desk.keys("Enter")
    desk.until_instruction("Second")
    desk.page.wait_for_timeout(2300)
    second = desk.server.bodies[-1]["have"][0]
    kinds = {event["kind"] for event in desk.server.stored.values() if event["assignment"] == second}
    assert kinds <= {"open", "compare"}


def test_keys_in_the_remark_are_text(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("n")
    desk.page.keyboard.type("wxu 5 seams")
    desk.keys("Escape", "3", "Enter")
    desk.until_done()
    assert desk.answers() == [{"scores": {"quality": 3}, "flag": None, "remark": "wxu 5 seams"}]
    assert desk.stored("flag", "undo") == []


def test_a_remark_is_sent_while_typing_pauses(start: Start) -> None:
    desk = start(server("First"))
    desk.keys("n")
    desk.page.keyboard.type("too dark ")
    desk.page.wait_for_timeout(1300)
    assert desk.stored("remark") == [{"text": "too dark"}]
    assert desk.page.input_value("#remark") == "too dark ", "the field is left alone while it is typed in"


def test_flags_by_digit(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.keys("x", "4")
    assert desk.text("#tools button[aria-pressed=true] >> nth=0").startswith("Flagged: Cannot judge")
    desk.keys("Enter")
    desk.until_instruction("Second")
    assert desk.answers() == [{"scores": {}, "flag": "cannot_judge", "remark": ""}]
    desk.keys("x", "1", "Enter")
    assert "no score yet" in desk.text("#hint"), "“no edit at all” still needs a score"
    desk.keys("x", "0", "2", "Enter")
    desk.until_done()
    assert desk.answers()[1] == {"scores": {"quality": 2}, "flag": None, "remark": ""}


def test_the_next_pictures_are_there_before_they_are_asked_for(start: Start) -> None:
    desk = start(server("First", "Second", "Third"))
    desk.page.wait_for_load_state("networkidle")
    desk.server.image_delay.clear()
    desk.keys("4", "Enter")
    desk.until_instruction("Second")
    desk.keys("4", "Enter")
    desk.until_instruction("Third")


def test_no_key_answers_an_item_whose_pictures_are_not_painted_yet(start: Start) -> None:
    desk = start(server("First", "Second"))
    desk.page.wait_for_load_state("networkidle")
    desk.page.evaluate("HTMLImageElement.prototype.decode = () => new Promise((resolve) => setTimeout(resolve, 500))")
    desk.keys("4", "Enter", "3", "Enter")
    desk.until_instruction("Second")
    assert desk.text(".dim-value") == ""
    assert [answer["scores"] for answer in desk.answers()] == [{"quality": 4}]
    desk.keys("2", "Enter")
    desk.until_done()


def test_late_work_is_kept_and_said_to_be_extra(start: Start) -> None:
    fake = server("First", "Second")
    fake.late = True
    desk = start(fake)
    desk.keys("4", "Enter")
    desk.page.wait_for_selector("#notices:has-text('kept as an extra one')")
    assert len(fake.answers()) == 1


def test_the_rubric_follows_the_dimension_and_goes_away_by_a_key(start: Start) -> None:
    desk = start(server("First", dimensions=THREE))
    assert "real, clean and pleasant" in desk.text("#rubric")
    desk.keys("Tab")
    assert "instruction carried out" in desk.text("#rubric")
    desk.keys("r")
    assert desk.page.is_hidden("#rubric")
    desk.page.reload()
    desk.drawn()
    assert desk.page.is_hidden("#rubric")
