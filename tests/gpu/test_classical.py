"""Classical edits: every task in every variant, repeatable; the careful one keeps to its mask; refusals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.gpu.make import HEIGHT, WIDTH, ball_box, case, mask, picture, pixels
from training.gpu.classical_ops.edits import NEED_MASK, TASKS
from training.gpu.classical_ops.pictures import PREFIX, encode_picture
from training.gpu.classical_ops.style import STYLES
from training.gpu.classical_ops.variants import VARIANTS
from training.gpu.editors import CannotEdit, EditCase, load_editor

LOCAL = tuple(task for task in TASKS if task not in ("relight", "style"))


def edited(variant: str, edit_case: EditCase, seed: int = 0) -> np.ndarray:
    (made,) = load_editor("classical", {"variant": variant}).edit(edit_case, [seed])
    return pixels(made.image)


def inside(task: str) -> np.ndarray:
    shape = mask(task)
    assert shape is not None
    return np.asarray(shape) > 0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_in_every_variant_gives_a_changed_picture_of_the_same_size(task: str, variant: str) -> None:
    result = edited(variant, case(task))
    assert result.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(result - pixels(picture())).mean() > 0.3
    assert (edited(variant, case(task)) == result).all()


def test_at_least_six_variants_over_all_eight_tasks() -> None:
    assert len(VARIANTS) >= 6
    assert set(TASKS) == {"add", "remove", "swap", "color", "background", "bokeh", "relight", "style"}


@pytest.mark.parametrize("task", TASKS)
def test_the_variants_differ_from_each_other(task: str) -> None:
    results = [edited(variant, case(task)) for variant in VARIANTS]
    for first in range(len(results)):
        for second in range(first):
            assert np.abs(results[first] - results[second]).mean() > 0.2


@pytest.mark.parametrize("task", LOCAL)
def test_careful_and_timid_keep_to_the_mask(task: str) -> None:
    for variant in ("careful", "timid"):
        change = np.abs(edited(variant, case(task)) - pixels(picture()))
        assert change[~inside(task)].max() <= 1  # rounding
        assert change[inside(task)].mean() > 1


@pytest.mark.parametrize("task", ["add", "remove", "swap", "color", "background"])
def test_leaky_changes_what_nobody_asked_for(task: str) -> None:
    assert np.abs(edited("leaky", case(task)) - pixels(picture()))[~inside(task)].mean() > 3


@pytest.mark.parametrize("task", ["remove", "color", "relight", "style", "background"])
def test_timid_does_less_than_careful(task: str) -> None:
    def change(variant: str) -> float:
        return float(np.abs(edited(variant, case(task)) - pixels(picture())).mean())

    assert change("timid") < 0.7 * change("careful")


@pytest.mark.parametrize("task", TASKS)
def test_another_seed_varies_the_result(task: str) -> None:
    first, second = edited("careful", case(task), 1), edited("careful", case(task), 2)
    assert (first != second).any()
    assert np.abs(first - second).mean() < 25  # a little


def test_several_seeds_at_once_are_the_same_as_one_by_one() -> None:
    made = load_editor("classical", {}).edit(case("bokeh"), [3, -4])
    assert [image.seed for image in made] == [3, -4]
    for image in made:
        assert (pixels(image.image) == edited("careful", case("bokeh"), image.seed)).all()


def test_the_removed_object_is_gone() -> None:
    left, top, right, bottom = ball_box()
    window = edited("careful", case("remove"))[top:bottom, left:right]
    source = pixels(picture())
    around = np.concatenate([source[:top].reshape(-1, 3), source[bottom + 6 :].reshape(-1, 3)])
    assert np.abs(window.reshape(-1, 3).mean(axis=0) - around.mean(axis=0)).max() < 25
    assert (
        np.abs(
            source[top + 8 : bottom - 8, left + 8 : right - 8].reshape(-1, 3).mean(axis=0) - around.mean(axis=0)
        ).max()
        > 50
    )


def test_a_recoloured_object_has_the_colour_and_keeps_its_shading() -> None:
    shaded = pixels(picture()).astype(float)
    left, top, right, bottom = ball_box()
    shaded[top:bottom, left:right] *= np.linspace(0.5, 1, right - left)[None, :, None]
    source = Image.fromarray(shaded.astype(np.uint8))
    result = edited("careful", replace(case("color"), source=source))
    centre = result[40:50, 50:70]
    assert (centre[..., 2] > centre[..., 0] + 30).all()  # blue
    assert centre[:, -1].sum() > centre[:, 0].sum()  # brighter to the right, as before


def test_light_comes_from_the_side_that_was_asked_for() -> None:
    for side, near, far in (("left", slice(0, 20), slice(-20, None)), ("right", slice(-20, None), slice(0, 20))):
        gain = edited("careful", case("relight", **{"from": side})) - pixels(picture())
        assert gain[:, near].mean() > gain[:, far].mean() + 10


@pytest.mark.parametrize("style", STYLES)
def test_every_style_redraws_the_picture(style: str) -> None:
    assert np.abs(edited("careful", case("style", style=style)) - pixels(picture())).mean() > 3


def test_a_picture_among_the_params_is_pasted() -> None:
    patch = Image.new("RGBA", (40, 40), (250, 0, 250, 255))
    params = {"object": {"picture": encode_picture(patch)}, "box": [0.4, 0.35, 0.2, 0.3]}
    red, green, blue = edited("careful", replace(case("add"), params=params))[45, 60]
    assert red > 180
    assert blue > 180
    assert green < 90


@pytest.mark.parametrize("shape", [(30, 20), (20, 90)])
def test_a_picture_among_the_params_becomes_the_background(shape: tuple[int, int]) -> None:
    params = {"backdrop": {"picture": encode_picture(Image.new("RGB", shape, (250, 0, 250)))}}
    change = edited("careful", replace(case("background"), params=params))
    outside = np.asarray(mask("background")) == 255
    assert np.abs(change[outside] - (250, 0, 250)).max() < 12


@pytest.mark.parametrize("size", [(8, 8), (8, 40), (41, 9)])
@pytest.mark.parametrize("task", TASKS)
def test_tiny_pictures_do_not_fail(task: str, size: tuple[int, int]) -> None:
    small = None if mask(task) is None else Image.new("L", size, 255)
    result = edited("careful", replace(case(task), source=picture().resize(size), mask=small))
    assert result.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("size", [(1, 1), (7, 40)])
def test_smaller_pictures_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(CannotEdit, match="8 a side"):
        load_editor("classical", {}).edit(replace(case("style"), source=picture().resize(size)), [0])


@pytest.mark.parametrize("task", NEED_MASK)
def test_a_missing_or_empty_mask_is_said(task: str) -> None:
    editor = load_editor("classical", {})
    with pytest.raises(CannotEdit, match="needs a mask"):
        editor.edit(replace(case(task), mask=None), [0])
    with pytest.raises(CannotEdit, match="empty"):
        editor.edit(replace(case(task), mask=Image.new("L", (WIDTH, HEIGHT))), [0])


def test_an_unknown_task_is_said() -> None:
    with pytest.raises(CannotEdit, match="does not know the task crop"):
        load_editor("classical", {}).edit(replace(case("style"), task="crop"), [0])


BALLOON = {"draw": "balloon", "color": "#e02838"}
BOX = [0.3, 0.3, 0.2, 0.2]


@pytest.mark.parametrize(
    ("task", "params", "word"),
    [
        ("add", {}, "box"),
        ("add", {"box": BOX}, "object"),
        ("add", {"box": BOX, "object": "balloon"}, "object"),
        ("add", {"box": BOX, "object": {"draw": "house"}}, "house"),
        ("add", {"box": BOX, "object": {**BALLOON, "color": "red"}}, "#rrggbb"),
        ("add", {"box": BOX, "object": {**BALLOON, "color": 7}}, "#rrggbb"),
        ("add", {"box": BOX, "object": {**BALLOON, "turn": "left"}}, "turn"),
        ("add", {"box": [0, 0, 0, 0], "object": BALLOON}, "small"),
        ("add", {"box": [0, 0, 9, 9], "object": BALLOON}, "box"),
        ("add", {"box": [0, 0, float("nan"), 1], "object": BALLOON}, "box"),
        ("add", {"box": "0 0 1 1", "object": BALLOON}, "box"),
        ("add", {"box": BOX, "object": BALLOON, "shadow": "long"}, "shadow"),
        ("add", {"box": BOX, "object": {"picture": "https://example.org/a.webp"}}, "data URI"),
        ("add", {"box": BOX, "object": {"picture": PREFIX + "AAAA"}}, "cannot be read"),
        ("add", {"box": BOX, "object": {"picture": PREFIX + "%%%"}}, "cannot be read"),
        ("add", {"box": BOX, "object": {"picture": PREFIX + "A" * 500_000}}, "at most"),
        ("add", {"box": BOX, "object": {"picture": encode_picture(Image.new("RGB", (2000, 4)))}}, "a side"),
        ("remove", {"copy_from": 3}, "copy_from"),
        ("remove", {"copy_from": [[0, 0]]}, "box"),
        ("color", {}, "#rrggbb"),
        ("color", {"color": "#12345"}, "#rrggbb"),
        ("color", {"color": "#123456", "lift": 4}, "lift"),
        ("background", {}, "backdrop"),
        ("background", {"backdrop": {"draw": "sea"}}, "draw"),
        ("background", {"backdrop": {"draw": "gradient", "colors": "blue"}}, "colors"),
        ("bokeh", {"radius": 3}, "radius"),
        ("bokeh", {"radius": True}, "radius"),
        ("relight", {"from": "behind"}, "from"),
        ("relight", {"from": [1]}, "from"),
        ("relight", {"dark": -1}, "dark"),
        ("relight", {"spot": [0.5]}, "spot"),
        ("style", {}, "style"),
        ("style", {"style": ["oil"]}, "style"),
    ],
)
def test_wrong_params_are_refused_by_name(task: str, params: dict[str, Any], word: str) -> None:
    with pytest.raises(CannotEdit, match=word):
        load_editor("classical", {}).edit(replace(case(task), params=params), [0])
