"""Plackett-Luce strengths from whole and partial orders with ties, bootstrap intervals over groups.

Model: a ranking is a row of choices, best first. From the candidates that are left, a tier C of t candidates is chosen
with a probability that goes as δ_t·(Π α_i over C)^(1/t), over all subsets of the sizes that occur; δ_1 = 1. Without
ties this is Plackett-Luce (Luce 1959, Plackett 1975), with them Davidson-Luce (Firth, Kosmidis and Turner, 2019); for
two candidates it is Davidson's model of ``scoring.stats.strength``. People who give a tie say "equal", not "I forgot
the order", so a tie is an outcome of its own and not a mean over orders.

The log-likelihood is concave in log α and log δ: Newton's method finds the maximum. It depends on the rankings through
three sums alone (how often each set was chosen from, how often each candidate was in a chosen tier, how often each size
was chosen), so a resample of groups costs one product. Sums over subsets are elementary symmetric polynomials.

Intervals fit every resample anew. Where that would take minutes (hundreds of groups of twenty), a resample takes one
step from the fit instead, with the information of all groups and the gradient of those drawn: the score bootstrap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaln

from scoring.stats.grouped import Floats
from scoring.stats.grouped import sums as sums_of
from scoring.stats.strength import INFINITE, LIMIT, LONGEST, TOLERANCE, Strengths, percentiles

BLOCK = 200_000
"""Cells (sets by candidates by candidates) worked on at a time: arrays of 2 MB stay in a processor's cache."""
LARGE = 200_000
"""Cells beyond which resamples are not fitted anew."""

Order = Sequence[Iterable[int]]
"""Tiers, best first; a tier is the codes of the candidates that share a place."""
Choice = tuple[tuple[int, ...], tuple[int, ...], float]
"""Candidates that were left, those chosen, and a weight."""


def plackett_luce(
    orders: Sequence[Order],
    candidates: int,
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
    pseudo: float = 0.0,
) -> Strengths:
    """Log strengths, mean 0, of candidates 0..candidates-1, and percentile intervals from ``resamples`` of groups.

    ``orders``: any candidates may be missing from an order (a block of a larger group); it says nothing about them.
    ``groups``: one per order; orders of one group are drawn together. None: each order for itself.

    NaN: a candidate that is never compared; and everybody, where the likelihood has no maximum: somebody was never
    below (or never above) the others, or parts were never compared. ``pseudo`` > 0 gives each candidate so many wins
    and so many losses against one made-up candidate (0.5 in Firth, Kosmidis and Turner): then all are determined, and
    pulled towards each other. Use it to join blocks that few people ranked, and say so.

    Raises ValueError for an unknown code, and for a candidate that stands in an order twice.
    """
    if groups is not None and len(groups) != len(orders):
        raise ValueError(f"there are {len(orders)} orders, but {len(groups)} groups")
    unknown = np.full(candidates, np.nan)
    choices = _Choices.of(orders, range(len(orders)) if groups is None else groups, candidates, pseudo)
    fitted = choices.fit(choices.sums(np.ones(choices.groups)))
    if fitted is None:
        return Strengths(unknown, unknown, unknown, np.nan, 0, 0)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(choices.groups, np.full(choices.groups, 1 / choices.groups), resamples)
    refit = choices.refits if choices.cells <= LARGE else choices.steps
    refits = [choices.strengths(point, candidates) for point in refit(fitted, drawn.astype(np.float64))]
    low, high = percentiles(refits, resamples, candidates, confidence)
    ties = choices.ties(fitted)
    tie = ties[0] if ties else 0.0
    return Strengths(choices.strengths(fitted, candidates), low, high, tie, len(refits), resamples, ties)


