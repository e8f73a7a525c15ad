"""Charts as points: every value at its place, round numbers at the axes, thinned without losing the last."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.reward_models.charts import BOTTOM, LEFT, MOST, RIGHT, TOP, Series, chart, thin, ticks

numbers = st.floats(-1e6, 1e6, allow_nan=False)


def points(shown: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (one.split(",") for one in shown.split())]


def test_it_works() -> None:
    found = chart([Series("a", [(0, 0.0), (10, 1.0)], ranges=[(10, 0.5, 1.0)], dots=[(0, 0.0)])])
    assert found is not None
    (line,) = found.lines
    assert points(line.shown) == [(LEFT, BOTTOM), (RIGHT, TOP)]
    assert line.ranges == [(RIGHT, (TOP + BOTTOM) / 2, TOP)]
    assert line.dots == [(LEFT, BOTTOM, "0: 0")] and line.last == 1.0
    assert [tick.text for tick in found.up] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert [tick.text for tick in found.across] == ["0", "2", "4", "6", "8", "10"]


def test_without_points_there_is_no_chart() -> None:
    assert chart([Series("a", [])]) is None


def test_a_range_that_is_asked_for_is_shown() -> None:
    found = chart([Series("a", [(0.6, 0.7)])], up=(0.5, 1), across=(0.5, 1))
    assert found is not None and found.up[0].text == found.across[0].text == "0.5"
    assert found.up[-1].text == found.across[-1].text == "1"


def test_a_value_next_to_nothing_has_a_place() -> None:
    found = chart([Series("a", [(0.0, 2.2250738585072014e-308)])])
    assert found is not None
    assert all(TOP <= y <= BOTTOM for _x, y in points(found.lines[0].shown))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_every_point_lies_inside(some: list[tuple[float, float]]) -> None:
    found = chart([Series("a", some)])
    assert found is not None
    for x, y in points(found.lines[0].shown):
        assert LEFT - 0.06 <= x <= RIGHT + 0.06 and TOP - 0.06 <= y <= BOTTOM + 0.06


@given(numbers, numbers)
def test_ticks_are_even_and_hold_the_range(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    found = ticks(low, high)
    step = found[1] - found[0]
    assert found[0] <= low + abs(step) * 1e-6 and found[-1] >= high - abs(step) * 1e-6 and 2 <= len(found) <= 8
    assert [later - first for first, later in pairwise(found)] == pytest.approx([step] * (len(found) - 1), rel=1e-3)


@given(st.integers(1, 5000))
def test_a_long_line_is_thinned_and_keeps_its_last_point(count: int) -> None:
    found = thin(range(count))
    assert len(found) <= MOST and found[-1] == count - 1 and (count > MOST or len(found) == count)
