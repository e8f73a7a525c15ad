"""The harness: figures against closed forms, brute force and what was published."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from training.rewards import protocols
from training.rewards.estimates import Resampling
from training.rewards.groups import Dimension, Entry, Group, Labels
from training.rewards.panels import Raters, fisher, panel_srcc
from training.rewards.protocols import Protocol, WrongProtocol, counted, facts, figures, measure, table_of

OVERALL = Dimension("overall", "Overall", 0, 10)
QUICK = Protocol(resamples=20)


def group(number: int, labels: Labels, size: int, *, source: str = "", task: str = "add", split: str = "") -> Group:
    entries = tuple(Entry(f"{number}-{place}", "", f"editor-{place}") for place in range(size))
    name = source or f"source-{number}"
    return Group(f"g{number}", name, name, "Edit", task, split, entries, {"overall": labels})


def votes(*outcomes: int) -> list[Group]:
    return [group(number, Labels(pairs=((0, 1, outcome),)), 2) for number, outcome in enumerate(outcomes)]


def scores(*rows: tuple[float | None, ...]) -> dict[str, float]:
    found = ((f"{number}-{place}", one) for number, row in enumerate(rows) for place, one in enumerate(row))
    return {key: one for key, one in found if one is not None}


def values(groups: list[Group], told: dict[str, float], protocol: Protocol = QUICK) -> dict[str, float]:
    return {name: one.value for name, one in figures(table_of(groups, OVERALL), told, protocol).items()}


def test_pairs_without_ties() -> None:
    """Right, wrong, equal (half), and a tie of people that does not count."""
    found = values(votes(1, -1, 1, 0), scores((2, 1), (2, 1), (1, 1), (9, 1)))
    assert found["accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)


def test_pairs_with_ties_at_a_fixed_threshold() -> None:
    given = scores((2, 1), (2.4, 2), (2, 1), (1, 1.4))
    protocol = Protocol(tie_threshold=0.5, resamples=20)
    assert values(votes(1, 1, 0, 0), given, protocol)["ties"] == pytest.approx((1 + 0 + 0 + 1) / 4)


def test_both_bad_is_a_tie_and_is_counted() -> None:
    groups = [*votes(1), group(1, Labels(pairs=((0, 1, 0),), both_bad=frozenset({(0, 1)})), 2)]
    assert protocols.votes(table_of(groups, OVERALL)) == {"decided": 1, "ties": 1, "both_bad": 1}
    assert values(groups, scores((2, 1), (1, 1)))["ties"] >= 0.5


def test_a_cross_fitted_threshold_never_sees_the_labels_that_it_judges() -> None:
    """Each half is judged by the best threshold of the other: brute force over both halves."""
    rng = np.random.default_rng(3)
    outcome = rng.integers(-1, 2, 60)
    lead = outcome * 0.7 + rng.normal(0, 0.8, 60)
    table = table_of(votes(*outcome.tolist()), OVERALL)
    halves = protocols.thresholds(table, lead, QUICK)
    assert sorted(int(mine.sum()) for mine, _threshold in halves) == [30, 30]
    for mine, threshold in halves:
        others = [(0.0, 0.0), *((abs(one), 0.0) for one in lead[~mine])]
        right = [
            np.mean(np.where(np.abs(lead[~mine]) <= at, 0, np.sign(lead[~mine])) == outcome[~mine]) for at, _ in others
        ]
        at_chosen = np.where(np.abs(lead[~mine]) <= threshold, 0, np.sign(lead[~mine])) == outcome[~mine]
        assert np.mean(at_chosen) == pytest.approx(max(right))


def test_a_tuned_threshold_flatters() -> None:
    """Scores that know nothing: tuned on the labels they look better than honest ones, on average over many sets."""
    gaps = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        told = scores(*(tuple(row) for row in rng.normal(size=(40, 2))))
        found = values(votes(*rng.integers(-1, 2, 40).tolist()), told, Protocol(resamples=1))
        gaps.append(found["ties_tuned"] - found["ties"])
    assert min(gaps) >= 0 and np.mean(gaps) > 0.03


def test_unscored_pairs_are_left_out_and_counted_as_wrong() -> None:
    found = figures(table_of(votes(1, 1, 0, 0), OVERALL), scores((2, 1), (2, None), (1, 1), (None, None)), QUICK)
    assert (found["accuracy"].value, found["accuracy_all"].value, found["accuracy"].skipped) == (1, 0.5, 1)
    assert (found["ties"].value, found["ties_all"].value, found["ties"].skipped) == (1, 0.5, 2)


# Tuples --------------------------------------------------------------------------------------------------------------


def ranked(number: int, *ranks: float) -> Group:
    return group(number, Labels(ranks=ranks), len(ranks))


def test_tuples_that_are_groups_need_every_pair() -> None:
    """K = 2, 3 and 4 as EditReward-Bench counts them, and all of them pooled."""
    groups = [ranked(0, 1, 2), ranked(1, 2, 1), ranked(2, 1, 2, 3), ranked(3, 3, 1, 2), ranked(4, 4, 3, 2, 1)]
    told = scores((2, 1), (2, 1), (3, 2, 1), (1, 3, 3), (1, 2, 3, 4))
    found = values(groups, told, Protocol("group", tie_threshold=0, resamples=20))
    assert (found["tuples_2"], found["tuples_3"], found["tuples_4"]) == (0.5, 0.5, 1)
    assert found["tuples"] == pytest.approx(3 / 5)


def test_a_tie_within_a_tuple_must_be_predicted() -> None:
    groups, protocol = [ranked(0, 1, 2.5, 2.5)], Protocol("group", tie_threshold=0.5, resamples=20)
    assert values(groups, scores((9, 2, 2.4)), protocol)["tuples_3"] == 1
    assert values(groups, scores((9, 2, 3)), protocol)["tuples_3"] == 0
    assert values(groups, scores((2.8, 2.4, 2.6)), protocol)["tuples_3"] == 0


def test_tuples_from_pairs_that_go_in_a_circle_are_never_right() -> None:
    circle = [group(0, Labels(pairs=((0, 1, 1), (1, 2, 1), (0, 2, -1))), 3)]
    for order in ((3, 2, 1), (1, 2, 3), (2, 3, 1)):
        assert values(circle, scores(order), Protocol("group", tie_threshold=0, resamples=20))["tuples_3"] == 0


def test_a_tuple_without_a_judged_pair_is_skipped_and_an_unscored_one_is_wrong() -> None:
    groups = [group(0, Labels(pairs=((0, 1, 1), (1, 2, 1))), 3), ranked(1, 1, 2, 3), ranked(2, 1, 2, 3)]
    table = table_of(groups, OVERALL)
    found = figures(table, scores((3, 2, 1), (3, 2, 1), (3, 2, None)), Protocol("group", tie_threshold=0, resamples=20))
    assert (found["tuples_3"].value, found["tuples_3"].skipped, found["tuples_3_all"].value) == (1, 1, 0.5)


def test_subsets_with_unscored_candidates_are_wrong_in_all() -> None:
    """Of the 10 pairs of five candidates 4 have one without a score, and of the 10 triples 6."""
    found = values(
        [ranked(0, 1, 2, 3, 4, 5)], scores((5, 4, 3, 2, None)), Protocol("subsets", tie_threshold=0, resamples=5)
    )
    assert (found["tuples_2"], found["tuples_2_all"]) == pytest.approx((1, 0.6))
    assert (found["tuples_3"], found["tuples_3_all"]) == pytest.approx((1, 0.4))
    nothing = values([ranked(0, 1, 2, 3)], {}, Protocol("subsets", tie_threshold=0, resamples=5))
    assert math.isnan(nothing["tuples_2"]) and nothing["tuples_2_all"] == 0


@given(st.integers(0, 10**6), st.integers(3, 6))
@settings(max_examples=20)
def test_subsets_equal_brute_force(seed: int, size: int) -> None:
    rng, sign = np.random.default_rng(seed), np.sign
    people, told = rng.integers(1, 4, (2, size)), rng.integers(0, 4, (2, size)).astype(float)
    groups = [ranked(number, *row.tolist()) for number, row in enumerate(people)]
    found = values(groups, scores(*(tuple(row) for row in told)), Protocol("subsets", tie_threshold=0, resamples=5))
    for k in (2, 3, 4):
        shares = [
            np.mean([
                all(sign(told[g][i] - told[g][j]) == sign(people[g][j] - people[g][i]) for i, j in combinations(s, 2))
                for s in combinations(range(size), k)
            ])
            for g in (0, 1)
            if size >= k
        ]  # fmt: skip
        if shares:
            assert found[f"tuples_{k}"] == pytest.approx(np.mean(shares))


# Points --------------------------------------------------------------------------------------------------------------


def rated(rng: np.random.Generator, many: int = 30, size: int = 4) -> tuple[list[Group], dict[str, float]]:
    human = rng.normal(5, 1, (many, size)) + np.arange(size)
    told = human + rng.normal(0, 1.5, (many, size))
    groups = [group(number, Labels(mos=tuple(row.tolist())), size) for number, row in enumerate(human)]
    return groups, scores(*(tuple(row.tolist()) for row in told))


def test_correlations_equal_scipy() -> None:
    groups, told = rated(np.random.default_rng(0))
    human = np.array([one for row in groups for one in row.labels["overall"].mos], dtype=float)
    mine = np.array([told[entry.key] for row in groups for entry in row.candidates])
    found = values(groups, told)
    assert found["srcc"] == pytest.approx(spearmanr(mine, human)[0])
    assert found["plcc"] == pytest.approx(np.corrcoef(mine, human)[0, 1])
    place = np.arange(mine.size) % 4
    by_editor = [spearmanr(mine[place == e], human[place == e])[0] for e in range(4)]
    assert found["panel_srcc"] == pytest.approx(math.tanh(np.mean(np.arctanh(by_editor))))
    means = [(mine[place == e].mean(), human[place == e].mean()) for e in range(4)]
    assert found["editors_srcc"] == pytest.approx(spearmanr(*zip(*means, strict=True))[0])


def test_a_fisher_mean_uses_arctanh() -> None:
    """The released code leaves arctanh out: 0.9 and 0.1 would be tanh(0.5) = 0.462."""
    assert fisher([0.9, 0.1]) == pytest.approx(math.tanh((math.atanh(0.9) + math.atanh(0.1)) / 2))
    assert fisher([0.9, 0.1]) > 0.6 > math.tanh(0.5)
    assert fisher([0.3, math.nan]) == pytest.approx(0.3)
    assert math.isnan(fisher([math.nan]))
    assert math.isfinite(fisher([1.0, 0.0]))


def test_editors_that_people_judge_alike_are_skipped_and_one_score_for_all_is_no_agreement() -> None:
    human, editor = np.array([1.0, 2, 3, 5, 5, 5]), np.array([0, 0, 0, 1, 1, 1])
    again = Resampling(20)
    good = panel_srcc(np.array([1.0, 2, 3, 1, 2, 3]), human, editor, np.arange(6), again)
    assert good.value == pytest.approx(0.999) and (good.n, good.skipped) == (1, 1)
    assert panel_srcc(np.zeros(6), human, editor, np.arange(6), again).value == 0
    assert math.isnan(panel_srcc(human, np.ones(6), editor, np.arange(6), again).value)


def test_the_ceiling_comes_from_single_raters() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=200)
    said = [(f"r{r}", row, truth[row] + rng.normal()) for r in range(4) for row in range(200)]
    found = Raters.of(said).ceiling(np.arange(200), np.zeros(200, dtype=np.int64))
    assert found is not None
    # Reliability of one rater is 1/2, so of the mean of four 4·½/(1 + 3·½) = 0.8, whose root is the ceiling.
    assert found["reliability"] == pytest.approx(0.8, abs=0.05)
    assert found["ceiling"] == pytest.approx(math.sqrt(0.8), abs=0.03)
    assert found["rater_to_rater"] == pytest.approx(0.5, abs=0.1)
    assert Raters.of([]).ceiling(np.arange(0), np.arange(0)) is None


# Wholes --------------------------------------------------------------------------------------------------------------


def test_a_benchmark_as_json_by_task_and_dimension() -> None:
    groups, told = rated(np.random.default_rng(2), many=8)
    other = [group(100 + n, Labels(mos=(1.0, 2.0)), 2, task="remove") for n in range(3)]
    found = measure([*groups, *other], [OVERALL], told, QUICK)
    assert found["coverage"] == {"candidates": 38, "scored": 32}
    one = found["dimensions"]["overall"]
    assert set(one["tasks"]) == {"add", "remove"} and one["tasks"]["remove"]["accuracy"]["value"] is None
    assert one["tasks"]["remove"]["accuracy_all"]["value"] == 0
    assert one["all"]["accuracy"]["low"] <= one["all"]["accuracy"]["value"] <= one["all"]["accuracy"]["high"]


def test_baselines_know_nothing() -> None:
    groups = [ranked(number, 1, 2, 3, 4) for number in range(40)]
    found = facts(groups, [OVERALL], Protocol("group", tie_threshold=0))
    assert found["constant"]["overall"]["accuracy"] == 0.5 and found["constant"]["overall"]["tuples_4"] == 0
    assert found["random"]["overall"]["accuracy"] == pytest.approx(0.5, abs=0.03)
    assert found["random"]["overall"]["tuples_4"] == pytest.approx(1 / 24, abs=0.02)


@pytest.mark.parametrize(
    "row", [(25.81, 11.33, 1.35, 13.84), (56.45, 42.67, 11.49, 38.42), (45.69, 27.33, 7.31, 28.31)]
)
def test_overall_of_editreward_bench_is_all_tuples_pooled(row: tuple[float, ...]) -> None:
    """EditReward, table 2: the three of its eleven rows that fit 186, 150 and 148 tuples; "overall" is their
    sum over 484, which is how ``tuples`` pools them."""
    *shares, printed = row
    many = (186, 150, 148)
    right = [round(share * of / 100) for share, of in zip(shares, many, strict=True)]
    groups: list[Group] = []
    told: dict[str, float] = {}
    for size, of, so_many in zip((2, 3, 4), many, right, strict=True):
        for place in range(of):
            one = ranked(len(groups), *range(1, size + 1))
            groups.append(one)
            order = range(size, 0, -1) if place < so_many else range(size)
            told |= {entry.key: float(score) for entry, score in zip(one.candidates, order, strict=True)}
    found = values(groups, told, Protocol("group", tie_threshold=0, resamples=1))
    assert 100 * found["tuples"] == pytest.approx(printed, abs=0.011)  # one is cut, not rounded


def test_splits_that_count() -> None:
    groups = [group(number, Labels(), 2, split=split) for number, split in enumerate(("train", "test", "dev"))]
    assert [one.split for one in counted(groups, Protocol(splits=("test", "dev")))] == ["test", "dev"]
    assert len(counted(groups, Protocol())) == 3


@pytest.mark.parametrize(
    ("value", "words"),
    [({"tuple": 1}, "no setting tuple"), ({"tuples": "all"}, "Tuples are"), ({"tie_threshold": -1.0}, "0 or more")],
)
def test_wrong_protocols_are_refused(value: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongProtocol, match=words):
        Protocol.from_json(value)


def test_a_protocol_survives_its_file() -> None:
    one = Protocol("group", ("test",), 0.25, 3, 10)
    assert Protocol.from_json(one.to_json()) == one


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "MOST_PAIRS", 5)
    with pytest.raises(WrongProtocol, match="more than 5 pairs"):
        table_of([ranked(0, 1, 2, 3, 4)], OVERALL)


def test_standard_deviations_give_calibration() -> None:
    told = scores((2, 1), (2, 1), (1, 2))
    found = figures(table_of(votes(1, 1, -1), OVERALL), told, QUICK, dict.fromkeys(told, 0.1))
    assert found["ece"].value < 0.01 and found["nll"].value < 0.01
    assert "ece" not in figures(table_of(votes(1), OVERALL), told, QUICK)
