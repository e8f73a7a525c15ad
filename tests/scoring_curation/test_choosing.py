"""The choice against a plain loop, and the figures before and after against closed forms and golden properties."""

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.curation.choosing import Table, choose, places
from scoring.curation.compare import BLOCKS, Lost, distance, parts, shift
from scoring.curation.rules import How, Rule, fingerprint
from scoring.filtering.rules import TaskRule

TASKS = ["add", "swap"]
Row = tuple[int, int, float, int]  # case, task, score, tie


def table_of(rows: list[Row]) -> Table:
    case, task, value, tie = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0, int)] * 4
    )
    zeros = np.zeros(len(rows), dtype=np.int64)
    case, task, tie = (column.astype(np.int64) for column in (case, task, tie))
    return Table(
        candidate=np.arange(len(rows)),
        case=case,
        source=case,
        editor=zeros,
        task=task,
        category=zeros,
        split=zeros,
        value=value,
        tie=tie,
        tasks=TASKS,
        categories=[""],
        splits=["train"],
    )


def rule_of(how: How, amount: float | None = None, per_case: int = 1, **thresholds: Any) -> Rule:
    tasks = {task: TaskRule("v", "j", thresholds.get(task), thresholds.get("knots")) for task in TASKS}
    return Rule(how, tasks, per_case, amount)


def kept(rows: list[Row], rule: Rule) -> list[int]:
    return np.flatnonzero(choose(table_of(rows), rule).kept).tolist()


def by_hand(rows: list[Row], rule: Rule) -> list[int]:
    """The same by sorting lists."""
    ranking = sorted(range(len(rows)), key=lambda row: (-rows[row][2], rows[row][3], row))
    seen: dict[int, int] = defaultdict(int)
    competing: dict[int, list[int]] = defaultdict(list)
    for row in ranking:
        case, task, _score, _tie = rows[row]
        seen[case] += 1
        if seen[case] <= rule.per_case:
            competing[task if rule.by_task else 0].append(row)
    found = []
    for task, pool in competing.items():
        if rule.how == How.THRESHOLD:
            threshold = rule.tasks[TASKS[task]].threshold
            found += [row for row in pool if threshold is None or rows[row][2] >= threshold]
        else:
            found += pool[: rule.room(len(pool))]
    return sorted(found)


def test_it_works() -> None:
    rows = [(1, 0, 5.0, 9), (1, 0, 4.0, 1), (2, 0, 3.0, 1), (3, 1, 2.0, 1), (4, 1, 1.0, 1)]
    assert kept(rows, rule_of(How.COUNT, 2)) == [0, 2]
    assert kept(rows, rule_of(How.COUNT, 2, per_case=2)) == [0, 1]
    assert kept(rows, rule_of(How.COUNT_TASK, 1)) == [0, 3]
    assert kept(rows, rule_of(How.SHARE, 50)) == [0, 2]  # of the four that compete
    assert kept(rows, rule_of(How.THRESHOLD, add=4.0, swap=2.0)) == [0, 3]
    assert kept(rows, rule_of(How.EDITHF)) == [0, 3]


# A score, by its case and task: every case has one task.
ROWS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0, 2.5, 5.0]), st.integers(0, 3)), max_size=20)
WAYS = st.one_of(
    st.tuples(st.sampled_from([How.COUNT, How.COUNT_TASK]), st.integers(1, 12)),
    st.tuples(st.sampled_from([How.SHARE, How.SHARE_TASK]), st.floats(0.1, 100)),
    st.tuples(st.sampled_from([How.EDITHF, How.EDITREWARD, How.THRESHOLD]), st.none()),
)


@given(ROWS, WAYS, st.integers(1, 3), st.none() | st.sampled_from([1.0, 2.0, 5.0]))
def test_the_choice_is_that_of_a_plain_loop(raw: Any, way: Any, per_case: int, threshold: float | None) -> None:
    rows = [(case, case % 2, score, tie) for case, score, tie in raw]
    rule = rule_of(*way, per_case=per_case, add=threshold)
    choice = choose(table_of(rows), rule)
    assert np.flatnonzero(choice.kept).tolist() == by_hand(rows, rule)
    assert not (choice.kept & ~choice.pool).any()
    assert sum(cut.kept for cut in choice.cuts.values()) == choice.kept.sum()
    for cut in choice.cuts.values():
        assert cut.ties_kept <= cut.ties and cut.kept <= cut.pool
    margins = choice.margin[choice.kept]
    assert (margins >= 0).all() and not (choice.margin[choice.pool & ~choice.kept] > 0).any()


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_is_no_matter(raw: Any, random: Any) -> None:
    rows = [(case, case % 2, score, place) for place, (case, score, _tie) in enumerate(raw)]
    mixed = random.sample(rows, len(rows))
    rule = rule_of(How.SHARE, 40, per_case=2)
    assert {rows[row] for row in kept(rows, rule)} == {mixed[row] for row in kept(mixed, rule)}


@given(st.lists(st.integers(0, 4)))
def test_places(groups: list[int]) -> None:
    expected = [groups[:place].count(group) for place, group in enumerate(groups)]
    assert places(np.array(groups, dtype=np.int64)).tolist() == expected


