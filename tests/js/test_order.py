"""Moves along the strip, and the duels that disagree with an order."""

from typing import Any

ORDER = [["C"], ["A", "B"], ["D"]]
SHELVES = {"C": 5, "A": 5, "B": 5, "D": 3}


def step(js: Any, letter: str, direction: int, order: list[list[str]] = ORDER) -> Any:
    return js(
        "order.js",
        "m.stepMove(x.order, x.shelves, x.letter, x.direction)",
        {"order": order, "shelves": SHELVES, "letter": letter, "direction": direction},
    )


def drop(js: Any, letter: str, target: dict[str, Any]) -> Any:
    return js(
        "order.js",
        "m.dropMove(x.order, x.shelves, x.letter, x.target)",
        {"order": ORDER, "shelves": SHELVES, "letter": letter, "target": target},
    )


def against(js: Any, order: list[list[str]], duels: list[tuple[str, str, str]]) -> Any:
    rows = [{"a": a, "b": b, "left": a, "result": result} for a, b, result in duels]
    return js("order.js", "m.contradictions(x[0], x[1])", [order, rows])


def test_a_step_goes_into_a_tie_and_out_of_it(js: Any) -> None:
    into = step(js, "C", 1)
    assert into["kind"] == "move"
    assert [set(tier) for tier in into["data"]["order"]] == [{"A", "B", "C"}, {"D"}]
    assert step(js, "A", -1)["data"]["order"] == [["C"], ["A"], ["B"], ["D"]]
    assert step(js, "A", 1)["data"]["order"] == [["C"], ["B"], ["A"], ["D"]]


def test_a_step_over_the_edge_of_a_shelf_changes_the_shelf(js: Any) -> None:
    assert step(js, "D", -1) == {"kind": "place", "data": {"letter": "D", "shelf": 4}}
    assert step(js, "D", 1) == {"kind": "place", "data": {"letter": "D", "shelf": 2}}


def test_there_is_no_step_beyond_the_scale(js: Any) -> None:
    assert step(js, "C", -1) is None


def test_a_drop_on_an_image_ties_and_takes_its_shelf(js: Any) -> None:
    events = drop(js, "D", {"tie": "C"})
    assert [event["kind"] for event in events] == ["place", "move"]
    assert events[0]["data"] == {"letter": "D", "shelf": 5}
    assert [set(tier) for tier in events[1]["data"]["order"]] == [{"C", "D"}, {"A", "B"}]


def test_a_drop_on_a_shelf_goes_to_its_end(js: Any) -> None:
    assert drop(js, "C", {"shelf": 3, "before": None})[-1]["data"]["order"] == [["A", "B"], ["D"], ["C"]]


def test_a_drop_on_itself_or_where_it_lies_is_no_event(js: Any) -> None:
    assert drop(js, "C", {"tie": "C"}) == []
    assert drop(js, "D", {"shelf": 3, "before": None}) == []


def test_an_order_that_follows_the_duels_has_no_contradictions(js: Any) -> None:
    assert against(js, ORDER, [("A", "C", "C"), ("A", "B", "tie"), ("D", "A", "A")]) == []


def test_a_duel_against_the_order_is_listed(js: Any) -> None:
    [one] = against(js, ORDER, [("A", "C", "A")])
    assert (one["a"], one["b"], one["result"], one["circle"]) == ("A", "C", "A", None)
    [tied] = against(js, ORDER, [("C", "D", "tie")])
    assert tied["result"] == "tie"
    [apart] = against(js, ORDER, [("A", "B", "B")])
    assert apart["result"] == "B"


def test_only_the_latest_duel_of_a_pair_counts(js: Any) -> None:
    assert against(js, ORDER, [("A", "C", "A"), ("C", "A", "C")]) == []


def test_a_circle_of_answers_is_named(js: Any) -> None:
    [one] = against(js, [["A"], ["B"], ["C"]], [("A", "B", "A"), ("B", "C", "B"), ("A", "C", "C")])
    assert one["circle"] == ["C", "A", "B", "C"]


def test_duels_only_on_the_shelves_that_the_study_asks_for(js: Any) -> None:
    shelves = {"A": 5, "B": 5, "C": 3, "D": 3, "E": 0}
    groups = js("order.js", "m.byShelf([...'ABCDE'], x)", shelves)
    assert js("order.js", "m.duelShelves(x, 'none')", groups) == []
    assert js("order.js", "m.duelShelves(x, 'extremes')", groups) == [5, 0]
    assert js("order.js", "m.duelShelves(x, 'all')", groups) == [5, 3, 0]


def test_the_extremes_are_the_highest_and_lowest_shelf_in_use(js: Any) -> None:
    groups = js("order.js", "m.byShelf([...'AB'], x)", {"A": 4, "B": 4})
    assert js("order.js", "m.duelShelves(x, 'extremes')", groups) == [4]


def test_without_duels_the_images_of_a_shelf_are_tied(js: Any) -> None:
    state: dict[str, Any] = {"shelves": {"A": 2, "B": 4, "C": 2}, "duels": [], "manual": None}
    at = js("order.js", "m.standing(x, [...'ABC'], 'none')", state)
    assert (at["phase"], at["order"]) == ("confirm", [["B"], ["A", "C"]])
