"""Mean ranks, Kendall's W, tau-b and contested groups."""

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.stats import concordance, ranknotes
from scoring.stats.ranks import RankPanel, RankResult, midranks, rank_groups
from scoring.stats.table import Rankings
from tests.stats.shared import shared_file

Row = tuple[str, str, str, str, float]


def rank(rows: list[Row], threshold: float = 0.5) -> RankResult:
    return rank_groups(Rankings.from_rows(rows), threshold)


def group_of(*rankings: list[float], group: str = "g") -> list[Row]:
    """One group; each list holds one annotator's ranks of candidates 0, 1, 2, ..."""
    return [(f"a{i}", group, "q", f"c{c}", r) for i, ranks in enumerate(rankings) for c, r in enumerate(ranks)]


def by_candidate(result: RankResult, column: str = "mean_rank", group: int = 0) -> dict[str, float]:
    cells = np.flatnonzero(result.panel.cell_group == group)
    names = result.table.candidates
    return {names[int(result.panel.cell_candidate[c])].as_py(): float(getattr(result, column)[c]) for c in cells}


def random_group(seed: int, annotators: int, candidates: int, levels: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, levels + 1, (annotators, candidates)).astype(float).tolist()


def test_it_works() -> None:
    result = rank(group_of([1, 2, 3], [1, 3, 2], [1, 2, 3]))
    assert by_candidate(result) == {"c0": 1.0, "c1": pytest.approx(7 / 3), "c2": pytest.approx(8 / 3)}
    assert result.kendall_w == pytest.approx([7 / 9])
    assert result.tau_b == pytest.approx([(1 / 3 + 1 + 1 / 3) / 3])
    assert not result.contested.any()


def test_ties_share_their_mean_rank_and_only_the_order_counts() -> None:
    for ranks in ([1, 1, 3, 4], [1, 1, 2, 3], [0.5, 0.5, 7, 100]):
        assert by_candidate(rank(group_of(ranks))) == {"c0": 1.5, "c1": 1.5, "c2": 3.0, "c3": 4.0}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("annotators", "candidates", "levels"), [(3, 5, 5), (6, 9, 3), (2, 2, 2), (10, 23, 23)])
def test_w_and_tau_equal_scipy(seed: int, annotators: int, candidates: int, levels: int) -> None:
    rankings = random_group(seed, annotators, candidates, levels)
    result = rank(group_of(*rankings))
    useful = [ranks for ranks in rankings if len(set(ranks)) > 1]
    taus = [stats.kendalltau(one, other).statistic for one, other in combinations(useful, 2)]
    assert result.tau_b[0] == pytest.approx(np.mean(taus) if taus else np.nan, nan_ok=True)
    if not useful:
        assert np.isnan(result.kendall_w[0])
    elif candidates > 2:
        # Friedman's statistic with tie correction is m(n - 1)·W.
        friedman = stats.friedmanchisquare(*np.array(rankings).T).statistic
        assert result.kendall_w[0] == pytest.approx(friedman / (annotators * (candidates - 1)))


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), annotators=st.integers(2, 6), candidates=st.integers(2, 8))
def test_w_of_any_group_lies_in_0_to_1_and_is_1_for_copies(seed: int, annotators: int, candidates: int) -> None:
    rankings = random_group(seed, annotators, candidates, candidates)
    w = rank(group_of(*rankings)).kendall_w[0]
    assert np.isnan(w) or -1e-12 <= w <= 1 + 1e-12
    copies = rank(group_of(*[rankings[0]] * annotators))
    if len(set(rankings[0])) > 1:
        assert copies.kendall_w[0] == pytest.approx(1)
        assert copies.tau_b[0] == pytest.approx(1)


def test_blocks_do_not_change_tau(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for g in range(30) for row in group_of(*random_group(g, 3 + g % 3, 2 + g % 6, 4), group=f"g{g}")]
    whole = rank(rows).tau_b
    monkeypatch.setattr(concordance, "BLOCK", 20)
    assert rank(rows).tau_b == pytest.approx(whole, nan_ok=True)
    assert np.isfinite(whole).sum() > 20


def test_contested_is_below_the_threshold() -> None:
    rows = [*group_of([1, 2, 3], [3, 2, 1], group="torn"), *group_of([1, 2, 3], [1, 2, 3], group="clear")]
    assert rank(rows).contested.tolist() == [True, False]
    assert rank(rows, threshold=0).contested.tolist() == [False, False]
    assert rank(rows, threshold=1.1).contested.tolist() == [True, True]
    assert "1 of 2 groups are contested: Kendall's W is below 0.5" in ranknotes.warnings(rank(rows))


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (group_of([1, 2, 3]), "one annotator only: agreement is unknown"),
        (group_of([1, 1, 1], [2, 2, 2]), "every annotator ranked all candidates equal: agreement is undefined"),
        (group_of([1], [1]), "one candidate only: there is nothing to rank"),
        (group_of([1, 2, 3], [1, 2]), "1 of 2 annotators ranked all 3 candidates: agreement is unknown"),
    ],
)
def test_no_w_without_reason(rows: list[Row], note: str) -> None:
    result = rank(rows)
    assert np.isnan(result.kendall_w).all()
    assert not result.contested.any()
    assert ranknotes.group_notes(result) == [note]
    assert "1 of 1 groups have no Kendall's W; the reason stands with the group" in ranknotes.warnings(result)


