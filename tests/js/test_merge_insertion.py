"""Merge insertion with ties: right, replayable, and with few comparisons."""

from itertools import permutations, product
from math import ceil, log2
from random import Random
from typing import Any

import pytest

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVW"

# Sorts each list of values by duels; an answer comes from the values alone. Returns the tiers and the number of duels.
SORT = """x.map((values) => {
  const items = [...'ABCDEFGHIJKLMNOPQRSTUVW'].slice(0, values.length);
  const value = (item) => values[items.indexOf(item)];
  const duels = [];
  for (;;) {
    const { tiers, pending } = m.mergeInsertion(items, duels);
    if (tiers) return { tiers, duels };
    const [a, b] = pending;
    const result = value(a) === value(b) ? 'tie' : value(a) > value(b) ? a : b;
    duels.push({ a, b, left: a, result });
  }
})"""


def tiers_of(values: list[float]) -> list[set[str]]:
    """The same order by plain sorting."""
    return [
        {letter for letter, one in zip(LETTERS, values, strict=False) if one == value}
        for value in sorted(set(values), reverse=True)
    ]


def most(n: int) -> int:
    """Ford and Johnson 1959: the sum of ceil(log2(3k/4))."""
    return sum(ceil(log2(3 * k / 4)) for k in range(1, n + 1))


def check(found: list[dict[str, Any]], cases: list[list[float]]) -> None:
    for one, values in zip(found, cases, strict=True):
        assert [set(tier) for tier in one["tiers"]] == tiers_of(values)
        asked = [frozenset((duel["a"], duel["b"])) for duel in one["duels"]]
        assert len(asked) == len(set(asked)), "no pair is asked twice"


def test_sorts_every_permutation_up_to_six(js: Any) -> None:
    for n in range(1, 7):
        cases = [list(map(float, case)) for case in permutations(range(n))]
        found = js("merge_insertion.js", SORT, cases)
        check(found, cases)
        assert max(len(one["duels"]) for one in found) == most(n)


def test_sorts_every_order_with_ties_up_to_five(js: Any) -> None:
    for n in range(1, 6):
        cases = [list(map(float, case)) for case in product(range(n), repeat=n)]
        check(js("merge_insertion.js", SORT, cases), cases)


@pytest.mark.parametrize("n", range(7, 24))
def test_never_more_comparisons_than_the_bound_without_ties(js: Any, n: int) -> None:
    random = Random(n)
    cases = [random.sample(range(n), n) for _ in range(60)]
    found = js("merge_insertion.js", SORT, cases)
    check(found, [list(map(float, case)) for case in cases])
    assert max(len(one["duels"]) for one in found) <= most(n)
    assert js("merge_insertion.js", "m.mostComparisons(x)", n) == most(n)


@pytest.mark.parametrize("n", [6, 12, 23])
def test_ties_join_one_tier(js: Any, n: int) -> None:
    random = Random(n)
    cases = [[float(random.randrange(max(2, n // 3))) for _ in range(n)] for _ in range(60)]
    check(js("merge_insertion.js", SORT, cases), cases)


def test_the_next_question_depends_on_the_duels_alone(js: Any) -> None:
    values = [[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]]
    [one] = js("merge_insertion.js", SORT, values)
    for count, duel in enumerate(one["duels"]):
        again = js("merge_insertion.js", "m.mergeInsertion([...'ABCDEFG'], x)", one["duels"][:count])
        assert again == {"tiers": None, "pending": [duel["a"], duel["b"]]}


def test_the_latest_answer_to_a_pair_counts(js: Any) -> None:
    duels = [{"a": "A", "b": "B", "result": "A"}, {"a": "B", "b": "A", "result": "B"}]
    assert js("merge_insertion.js", "m.mergeInsertion(['A', 'B'], x).tiers", duels) == [["B"], ["A"]]


def test_answers_that_go_in_a_circle_still_end(js: Any) -> None:
    circle = """(() => {
      const beats = { AB: 'A', BC: 'B', AC: 'C' };
      const duels = [];
      for (let n = 0; n < 20; n += 1) {
        const { tiers, pending } = m.mergeInsertion(['A', 'B', 'C'], duels);
        if (tiers) return tiers.flat().length;
        duels.push({ a: pending[0], b: pending[1], result: beats[[...pending].sort().join('')] });
      }
    })()"""
    assert js("merge_insertion.js", circle) == 3
