"""The viewing check: zoom apart from pixel density, and the charts."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotation.entry import charts, viewing
from annotation.entry.viewing import Measures, judge, zoom_of

PLAIN = Measures(1280, 720, 1280, 800, 1920, 1080, 1.0)
ASKED = {"grey": "23469234", "colour": "236"}


def zoomed(zoom: float, density: float) -> Measures:
    """A browser whose window is 1280 screen units wide."""
    return replace(PLAIN, inner_width=round(1280 / zoom), inner_height=round(720 / zoom), ratio=zoom * density)


@pytest.mark.parametrize("density", [1, 1.25, 1.5, 2, 3])
@pytest.mark.parametrize("zoom", [50, 67, 80, 90, 100, 110, 125, 150, 200, 300])
def test_zoom_is_told_whatever_the_screen(zoom: int, density: float) -> None:
    assert zoom_of(zoomed(zoom / 100, density)) == zoom


def test_a_dense_screen_is_not_a_zoom_and_a_zoom_is_not_a_dense_screen() -> None:
    assert zoom_of(zoomed(1, 2)) == 100
    assert zoom_of(zoomed(2, 1)) == 200


def test_a_side_panel_leaves_the_zoom_unknown_and_nobody_is_refused_for_it() -> None:
    panel = replace(PLAIN, inner_width=1024)
    assert zoom_of(panel) is None
    assert judge(panel, 800, ASKED, ASKED).passed


@pytest.mark.parametrize("change", [{"inner_width": 0}, {"outer_width": 0}, {"ratio": 0}, {"outer_width": 8000}])
def test_figures_that_mean_nothing_tell_no_zoom(change: dict[str, Any]) -> None:
    assert zoom_of(replace(PLAIN, **change)) is None


def test_it_works() -> None:
    result = judge(PLAIN, 1024, ASKED, {"grey": "2346 9234", "colour": "2, 3, 6"})
    assert result.passed
    assert result.record["zoom"] == 100
    assert result.record["density"] == 1
    assert result.record["grey"] == [8, 8]


@pytest.mark.parametrize(
    ("measures", "answers", "problem"),
    [
        (zoomed(1.25, 1), ASKED, "zoom"),
        (replace(PLAIN, pinch=1.5), ASKED, "zoom"),
        (replace(PLAIN, inner_width=1023, outer_width=1023), ASKED, "width"),
        (PLAIN, ASKED | {"grey": "22222222"}, "grey"),
        (PLAIN, ASKED | {"grey": "234692342346923423469234"}, "grey"),
        (PLAIN, ASKED | {"colour": "239"}, "colour"),
    ],
)
def test_each_thing_that_must_change_is_named(measures: Measures, answers: dict[str, str], problem: str) -> None:
    assert judge(measures, 1000 if problem == "zoom" else 1024, ASKED, answers).problems[:1] == (problem,)


def test_one_slip_of_the_finger_is_forgiven_in_the_greys() -> None:
    assert judge(PLAIN, 1024, ASKED, ASKED | {"grey": "23469236"}).passed


def test_every_attempt_has_other_digits_and_the_same_attempt_the_same() -> None:
    drawn = [viewing.digits(7, "somebody", attempt) for attempt in range(5)]
    assert drawn[0] == viewing.digits(7, "somebody", 0)
    assert len({one["grey"] for one in drawn}) == 5


def test_the_grey_chart_goes_from_black_to_white_and_every_digit_differs_from_its_ground_alone() -> None:
    image = np.asarray(Image.open(io.BytesIO(charts.grey("23469234"))))
    width = image.shape[1] // 8
    grounds = [int(image[0, place * width]) for place in range(8)]
    assert grounds == sorted(grounds)
    assert (grounds[0], grounds[-1]) == (0, 255)
    for place, ground in enumerate(grounds):
        found = np.unique(image[:, place * width : (place + 1) * width])
        assert 12 <= np.ptp(found) <= 18 and ground in (found.min(), found.max())


def test_brightness_does_not_tell_the_digits_of_the_colour_chart() -> None:
    """The two halves of a plate overlap in luma throughout, and are apart in hue."""
    image = Image.open(io.BytesIO(charts.colour("236"))).convert("RGB")
    pixels = np.asarray(image, dtype=float).reshape(-1, 3)
    dots = pixels[np.ptp(pixels, axis=1) > 30]
    luma = dots @ np.array([0.2126, 0.7152, 0.0722]) / 255
    warm = dots[:, 0] > dots[:, 2] + 20
    assert 0.05 < warm.mean() < 0.95
    assert abs(np.median(luma[warm]) - np.median(luma[~warm])) < 0.06
