"""Ranking by keyboard: shelves, duels, the strip; by mouse too; nothing is lost and nothing is made up."""

from random import Random
from typing import Any

import pytest

from tests.js.desk import Desk, Start
from tests.js.fake_server import QUALITY, FakeServer, assignment, study
from tests.js.test_merge_insertion import LETTERS, most


def server(count: int, *, duels: str = "extremes", groups: int = 1, **changes: Any) -> FakeServer:
    items = [assignment(f"Group {n + 1}", letters=LETTERS[:count], dimension="quality") for n in range(groups)]
    return FakeServer(study("ranking", duels=duels, dimensions=[QUALITY], **changes), items)


def place(desk: Desk, shelves: str) -> None:
    """Puts the images on shelves in their order of display: one digit each."""
    desk.keys(*shelves)


def duel(desk: Desk, worth: dict[str, float]) -> int:
    """Answers every duel as somebody would who sees how good each image is. Returns how many there were."""
    count = 0
    while desk.page.get_attribute("body", "data-mode") == "duels":
        left, _, right = desk.page.eval_on_selector_all(
            ".pane", "all => all.map(one => one.querySelector('figcaption').textContent)"
        )
        difference = worth[left] - worth[right]
        desk.keys("ArrowDown" if difference == 0 else "ArrowLeft" if difference > 0 else "ArrowRight")
        count += 1
        desk.page.wait_for_function(
            "([left, right]) => document.body.dataset.mode !== 'duels' || "
            "[...document.querySelectorAll('.pane figcaption')].map(one => one.textContent).join() "
            "!== [left, 'Source', right].join()",
            arg=[left, right],
        )
    return count


def tiers(worth: dict[str, float]) -> list[list[str]]:
    """The order that these values stand for."""
    return [
        sorted(letter for letter in worth if worth[letter] == value)
        for value in sorted(set(worth.values()), reverse=True)
    ]


def sorted_tiers(order: list[list[str]]) -> list[list[str]]:
    return [sorted(tier) for tier in order]


def test_it_works_for_six_by_keyboard_alone(start: Start) -> None:
    desk = start(server(6, groups=2))
    worth = {"A": 5.2, "B": 4.0, "C": 5.9, "D": 0.0, "E": 5.2, "F": 0.7}
    place(desk, "545050")
    desk.until_mode("duels")
    count = duel(desk, worth)
    assert count <= most(3) + most(2)
    desk.until_mode("confirm")
    desk.keys("Enter")
    desk.until_instruction("Group 2")
    [answer] = desk.answers()
    assert answer["shelves"] == {"A": 5, "B": 4, "C": 5, "D": 0, "E": 5, "F": 0}
    assert sorted_tiers(answer["order"]) == [["C"], ["A", "E"], ["B"], ["F"], ["D"]]
    assert len(answer["duels"]) == count
    assert answer["duels"] == desk.stored("duel")
    assert all(one["left"] in (one["a"], one["b"]) for one in answer["duels"])
    assert answer["flag"] is None
    assert answer["flags"] == {}


def test_twenty_three_by_keyboard_alone(start: Start) -> None:
    desk = start(server(23, duels="all"))
    random = Random(23)
    shelves = {letter: random.randrange(6) for letter in LETTERS}
    worth = {letter: shelf + random.choice([0, 0.2, 0.4, 0.6, 0.8]) for letter, shelf in shelves.items()}
    place(desk, "".join(str(shelves[letter]) for letter in LETTERS))
    desk.until_mode("duels")
    count = duel(desk, worth)
    assert count <= sum(most(list(shelves.values()).count(shelf)) for shelf in range(6))
    desk.keys("Enter")
    desk.until_done()
    [answer] = desk.answers()
    assert answer["shelves"] == shelves
    assert sorted_tiers(answer["order"]) == tiers(worth)
    sides = [one["left"] == one["a"] for one in answer["duels"]]
    assert any(sides)
    assert not all(sides), "sides are random"


def test_two_candidates_without_duels(start: Start) -> None:
    desk = start(server(2, duels="none"))
    place(desk, "33")
    desk.until_mode("confirm")
    desk.keys("Enter")
    desk.until_done()
    assert desk.answers()[0]["order"] == [["A", "B"]]


def test_a_digit_goes_to_the_next_unplaced_image(start: Start) -> None:
    desk = start(server(4))
    desk.keys("]", "5")
    desk.page.wait_for_selector(".thumb[data-letter=C][aria-pressed=true]")
    assert desk.stored("place")[:1] in ([], [{"letter": "B", "shelf": 5}])
    desk.keys("4", "3")
    desk.page.wait_for_selector(".thumb[data-letter=A][aria-pressed=true]")
    desk.until("saved")
    assert desk.stored("place") == [
        {"letter": letter, "shelf": shelf} for letter, shelf in (("B", 5), ("C", 4), ("D", 3))
    ]


