"""Perceptual hashes: pictures that look the same have hashes that differ in few bits. Pure.

The hash is 64 bits, one for each of the 64 lowest spatial frequencies but the mean: is its coefficient above the median
of them? Size, encoding and brightness hardly change that order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 64
NEAR = 6  # bits: copies of one photograph, resized or encoded again, differ by no more; other ones by 24 and up
SIDE = 32  # the picture is made this small first; what is finer cannot change the hash
FLAT = 1e-6  # a coefficient below it, times the side, is rounding; white is 1
BLOCK = 256  # hashes compared with their bucket at once, which bounds the memory: 256 × 100,000 takes 0.2 GB

Bits = NDArray[np.uint64]


def phash(image: Image.Image) -> str:
    """The hash in 16 hexadecimal digits. A picture of one colour has the hash 0."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels = np.asarray(grey, dtype=np.float64) / 255
    cosines = _cosines()
    spectrum = cosines @ pixels @ cosines.T
    rows, columns = _low_frequencies()
    low = spectrum[rows, columns]
    low[np.abs(low) < FLAT * SIDE] = 0.0
    value = 0
    for bit in low > np.median(low):
        value = value << 1 | int(bit)
    return f"{value:016x}"


def distance(one: str, other: str) -> int:
    """The number of bits in which two hashes differ, 0 to 64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def near_groups(hashes: Sequence[str], most: int) -> list[list[int]]:
    """Groups of positions in ``hashes`` that near-duplicates link: a pair within ``most`` bits is in one group.

    No such pair is missed, for any ``most``: hashes are cut into ``most`` + 1 pieces or more, and two that differ in
    ``most`` bits have at least one piece in common, so only hashes that share a piece are compared. Links are followed,
    so the ends of a long group may differ by more. Groups and their members are in the order of ``hashes``; what has no
    near-duplicate is in no group. Raises ValueError for ``most`` outside 0 to 31.
    """
    if not 0 <= most < BITS // 2:
        raise ValueError(f"most is {most}: choose 0 to {BITS // 2 - 1} bits.")
    values, where = np.unique(np.array([int(text, 16) for text in hashes], dtype=np.uint64), return_inverse=True)
    parents = list(range(len(values)))
    for one, other in _near_pairs(values, most):
        parents[_root(parents, one)] = _root(parents, other)
    groups: dict[int, list[int]] = {}
    for position, value in enumerate(where.tolist()):
        groups.setdefault(_root(parents, value), []).append(position)
    return [group for group in groups.values() if len(group) > 1]


def _near_pairs(values: Bits, most: int) -> Iterator[tuple[int, int]]:
    """Positions of all pairs of distinct hashes within ``most`` bits, some of them more than once."""
    cuts = np.linspace(0, BITS, max(most + 1, 4) + 1).round().astype(int).tolist()  # 4 pieces of 16 bits are quick
    for start, end in pairwise(cuts):
        pieces = values >> np.uint64(start) & np.uint64((1 << (end - start)) - 1)
        order = np.argsort(pieces, kind="stable")
        bounds = np.flatnonzero(np.diff(pieces[order])) + 1
        for bucket in np.split(order, bounds):
            yield from _pairs_within(values, bucket, most)


def _pairs_within(values: Bits, bucket: NDArray[np.intp], most: int) -> Iterator[tuple[int, int]]:
    for start in range(0, len(bucket) - 1, BLOCK):
        block, rest = bucket[start : start + BLOCK], bucket[start:]
        near = np.bitwise_count(values[block][:, None] ^ values[rest][None, :]) <= most
        ones, others = np.nonzero(np.triu(near, 1))
        yield from zip(block[ones].tolist(), rest[others].tolist(), strict=True)


def _root(parents: list[int], at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return at


@cache
def _cosines() -> NDArray[np.float64]:
    """The matrix of the cosine transform (DCT-II), without scale factors: row k is the frequency k."""
    places = np.arange(SIDE)
    table: NDArray[np.float64] = np.cos(np.pi / SIDE * np.outer(places, places + 0.5))
    return table


@cache
def _low_frequencies() -> tuple[list[int], list[int]]:
    """Rows and columns of the 64 lowest frequencies, without the mean."""
    order = sorted((row + column, row, column) for row in range(SIDE) for column in range(SIDE))[1 : BITS + 1]
    return [row for _sum, row, _column in order], [column for _sum, _row, column in order]
