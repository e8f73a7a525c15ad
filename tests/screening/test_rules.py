"""Screens on columns: closed cases, and properties that hold for any."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.screening import rules
from annotation.screening.rules import Finding, Scores


def scores(rows: list[tuple[int, int, float]], scale: int = 0) -> Scores:
    """(annotator, unit, value) on one scale, one second after the other."""
    annotator, unit, value = (np.array(one) for one in zip(*rows, strict=True))
    return Scores(
        annotator,
        unit,
        np.full(annotator.size, scale),
        value.astype(float),
        np.arange(annotator.size, dtype=np.float64),
    )


def panel(kinds: dict[int, str], units: int = 60, seed: int = 1) -> Scores:
    """Annotators of kinds who judge all units: honest ones err by 0.1 around a truth in 0 to 1."""
    chance = random.Random(seed)
    truth = [chance.random() for _unit in range(units)]
    rows = []
    for annotator, kind in kinds.items():
        for unit, worth in enumerate(truth):
            value = {"honest": worth, "reversed": 1 - worth, "random": chance.random(), "same": 0.5}.get(kind, worth)
            noise = {"same": 0.0, "wild": 0.6 if unit % 4 == 0 else 0.1}.get(kind, 0.1)
            rows.append((annotator, unit, value + chance.gauss(0, noise)))
    return scores(rows)


def found(panel: Scores, annotator: int) -> set[str]:
    beside = panel.beside_others()
    mine = {pk: beside.correlation(pk) for pk in map(int, np.unique(panel.annotator))}
    typical = float(np.median([r for pk, (r, _n) in mine.items() if pk != annotator]))
    residuals = beside.residuals()
    findings = (
        rules.against_others(*mine[annotator], typical),
        rules.outlying(residuals[beside.of(annotator)], rules.spread_of(residuals)),
    )
    return {finding.kind for finding in findings if finding}


def test_it_works() -> None:
    """Six honest annotators and one of each planted kind: each planted one is named for what it is, no other is."""
    planted = {0: "reversed", 1: "random", 2: "same"}
    everybody = panel(planted | dict.fromkeys(range(4, 10), "honest"))
    assert "reversed" in found(everybody, 0)
    assert "random" in found(everybody, 1)
    assert "random" in found(everybody, 2)
    assert [found(everybody, honest) for honest in range(4, 10)] == [set()] * 6


def test_somebody_far_off_now_and_then() -> None:
    """One in four of their scores errs by 0.6 where the others err by 0.1: still correlated, and an outlier."""
    everybody = panel({0: "wild"} | dict.fromkeys(range(1, 7), "honest"))
    assert [found(everybody, annotator) for annotator in range(7)] == [{"outliers"}] + [set()] * 6


# Checks --------------------------------------------------------------------------------------------------------------


def test_too_many_failed_checks_are_a_finding() -> None:
    made = rules.failed_checks("gold", [True, False, False, True, False], allowed=0.3, least=5)
    assert made == Finding(
        "gold", {"checks": 5, "failed": 3, "share": 0.6, "allowed": 0.3, "p": pytest.approx(0.16308)}
    )


@pytest.mark.parametrize(
    ("passed", "allowed", "least"),
    [
        ([False] * 4, 0.3, 5),  # too few to say anything
        ([True] * 7 + [False] * 3, 0.3, 5),  # exactly what is borne
        ([True] * 20, 0.0, 5),
        ([], 0.0, 1),
    ],
)
def test_what_is_borne_is_no_finding(passed: list[bool], allowed: float, least: int) -> None:
    assert rules.failed_checks("gold", passed, allowed=allowed, least=least) is None


@given(st.integers(1, 40), st.floats(0.01, 0.99), st.data())
def test_the_tail_is_the_binomial_one(n: int, share: float, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, n))
    exact = sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(failed, n + 1))
    assert rules.binomial_tail(failed, n, share) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_the_tail_at_the_ends() -> None:
    assert rules.binomial_tail(0, 5, 0.0) == 1.0
    assert rules.binomial_tail(1, 5, 0.0) == 0.0
    assert rules.binomial_tail(5, 5, 1.0) == 1.0
    assert 0 < rules.binomial_tail(4000, 10_000, 0.3) < 1e-90, "no overflow with many checks"


# Straight lines and speed --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2), max_size=60))
def test_the_longest_run_is_the_longest_run(answers: list[int]) -> None:
    n = len(answers)
    stretches = [(i, j) for i in range(n) for j in range(i + 1, n + 1) if len(set(answers[i:j])) == 1]
    assert rules.longest_run(answers) == max((j - i for i, j in stretches), default=0)


def test_a_straight_line_is_a_finding() -> None:
    made = rules.straight_lining("abaaaab", run=4)
    assert made == Finding("straight", {"answers": 7, "different": 2, "longest": 4, "allowed": 4, "most_common": 5})


def test_nearly_always_the_same_answer_is_one_too() -> None:
    """Somebody who breaks the run now and then: 45 of 50 answers are the same, never ten in a row."""
    assert rules.straight_lining("aaaaaaaaab" * 5, run=10) is not None


@pytest.mark.parametrize(("answers", "run"), [("aaaaaa", 0), ("aaabaaab", 4), ("", 3)])
def test_no_straight_line(answers: str, run: int) -> None:
    assert rules.straight_lining(answers, run=run) is None


def test_haste_by_the_setting_and_by_the_others() -> None:
    settings = {"allowed": 0.3, "least": 5}
    short = rules.hasty([1, 1, 1, 9, 9], [], least_seconds=2, **settings)  # type: ignore[arg-type]
    assert short is not None
    assert (short.figures["short"], short.figures["share"]) == (3, 0.6)
    far_below = rules.hasty([1.0] * 20, [8, 10, 12], least_seconds=0, **settings)  # type: ignore[arg-type]
    assert far_below is not None
    assert (far_below.figures["median"], far_below.figures["usual"]) == (1.0, 10)


@pytest.mark.parametrize(
    ("seconds", "others", "least_seconds"),
    [
        ([1, 9, 9, 9, 9], [], 2),  # a share that is borne
        ([1.0] * 4, [], 2),  # too few
        ([1.0] * 20, [10, 10], 0),  # two others are no usual time
        ([3.0] * 20, [8, 10, 12], 0),
        ([0.0] * 30, [0, 0, 0], 0),  # programs
        ([], [5, 5, 5], 2),
    ],
)
def test_no_haste(seconds: list[float], others: list[float], least_seconds: float) -> None:
    assert rules.hasty(seconds, others, least_seconds=least_seconds, allowed=0.3, least=5) is None


# Beside the others ---------------------------------------------------------------------------------------------------


def test_others_are_others() -> None:
    """Closed case: two units, three annotators, one of whom gave one unit twice; a unit of one alone is left out."""
    rows = [(0, 0, 1.0), (0, 0, 3.0), (1, 0, 4.0), (2, 0, 6.0), (0, 1, 5.0), (1, 1, 1.0), (2, 2, 9.0)]
    beside = scores(rows).beside_others()
    made = {
        (int(a), v): (o, int(c))
        for a, v, o, c in zip(beside.annotator, beside.value, beside.others, beside.count, strict=True)
    }
    assert made == {(0, 2.0): (5.0, 2), (1, 4.0): (4.0, 2), (2, 6.0): (3.0, 2), (0, 5.0): (1.0, 1), (1, 1.0): (5.0, 1)}


def test_correlation_is_within_a_scale() -> None:
    """Two dimensions with means far apart do not make people agree: within each, these two go opposite ways."""
    low, high = panel({0: "honest", 1: "reversed"}), panel({0: "honest", 1: "reversed"}, seed=2)
    both = Scores(
        np.concatenate([low.annotator, high.annotator]),
        np.concatenate([low.unit, high.unit + 60]),
        np.repeat([0, 1], low.unit.size),
        np.concatenate([low.value, high.value + 100]),
        np.zeros(2 * low.unit.size),
    )
    r, n = both.beside_others().correlation(1)
    assert r < -0.8
    assert n == 119, "one less for the second scale"


@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-5, 5))
def test_units_of_the_scale_do_not_matter(seed: int, factor: float, shift: float) -> None:
    base = panel({0: "honest", 1: "random", 2: "honest"}, 30, seed)
    moved = Scores(base.annotator, base.unit, base.scale, base.value * factor + shift, base.at)
    for annotator in range(3):
        first, second = (one.beside_others().correlation(annotator) for one in (base, moved))
        assert first[0] == pytest.approx(second[0], abs=1e-6)


def test_later_scores_alone() -> None:
    everybody = panel({0: "reversed", 1: "honest", 2: "honest"})
    assert everybody.beside_others().correlation(0, after=59.0)[1] == 0
    assert everybody.beside_others().correlation(0, after=29.0)[1] == 30


@pytest.mark.parametrize(
    ("r", "n", "typical"),
    [
        (-0.9, 19, 0.8),  # too few scores
        (-0.15, 1000, 0.8),  # against the others, and hardly
        (0.5, 60, 0.8),
        (0.0, 60, 0.2),  # nobody agrees with anybody here
        (0.0, 60, math.nan),
        (math.nan, 60, 0.8),
    ],
)
def test_nothing_to_say_of_a_correlation(r: float, n: int, typical: float) -> None:
    made = rules.against_others(r, n, typical)
    assert made is None or (r, made.kind) == (-0.15, "random")


def test_no_scores_at_all() -> None:
    codes, values = np.empty(0, dtype=np.int64), np.empty(0)
    nobody = Scores(codes, codes, codes, values, values).beside_others()
    assert nobody.residuals().size == 0
    assert math.isnan(nobody.correlation(1)[0])
    assert rules.spread_of(nobody.residuals()) == 0.0
    assert rules.outlying(nobody.residuals(), 0.0) is None


def test_a_taste_is_no_outlier() -> None:
    """Who gives one point more throughout is biased, and nothing is far from the others after that."""
    base = panel(dict.fromkeys(range(6), "honest"))
    generous = Scores(base.annotator, base.unit, base.scale, base.value + (base.annotator == 0), base.at)
    assert found(generous, 0) == set()
