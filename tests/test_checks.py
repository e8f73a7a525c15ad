"""Output checks on made examples: what is wrong is found, and what is a real edit, however small, is left alone."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from annotation.checks import check
from annotation.models import Fault
from drawnworld.edits import TASKS, draw_pair

SIDE = 192
RNG = np.random.default_rng(3)


def scene(size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """A made photograph: light from the left, soft shapes, a little grain."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    red = 0.3 + 0.5 * x + 0.2 * np.sin(9 * y)
    green = 0.5 + 0.3 * np.cos(7 * x * y)
    blue = 0.6 - 0.4 * y + 0.2 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.05)
    grain = np.random.default_rng(1).normal(0, 0.01, (height, width, 3))
    return picture(np.stack([red, green, blue], axis=2) + grain)


def picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def values(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=float) / 255


def noise(grain: int = 1) -> Image.Image:
    small = RNG.random((SIDE // grain, SIDE // grain, 3))
    return picture(np.kron(small, np.ones((grain, grain, 1))))


def encoded(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out)


def flat(level: float) -> Image.Image:
    return picture(np.full((SIDE, SIDE, 3), level))


def faulty(level: float, spread: float) -> Image.Image:
    return picture(level + RNG.normal(0, spread, (SIDE, SIDE, 3)))


WRONG: dict[str, tuple[str, Callable[[], Image.Image]]] = {
    "black": ("black", lambda: flat(0)),
    "nearly black": ("black", lambda: faulty(0.005, 0.005)),
    "white": ("blank", lambda: flat(1)),
    "grey with a little grain": ("blank", lambda: faulty(0.5, 0.002)),
    "noise": ("noise", noise),
    "noise in grains of 2": ("noise", lambda: noise(2)),
    "noise in grains of 4": ("noise", lambda: noise(4)),
    "noise in grains of 8": ("noise", lambda: noise(8)),
    "mostly noise": ("noise", lambda: Image.blend(scene(), noise(), 0.85)),
    "the source": ("unchanged", scene),
    "the source as a JPEG": ("unchanged", lambda: encoded(scene(), 85)),
    "the source, a level brighter": ("unchanged", lambda: picture(values(scene()) + 1 / 255)),
    "the source, scaled": ("unchanged", lambda: scene().resize((SIDE * 2, SIDE * 2), Image.Resampling.LANCZOS)),
    "a third of the size": ("size", lambda: scene().resize((SIDE // 3, SIDE // 3))),
    "three times the size": ("size", lambda: scene().resize((SIDE * 3, SIDE * 3))),
    "a pixel high": ("size", lambda: scene().resize((SIDE, 1))),
    "squeezed": ("aspect", lambda: scene().resize((SIDE, SIDE * 9 // 10))),
    "cropped": ("aspect", lambda: scene().crop((0, 0, SIDE, SIDE - 12))),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(name: str) -> None:
    fault, make = WRONG[name]
    found = check(scene(), make())
    assert found is not None
    assert found.fault == fault
    assert found.note
    assert fault in Fault.values


def with_patch(side: int, change: float) -> Image.Image:
    edited = values(scene())
    edited[40 : 40 + side, 80 : 80 + side] += change
    return picture(edited)


RIGHT: dict[str, Callable[[], Image.Image]] = {
    "a small object": lambda: with_patch(8, 0.3),
    "a faint shadow": lambda: with_patch(40, -0.05),
    "darker": lambda: picture(values(scene()) * 0.3),
    "night": lambda: picture(values(scene()) * 0.12),
    "blurred": lambda: scene().filter(ImageFilter.GaussianBlur(6)),
    "grainy film": lambda: picture(values(scene()) + RNG.normal(0, 0.06, (SIDE, SIDE, 3))),
    "grey": lambda: scene().convert("L").convert("RGB"),
    "mirrored": lambda: scene().transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "larger by half": lambda: with_patch(40, 0.3).resize((SIDE * 3 // 2, SIDE * 3 // 2)),
    "stripes": lambda: picture(values(scene()) * (1 - 0.5 * (np.arange(SIDE) // 8 % 2)[None, :, None])),
    "transparent file, one pixel off": lambda: with_patch(40, 0.3).resize((SIDE, SIDE - 2)).convert("RGBA"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_real_edit_is_left_alone(name: str) -> None:
    assert check(scene(), RIGHT[name]()) is None


@pytest.mark.parametrize("size", [(64, 64), (640, 427), (427, 640), (2000, 300)])
def test_any_size_and_shape(size: tuple[int, int]) -> None:
    source = scene(size)
    assert check(source, picture(values(source) * 0.5)) is None
    found = check(source, source.copy())
    assert found is not None
    assert found.fault == "unchanged"


def test_a_source_that_is_so_itself_is_no_fault_of_the_editor() -> None:
    night = picture(values(scene()) * 0.01)
    assert check(night, with_patch(40, 0.3)) is None
    assert check(flat(1), faulty(0.4, 0.001)) is None  # a white page made grey
    assert check(noise(), picture(values(noise()) * 0.5)) is None  # television snow made darker


def test_noise_that_fits_no_grid_is_found() -> None:
    """Grains of 8 pixels as a model leaves them, seen at a third of the size, and soft ones."""
    source = scene((768, 768))
    for grain in (4, 5, 8, 16):
        small = Image.fromarray(RNG.integers(0, 256, (768 // grain, 768 // grain, 3), dtype=np.uint8))
        for way in (Image.Resampling.NEAREST, Image.Resampling.BICUBIC):
            found = check(source, small.resize((768, 768), way))
            assert found is not None
            assert found.fault == "noise"


def spots(ground: np.ndarray, number: int, radius: float, level: float = 1.0) -> Image.Image:
    """Soft discs at random places: flakes, stars."""
    height, width = ground.shape[:2]
    shape = Image.new("L", (width, height))
    draw = ImageDraw.Draw(shape)
    for x, y, r in zip(
        RNG.uniform(0, width, number), RNG.uniform(0, height, number), RNG.uniform(0.5, 1, number), strict=True
    ):
        draw.ellipse((x - r * radius, y - r * radius, x + r * radius, y + r * radius), fill=255)
    cover = np.asarray(shape.filter(ImageFilter.GaussianBlur(1)))[..., None] / 255
    return picture(ground * (1 - cover) + level * cover)


def fog(side: int = 1024) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] / side
    return np.stack([0.6 + 0.15 * y + 0.02 * np.sin(20 * x)] * 3, axis=2)


@pytest.mark.parametrize(("number", "radius"), [(1500, 4), (3000, 5), (3000, 8), (8000, 6), (8000, 9)])
def test_snow_is_no_noise(number: int, radius: float) -> None:
    assert check(picture(fog()), spots(fog(), number, radius)) is None


@pytest.mark.parametrize(("number", "radius"), [(800, 3), (2000, 3), (4000, 2), (8000, 3)])
def test_a_starry_sky_is_no_noise(number: int, radius: float) -> None:
    night = np.broadcast_to(np.array([0.03, 0.04, 0.1]), (1024, 1024, 3))
    assert check(picture(fog()), spots(night, number, radius)) is None


@pytest.mark.parametrize("patch", [4, 8, 16, 32])
def test_a_subject_before_a_mosaic_is_no_noise(patch: int) -> None:
    field = np.kron(RNG.random((1024 // patch, 1024 // patch, 3)), np.ones((patch, patch, 1)))
    field[400:900, 400:640] = np.array([0.6, 0.43, 0.35]) + 0.1 * np.sin(np.arange(240) / 30)[:, None]
    assert check(picture(fog()), picture(field)) is None


def test_the_plain_ground_that_an_object_leaves_is_no_blank_output() -> None:
    ground = np.full((SIDE, SIDE, 3), 0.98)
    with_cup = ground.copy()
    with_cup[50:140, 60:150] = (0.7, 0.15, 0.15)
    assert check(picture(with_cup), picture(ground)) is None
    for level in (0.5, 1 / 255 * 235):  # another ground than the source's
        found = check(picture(with_cup), flat(level))
        assert found is not None
        assert found.fault == "blank"


def test_a_source_nearly_as_flat_makes_no_blank_output() -> None:
    gradient = np.broadcast_to(np.linspace(0.5, 0.5 + 7 / 255, SIDE)[None, :, None], (SIDE, SIDE, 3))
    assert check(picture(gradient), flat(0.8)) is None


def test_a_small_change_of_a_large_photograph_counts() -> None:
    source = values(scene((2048, 1536)))
    for side in (16, 24, 32):
        edited = source.copy()
        edited[500 : 500 + side, 700 : 700 + side] += np.array([40, -20, -20]) / 255
        assert check(picture(source), picture(edited)) is None, side
        assert check(picture(source), picture(edited).resize((1024, 768), Image.Resampling.LANCZOS)) is None, side


@pytest.mark.parametrize("quality", [50, 75, 92])
def test_a_large_photograph_encoded_or_scaled_is_unchanged(quality: int) -> None:
    source = scene((2048, 1536))
    half = source.resize((1024, 768), Image.Resampling.LANCZOS)
    for same in (encoded(source, quality), encoded(half, quality), half):
        found = check(source, same)
        assert found is not None
        assert found.fault == "unchanged"


@pytest.mark.parametrize("task", TASKS)
def test_right_edits_of_the_drawn_world_pass(task: str) -> None:
    """Flat colours, dots, checks and sketches: the hardest case for the searches of noise and of blank images."""
    for number in range(60):
        pair = draw_pair(5, number, task)
        assert check(Image.fromarray(pair.source), Image.fromarray(pair.target)) is None, number