def test_incomplete_rankings_are_stretched_and_do_not_count_for_agreement() -> None:
    rows = [*group_of([1, 2, 3], [1, 2, 3]), ("late", "g", "q", "c2", 1.0), ("late", "g", "q", "c0", 2.0)]
    result = rank(rows)
    # Ranks 1 and 2 of 2 stand for 4/3 and 8/3 of 3.
    assert by_candidate(result) == pytest.approx({"c0": (2 + 8 / 3) / 3, "c1": 2.0, "c2": (6 + 4 / 3) / 3})
    assert result.kendall_w == pytest.approx([1.0])
    assert (result.rankings.tolist(), result.complete.tolist()) == ([3], [2])
    assert ranknotes.group_notes(result) == ["1 of 3 annotators ranked only some of the 3 candidates"]
    assert any("1 rankings cover only some" in sentence for sentence in ranknotes.warnings(result))


def test_repeated_ranks_are_averaged_and_counted() -> None:
    rows = [*group_of([1, 2, 3], [1, 2, 3]), ("a0", "g", "q", "c0", 9.0)]
    result = rank(rows)
    assert by_candidate(result) == {"c0": 2.0, "c1": 1.5, "c2": 2.5}
    assert result.panel.repeats == 1
    assert any("1 rows ranked a candidate again" in sentence for sentence in ranknotes.warnings(result))


def test_groups_and_dimensions_are_apart() -> None:
    rows: list[Row] = [("a", g, d, c, r) for g in "gh" for d in "qp" for c, r in (("x", 1.0), ("y", 2.0))]
    rows[0], rows[1] = ("a", "g", "q", "x", 2.0), ("a", "g", "q", "y", 1.0)
    result = rank(rows)
    assert result.panel.groups == 4
    assert by_candidate(result, group=0) == {"y": 1.0, "x": 2.0}
    assert all(by_candidate(result, group=g) == {"x": 1.0, "y": 2.0} for g in (1, 2, 3))


def test_cells_come_best_first() -> None:
    result = rank(group_of([3, 1, 2], [3, 1, 2]))
    assert list(by_candidate(result)) == ["c1", "c2", "c0"]
    assert by_candidate(result, "wins") == {"c1": 2.0, "c2": 1.0, "c0": 0.0}


def test_order_of_rows_does_not_matter() -> None:
    rows = [row for g in range(5) for row in group_of(*random_group(g, 4, 6, 4), group=f"g{g}")]
    shuffled = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))]
    before, after = rank(rows), rank(shuffled)
    names = [after.table.groups[int(g)].as_py() for g in after.panel.group_name]
    for position, name in enumerate(names):
        group = int(name[1:])
        assert by_candidate(before, group=group) == pytest.approx(by_candidate(after, group=position))
        assert before.kendall_w[group] == pytest.approx(after.kendall_w[position], nan_ok=True)
        assert before.tau_b[group] == pytest.approx(after.tau_b[position], nan_ok=True)


def test_no_rankings_at_all() -> None:
    result = rank([])
    assert result.kendall_w.size == result.mean_rank.size == 0
    assert ranknotes.warnings(result) == []


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 4))
def test_midranks_equal_scipy(values: list[int], blocks: int) -> None:
    block = np.arange(len(values)) % blocks
    found = midranks(block, np.array(values, dtype=float), blocks)
    for number in range(blocks):
        mine = np.array(values)[block == number]
        assert found.rank[block == number].tolist() == stats.rankdata(mine).tolist()
        sizes = np.unique(mine, return_counts=True)[1]
        assert found.tie_cubes[number] == (sizes**3 - sizes).sum()
        assert found.tie_pairs[number] == (sizes * (sizes - 1) / 2).sum()


def test_panel_rows_are_sorted_for_tau() -> None:
    panel = RankPanel.of(Rankings.from_rows(group_of([2, 1, 3], [1, 2, 3])[::-1]))
    order = list(zip(panel.ranking.tolist(), panel.cell.tolist(), strict=True))
    assert all(one < other for one, other in pairwise(order))


def test_real_rankings_with_ties() -> None:
    """466 rankings of 4 to 9 images by one person each: order kept, ties shared, agreement unknown."""
    data = json.loads(shared_file("human-data/imagereward/test.json").read_text())
    rows: list[Row] = [
        ("a", case["id"], "overall", path, float(r))
        for case in data
        for path, r in zip(case["generations"], case["ranking"], strict=True)
    ]
    result = rank(rows)
    assert result.panel.groups == len(data) == 466
    assert np.isnan(result.kendall_w).all()
    for case in data[:50]:
        group = result.table.groups.to_pylist().index(case["id"])
        found = by_candidate(result, group=group)
        expected = stats.rankdata(case["ranking"])
        assert [found[path] for path in case["generations"]] == expected.tolist()
