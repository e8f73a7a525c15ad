"""Perceptual hashes: copies of a photograph are found, other photographs are not; no near pair is missed."""

import io
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from annotation.curation.phash import NEAR, distance, near_groups, phash
from training.demo.photographs import attributions, load_photograph

pytest.importorskip("skimage")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    return [load_photograph(one.name) for one in attributions()]


def encoded(image: Image.Image, form: str, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, form, quality=quality)
    return Image.open(out)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "another aspect": lambda image: image.resize((200, 200)),
    "a poor JPEG": lambda image: encoded(image, "JPEG", 10),
    "a WebP": lambda image: encoded(image, "WEBP", 40),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "grey": lambda image: image.convert("L"),
    "with an alpha channel": lambda image: image.convert("RGBA"),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_a_photograph_are_found(name: str, photographs: list[Image.Image]) -> None:
    for image in photographs:
        assert distance(phash(image), phash(COPIES[name](image))) <= NEAR


def test_other_photographs_are_not(photographs: list[Image.Image]) -> None:
    hashes = [phash(image) for image in photographs]
    assert len(set(hashes)) == len(hashes) >= 9
    assert min(distance(one, other) for one, other in combinations(hashes, 2)) >= 3 * NEAR
    assert near_groups(hashes, NEAR) == []


def test_a_photograph_upside_down_is_another_one(photographs: list[Image.Image]) -> None:
    image = photographs[0]
    assert distance(phash(image), phash(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))) > 3 * NEAR


def test_copies_are_grouped(photographs: list[Image.Image]) -> None:
    first, second, third = photographs[:3]
    hashes = [phash(image) for image in (first, second, COPIES["half the size"](first), third, COPIES["grey"](second))]
    assert near_groups(hashes, NEAR) == [[0, 2], [1, 4]]


def test_a_coefficient_more_turns_its_bit_on() -> None:
    """A wave across the picture is one frequency: its bit is on, and those of the others are off, as they are 0."""
    x = (np.arange(64) + 0.5) / 64
    wave = np.tile(np.cos(np.pi * x), (64, 1))
    values = (128 + 100 * wave).astype(np.uint8)
    assert int(phash(Image.fromarray(values)), 16).bit_count() < 32
    assert int(phash(Image.fromarray(values)), 16) >> 63 == 1  # the lowest frequency of the rows comes first
    assert int(phash(Image.fromarray(255 - values)), 16) >> 63 == 0
    assert int(phash(Image.fromarray(values.T)), 16) >> 62 & 1 == 1


@pytest.mark.parametrize("colour", [0, 77, 255])
def test_a_picture_of_one_colour(colour: int) -> None:
    assert phash(Image.new("RGB", (50, 70), (colour, colour, colour))) == "0" * 16


def test_distance() -> None:
    assert distance("0" * 16, "f" * 16) == 64
    assert distance("00000000000000ff", "00000000000000f0") == 4


hashes_near_each_other = st.lists(
    st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=6)).map(
        lambda pair: f"{sum(1 << bit for bit in pair[1]) ^ 0x9E3779B97F4A7C15 * (pair[0] + 1) % (1 << 64):016x}"
    ),
    max_size=24,
)


def brute_force(hashes: list[str], most: int) -> list[list[int]]:
    """Connected components, by growing each from its first member."""
    left, groups = set(range(len(hashes))), []
    while left:
        group, border = set[int](), [min(left)]
        while border:
            at = border.pop()
            group.add(at)
            border += [other for other in left - group if distance(hashes[at], hashes[other]) <= most]
        left -= group
        groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]


@given(hashes_near_each_other, st.integers(0, 12))
@settings(max_examples=200, deadline=None)
def test_groups_are_those_of_brute_force(hashes: list[str], most: int) -> None:
    assert near_groups(hashes, most) == brute_force(hashes, most)


@pytest.mark.parametrize("most", [0, 3, 4, 10, 31])
@pytest.mark.parametrize("seed", range(8))
def test_a_pair_is_found_wherever_its_bits_are(most: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    value = int(chance.integers(0, 2**63))
    bits = chance.choice(64, size=most, replace=False)
    other = value ^ sum(1 << int(bit) for bit in bits)
    assert near_groups([f"{value:016x}", f"{other:016x}"], most) == [[0, 1]]
    farther = other ^ 1 << next(bit for bit in range(64) if bit not in bits)
    assert near_groups([f"{value:016x}", f"{farther:016x}"], most) == []


def test_many_hashes_in_blocks() -> None:
    """More in a bucket than is compared at once: every second hash has a twin two bits away."""
    chance = np.random.default_rng(1)
    low = chance.choice(2**40, size=700, replace=False)
    hashes = [f"{int(value):016x}" for value in low]
    hashes += [f"{int(hashes[place], 16) ^ 0x3:016x}" for place in range(0, 700, 2)]
    assert near_groups(hashes, 2) == brute_force(hashes, 2)


@pytest.mark.parametrize("most", [-1, 32])
def test_a_distance_that_means_nothing(most: int) -> None:
    with pytest.raises(ValueError, match="choose 0 to 31"):
        near_groups(["0" * 16], most)


def test_no_hashes() -> None:
    assert near_groups([], 3) == []
