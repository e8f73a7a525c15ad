"""The formulas behind the classical editor, against closed forms and an independent implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from training.gpu.classical_ops.backdrops import BACKDROPS, make_backdrop
from training.gpu.classical_ops.blur import lens_blur
from training.gpu.classical_ops.colour import from_lab, from_linear, luma, to_lab, to_linear
from training.gpu.classical_ops.masks import feathered, grown, roughened
from training.gpu.classical_ops.patchfill import fill_patches, fill_smooth
from training.gpu.classical_ops.shapes import SHAPES, draw_shape


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_picture(seed: int, shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    return rng(seed).random((*shape, 3)).astype(np.float32)


@given(st.integers(0, 1000))
def test_lab_equals_scikit_image_and_comes_back(seed: int) -> None:
    picture = random_picture(seed)
    assert np.abs(to_lab(picture) - rgb2lab(picture)).max() < 0.1
    assert np.abs(from_lab(to_lab(picture)) - picture).max() < 2e-3
    assert np.abs(from_linear(to_linear(picture)) - picture).max() < 1e-4


def disc(shape: tuple[int, int] = (60, 80), radius: float = 15) -> np.ndarray:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return (np.hypot(x - shape[1] / 2, y - shape[0] / 2) < radius).astype(np.float32)


def test_a_smooth_fill_continues_a_plane_exactly() -> None:
    """A linear ramp solves Laplace's equation: whatever the hole inside it, the fill restores it."""
    y, x = np.mgrid[0:60, 0:80] / 100
    ramp = np.stack([x, y, x + y], axis=-1).astype(np.float32)
    hole = disc() > 0
    assert np.abs(fill_smooth(np.where(hole[..., None], 0, ramp).astype(np.float32), hole) - ramp).max() < 1e-4


@given(st.integers(0, 1000))
def test_a_smooth_fill_stays_between_the_values_of_its_rim(seed: int) -> None:
    picture, hole = random_picture(seed, (30, 30)), disc((30, 30), 8) > 0
    filled = fill_smooth(picture, hole)
    assert (filled[~hole] == picture[~hole]).all()
    assert filled[hole].min() >= picture[~hole].min() - 1e-5
    assert filled[hole].max() <= picture[~hole].max() + 1e-5


def test_a_patch_fill_continues_a_pattern_that_a_smooth_fill_cannot() -> None:
    y, x = np.mgrid[0:90, 0:120]
    stripes = np.repeat((((x + y) // 4) % 2).astype(np.float32)[..., None], 3, axis=-1) * 0.8 + 0.1
    hole = disc((90, 120), 14) > 0
    broken = np.where(hole[..., None], 0.5, stripes).astype(np.float32)
    patched, smooth = fill_patches(broken, hole, rng()), fill_smooth(broken, hole)
    assert np.abs(patched - stripes)[hole].mean() < 0.1
    assert np.abs(smooth - stripes)[hole].mean() > 0.3
    assert (patched[~hole] == stripes[~hole]).all()


def test_a_patch_fill_copies_only_from_where_it_may() -> None:
    picture = np.zeros((80, 80, 3), np.float32)
    picture[:, :40] = (1, 0, 0)
    picture[:, 40:] = (0, 0, 1)
    picture += rng().random((80, 80, 1)).astype(np.float32) * 0.05
    hole, usable = np.zeros((80, 80), np.bool_), np.zeros((80, 80), np.bool_)
    hole[30:50, 5:20] = True
    usable[:, 44:] = True
    filled = fill_patches(np.clip(picture, 0, 1), hole, rng(), usable=usable)[35:45, 9:16]
    assert filled[..., 2].mean() > 0.8
    assert filled[..., 0].mean() < 0.2


@pytest.mark.parametrize("rows", [slice(0, 0), slice(None), slice(1, None)])
def test_no_hole_all_hole_and_nothing_to_copy(rows: slice) -> None:
    picture, hole = random_picture(1), np.zeros((20, 30), np.bool_)
    hole[rows] = True
    filled = fill_patches(picture, hole, rng())
    assert np.isfinite(filled).all()
    assert (filled[~hole] == picture[~hole]).all()


def test_lens_blur_keeps_a_flat_picture_flat() -> None:
    flat = np.full((40, 50, 3), 0.4, np.float32)
    assert np.abs(lens_blur(flat, np.ones((40, 50), np.float32), 6) - 0.4).max() < 0.01


def test_lens_blur_spreads_a_light_over_its_disc() -> None:
    picture = np.zeros((61, 61, 3), np.float32)
    picture[30, 30] = 1
    blurred = luma(lens_blur(picture, np.ones((61, 61), np.float32), 8))
    assert blurred[30, 36] > 0.02
    assert blurred[30, 41] < 1e-3
    assert blurred[30, 36] == pytest.approx(blurred[36, 30], rel=0.05)


def test_the_subject_does_not_leak_into_the_blurred_background() -> None:
    subject = disc()
    picture = np.repeat(subject[..., None], 3, axis=-1)  # a white disc before black
    blurred = lens_blur(picture, 1 - subject, 6)
    assert luma(blurred)[subject == 0].max() < 0.08


def test_growing_a_disc_by_its_share_makes_a_larger_disc() -> None:
    small, large = disc(radius=15), grown(disc(radius=15), 0.1)
    reach = np.sqrt(large.sum() / np.pi) - np.sqrt(small.sum() / np.pi)
    assert 1 < reach < 5
    assert (large >= small).all()


def test_spoilt_masks_stay_masks() -> None:
    mask = disc()
    rough, soft = roughened(mask, 0.13, rng()), feathered(mask, 0.1)
    assert set(np.unique(rough)) == {0, 1}
    assert 0.5 < (rough * mask).sum() / mask.sum() < 1  # most of it, but not all
    assert soft.min() >= 0
    assert soft.max() <= 1.0001
    assert ((soft > 0.05) & (soft < 0.95)).sum() > 100


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_fill_their_box(name: str) -> None:
    drawn = draw_shape(name, (80, 90), "#c83232", rng())
    assert drawn.shape == (80, 90, 4)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    covered = drawn[..., 3] > 0.5
    assert 0.15 < covered.mean() < 0.95
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    assert np.ptp(columns) > 45
    assert np.ptp(rows) > 40
    assert drawn[..., :3][covered].std() > 0.03  # shaded, not flat


@pytest.mark.parametrize("name", BACKDROPS)
@pytest.mark.parametrize("size", [(40, 70), (1, 1), (7, 3)])
def test_backdrops_have_the_size_asked_for(name: str, size: tuple[int, int]) -> None:
    made = make_backdrop(size, {"draw": name}, rng())
    assert made.shape == (*size, 3)
    assert 0 <= made.min() <= made.max() <= 1
    assert (make_backdrop(size, {"draw": name}, rng()) == made).all()
