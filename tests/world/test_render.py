"""Pictures show what the data says."""

from math import pi

import numpy as np
import pytest

from drawnworld.render import RADIUS, alpha, background, cell_window, coverage, render
from drawnworld.scene import CELL, COLOURS, KINDS, LIGHTS, PAIRS, PATTERNS, SIZE, STYLES, Scene, Thing


def scene(**changes: object) -> Scene:
    return Scene(**{"things": (Thing("circle", "red", 1),), "pattern": "plain", "pair": "sand", **changes})  # type: ignore[arg-type]


def test_it_draws() -> None:
    picture = render(scene())
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert (render(scene()) == picture).all()


@pytest.mark.parametrize(
    ("kind", "area"),
    [  # in radii squared, from the shapes' definitions
        ("circle", pi * 0.95**2),
        ("ring", pi * (1 - 0.55**2)),
        ("square", (2 * 0.82) ** 2),
        ("cross", 2 * 2 * 0.66 - 0.66**2),
        ("triangle", 1.8 * 1.98 / 2),
    ],
)
def test_shapes_cover_their_area(kind: str, area: float) -> None:
    assert alpha(kind, 0, 0).sum() == pytest.approx(area * RADIUS**2, rel=0.03)  # a pixel has 16 sub-pixels


@pytest.mark.parametrize("kind", KINDS)
def test_jitter_moves_a_shape_by_one_pixel_and_inside_its_cell(kind: str) -> None:
    still, moved = alpha(kind, 0, 0), alpha(kind, 1, -1)
    assert np.allclose(np.roll(still, (-1, 1), axis=(0, 1)), moved, atol=1e-6)
    assert not (moved[0].any() or moved[-1].any() or moved[:, 0].any() or moved[:, -1].any())


@pytest.mark.parametrize("colour", COLOURS)
def test_an_object_looks_like_its_colour(colour: str) -> None:
    picture = render(scene(things=(Thing("square", colour, 2),)))[cell_window(2)]
    mean = picture[10:22, 10:22].reshape(-1, 3).mean(axis=0)
    nearest = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
    assert nearest == colour


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("pair", PAIRS)
def test_a_background_shows_its_colours(pattern: str, pair: str) -> None:
    shown = {
        tuple(row) for row in (background(pattern, pair, False) * 255 + 0.5).astype(np.uint8).reshape(-1, 3).tolist()
    }
    assert shown == set(PAIRS[pair][:1] if pattern == "plain" else PAIRS[pair])


def test_objects_hide_the_background_and_nothing_else() -> None:
    things = (Thing("circle", "red", 1), Thing("cross", "blue", 2, 1, 1))
    plain = render(scene(things=things))
    striped = render(scene(things=things, pattern="stripes", pair="slate"))
    whole = coverage(things) == 1
    assert (plain[whole] == striped[whole]).all()
    assert (plain != striped).any(axis=2)[coverage(things) == 0].all()


def test_blur_leaves_objects_alone_and_calms_the_background() -> None:
    sharp, soft = render(scene(pattern="checks")), render(scene(pattern="checks", blurred=True))
    whole = coverage(scene().things) == 1
    assert (sharp[whole] == soft[whole]).all()
    corner = (slice(CELL, SIZE), slice(CELL, SIZE))
    assert soft[corner].std() < 0.7 * sharp[corner].std()


@pytest.mark.parametrize("light", LIGHTS)
def test_light_comes_from_where_it_is_said_to(light: str) -> None:
    picture = render(scene(things=(), light=light)).astype(float)
    brightest = {
        "left": picture[:, :8].mean() - picture[:, -8:].mean(),
        "right": picture[:, -8:].mean() - picture[:, :8].mean(),
        "top": picture[:8].mean() - picture[-8:].mean(),
        "bottom": picture[-8:].mean() - picture[:8].mean(),
        "warm": (picture[..., 0] - picture[..., 2]).mean()
        - (render(scene(things=())).astype(float) @ (1, 0, -1)).mean(),
        "cold": (render(scene(things=())).astype(float) @ (1, 0, -1)).mean()
        - (picture[..., 0] - picture[..., 2]).mean(),
    }
    assert brightest[light] > 20


@pytest.mark.parametrize("style", STYLES)
def test_styles_differ_from_the_picture_and_from_each_other(style: str) -> None:
    picture = render(scene(style=style)).astype(float)
    for other in ("", *STYLES):
        if other != style:
            assert np.abs(picture - render(scene(style=other))).mean() > 1


def test_a_negative_is_the_picture_reversed() -> None:
    assert np.abs(255.0 - render(scene()) - render(scene(style="negative"))).max() <= 1
