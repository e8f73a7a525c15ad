"""The same methods once more as plain Python loops, slow and obvious, to compare with."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations
from statistics import fmean, stdev

from scipy import stats

from tests.stats.shared import Row

Key = tuple[str, str]


def by_item(rows: list[Row]) -> dict[Key, list[int]]:
    """Row numbers of each (item, dimension)."""
    found: dict[Key, list[int]] = defaultdict(list)
    for number, (_, item, dimension, _) in enumerate(rows):
        found[item, dimension].append(number)
    return found


def by_annotator(rows: list[Row]) -> dict[Key, list[int]]:
    """Row numbers of each (annotator, dimension)."""
    found: dict[Key, list[int]] = defaultdict(list)
    for number, (annotator, _, dimension, _) in enumerate(rows):
        found[annotator, dimension].append(number)
    return found


def z_scores(rows: list[Row]) -> dict[int, float]:
    """z by row number; rows of annotators without a spread are missing."""
    z = {}
    for numbers in by_annotator(rows).values():
        scores = [rows[n][3] for n in numbers]
        if len(set(scores)) > 1:
            for n in numbers:
                z[n] = (rows[n][3] - fmean(scores)) / stdev(scores)
    return z


def literal(rows: list[Row]) -> set[int]:
    flagged = set()
    for numbers in by_item(rows).values():
        scores = [rows[n][3] for n in numbers]
        if len(set(scores)) > 1:
            flagged |= {n for n in numbers if abs(rows[n][3] - fmean(scores)) > 2 * stdev(scores)}
    return flagged


def leave_one_out(rows: list[Row], floor_share: float) -> set[int]:
    flagged = set()
    for dimension in {row[2] for row in rows}:
        items = [numbers for key, numbers in by_item(rows).items() if key[1] == dimension]
        squares = sum(stdev([rows[n][3] for n in m]) ** 2 * (len(m) - 1) for m in items if len(m) > 1)
        degrees = sum(len(m) - 1 for m in items)
        floor = floor_share * math.sqrt(squares / degrees) if degrees else 0.0
        for numbers in items:
            for n in numbers:
                others = [rows[m][3] for m in numbers if m != n]
                if len(others) > 1 and abs(rows[n][3] - fmean(others)) > 2 * max(stdev(others), floor):
                    flagged.add(n)
    return flagged


def pooled(rows: list[Row]) -> set[int]:
    flagged = set()
    z = z_scores(rows)
    for dimension in {row[2] for row in rows}:
        residual = {}
        for key, numbers in by_item(rows).items():
            known = [n for n in numbers if n in z]
            if key[1] == dimension and len(known) > 1:
                mean = fmean(z[n] for n in known)
                residual |= {n: z[n] - mean for n in known}
        if len(residual) > 1:
            limit = 2 * stdev(residual.values())
            flagged |= {n for n, value in residual.items() if abs(value) > limit > 1e-9}
    return flagged


def bt500(rows: list[Row]) -> tuple[dict[Key, tuple[int, int]], set[int]]:
    """P and Q of each annotator, and the rows counted."""
    high: set[int] = set()
    low: set[int] = set()
    for numbers in by_item(rows).values():
        scores = [rows[n][3] for n in numbers]
        mean = fmean(scores)
        second = fmean((s - mean) ** 2 for s in scores)
        if len(set(scores)) == 1:
            continue
        kurtosis = fmean((s - mean) ** 4 for s in scores) / second**2
        limit = (2 if 2 - 1e-9 <= kurtosis <= 4 + 1e-9 else math.sqrt(20)) * math.sqrt(second)
        high |= {m for m in numbers if rows[m][3] >= mean + limit - 1e-9}
        low |= {m for m in numbers if rows[m][3] <= mean - limit + 1e-9}
    found = {k: (len(high & set(m)), len(low & set(m))) for k, m in by_annotator(rows).items()}
    return found, high | low


def rejected_by_rate(rows: list[Row], flagged: set[int], minimum: int) -> set[Key]:
    rejected = set()
    for key, numbers in by_annotator(rows).items():
        k, n = len(flagged & set(numbers)), len(numbers)
        chance = stats.binomtest(k, n, 0.05, alternative="greater").pvalue
        if k / n > 0.05 and n >= minimum and chance < 0.01:
            rejected.add(key)
    return rejected


def mos(rows: list[Row], dropped: set[int], rejected: set[Key], method: str) -> dict[Key, tuple[float, ...]]:
    """(mos, n, std, low, high) of each item; items without a usable rating are missing."""
    left: dict[Row, list[float]] = defaultdict(list)
    for number, (annotator, item, dimension, score) in enumerate(rows):
        if number not in dropped and (annotator, dimension) not in rejected:
            left[annotator, item, dimension, 0.0].append(score)
    merged: list[Row] = [(a, i, d, fmean(scores)) for (a, i, d, _), scores in left.items()]
    z = z_scores(merged)
    values: dict[Key, list[float]] = defaultdict(list)
    for number, (_, item, dimension, score) in enumerate(merged):
        if method == "mean":
            values[item, dimension].append(score)
        elif number in z:
            values[item, dimension].append(min(100.0, max(0.0, 100 * (z[number] + 3) / 6)))
    return {key: summary(found) for key, found in values.items()}


def summary(values: list[float]) -> tuple[float, ...]:
    n = len(values)
    if n == 1:
        return values[0], 1, math.nan, math.nan, math.nan
    if len(set(values)) == 1:
        return values[0], n, 0.0, values[0], values[0]
    std = stdev(values)
    low, high = stats.t.interval(0.95, n - 1, fmean(values), std / math.sqrt(n))
    return fmean(values), n, std, low, high


def alpha(rows: list[Row], level: str) -> float:
    """Krippendorff's alpha from all ordered pairs of values, as defined."""
    units = [[rows[n][3] for n in numbers] for numbers in by_item(rows).values()]
    units = [unit for unit in units if len(unit) > 1]
    pool = sorted(value for unit in units for value in unit)

    def distance(a: float, b: float) -> float:
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(low <= value <= high for value in pool)
        return (between - (pool.count(low) + pool.count(high)) / 2) ** 2 if a != b else 0.0

    observed = sum(2 * sum(distance(a, b) for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = 2 * sum(distance(a, b) for a, b in combinations(pool, 2)) / (len(pool) - 1)
    return 1 - observed / expected


def components(rows: list[Row]) -> dict[str, int]:
    """Number of connected parts of each dimension, by spreading labels until nothing changes."""
    parts = {}
    for dimension in {row[2] for row in rows}:
        edges = [(f"a {row[0]}", f"i {row[1]}") for row in rows if row[2] == dimension]
        label = {node: number for number, node in enumerate({node for edge in edges for node in edge})}
        changed = True
        while changed:
            changed = False
            for one, other in edges:
                lowest = min(label[one], label[other])
                changed |= label[one] != label[other]
                label[one] = label[other] = lowest
        parts[dimension] = len(set(label.values()))
    return parts
