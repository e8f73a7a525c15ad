"""The grid detector, preservation, sharpness and distance, on the drawn world with planted faults."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from drawnworld.edits import Pair, draw_pairs
from training.gpu.posttrain import signs

PATCH = 8  # pixels of the CPU editor's patch; its latents are made of 4


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return list(draw_pairs(41, 60))


def drawn(pictures: list[np.ndarray]) -> Tensor:
    return signs.to_tensor([Image.fromarray(one) for one in pictures])


@pytest.fixture(scope="module")
def scenes(pairs: list[Pair]) -> Tensor:
    return drawn([pair.source for pair in pairs] + [pair.target for pair in pairs])


@pytest.fixture(scope="module")
def plain(pairs: list[Pair]) -> Tensor:
    return drawn([pair.source for pair in pairs if pair.scene.pattern == "plain"])


def dotted(pictures: Tensor, period: int, levels: int) -> Tensor:
    """A pixel in each patch brighter by so many levels of 255, rounded as a file would be."""
    found = pictures.clone()
    found[:, :, period // 2 :: period, period // 2 :: period] += levels / 255
    return (found.clamp(0, 1) * 255).round() / 255


def test_it_works(plain: Tensor) -> None:
    even = torch.full((2, 3, 64, 64), 0.4)
    assert signs.grid(even, PATCH).abs().max() < 1e-5
    assert len(plain) > 5 and (signs.grid(dotted(plain, PATCH, 8), PATCH) > 1.5).all()


@pytest.mark.parametrize("patch", [4, PATCH])
def test_clean_scenes_are_low_and_faint_dots_are_not(scenes: Tensor, plain: Tensor, patch: int) -> None:
    clean = signs.grid(scenes, patch)
    assert clean.mean() < 0 and (clean < 0.6).float().mean() > 0.95
    raised = signs.grid(dotted(plain, patch, 4), patch) - signs.grid(plain, patch)
    assert raised.min() > 1 and raised.mean() > 1.5
    everywhere = signs.grid(dotted(scenes, patch, 4), patch) - clean
    assert everywhere.mean() > 0.5


def test_more_dots_are_more_grid(plain: Tensor) -> None:
    means = [float(signs.grid(dotted(plain, PATCH, levels), PATCH).mean()) for levels in (0, 1, 2, 4, 8)]
    assert means == sorted(means) and means[1] > means[0] + 0.2


def test_dots_of_the_latents_patch_are_seen_at_the_larger_one_and_other_periods_are_not(plain: Tensor) -> None:
    clean = signs.grid(plain, PATCH).mean()
    assert signs.grid(dotted(plain, 4, 4), PATCH).mean() > clean + 0.3
    assert signs.grid(dotted(plain, 7, 8), PATCH).mean() < clean + 0.3


def test_noise_is_no_grid_and_sizes_need_not_fit(plain: Tensor) -> None:
    noise = torch.randn(plain.shape, generator=torch.Generator().manual_seed(0)) * 0.03
    assert signs.grid((plain + noise).clamp(0, 1), PATCH).mean().abs() < 0.3
    odd = torch.full((1, 3, 70, 83), 0.5)
    assert signs.grid(odd, PATCH).abs().max() < 1e-5
    with pytest.raises(ValueError, match="at least 32 x 32 pixels"):
        signs.grid(torch.zeros(1, 3, 31, 64), PATCH)


def test_preservation_counts_what_lies_outside_the_edit(pairs: list[Pair]) -> None:
    some = [pair for pair in pairs if 0 < pair.mask.mean() < 0.6][:6]
    source, target = drawn([pair.source for pair in some]), drawn([pair.target for pair in some])
    mask = torch.from_numpy(np.stack([pair.mask for pair in some]))
    inside = torch.where(mask[:, None], target, source)
    found = signs.preservation(source, inside, mask)
    assert found.decibels.tolist() == pytest.approx([60.0] * len(some))
    assert found.structure.tolist() == pytest.approx([1.0] * len(some))  # not even at the border
    whole = signs.preservation(source, inside)
    assert (whole.decibels < found.decibels).all() and (whole.structure < found.structure).all()
    drifted = signs.preservation(source, inside + 0.1, mask)
    assert drifted.decibels.tolist() == pytest.approx([20.0] * len(some), abs=1e-3)


def test_preservation_without_an_outside_and_of_wrong_shapes() -> None:
    picture = torch.rand(1, 3, 16, 16)
    nothing = signs.preservation(picture, picture, torch.ones(1, 16, 16))
    assert nothing.decibels.isnan().all() and nothing.structure.isnan().all()
    same = signs.preservation(picture, picture)
    assert same.decibels == 60 and same.structure == pytest.approx(1.0)
    with pytest.raises(ValueError, match="one size"):
        signs.preservation(picture, picture, torch.ones(1, 8, 8))
    with pytest.raises(ValueError, match="one size"):
        signs.preservation(picture, picture[..., :8])


def test_structure_sees_what_noise_of_the_same_power_does_not(plain: Tensor) -> None:
    """A shift in brightness and noise of one mean square: the shift leaves the structure, noise does not."""
    noise = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1)) * 0.05
    shifted, noisy = signs.preservation(plain, plain + 0.05), signs.preservation(plain, plain + noise)
    torch.testing.assert_close(shifted.decibels, noisy.decibels, rtol=0.02, atol=0)
    assert (shifted.structure > noisy.structure + 0.2).all()


def test_preservation_of_pictures_of_any_size(pairs: list[Pair]) -> None:
    pair = next(one for one in pairs if 0 < one.mask.mean() < 0.6)
    source, mask = Image.fromarray(pair.source), Image.fromarray(pair.mask.astype(np.uint8) * 255)
    large = source.resize((128, 128), Image.Resampling.LANCZOS)
    edited = Image.fromarray(np.where(pair.mask[..., None], pair.target, pair.source))
    same, inside, all_of_it = signs.preservation_of(
        [source, source, source], [large, edited, edited], [None, mask, None]
    )
    assert same == pytest.approx(60) and inside == pytest.approx(60) and all_of_it < 40


def test_a_mask_from_the_bases_edit(pairs: list[Pair]) -> None:
    pair = next(one for one in pairs if 0 < one.mask.mean() < 0.5)
    mask = signs.changed(drawn([pair.source]), drawn([pair.target]))
    assert mask.dtype == torch.bool and mask.shape == (1, 64, 64)
    really = torch.from_numpy(np.abs(pair.source.astype(int) - pair.target).max(2) > 13)
    assert (mask[0] | ~really).all() and 0 < mask.float().mean() < 0.9


def test_sharpness_and_distance(plain: Tensor) -> None:
    blurred = torch.nn.functional.avg_pool2d(plain, 3, 1, 1, count_include_pad=False)
    assert (signs.sharpness(blurred) < 0.9 * signs.sharpness(plain)).all()
    v = torch.zeros(2, 3, 4)
    assert signs.distance(v + torch.tensor([0.1, 0.2])[:, None, None], v).tolist() == pytest.approx([0.01, 0.04])
