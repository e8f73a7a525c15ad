"""Sizes, zoom and offsets of the pictures, and the difference map."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
sizes = st.fixed_dictionaries({"width": st.integers(16, 3000), "height": st.integers(16, 3000)})
panes = st.fixed_dictionaries({"width": st.integers(120, 2500), "height": st.integers(120, 1400)})


@pytest.mark.parametrize(
    ("image", "pane", "pixel"),
    [
        ((768, 640), (1200, 900), 1),
        ((1024, 1024), (1100, 1100), 1),
        ((2048, 1024), (3000, 3000), 0.5),
        ((1000, 500), (500, 900), 0.5),
        ((64, 64), (500, 500), 7),
        ((128, 96), (600, 600), 4),
        ((64, 64), (40, 40), 1),
        ((64, 64), (4000, 4000), 16),
    ],
)
def test_pictures_are_1_to_1_up_to_1024_and_small_ones_enlarged_by_whole_factors(
    js: Any, image: tuple[int, int], pane: tuple[int, int], pixel: float
) -> None:
    boxes = [{"width": width, "height": height} for width, height in (image, pane)]
    assert js("view_math.js", "m.basePixel(x[0], x[1])", boxes) == pixel


@QUICK
@given(sizes, panes, st.lists(st.sampled_from([1, -1]), max_size=30))
def test_zoom_stays_between_the_fitted_size_and_the_largest_and_small_pictures_keep_whole_factors(
    js: Any, image: dict[str, int], pane: dict[str, int], steps: list[int]
) -> None:
    step = "(all, step) => [...all, m.zoomStep(all.at(-1), step, x.image, x.pane)]"
    walk = f"x.steps.reduce({step}, [m.basePixel(x.image, x.pane)])"
    pixels = js("view_math.js", walk, {"image": image, "pane": pane, "steps": steps})
    assert min(pixels) >= pixels[0] - 1e-9
    if max(image.values()) <= 128:
        assert all(float(pixel).is_integer() for pixel in pixels)


@QUICK
@given(sizes, panes, st.floats(0.05, 16), st.floats(-5000, 5000), st.floats(-5000, 5000))
def test_a_picture_never_leaves_a_gap_that_it_could_fill(
    js: Any, image: dict[str, int], pane: dict[str, int], pixel: float, x: float, y: float
) -> None:
    values = {"image": image, "pane": pane, "pixel": pixel, "offset": {"x": x, "y": y}}
    place = js(
        "view_math.js",
        "m.placement(m.clampOffset(x.offset, x.pixel, x.image, x.pane), x.pixel, x.image, x.pane)",
        values,
    )
    for start, size, room in (("left", "width", "width"), ("top", "height", "height")):
        if place[size] > pane[room] + 2:
            assert place[start] <= 1
            assert place[start] + place[size] >= pane[room] - 1
        else:
            assert abs(place[start] * 2 + place[size] - pane[room]) <= 4


@QUICK
@given(st.floats(0.1, 4), st.floats(0.1, 4), st.floats(-300, 300), st.floats(-300, 300))
def test_zooming_keeps_the_point_under_the_pointer(
    js: Any, before: float, after: float, x: float, point: float
) -> None:
    moved = js(
        "view_math.js", "m.zoomOffset({x: x[2], y: 0}, x[0], x[1], {x: x[3], y: 0}).x", [before, after, x, point]
    )
    assert (point - moved) / after == pytest.approx((point - x) / before, abs=1e-6)


def test_z_goes_round_and_comes_back(js: Any) -> None:
    boxes = [{"width": 1000, "height": 1000}, {"width": 500, "height": 500}]
    walk = "[1, 2, 3, 4].reduce((all) => [...all, m.nextStop(all.at(-1), x[0], x[1])], [0.5])"
    assert js("view_math.js", walk, boxes) == [0.5, 1, 2, 4, 0.5]


def heat(js: Any, one: list[int], other: list[int], gain: int) -> list[int]:
    found: list[int] = js(
        "heat.js",
        "[...m.heatPixels(new Uint8ClampedArray(x[0]), new Uint8ClampedArray(x[1]), x[2])]",
        [one, other, gain],
    )
    return found


def test_equal_pictures_have_a_black_difference_map(js: Any) -> None:
    assert heat(js, [10, 20, 30, 255] * 2, [10, 20, 30, 255] * 2, 8) == [0, 0, 0, 255] * 2


def test_the_map_gets_lighter_with_the_difference_and_with_the_gain(js: Any) -> None:
    light = [sum(heat(js, [0, 0, 0, 255], [level, 0, 0, 255], 1)[:3]) for level in range(0, 256, 15)]
    assert light == sorted(light)
    assert light[0] < light[-1]
    assert heat(js, [0, 0, 0, 255], [20, 0, 0, 255], 4) == heat(js, [0, 0, 0, 255], [80, 0, 0, 255], 1)


def test_the_largest_channel_counts(js: Any) -> None:
    assert heat(js, [0, 0, 0, 255], [9, 90, 30, 255], 1) == heat(js, [90, 90, 90, 255], [0, 0, 0, 255], 1)
