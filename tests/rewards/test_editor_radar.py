"""The radar chart of a benchmark of editors: where its points lie."""

import math

import pytest

from training.editor_benchmarks.radar import CENTRE, RADIUS, RINGS, radar

NAMES = ["Up", "Right", "Down", "Left"]


def corners(points: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, corner.split(","))) for corner in points.split()]


def test_it_works() -> None:
    """The first axis points up, the others follow clockwise; the low end is the centre, the high one the rim."""
    found = radar(NAMES, [("One", [5, 5, 5, 5]), ("Other", [0, 2.5, 0, 0])], 0, 5)
    assert found is not None
    x, y = CENTRE
    one, other = found.shapes
    assert corners(one.points) == [(x, y - RADIUS), (x + RADIUS, y), (x, y + RADIUS), (x - RADIUS, y)]
    assert corners(other.points) == [(x, y), (x + RADIUS / 2, y), (x, y), (x, y)]
    assert [axis.anchor for axis in found.axes] == ["middle", "start", "middle", "end"]
    assert (one.kind, other.kind) == ("s0", "s1")
    assert [text for _points, _place, text in found.rings] == ["1", "2", "3", "4", "5"]
    assert len(found.rings) == RINGS


def test_a_scale_that_does_not_begin_at_0() -> None:
    found = radar(NAMES[:3], [("One", [1, 3, 5])], 1, 5)
    assert found is not None
    lengths = [math.dist(CENTRE, corner) for corner in corners(found.shapes[0].points)]
    assert lengths == pytest.approx([0, RADIUS / 2, RADIUS], abs=0.1)


def test_what_lacks_a_value_is_named_and_not_drawn() -> None:
    """A corner at the centre would say 0."""
    found = radar(NAMES, [("Whole", [1, 2, 3, 4]), ("Half", [1, math.nan, 3, 4])], 0, 5)
    assert found is not None
    assert ([shape.name for shape in found.shapes], found.left_out) == (["Whole"], ["Half"])


def test_no_more_than_there_are_colours() -> None:
    found = radar(NAMES, [(f"E{place}", [1, 2, 3, 4]) for place in range(8)], 0, 5)
    assert found is not None
    assert (len(found.shapes), found.left_out) == (6, ["E6", "E7"])


def test_two_axes_span_nothing() -> None:
    assert radar(NAMES[:2], [("One", [1, 2])], 0, 5) is None


def test_a_value_outside_the_scale_stays_within_the_rim() -> None:
    found = radar(NAMES[:3], [("One", [9, -1, 5])], 0, 5)
    assert found is not None
    assert all(math.dist(CENTRE, corner) <= RADIUS + 0.1 for corner in corners(found.shapes[0].points))