def test_equal_scores_are_drawn_by_the_image_and_said() -> None:
    rows = [(1, 0, 5.0, 7), (2, 1, 5.0, 3), (3, 0, 5.0, 5), (4, 1, 4.0, 0)]
    choice = choose(table_of(rows), rule_of(How.COUNT, 2))
    assert np.flatnonzero(choice.kept).tolist() == [1, 2]
    cut = choice.cuts[""]
    assert (cut.value, cut.pool, cut.kept, cut.ties, cut.ties_kept, cut.is_by_tie) == (5.0, 4, 2, 3, 2, True)
    assert not choose(table_of(rows), rule_of(How.COUNT, 3)).cuts[""].is_by_tie


@pytest.mark.parametrize(
    ("pool", "room"),
    [(46_000, 20_000), (90_000, 20_000), (45_999, 19_999), (46, 20), (23, 10), (2, 0), (3, 1), (0, 0)],
)
def test_editreward_keeps_20_000_or_the_same_share(pool: int, room: int) -> None:
    assert rule_of(How.EDITREWARD).room(pool) == room


def test_shares_round_down_and_halves_up() -> None:
    assert [rule_of(How.SHARE, 10.0).room(pool) for pool in (9, 10, 30, 39)] == [0, 1, 3, 3]
    assert [rule_of(How.SHARE, 100.0).room(pool) for pool in (0, 7)] == [0, 7]
    assert [rule_of(How.EDITHF).room(pool) for pool in (0, 1, 2, 5)] == [0, 1, 1, 3]


def test_a_level_map_moves_a_threshold() -> None:
    rows = [(1, 0, 4.5, 1), (2, 0, 4.4, 1), (3, 1, 5.0, 1)]
    knots = [[1.0, 0.0], [4.0, 3.0], [5.0, 5.0]]  # 4.5 means 4 to people
    assert kept(rows, rule_of(How.THRESHOLD, add=4.0, swap=6.0, knots=knots)) == [0]  # nothing means 6


def test_a_rule_comes_back_from_json() -> None:
    rule = rule_of(How.THRESHOLD, per_case=3, add=4.0, knots=[[1.0, 0.0], [2.0, 1.0]])
    assert Rule.from_json(rule.to_json()) == rule
    with pytest.raises(ValueError, match="luck"):
        Rule.from_json({**rule.to_json(), "how": "luck"})


def test_the_fingerprint_knows_no_order() -> None:
    assert fingerprint(np.array([3, 1])) == fingerprint(np.array([1, 3])) != fingerprint(np.array([1, 2]))


# Before and after ----------------------------------------------------------------------------------------------------


def test_the_shift() -> None:
    value = np.array([1.0, 2.0, 3.0, 6.0])
    found = shift(value, np.array([False, False, True, True]), np.array([1, 2, 3, 4]))
    assert (found.mean_before, found.mean_after, found.gain) == (3.0, 4.5, 1.5)
    assert (found.median_before, found.median_after) == (2.5, 4.5)
    assert found.low < found.gain < found.high


@pytest.mark.parametrize("sources", [400, 3 * BLOCKS])
def test_the_interval_is_as_wide_as_theory_says(sources: int) -> None:
    """Two candidates a source, one kept by its score: the gain is a mean of independent values."""
    rng = np.random.default_rng(4)
    value = rng.normal(size=(sources, 2))
    best = value == value.max(axis=1, keepdims=True)
    found = shift(value.ravel(), best.ravel(), np.repeat(np.arange(sources), 2))
    gains = value.max(axis=1) - value.mean(axis=1)
    assert found.gain == pytest.approx(gains.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * gains.std() / math.sqrt(sources), rel=0.15)


@pytest.mark.parametrize("keeps", [[], [False, False], [True, True]])
def test_a_shift_of_nothing(keeps: list[bool]) -> None:
    found = shift(np.arange(float(len(keeps))), np.array(keeps, dtype=bool), np.zeros(len(keeps), dtype=np.int64))
    assert not found.has_interval  # one source image at most
    assert found.count_after == sum(keeps)
    assert math.isnan(found.mean_after) == (not any(keeps))


def test_parts_and_their_distance() -> None:
    found = parts(["a", "b", "c"], [100, 100, 200], [50, 0, 150])
    assert [one.fair for one in found] == [50, 50, 100]
    assert [one.lost for one in found] == [Lost.FAIR, Lost.ALL, Lost.FAIR]
    assert distance(found) == pytest.approx(0.25)  # b's quarter went to c
    assert distance(parts(["a", "b"], [3, 6], [1, 2])) == pytest.approx(0)
    assert math.isnan(distance(parts(["a"], [3], [0])))


def test_a_loss_is_said_where_chance_does_not_make_it() -> None:
    few = parts(["a", "b"], [4, 4], [1, 3])
    assert few[0].lost == Lost.FAIR  # a draw by lot does this in a quarter of cases
    many = parts(["a", "b"], [400, 400], [100, 300])
    assert [one.lost for one in many] == [Lost.MORE, Lost.FAIR]
    assert [one.lost for one in parts(["a", "b"], [10, 10], [10, 10])] == [Lost.FAIR, Lost.FAIR]
    assert parts(["a"], [1], [1])[0].lost == Lost.FAIR


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6))
def test_the_distance_is_a_share(raw: list[tuple[int, int]]) -> None:
    before, after = [there for there, _ in raw], [min(there, stays) for there, stays in raw]
    found = distance(parts([str(place) for place in range(len(raw))], before, after))
    assert math.isnan(found) == (sum(after) == 0)
    assert math.isnan(found) or 0 <= found < 1