def test_going_to_an_image_by_its_letter(start: Start) -> None:
    desk = start(server(4))
    desk.keys("g", "w")
    assert "no image W" in desk.text("#hint")
    assert desk.page.locator(".toolbar [aria-pressed=true]:has-text('Wipe')").count() == 0
    desk.keys("g", "d")
    desk.page.wait_for_selector(".thumb[data-letter=D][aria-pressed=true]")
    desk.keys("PageUp", "PageUp")
    desk.page.wait_for_selector(".thumb[data-letter=B][aria-pressed=true]")


def test_an_image_that_was_only_looked_at_has_no_place(start: Start) -> None:
    desk = start(server(3))
    desk.keys("5", "]", "[", "g", "c", "Enter")
    assert "These images are on no shelf yet: B, C" in desk.text("#hint")
    desk.until("saved")
    assert desk.stored("place") == [{"letter": "A", "shelf": 5}]
    assert desk.server.answers() == []


def test_digits_above_five_do_nothing(start: Start) -> None:
    desk = start(server(3))
    desk.keys("6", "9")
    desk.page.wait_for_timeout(2300)
    assert desk.stored("place") == []


def test_undo_across_a_reload_goes_back_through_every_step(start: Start) -> None:
    desk = start(server(3, duels="all"))
    place(desk, "555")
    desk.until_mode("duels")
    desk.keys("ArrowLeft")
    desk.until("saved")
    desk.page.reload()
    desk.until_mode("duels")
    desk.keys("u", "u")
    desk.until_mode("shelves")
    desk.page.wait_for_selector(".tray .thumb[data-letter=C]")
    desk.keys("u", "u")
    assert desk.page.locator(".tray .thumb").count() == 3
    desk.until("saved")
    assert len(desk.stored("place")) == 3
    assert len(desk.stored("undo")) == 4


def test_a_duel_keeps_its_sides_over_a_reload(start: Start) -> None:
    desk = start(server(5, duels="all"))
    place(desk, "55555")
    desk.until_mode("duels")
    desk.drawn()
    before = desk.in_view()
    for _ in range(3):
        desk.page.reload()
        desk.until_mode("duels")
        desk.drawn()
        assert desk.in_view() == before


def confirm(desk: Desk, shelves: str) -> None:
    place(desk, shelves)
    desk.until_mode("confirm")


def test_moves_by_keyboard_make_and_break_ties_and_change_shelves(start: Start) -> None:
    desk = start(server(3, duels="none"))
    confirm(desk, "542")
    assert desk.strip() == [["A"], ["B"], ["C"]]
    desk.keys("ArrowRight", "Shift+ArrowLeft")
    assert desk.strip() == [["A"], ["B"], ["C"]]
    assert desk.page.locator("[data-shelf='5'].strip-shelf .thumb").count() == 2, "B has gone to the shelf above"
    desk.keys("Shift+ArrowLeft")
    assert sorted_tiers(desk.strip()) == [["A", "B"], ["C"]]
    desk.keys("Shift+ArrowLeft")
    assert desk.strip() == [["B"], ["A"], ["C"]]
    desk.keys("u")
    assert sorted_tiers(desk.strip()) == [["A", "B"], ["C"]]
    desk.keys("Enter")
    desk.until_done()
    [answer] = desk.answers()
    assert sorted_tiers(answer["order"]) == [["A", "B"], ["C"]]
    assert answer["shelves"] == {"A": 5, "B": 5, "C": 2}


def test_the_move_mode_takes_an_image_along(start: Start) -> None:
    desk = start(server(3, duels="none"))
    confirm(desk, "443")
    desk.keys("m", "ArrowRight", "m", "ArrowRight")
    assert desk.strip() == [["B"], ["A"], ["C"]]
    assert desk.page.get_attribute(".thumb[data-letter=C]", "aria-pressed") == "true"


def test_a_digit_in_the_strip_changes_the_shelf(start: Start) -> None:
    desk = start(server(3, duels="none"))
    confirm(desk, "543")
    desk.keys("0")
    assert desk.strip() == [["B"], ["C"], ["A"]]
    desk.keys("Enter")
    desk.until_done()
    assert desk.answers()[0]["shelves"] == {"A": 0, "B": 4, "C": 3}


def centre(desk: Desk, selector: str, share: float = 0.5) -> tuple[float, float]:
    box = desk.page.locator(selector).bounding_box()
    assert box
    return box["x"] + box["width"] * share, box["y"] + box["height"] / 2


def drag(desk: Desk, source: str, target: tuple[float, float]) -> None:
    desk.page.mouse.move(*centre(desk, source))
    desk.page.mouse.down()
    desk.page.mouse.move(target[0] + 3, target[1], steps=4)
    desk.page.mouse.move(*target)
    desk.page.mouse.up()


