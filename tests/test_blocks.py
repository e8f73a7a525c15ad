"""Large groups in blocks: the design of the blocks, and their orders joined into one ranking."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from annotation.blocks import _turned, design, hang_together
from annotation.models import Candidate, Judgement, Study
from annotation.protocols import PRESETS
from scoring import blocks, results, tables
from scoring.export_tables import TABLES, Options
from scoring.stats.pairs import preference_pairs
from scoring.stats.ranks import rank_groups
from scoring.stats.table import Rankings
from tests import judging
from tests.judging import by_worth, judge, ranked
from webapp.accounts.models import User

RANK = PRESETS["group-rank"]


def meetings(made: list[tuple[int, ...]], candidates: int) -> list[int]:
    met = Counter(pair for block in made for pair in combinations(block, 2))
    return [met[pair] for pair in combinations(range(candidates), 2)]


# The design ---------------------------------------------------------------------------------------------------------


def test_it_works() -> None:
    """25 candidates, five on a screen, each on three of them: no two meet twice."""
    made = design(25, 5, 3, 7)
    assert [len(block) for block in made] == [5] * 15
    assert set(meetings(made, 25)) == {0, 1}
    assert hang_together(made)


@pytest.mark.parametrize(("candidates", "size", "times"), [(7, 3, 3), (13, 4, 4)])
def test_where_every_pair_can_meet_once_it_does(candidates: int, size: int, times: int) -> None:
    """The projective planes of order 2 and 3 are such designs."""
    assert set(meetings(design(candidates, size, times, 1), candidates)) == {1}


@settings(max_examples=40)
@given(st.integers(3, 30), st.integers(2, 12), st.integers(2, 5), st.integers())
def test_each_candidate_is_in_so_many_blocks_and_pairs_are_even(n: int, size: int, times: int, seed: int) -> None:
    size = min(size, n - 1)
    made = design(n, size, times, seed)
    assert made == design(n, size, times, seed)
    assert Counter(key for block in made for key in block) == dict.fromkeys(range(n), times)
    pairs_with_a_rest = size == 2 and n * times % 2
    assert len(made) == n * times // 2 if pairs_with_a_rest else -(-n * times // size)
    assert {len(set(block)) for block in made} <= {len(made[0]), len(made[0]) - 1}
    assert min(map(len, made)) >= 2
    assert hang_together(made)
    met = meetings(made, n)
    low, rest = divmod(sum(met), len(met))
    least = (len(met) - rest) * low**2 + rest * (low + 1) ** 2
    assert sum(count**2 for count in met) <= 2 * least, "no pair meets much more often than others"


def test_the_ring_that_stands_in_always_hangs_together() -> None:
    for n in range(3, 16):
        for size in range(2, n):
            for times in (2, 3, 5):
                count = -(-n * times // size)
                sizes = [n * times // count + (place < n * times % count) for place in range(count)]
                made = _turned(n, sizes)
                assert [len(block) for block in made] == sizes
                assert Counter(key for block in made for key in block) == dict.fromkeys(range(n), times)
                assert hang_together(made)


@pytest.mark.parametrize("candidates", [3, 5, 7, 9])
def test_nobody_is_asked_to_order_one_picture(candidates: int) -> None:
    """Pairs of an odd number of places: one candidate is left, and makes a pair a block of three."""
    made = design(candidates, 2, 3, 7)
    assert sorted(len(block) for block in made) == [2] * (len(made) - 1) + [3]
    assert Counter(key for block in made for key in block) == dict.fromkeys(range(candidates), 3)
    assert hang_together(made)


def test_where_chance_fails_the_ring_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.blocks._drawn", lambda *_args: None)
    made = design(9, 3, 2, 7)
    assert set(Counter(key for block in made for key in block).values()) == {2}
    assert hang_together(made)


def test_hanging_together_is_by_chains_of_blocks() -> None:
    assert hang_together([[1, 2], [3, 4], [2, 3]])
    assert not hang_together([[1, 2], [3, 4]])
    assert hang_together([[1]])
    assert hang_together([])


@pytest.mark.parametrize(("candidates", "size", "times"), [(9, 1, 3), (9, 9, 3), (9, 10, 3), (9, 3, 1)])
def test_what_cannot_be_joined_is_refused(candidates: int, size: int, times: int) -> None:
    with pytest.raises(ValueError, match="Blocks need"):
        design(candidates, size, times)


# Joining ------------------------------------------------------------------------------------------------------------


def table_of(orders: list[tuple[str, str, list[list[str]]]]) -> Rankings:
    """From (annotator, block, tiers), in one dimension."""
    rows = []
    for annotator, block, tiers in orders:
        placed = 0
        for tier in tiers:
            rows += [(annotator, block, "quality", name, placed + (len(tier) + 1) / 2) for name in tier]
            placed += len(tier)
    return Rankings.from_rows(rows)


def test_blocks_in_the_true_order_give_the_true_order() -> None:
    names = [f"c{place:02}" for place in range(25)]
    orders = [("a1", f"b{n}", [[names[key]] for key in block]) for n, block in enumerate(design(25, 5, 3, 7))]
    made = blocks.join(table_of(orders), {f"b{n}": "case" for n in range(15)})
    by_rank = sorted(made.rows, key=lambda row: row.rank)
    found = [names.index(row.candidate) for row in by_rank]
    assert kendalltau(found, range(25)).statistic > 0.85
    assert made.apart == []
    assert sum(row.strength for row in made.rows) == pytest.approx(0, abs=1e-6)
    assert {(row.group, row.dimension, row.orders) for row in made.rows} == {("case", "quality", 15)}


def test_the_company_of_a_block_is_accounted_for() -> None:
    """By their mean places in their blocks q, r and s would be equal."""
    orders = [("a1", "x", [["p"], ["q"], ["r"]]), ("a1", "y", [["r"], ["s"], ["t"]])]
    made = blocks.join(table_of(orders), {"x": "case", "y": "case"})
    assert [row.candidate for row in sorted(made.rows, key=lambda row: row.rank)] == ["p", "q", "r", "s", "t"]


def test_noisy_orders_of_blocks_are_joined_near_the_truth() -> None:
    """Ten groups of 20 in blocks of five, two of each candidate, ordered by two people with Gumbel noise."""
    names, worth, found = [f"c{place:02}" for place in range(20)], np.linspace(3, -3, 20), []
    for seed in range(10):
        generator, orders = np.random.default_rng(seed), []
        for annotator, (number, block) in product(("a1", "a2"), enumerate(design(20, 5, 2, seed))):
            felt = {key: worth[key] + generator.gumbel() for key in block}
            orders.append(
                (annotator, f"b{number}", [[names[key]] for key in sorted(block, key=lambda key: -felt[key])])
            )
        made = blocks.join(table_of(orders), {f"b{number}": "case" for number in range(8)})
        found.append(kendalltau([-row.rank for row in made.rows], worth).statistic)
    assert min(found) > 0.5
    assert np.mean(found) > 0.7


def test_equal_candidates_share_their_rank() -> None:
    made = blocks.join(
        table_of([("a1", "x", [["p"], ["q", "r"]]), ("a1", "y", [["p"], ["q", "r"]])]), {"x": "c", "y": "c"}
    )
    assert {row.candidate: row.rank for row in made.rows} == {"p": 1.0, "q": 2.5, "r": 2.5}


def test_blocks_that_share_no_candidate_are_not_joined() -> None:
    orders = [("a1", "x", [["p"], ["q"]]), ("a1", "y", [["r"], ["s"]]), ("a1", "z", [["t"], ["u"]])]
    made = blocks.join(table_of(orders), {"x": "one", "y": "one", "z": "two"})
    assert made.apart == [("one", "quality")]
    assert {row.group for row in made.rows} == {"two"}
    assert blocks.join(table_of(orders), {}).rows == []


# A study ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def studied(carol: User, mallory: User) -> Study:
    """One group of nine in blocks of four, one of four that is whole; two people who agree, give or take."""
    data = judging.dataset(cases=2, editors=3, seeds=3)
    small = Candidate.objects.filter(case__key="case-001").order_by("pk").values_list("pk", flat=True)
    Candidate.objects.filter(pk__in=list(small)[4:]).delete()
    protocol = replace(RANK, dimensions=RANK.dimensions[:1], raters=2, block=4, block_times=3)
    study = judging.study(data, "group-rank", (carol, mallory), protocol=protocol)
    chance = random.Random(4)

    def answer(row: Any) -> judging.Answer:
        return ranked(by_worth(row, lambda candidate: candidate + chance.choice([0, 0.1])))

    for user in (carol, mallory):
        assert judge(study, user, answer) == 8
    return study


def test_a_studys_blocks_become_one_ranking_of_the_case(studied: Study) -> None:
    table = blocks.rankings(studied)
    cases = {case.key: str(case.uid) for case in studied.dataset.cases.all()}
    assert set(table.groups.to_pylist()) == set(cases.values())
    panel = rank_groups(table, 0.5)
    assert sorted(panel.panel.sizes) == [4, 9]
    decided, ties = preference_pairs(panel.panel.sizes, panel.mean_rank)
    assert decided.better.size + ties.better.size == 9 * 8 // 2 + 4 * 3 // 2
    worth = {str(c.uid): c.pk for c in Candidate.objects.filter(case__key="case-000")}
    rows = blocks.joined(studied).rows
    assert {row.group for row in rows} == {cases["case-000"]}
    found = [worth[row.candidate] for row in sorted(rows, key=lambda row: row.rank)]
    assert found[0] == max(worth.values()) and found[-1] == min(worth.values())
    assert kendalltau(found, sorted(worth.values(), reverse=True)).statistic > 0.9  # not all of them met in a block
    assert {row.orders for row in rows} == {14}
    annotators = table.annotators.to_pylist()
    by_case = Counter(
        (table.groups[g].as_py(), annotators[a]) for g, a in zip(table.group, table.annotator, strict=True)
    )
    assert by_case[cases["case-000"], blocks.JOINED] == 9
    assert len(by_case) == 3


def test_what_the_joint_rankings_lack_is_said(studied: Study) -> None:
    assert blocks.warnings(studied, tables.rankings(studied)) == results.of_study(studied).warnings == []
    keep = set(studied.items.order_by("pk").filter(case__key="case-000").values_list("pk", flat=True)[:1])
    blocks_of_case = Judgement.objects.filter(unit__item__case__key="case-000")
    blocks_of_case.exclude(unit__item__in=keep).delete()
    assert blocks.warnings(studied, tables.rankings(studied)) == [
        "Some candidates of 1 group are in no judged block yet: its joint ranking is of the others."
    ]
    assert len(blocks.joined(studied).rows) == 4


def test_blocks_that_hang_apart_are_said(carol: User) -> None:
    protocol = replace(RANK, dimensions=RANK.dimensions[:1], raters=1, block=2, block_times=2)
    study = judging.study(judging.dataset(cases=1, editors=4), "group-rank", (carol,), protocol=protocol)
    judge(study, carol, lambda row: ranked(by_worth(row, float)))
    first = set(study.items.order_by("pk")[0].candidates.values_list("pk", flat=True))
    other = next(item for item in study.items.all() if not first & set(item.candidates.values_list("pk", flat=True)))
    Judgement.objects.exclude(unit__item__in=[study.items.order_by("pk")[0], other]).delete()
    assert blocks.warnings(study, tables.rankings(study)) == [
        "The blocks of 1 group do not hang together yet, so it has no joint ranking. More judgements settle that."
    ]


def test_pairs_are_exported_of_the_whole_group(studied: Study) -> None:
    rows = list(TABLES["pairs"].rows(studied, Options()))
    assert Counter(row[0] for row in rows) == {"case-000": 9 * 8 // 2, "case-001": 4 * 3 // 2}


def test_what_is_excluded_counts_in_no_joint_ranking(studied: Study, carol: User) -> None:
    studied.exclusions.create(annotator=carol, reason="Guessed.")
    assert {row.orders for row in blocks.joined(studied).rows} == {7}


def test_a_study_without_blocks_is_as_it_was(db: None, carol: User) -> None:
    study = judging.study(judging.dataset(cases=2, editors=3), "group-rank", (carol,))
    judge(study, carol, lambda row: ranked(by_worth(row, float)))
    with CaptureQueriesContext(connection) as queries:
        table, plain = blocks.rankings(study), tables.rankings(study)
    assert len(queries) == 2, "no query to find out that there are no blocks"
    assert table.groups.to_pylist() == plain.groups.to_pylist()
    assert table.rank.tolist() == plain.rank.tolist()
    assert blocks.joined(study).rows == []
