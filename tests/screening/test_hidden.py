"""When hidden items come, and what passes a check: pure."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.answers import mean_ranks
from annotation.hidden import expected, schedule
from annotation.hidden.controls import choose
from annotation.protocols import ALIGNMENT, PRESERVATION, PRESETS, QUALITY, THREE

HP = PRESETS["hp-score"].dimensions


# When ----------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(0, 400), st.integers())
def test_one_in_every_stretch(every: int, places: int, seed: int) -> None:
    owed = [schedule.owed(every, n, seed) for n in range(places + 1)]
    assert owed[0] == 0
    assert all(0 <= b - a <= 1 for a, b in pairwise(owed))
    assert all(owed[n] == n // every for n in range(0, places + 1, every))


def test_nobody_can_count_them_out() -> None:
    """Over many people, the second gold item comes after anything from 1 to 2·every - 1 others."""
    every, gaps = 10, set()
    for person in range(400):
        first, second = (schedule.place_in(stretch, every, 7, person, "gold") for stretch in (0, 1))
        gaps.add(second - first)
    assert gaps == set(range(1, 20))


def test_off_is_off() -> None:
    assert schedule.owed(0, 1000, 1) == 0


@given(st.integers(0, 200), st.integers(0, 8), st.integers(0, 8), st.integers(0, 30), st.integers(1, 4), st.integers())
def test_the_total_holds_what_will_come(live: int, gold: int, repeat: int, there: int, size: int, seed: int) -> None:
    kinds = [(gold, there, "gold"), (repeat, live, "repeat")]
    assert schedule.with_hidden(live, kinds, size, seed) == worked_off(live, kinds, size, seed)


def worked_off(live: int, kinds: list[tuple[int, int, str]], size: int, seed: int) -> int:
    """How many places somebody has judged at the end: what is due and hidden comes before the next live one."""
    had, done = dict.fromkeys(("gold", "repeat"), 0), 0
    while True:
        due = [name for every, most, name in kinds if had[name] < min(most, schedule.owed(every, done + 1, seed, name))]
        if not due and not live:
            return done
        for name in due:
            had[name] += 1
        live -= not due
        done += size * len(due) or 1


# What passes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "passed"),
    [
        ({"quality": 1.0, "alignment": 1.0, "preservation": 5.0}, True),
        ({"quality": 5.0, "alignment": 1.8, "preservation": 4.2}, True),
        ({"quality": 5.0, "alignment": 1.9, "preservation": 5.0}, False),
        ({"quality": 5.0, "alignment": 1.0, "preservation": 4.1}, False),
        ({"quality": 1.0, "alignment": 5.0, "preservation": 1.0}, False),
    ],
)
def test_the_source_in_a_rating(scores: dict[str, float], passed: bool) -> None:
    verdict = expected.source_rated(THREE, scores, "")
    assert verdict is not None
    assert verdict.passed == passed
    assert verdict.found["expected"] == {"alignment": "bottom", "preservation": "top"}


def test_no_edit_at_all_is_right_of_the_source() -> None:
    verdict = expected.source_rated(HP, {"overall": 4}, "no_edit")
    assert verdict is not None
    assert verdict.passed


def test_no_dimension_that_says_anything_is_no_check() -> None:
    assert expected.source_rated([QUALITY], {"quality": 3}, "") is None
    assert expected.source_ranked("quality", 3) is None


@pytest.mark.parametrize(
    ("dimension", "shelf", "passed"),
    [("alignment", 1, True), ("alignment", 2, False), ("preservation", 4, True), ("preservation", 3, False)],
)
def test_the_source_in_a_ranking(dimension: str, shelf: int, passed: bool) -> None:
    verdict = expected.source_ranked(dimension, shelf)
    assert verdict is not None
    assert verdict.passed == passed


def test_the_same_picture_twice() -> None:
    assert expected.same_place((3, 3), (2.0, 6.0)).passed, "one shelf"
    assert expected.same_place((3, 2), (4.0, 5.0)).passed, "neighbours across shelves"
    assert not expected.same_place((3, 2), (4.0, 5.5)).passed
    assert not expected.same_place((5, 0), (1.0, 9.0)).passed


@pytest.mark.parametrize(
    ("dimensions", "again", "passed"),
    [
        ((ALIGNMENT,), 4.0, True),  # a quarter of 1 to 5
        ((ALIGNMENT,), 4.1, False),
        ((replace(ALIGNMENT, low=1, high=4, step=1),), 4.0, True),  # one step, where that is more
    ],
)
def test_the_same_item_again(dimensions: tuple[object, ...], again: float, passed: bool) -> None:
    verdict = expected.same_scores(dimensions, {"alignment": 3.0}, {"alignment": again})  # type: ignore[arg-type]
    assert verdict is not None
    assert verdict.passed == passed


def test_dimensions_are_averaged_and_missing_ones_left_out() -> None:
    both = (ALIGNMENT, PRESERVATION)
    verdict = expected.same_scores(both, {"alignment": 1, "preservation": 3}, {"alignment": 2.6, "preservation": 3.4})
    assert verdict is not None
    assert verdict.found["apart"] == 0.25
    assert verdict.passed
    assert expected.same_scores(both, {"alignment": 1}, {"preservation": 3}) is None


@given(st.permutations(range(6)))
def test_two_orders(order: list[int]) -> None:
    first = {str(key): float(place) for place, key in enumerate(range(6))}
    second = {str(key): float(place) for place, key in enumerate(order)}
    verdict = expected.same_order(first, second)
    assert verdict is not None
    inverted = sum(order[i] > order[j] for i in range(6) for j in range(i + 1, 6))
    assert verdict.passed == (inverted <= 15 / 4)


def test_a_tie_opposes_nothing() -> None:
    verdict = expected.same_order({"a": 1, "b": 2}, {"a": 1.5, "b": 1.5})
    assert verdict is not None
    assert verdict.passed
    assert expected.same_order({"a": 1}, {"a": 1}) is None


def test_the_same_choice() -> None:
    assert expected.same_choice("17", "17").passed
    assert expected.same_choice("tie", "both_bad").passed
    assert not expected.same_choice("17", "18").passed
    assert not expected.same_choice("17", "tie").passed


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9), st.data())
def test_ranks_without_controls_are_the_ranks_of_the_rest(levels: list[int], data: st.DataObject) -> None:
    letters = [chr(65 + place) for place in range(len(levels))]
    taken = set(data.draw(st.lists(st.sampled_from(letters), max_size=2, unique=True)))

    def ranks(names: list[str]) -> dict[str, float]:
        tiers = [[n for n in names if levels[ord(n) - 65] == level] for level in range(4)]
        return mean_ranks([tier for tier in tiers if tier])

    everybody = ranks(letters)
    rest = [letter for letter in letters if letter not in taken]
    left = {letter: expected.rank_without(everybody[letter], [everybody[one] for one in taken]) for letter in rest}
    assert left == pytest.approx(ranks(rest))


@given(st.integers(0, 50), st.floats(0, 1), st.integers())
def test_shares_of_groups(groups: int, share: float, seed: int) -> None:
    chosen = choose(groups, groups, share, seed)
    assert len(chosen) == len(set(chosen)) == (min(groups, max(1, round(share * groups))) if share else 0)
    assert chosen == choose(groups, groups, share, seed)