def test_dragging_in_the_strip_ties_and_orders(start: Start) -> None:
    desk = start(server(4, duels="none"))
    confirm(desk, "5431")
    drag(desk, "#strip [data-letter=D]", centre(desk, "#strip [data-letter=A]"))
    assert sorted_tiers(desk.strip()) == [["A", "D"], ["B"], ["C"]]
    drag(desk, "#strip [data-letter=C]", centre(desk, "#strip [data-letter=B]", 0.05))
    assert sorted_tiers(desk.strip()) == [["A", "D"], ["C"], ["B"]]
    desk.keys("Enter")
    desk.until_done()
    [answer] = desk.answers()
    assert answer["shelves"] == {"A": 5, "B": 4, "C": 4, "D": 5}


def test_placing_by_mouse_and_by_drag(start: Start) -> None:
    desk = start(server(3, duels="none"))
    desk.page.click(".shelf[data-shelf='4'] .shelf-put")
    drag(desk, ".tray [data-letter=C]", centre(desk, ".shelf[data-shelf='1']"))
    desk.page.click(".tray [data-letter=B]")
    desk.page.click(".shelf[data-shelf='4'] .shelf-put")
    desk.until_mode("confirm")
    assert desk.strip() == [["A", "B"], ["C"]]
    desk.page.click(".submit")
    desk.until_done()
    assert desk.answers()[0]["shelves"] == {"A": 4, "B": 4, "C": 1}


def test_duels_by_mouse(start: Start) -> None:
    desk = start(server(2, duels="all"))
    place(desk, "55")
    desk.until_mode("duels")
    desk.page.click("text=Equally good")
    desk.until_mode("confirm")
    assert desk.strip() == [["A", "B"]]


def test_a_contradiction_is_listed_and_can_be_answered_again(start: Start) -> None:
    desk = start(server(2, duels="all"))
    place(desk, "55")
    duel(desk, {"A": 2, "B": 1})
    assert desk.strip() == [["A"], ["B"]]
    assert "agree" in desk.text("#answer")
    desk.keys("Shift+ArrowRight", "Shift+ArrowRight")
    assert desk.strip() == [["B"], ["A"]]
    assert "You said that A is better than B, but here B stands above A." in desk.text("#answer")
    desk.keys("Enter")
    assert "Press Enter again" in desk.text("#hint")
    assert desk.server.answers() == []
    desk.keys("c")
    desk.until_mode("duels")
    desk.page.wait_for_selector(".pane:nth-child(3)")
    desk.page.wait_for_timeout(100)
    duel(desk, {"A": 1, "B": 2})
    desk.until_mode("confirm")
    assert "agree" in desk.text("#answer")
    desk.keys("Enter")
    desk.until_done()
    [answer] = desk.answers()
    assert [one["result"] for one in answer["duels"]] == ["A", "B"], "both answers stay"
    assert answer["order"] == [["B"], ["A"]]


def test_the_annotator_may_submit_against_their_own_duels(start: Start) -> None:
    desk = start(server(2, duels="all"))
    place(desk, "55")
    duel(desk, {"A": 2, "B": 1})
    desk.keys("Shift+ArrowRight", "Enter", "Enter")
    desk.until_done()
    assert sorted_tiers(desk.answers()[0]["order"]) == [["A", "B"]]


def test_returning_to_a_group_shows_the_earlier_answer(start: Start) -> None:
    desk = start(server(3, duels="none", groups=2))
    confirm(desk, "135")
    desk.keys("Enter")
    desk.until_instruction("Group 2")
    assert desk.page.locator(".tray .thumb").count() == 3, "the next group starts without an order"
    desk.keys("u")
    desk.until_instruction("Group 1")
    desk.until_mode("confirm")
    assert desk.strip() == [["C"], ["B"], ["A"]]


def test_flags_are_for_the_image_in_view_or_the_whole_group(start: Start) -> None:
    desk = start(server(3, duels="none", groups=2))
    desk.keys("]", "x", "2")
    desk.page.wait_for_selector(".thumb[data-letter=B].flagged")
    place(desk, "012")
    desk.until_mode("confirm")
    desk.keys("Enter")
    desk.until_instruction("Group 2")
    assert desk.answers()[0]["flags"] == {"B": "broken"}
    desk.keys("x")
    desk.page.click("text=the whole item")
    desk.keys("4", "Enter")
    desk.until_done()
    second = desk.answers()[1]
    assert (second["flag"], second["order"], second["shelves"]) == ("cannot_judge", [], {})


def test_the_pictures_of_the_group_in_view_come_first(start: Start) -> None:
    desk = start(server(6, groups=3))
    desk.page.wait_for_load_state("networkidle")
    groups = list(dict.fromkeys(desk.server.pictures))
    assert len(groups) == 3, "the groups that wait are fetched too"
    assert desk.server.pictures == [uid for uid in groups for _ in range(7)], (
        "one group after the other, each picture once"
    )


@pytest.mark.parametrize("count", [6, 23])
def test_letters_are_those_of_the_server(start: Start, count: int) -> None:
    desk = start(server(count))
    letters = desk.page.eval_on_selector_all(".tray .thumb", "all => all.map(one => one.dataset.letter)")
    assert "".join(letters) == LETTERS[:count]