@dataclass(frozen=True, slots=True)
class _Choices:
    """All choices of at least two candidates, summed.

    ``members``: per distinct set its candidates (positions in ``seen``), padded with their number; shape (sets,
    largest). ``sizes``: sizes of the tiers that were chosen. ``table``: per group, so often was each set chosen from,
    each candidate's shares of chosen tiers (1/t each), and so often each size; columns in this order. ``extra``: the
    same of the pseudo-choices, which are in every resample. ``seen``: candidates' codes; -1 is the made-up one.
    """

    members: NDArray[np.int64]
    sizes: tuple[int, ...]
    table: csr_array
    extra: Floats
    seen: tuple[int, ...]

    @property
    def groups(self) -> int:
        return int(self.table.shape[0])

    @property
    def cells(self) -> int:
        sets, largest = self.members.shape
        return int(sets * largest**2)

    @classmethod
    def of(cls, orders: Sequence[Order], groups: Iterable[Hashable], candidates: int, pseudo: float) -> _Choices:
        rows: dict[Hashable, int] = {}
        found: list[tuple[int, Choice]] = []
        for order, group in zip(orders, groups, strict=True):
            row = rows.setdefault(group, len(rows))
            found += [(row, choice) for choice in _choices(order, candidates)]
        seen = sorted({code for _, (left, _, _) in found for code in left})
        if pseudo > 0:
            pairs = [((-1, code), (winner,), pseudo) for code in seen for winner in (code, -1)]
            found += [(len(rows), pair) for pair in pairs]
            seen = [*seen, -1]
        place = {code: position for position, code in enumerate(seen)}
        sizes = tuple(sorted({len(chosen) for _, (_, chosen, _) in found}))
        sets: dict[tuple[int, ...], int] = {}
        cells: dict[tuple[int, int], float] = defaultdict(float)
        for _, (left, _, _) in found:
            sets.setdefault(left, len(sets))
        for row, (left, chosen, weight) in found:
            cells[row, sets[left]] += weight
            for code in chosen:
                cells[row, len(sets) + place[code]] += weight / len(chosen)
            cells[row, len(sets) + len(seen) + sizes.index(len(chosen))] += weight
        width = len(sets) + len(seen) + len(sizes)
        table = _sparse(cells, (len(rows) + 1, width))
        members = np.full((len(sets), max(map(len, sets), default=0)), len(seen), dtype=np.int64)
        for left, number in sets.items():
            members[number, : len(left)] = [place[code] for code in left]
        return cls(members, sizes, table[: len(rows)], table[[len(rows)]].toarray()[0], tuple(seen))

    def sums(self, drawn: Floats) -> Floats:
        """The columns of the table, each group as often as it was ``drawn``."""
        total: Floats = drawn @ self.table + self.extra
        return total

    def strengths(self, point: Floats, candidates: int) -> Floats:
        """Per candidate's code, mean 0 over those that were compared."""
        result = np.full(candidates, np.nan)
        real = [position for position, code in enumerate(self.seen) if code >= 0]
        result[[self.seen[position] for position in real]] = point[real] - point[real].mean()
        return result

    def ties(self, point: Floats) -> tuple[float, ...]:
        """δ_2, δ_3, ... up to the largest tier: 0 for a size that does not occur, NaN where nothing else occurs."""
        logs = dict(zip(self.sizes, point[len(self.seen) :] - self._offsets(), strict=True))
        single = logs.get(1, np.nan)
        deltas = (np.exp(logs[t] - single) if t in logs else 0.0 for t in range(2, max(self.sizes) + 1))
        return tuple(float(delta) for delta in deltas)

    def _offsets(self) -> Floats:
        """log of the number of subsets of each size in the largest set: starts log δ near where it belongs."""
        t, largest = np.array(self.sizes, dtype=np.float64), self.members.shape[1]
        offsets: Floats = gammaln(largest + 1) - gammaln(t + 1) - gammaln(largest - t + 1)
        return offsets

    def fit(self, sums: Floats, start: Floats | None = None) -> Floats | None:
        """(log α, log δ + offset) at the maximum; None where there is none.

        A common shift of log α, or of log δ, changes nothing: steps of least length leave both means alone.
        """
        n_sets, n = len(self.members), len(self.seen)
        if n < 2 or not self._connected(sums[:n_sets] > 0):
            return None
        point = np.zeros(n + len(self.sizes)) if start is None else start.copy()
        point[n:][sums[n_sets + n :] == 0] = -np.inf  # A size that is not in this resample.
        value, gradient, information = self._derivatives(point, sums)
        step = _least_squares(information, gradient)
        for _ in range(LIMIT):
            longest = float(np.abs(step).max())
            if longest < TOLERANCE:
                return point
            step = step * min(1.0, LONGEST / longest)
            after, gradient, information = self._derivatives(point + step, sums)
            if after < value - 1e-9 * abs(value):
                step = step / 2  # Too far for the quadratic; the direction is right, since the function is concave.
                continue
            point, value, step = point + step, after, _least_squares(information, gradient)
            if np.abs(point[np.isfinite(point)]).max() > INFINITE:
                return None
        return None

    def refits(self, fitted: Floats, drawn: Floats) -> Iterator[Floats]:
        """The maximum for each row of ``drawn`` (so often each group), where there is one."""
        for row in drawn:
            if (refit := self.fit(self.sums(row), start=fitted)) is not None:
                yield refit

    def steps(self, fitted: Floats, drawn: Floats) -> Iterator[Floats]:
        """The same by one step from the fit, where the gradient of all groups together is 0."""
        n_sets = len(self.members)
        _, _, information = self._derivatives(fitted, self.sums(np.ones(self.groups)))
        scores = self.table[:, n_sets:].toarray()
        for rows in self._blocks(np.arange(n_sets)):
            _, mean, _, columns = self._expected(fitted, rows)
            expected = np.zeros((rows.size, scores.shape[1] + 1))
            np.put_along_axis(expected, columns, mean, axis=1)
            scores -= self.table[:, rows] @ np.delete(expected, len(self.seen), axis=1)
        return iter(fitted + _least_squares(information, ((drawn - 1) @ scores).T).T)

    def _connected(self, used: NDArray[np.bool_]) -> bool:
        """Do the used sets join all candidates?"""
        members, n = self.members[used], len(self.seen)
        first = np.repeat(members[:, 0], members.shape[1])
        rest = np.minimum(members.ravel(), n)
        real = rest < n
        graph = coo_array((np.ones(int(real.sum())), (first[real], rest[real])), shape=(n, n))
        return bool(connected_components(graph, directed=False)[0] == 1)

    def _derivatives(self, point: Floats, sums: Floats) -> tuple[float, Floats, Floats]:
        """Log-likelihood, gradient and information."""
        n, n_sets = len(self.seen), len(self.members)
        weights, observed = point[n:] - self._offsets(), sums[n_sets:]
        value = float(observed[:n] @ point[:n] + observed[n:] @ np.where(np.isfinite(weights), weights, 0.0))
        expected: Floats = np.zeros(n + 1 + weights.size)  # Position n takes what belongs to the padding: nothing.
        information: Floats = np.zeros((expected.size, expected.size))
        for rows in self._blocks(np.flatnonzero(sums[:n_sets] > 0)):
            often = sums[rows]
            log_total, mean, second, columns = self._expected(point, rows)
            value -= float(often @ log_total)
            second -= mean[:, :, None] * mean[:, None, :]
            second *= often[:, None, None]
            keys = columns[:, :, None] * expected.size + columns[:, None, :]
            information += sums_of(keys.ravel(), second.ravel(), information.size).reshape(information.shape)
            expected += sums_of(columns.ravel(), (often[:, None] * mean).ravel(), expected.size)
        real = np.delete(np.arange(expected.size), n)
        return value, observed - expected[real], information[np.ix_(real, real)]

    def _expected(self, point: Floats, rows: NDArray[np.int64]) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
        """``_moments`` of some sets, and where their columns belong in (candidates, padding, sizes)."""
        n, members = len(self.seen), self.members[rows]
        sizes = np.tile(np.arange(n + 1, n + 1 + len(self.sizes)), (rows.size, 1))
        strength = np.append(point[:n], -np.inf)[members]
        moments = _moments(strength, self.sizes, point[n:] - self._offsets())
        return *moments, np.concatenate([members, sizes], axis=1)

    def _blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return np.array_split(rows, max(1, rows.size * self.members.shape[1] ** 2 // BLOCK))


def _least_squares(information: Floats, gradient: Floats) -> Floats:
    """The solution of least length: it leaves alone what changes nothing."""
    return np.asarray(np.linalg.lstsq(information, gradient, rcond=1e-12)[0], dtype=np.float64)


def _choices(order: Order, candidates: int) -> Iterator[Choice]:
    """The choices of one ranking; the last candidate, when alone, was no choice."""
    tiers = [tuple(tier) for tier in order]
    left = sorted(code for tier in tiers for code in tier)
    if len(set(left)) < len(left):
        raise ValueError(f"a candidate stands twice in the order {tiers}")
    if left and not 0 <= left[0] <= left[-1] < candidates:
        raise ValueError(f"the order {tiers} has a code outside 0 to {candidates - 1}")
    for tier in tiers:
        if tier and len(left) > 1:
            yield tuple(left), tier, 1.0
        left = [code for code in left if code not in tier]


def _sparse(cells: dict[tuple[int, int], float], shape: tuple[int, int]) -> csr_array:
    rows = np.array([row for row, _ in cells], dtype=np.int64)
    columns = np.array([column for _, column in cells], dtype=np.int64)
    return csr_array(coo_array((np.array(list(cells.values()), dtype=np.float64), (rows, columns)), shape=shape))


def _moments(strength: Floats, sizes: tuple[int, ...], weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Of one choice from each set: log of the sum over subsets, first and second moments of what is observed.

    ``strength`` (sets, m), -inf where padded; ``weights`` log δ per size. What is observed of a choice: 1/t for each
    chosen candidate, and 1 for its size; so moments have shapes (sets, m + sizes) and (sets, m + sizes, m + sizes).
    """
    top = strength.max(axis=1, keepdims=True)
    n, m = strength.shape
    width = m + len(sizes)
    total, mean, second = np.zeros(n), np.zeros((n, width)), np.zeros((n, width, width))
    for number, (t, weight) in enumerate(zip(sizes, np.exp(weights), strict=True)):
        power = np.exp((strength - top) / t)
        one = _leaving_out(power, t - 1)
        include = weight * power * one[t - 1]
        size = m + number
        together = include.sum(axis=1) / t
        total += together
        mean[:, :m] += include / t
        mean[:, size] = second[:, size, size] = together
        second[:, :m, size] = second[:, size, :m] = include / t
        both = np.zeros((n, m, m))
        for order in range(t - 1):
            both *= -power[:, None, :]
            both += one[order][:, :, None]
        if t > 1:
            both *= weight * power[:, :, None]
            both *= power[:, None, :]
        both[:, np.arange(m), np.arange(m)] = include
        both /= t**2
        second[:, :m, :m] += both
    scale = total[:, None]
    second /= scale[:, None]
    return np.log(total) + top[:, 0], mean / scale, second


def _leaving_out(power: Floats, highest: int) -> list[Floats]:
    """Elementary symmetric polynomials of degrees 0..highest of all numbers but one; each (sets, the one left out).

    By degree from that of all: e_k without x = e_k - x·(e_{k-1} without x). Digits are lost where x is far above the
    others, e^15 times at most before a strength counts as infinite.
    """
    whole = [np.ones(len(power)), *(np.zeros(len(power)) for _ in range(highest))]
    for joining in power.T:
        for degree in range(highest, 0, -1):
            whole[degree] = whole[degree] + joining * whole[degree - 1]
    found = [np.ones_like(power)]
    for degree in range(1, highest + 1):
        found.append(np.maximum(whole[degree][:, None] - power * found[-1], 0.0))
    return found
