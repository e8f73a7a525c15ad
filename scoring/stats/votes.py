"""Judges' votes on pairs of edits beside people's: accuracies with ties, lean to one side, kappa, two judges compared.

A vote is A, B, a tie (both good) or both bad; a judge may have given no answer. Everything is computed for all judges
at once. A figure that the votes do not determine is NaN and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import bdtr, ndtri

from scoring.stats.grouped import Codes, Counts, Flags, Floats, counts, ratio

VOTES = ("A", "B", "tie", "both_bad")
A, B, TIE, BOTH_BAD = range(4)
NO_ANSWER = -1
RESAMPLES = 2000
BLOCK = 4_000_000

Measure = Literal["four", "three", "two", "half"]
MEASURES: tuple[Measure, ...] = ("four", "three", "two", "half")
Why = Literal["", "no pairs", "no answer", "nothing decided", "no choice", "one side", "one vote", "one group"]
Verdict = Literal["better", "worse", "same", "unclear"]


@dataclass(frozen=True, slots=True)
class Ballots:
    """Votes as codes: ``people`` (pairs,), ``judges`` (judges, pairs) with NO_ANSWER, ``group`` (pairs,) from 0.

    Pairs of one group, such as one source image, are drawn together by the bootstrap: they are not independent.
    """

    people: Codes
    judges: Codes
    group: Codes

    @property
    def pairs(self) -> int:
        return int(self.people.size)

    @property
    def groups(self) -> int:
        return int(np.unique(self.group).size)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, or a difference of two, with its 95 % interval over ``n`` pairs. NaN where ``why`` is set."""

    value: float
    low: float
    high: float
    n: int
    why: Why = ""


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """One judge against people.

    ``everywhere``: by measure over all pairs, no answer counts as wrong; ``answered``: among pairs that it answered.
    ``drawn``: 95 % limits of ``everywhere`` by a bootstrap of groups. ``votes``: number of A, B, tie, both bad.
    ``lean``: share of A minus share of B among its A and B votes. ``gap``: share right where people chose A, minus
    where they chose B, among answered pairs. ``against``: beside the best constant vote, four-way.
    """

    votes: tuple[int, ...]
    answered_pairs: int
    coverage: float
    everywhere: dict[Measure, Rate]
    answered: dict[Measure, Rate]
    drawn: dict[Measure, tuple[float, float]]
    lean: Rate
    gap: Rate
    kappa: Rate
    against: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two judges on the same pairs by one measure; ``difference`` is first minus second, with a paired interval.

    ``only_first`` and ``only_second`` count pairs that one alone has right; ``p`` is McNemar's exact test on them, NaN
    for half credit, where there is more than right and wrong.
    """

    measure: Measure
    first: float
    second: float
    difference: Rate
    only_first: int
    only_second: int
    p: float
    verdict: Verdict


def credit(people: Codes, votes: Codes, measure: Measure) -> tuple[Floats, Flags]:
    """What each vote earns, shape of ``votes``, and which pairs count at all, shape (pairs,). No answer earns 0.

    four: 1 for the same of the four votes (as GenAI-Bench counts). three: tie and both bad are one vote. two: pairs on
    which people chose A or B, 1 for the same choice. half: the same pairs, and ½ where the judge says tie or both bad:
    the concordance index.
    """
    answered = votes != NO_ANSWER
    if measure == "three":
        people, votes = np.minimum(people, TIE), np.minimum(votes, TIE)
    right = ((votes == people) & answered).astype(np.float64)
    if measure in ("four", "three"):
        return right, np.ones(people.size, dtype=bool)
    return right + 0.5 * (votes >= TIE) * (measure == "half"), people < TIE


def wilson(right: Floats, n: Counts, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Score interval of a share (Wilson 1927), NaN where n is 0. Exact limits 0 and 1 at no and at all right."""
    z = float(ndtri((1 + confidence) / 2))
    total = np.where(n > 0, n, np.nan)
    centre = (right + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * np.sqrt(right * (total - right) / total + z**2 / 4)
    low = np.where((right == 0) & (n > 0), 0.0, centre - half)
    return low, np.where(right == total, 1.0, centre + half)


def constants(ballots: Ballots) -> Ballots:
    """The four judges that always vote the same, in the order of VOTES, on the same pairs."""
    votes = np.repeat(np.arange(len(VOTES)), ballots.pairs).reshape(len(VOTES), -1)
    return Ballots(ballots.people, votes, ballots.group)


def accuracies(ballots: Ballots, measure: Measure) -> Floats:
    """Mean credit over the pairs that count, no answer as 0; shape (judges,). NaN where no pair counts."""
    earned, counted = credit(ballots.people, ballots.judges, measure)
    return ratio(earned[:, counted].sum(axis=1), np.full(len(earned), float(counted.sum())))


def random_accuracy(ballots: Ballots, measure: Measure) -> float:
    """Expected accuracy of a judge that votes each of the four alike: the mean of the four constant judges."""
    return float(accuracies(constants(ballots), measure).mean())


def most_frequent(ballots: Ballots) -> int:
    """People's most frequent vote: always giving it is the best constant judge by the four-way accuracy."""
    return int(counts(ballots.people, len(VOTES)).argmax())


def figures(ballots: Ballots, resamples: int = RESAMPLES, seed: int = 0) -> list[JudgeFigures]:
    """All figures of each judge, in the order of ``ballots.judges``."""
    people, judges = ballots.people, ballots.judges
    answered = judges != NO_ANSWER
    rates = {m: _rates(people, judges, answered, m) for m in MEASURES}
    beside = people == most_frequent(ballots)
    drawn, half_answered, ahead = _limits(ballots, answered, resamples, seed)
    votes = np.stack([(judges == vote).sum(axis=1) for vote in range(len(VOTES))], axis=1)
    leans, gaps, kappas = _leans(votes), _gaps(people, judges, answered), _kappas(people, judges, answered)
    return [
        JudgeFigures(
            votes=tuple(votes[j].tolist()),
            answered_pairs=int(answered[j].sum()),
            coverage=float(answered[j].mean()) if people.size else np.nan,
            everywhere={m: _with_limits(rates[m][0][j], m, drawn[m][:, j]) for m in MEASURES},
            answered={m: _with_limits(rates[m][1][j], m, half_answered[:, j]) for m in MEASURES},
            drawn={m: (float(drawn[m][0, j]), float(drawn[m][1, j])) for m in MEASURES},
            lean=leans[j],
            gap=gaps[j],
            kappa=kappas[j],
            against=_verdict(ahead[:, j], same=bool(np.array_equal(judges[j] == people, beside))),
        )
        for j in range(len(judges))
    ]


def compare(
    ballots: Ballots, first: int, second: int, measure: Measure, *, both: bool = False, resamples: int = RESAMPLES
) -> Comparison:
    """Two judges by a paired bootstrap of groups, and McNemar's exact test. ``both``: pairs that both answered only."""
    one, other = ballots.judges[first], ballots.judges[second]
    (earned, rival), counted = credit(ballots.people, np.stack([one, other]), measure)
    if both:
        counted = counted & (one != NO_ANSWER) & (other != NO_ANSWER)
    n = int(counted.sum())
    low, high = _drawn((earned - rival)[None], counted, ballots, resamples, 0)[:, 0]
    ahead, behind = int((earned > rival)[counted].sum()), int((earned < rival)[counted].sum())
    mean = ratio(np.array([earned[counted].sum(), rival[counted].sum()]), np.full(2, float(n)))
    why: Why = "no pairs" if n == 0 else "one group" if np.isnan(low) else ""
    return Comparison(
        measure=measure,
        first=float(mean[0]),
        second=float(mean[1]),
        difference=Rate(float(mean[0] - mean[1]), float(low), float(high), n, why),
        only_first=ahead,
        only_second=behind,
        p=np.nan if measure == "half" or n == 0 else mcnemar(ahead, behind),
        verdict=_verdict(np.array([low, high]), same=n > 0 and ahead + behind == 0),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test: the binomial test of the discordant pairs against ½; 1 without any."""
    n = only_first + only_second
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), n, 0.5))) if n else 1.0


def _rates(people: Codes, judges: Codes, answered: Flags, measure: Measure) -> tuple[list[Rate], list[Rate]]:
    """Shares over all pairs that count, and among the answered ones of them."""
    earned, counted = credit(people, judges, measure)
    total = earned[:, counted].sum(axis=1)
    everywhere = _shares(total, np.full(len(judges), counted.sum()), _absent(people, measure))
    some = (answered & counted).sum(axis=1)
    return everywhere, _shares(total, some, "no answer" if counted.any() else _absent(people, measure))


def _absent(people: Codes, measure: Measure) -> Why:
    return "no pairs" if people.size == 0 or measure in ("four", "three") else "nothing decided"


def _shares(right: Floats, n: Counts, why: Why) -> list[Rate]:
    rows = np.stack([ratio(right, n), *wilson(right, n)], axis=1).tolist()
    return [
        Rate(value, low, high, int(size), "" if size else why)
        for (value, low, high), size in zip(rows, n.tolist(), strict=True)
    ]


def _with_limits(rate: Rate, measure: Measure, limits: Floats) -> Rate:
    """Half credit is no share of right and wrong: it has the bootstrap's limits, none where all pairs earn the same."""
    if measure != "half":
        return rate
    low, high = limits.tolist() if limits[0] < limits[1] else (np.nan, np.nan)
    return Rate(rate.value, low, high, rate.n, rate.why)


def _leans(votes: Counts) -> list[Rate]:
    """Share of A minus share of B among A and B votes: 2p - 1 of the share p of A, and its Wilson limits alike."""
    decided = votes[:, A] + votes[:, B]
    return [
        Rate(2 * rate.value - 1, 2 * rate.low - 1, 2 * rate.high - 1, rate.n, rate.why)
        for rate in _shares(votes[:, A].astype(np.float64), decided, "no choice")
    ]


def _gaps(people: Codes, judges: Codes, answered: Flags) -> list[Rate]:
    """Share right where people chose A minus where they chose B, with Newcombe's interval (1998, method 10)."""
    right = (judges == people).astype(np.float64)
    sides = [_shares((right * on).sum(axis=1), (answered & on).sum(axis=1), "one side") for on in _sides(people)]
    return [_difference(on_a, on_b) for on_a, on_b in zip(*sides, strict=True)]


def _sides(people: Codes) -> tuple[Flags, Flags]:
    return people == A, people == B


def _difference(one: Rate, other: Rate) -> Rate:
    value = one.value - other.value
    low = value - np.hypot(one.value - one.low, other.high - other.value)
    high = value + np.hypot(one.high - one.value, other.value - other.low)
    return Rate(value, float(low), float(high), one.n + other.n, one.why or other.why)


def _kappas(people: Codes, judges: Codes, answered: Flags) -> list[Rate]:
    """Cohen's κ of the four votes over answered pairs (Cohen 1960); no interval. NaN if both gave one and the same."""
    n = answered.sum(axis=1).astype(np.float64)
    observed = ratio(((judges == people) & answered).sum(axis=1).astype(np.float64), n)
    expected = np.zeros(len(judges))
    for vote in range(len(VOTES)):
        mine = (judges == vote).sum(axis=1)
        theirs = ((people == vote) & answered).sum(axis=1)
        expected += ratio(mine.astype(np.float64) * theirs, n**2)
    kappa = ratio(observed - expected, 1 - expected)
    return [
        Rate(value, np.nan, np.nan, int(size), "no answer" if size == 0 else "one vote" if np.isnan(value) else "")
        for value, size in zip(kappa.tolist(), n.tolist(), strict=True)
    ]


def _limits(
    ballots: Ballots, answered: Flags, resamples: int, seed: int
) -> tuple[dict[Measure, Floats], Floats, Floats]:
    """Bootstrap limits, each (2, judges): by measure over all pairs; of half credit where answered; and of the four-way
    difference to people's most frequent vote. All of them from the same draws."""
    people, judges = ballots.people, ballots.judges
    parts = [credit(people, judges, measure) for measure in MEASURES]
    halves, decided = parts[MEASURES.index("half")]
    right, everywhere = parts[MEASURES.index("four")]
    beside = (people == most_frequent(ballots)).astype(np.float64)
    parts += [(halves, decided & answered), (right - beside, everywhere)]
    earned = np.concatenate([part for part, _counted in parts])
    counted = np.concatenate([np.broadcast_to(each, judges.shape) for _part, each in parts])
    found = _drawn(earned, counted, ballots, resamples, seed).reshape(2, len(parts), len(judges))
    return {m: found[:, place] for place, m in enumerate(MEASURES)}, found[:, -2], found[:, -1]


def _drawn(earned: Floats, counted: Flags, ballots: Ballots, resamples: int, seed: int) -> Floats:
    """Percentile 95 % limits of the mean of ``earned`` (rows, pairs) where ``counted``, groups drawn anew; (2, rows).

    ``counted``: (pairs,), or (rows, pairs) where rows differ. The same seed draws the same groups for every row. NaN
    where fewer than two groups have a pair that counts: there is nothing to draw.
    """
    rows = len(earned)
    _, group = np.unique(ballots.group, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    kept = np.broadcast_to(counted, earned.shape).astype(np.float64)
    total, size = (
        np.reshape([np.bincount(group, weights=row, minlength=groups) for row in each], (rows, groups)).T
        for each in (earned * kept, kept)
    )
    few = (size > 0).sum(axis=0) < 2
    if few.all():
        return np.full((2, rows), np.nan)
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, rows))
    for part in np.array_split(np.arange(resamples), 1 + resamples * groups // BLOCK):
        drawn = [np.bincount(generator.integers(groups, size=groups), minlength=groups) for _ in part]
        times = np.array(drawn, dtype=np.float64)  # of floats, for the fast product
        means[part] = ratio(times @ total, times @ size)
    means[:, few] = 0
    limits = np.nanquantile(means, [0.025, 0.975], axis=0)  # a draw may hold no pair that counts
    return np.where(few, np.nan, limits)


def _verdict(limits: Floats, *, same: bool) -> Verdict:
    """Of a difference by its interval: better above 0, worse below 0, the same where no pair differs."""
    low, high = limits
    if same:
        return "same"
    return "better" if low > 0 else "worse" if high < 0 else "unclear"
