"""Sums, means and spreads of a column by group, vectorised.

A group is an integer code per row (an item, an annotator). Functions are linear in the number of rows and hold no
Python loop over groups, so ten million rows take a fraction of a second each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32] | NDArray[np.int64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

EDGE = 1e-9
"""Relative slack for comparisons that the rules state with or without equality, so that rounding decides none."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Per group: number of rows, mean (NaN without rows), and sum of squared deviations from the mean."""

    n: Counts
    mean: Floats
    squares: Floats

    def std(self, ddof: int = 1) -> Floats:
        """Standard deviation per group, NaN where n <= ddof; exactly 0 where all values of a group are equal."""
        return np.sqrt(ratio(self.squares, self.n - ddof))


def gather(per_group: Floats, codes: Codes) -> Floats:
    """``per_group[codes]``, faster: codes are in range by construction, so numpy need not check them first."""
    return np.take(per_group, codes, mode="clip")


def counts(codes: Codes, size: int) -> Counts:
    """Rows per group, shape (size,)."""
    return np.bincount(codes, minlength=size)


def sums(codes: Codes, values: Floats | Counts, size: int) -> Floats:
    """Sum of ``values`` per group, shape (size,), 0 where a group has no rows."""
    return np.asarray(np.bincount(codes, weights=values, minlength=size), dtype=np.float64)


def ratio(numerator: Floats | Counts, denominator: Floats | Counts) -> Floats:
    """Element-wise quotient, NaN where the denominator is not positive."""
    result = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)
    return result


def moments(codes: Codes, values: Floats, size: int) -> tuple[Moments, Floats]:
    """Moments per group and each row's deviation from its group's mean (shape of ``values``).

    Values are first taken relative to one row of their group: a group of equal values then has deviations of exactly 0,
    which is how straight-line annotators are told from very consistent ones, and a large offset costs no digits.
    """
    reference = np.zeros(size)
    reference[codes] = values
    deviations = gather(reference, codes)
    np.subtract(values, deviations, out=deviations)
    n, shift, deviations = deviate(codes, deviations, size)
    return Moments(n=n, mean=reference + shift, squares=sums(codes, deviations * deviations, size)), deviations


def deviate(codes: Codes, values: Floats, size: int) -> tuple[Counts, Floats, Floats]:
    """Rows and mean per group, and each row's deviation from it: ``moments`` in half the time, but for exact zeros."""
    n = counts(codes, size)
    mean = ratio(sums(codes, values, size), n)
    deviations = gather(mean, codes)
    np.subtract(values, deviations, out=deviations)
    return n, mean, deviations


def compress(keys: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes 0..k-1 for the k distinct ``keys`` (all in 0..size-1) in ascending order, and those k keys."""
    if size > 4 * keys.size + 1_000_000:
        distinct, codes = np.unique(keys, return_inverse=True)
        return codes.astype(np.int64, copy=False), distinct
    present = np.zeros(size, dtype=bool)
    present[keys] = True
    position = np.cumsum(present) - 1
    return np.take(position, keys, mode="clip"), np.flatnonzero(present)


def medians(codes: Codes, values: Floats, size: int) -> Floats:
    """Median of the finite ``values`` per group, NaN where there is none; shape (size,)."""
    known = np.isfinite(values)
    codes, values = codes[known], values[known]
    order = np.lexsort((values, codes))
    n = counts(codes, size)
    start = np.cumsum(n) - n
    filled = np.flatnonzero(n)
    ordered = values[order]
    result = np.full(size, np.nan)
    low, high = start[filled] + (n[filled] - 1) // 2, start[filled] + n[filled] // 2
    result[filled] = (ordered[low] + ordered[high]) / 2
    return result


def ranges(lengths: Counts) -> NDArray[np.int64]:
    """0..lengths[0]-1, 0..lengths[1]-1, ... in one row: positions inside consecutive groups of these lengths."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if lengths.size else 0
    return np.arange(total, dtype=np.int64) - np.repeat(ends - lengths, lengths)
