"""Agreement against definitions, other implementations and published figures; no figure where there is none."""

import csv
import gzip
import json
from itertools import combinations

import evalica
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from scoring.stats import notes
from scoring.stats.agreement import LEVELS, AgreementResult, Level, agreement, complete_block, fleiss_kappa
from scoring.stats.table import Ratings
from tests.stats import oracle
from tests.stats.shared import Row, shared_file


def agree(rows: list[Row], level: Level = "interval") -> AgreementResult:
    return agreement(Ratings.from_rows(rows), level)


def sparse(seed: int, *, annotators: int = 6, items: int = 25, levels: int = 5, share: float = 0.6) -> list[Row]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, levels + 1, items)
    noise = rng.integers(-1, 2, (annotators, items))
    return [
        (f"a{a}", f"i{i}", "q", float(np.clip(truth[i] + noise[a, i], 1, levels)))
        for i in range(items)
        for a in range(annotators)
        if rng.random() < share
    ]


def complete(scores: list[list[float]]) -> list[Row]:
    """One row of scores an item."""
    return [(f"a{a}", f"i{i}", "q", s) for i, row in enumerate(scores) for a, s in enumerate(row)]


SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
"""Six targets by four judges, Shrout and Fleiss 1979, table 2."""


def test_it_works() -> None:
    found = agree(complete(SHROUT_FLEISS)).pooled
    assert found.icc.single == pytest.approx(0.29, abs=0.005)
    assert found.icc.average == pytest.approx(0.62, abs=0.005)
    assert (found.kappa.pairs, found.annotators, found.items, found.shared) == (6, 4, 6, 6)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(6))
def test_alpha_equals_its_definition_and_evalica(level: Level, seed: int) -> None:
    rows = sparse(seed)
    found = agree(rows, level).pooled.alpha
    assert found == pytest.approx(oracle.alpha(rows, level))
    table = pd.DataFrame(rows, columns=["a", "i", "d", "s"]).pivot_table(index="a", columns="i", values="s")
    assert found == pytest.approx(evalica.alpha(table, distance=level).alpha)


@pytest.mark.parametrize("seed", range(3))
def test_fleiss_kappa_equals_its_definition(seed: int) -> None:
    table = np.random.default_rng(seed).integers(0, 3, (20, 4)) / 2
    agreeing = [one == other for row in table.tolist() for one, other in combinations(row, 2)]
    chance = sum(np.mean(table == level) ** 2 for level in (0, 0.5, 1))
    found = fleiss_kappa(np.repeat(np.arange(20), 4), table.ravel(), 20)
    assert found == pytest.approx((np.mean(agreeing) - chance) / (1 - chance))


def test_fleiss_kappa_by_hand_and_where_there_is_none() -> None:
    # One unit of three agrees; four of six scores are 1; the unit with one score does not count.
    unit, score = np.array([0, 0, 1, 1, 2, 2, 3]), np.array([1.0, 1, 0, 1, 1, 0, 0])
    assert fleiss_kappa(unit, score, 4) == pytest.approx((1 / 3 - 5 / 9) / (1 - 5 / 9))
    assert np.isnan(fleiss_kappa(np.array([0, 0, 1, 1]), np.ones(4), 2))
    assert np.isnan(fleiss_kappa(np.array([0, 1]), np.array([0.0, 1.0]), 2))


def test_ordinal_alpha_equals_65_published_figures() -> None:
    """ImagenHub prints alpha of three raters for each model and criterion, to two decimals."""
    published = json.loads(shared_file("golden/imagenhub_published_agreement.json").read_text())["published"]
    rows: dict[tuple[str, str, str], list[Row]] = {}
    with gzip.open(shared_file("human-data/imagenhub/long.csv.gz"), "rt") as file:
        for line in csv.DictReader(file):
            row = (line["rater"], line["uid"], "q", float(line["score"]))
            rows.setdefault((line["task"], line["model"], line["dim"]), []).append(row)
    expected = {
        (task, model, criterion): figures[f"{criterion}_fleiss_Kd"]
        for task, models in published.items()
        for model, figures in models.items()
        for criterion in ("SC", "PR")
        if f"{criterion}_fleiss_Kd" in figures
    }
    assert len(expected) == 65
    for key, figure in expected.items():
        assert agree(rows[key], "ordinal").pooled.alpha == pytest.approx(figure, abs=0.00501), key


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.5, 3.0]), shift=st.integers(-9, 9))
def test_figures_do_not_depend_on_order_or_scale(seed: int, scale: float, shift: int) -> None:
    rows = sparse(seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    moved = [(*rows[n][:3], scale * rows[n][3] + shift) for n in order]
    for level in LEVELS:
        before, after = agree(rows, level).pooled, agree(moved, level).pooled
        assert before.alpha == pytest.approx(after.alpha)
        assert before.kappa.mean == pytest.approx(after.kappa.mean)
        assert before.kappa.pairs == after.kappa.pairs


@pytest.mark.parametrize("seed", range(5))
def test_weighted_kappa_equals_sklearn_over_shared_items(seed: int) -> None:
    rows = sparse(seed)
    by_annotator: dict[str, dict[str, float]] = {}
    for annotator, item, _, score in rows:
        by_annotator.setdefault(annotator, {})[item] = score
    kappas = []
    names = sorted(by_annotator)
    for position, one in enumerate(names):
        for other in names[:position]:
            shared = sorted(by_annotator[one].keys() & by_annotator[other].keys())
            x, y = ([int(by_annotator[name][item]) for item in shared] for name in (one, other))
            kappas.append(cohen_kappa_score(x, y, labels=[1, 2, 3, 4, 5], weights="quadratic"))
    found = agree(rows).pooled.kappa
    assert found.mean == pytest.approx(np.mean(kappas))
    assert found.defined == found.pairs == len(kappas) == 15


def test_icc_by_analysis_of_variance() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(0, 1, (30, 1)) + rng.normal(0, 0.5, (1, 5)) + rng.normal(0, 0.7, (30, 5))
    n, k = scores.shape
    total = ((scores - scores.mean()) ** 2).sum()
    rows = k * ((scores.mean(1) - scores.mean()) ** 2).sum()
    columns = n * ((scores.mean(0) - scores.mean()) ** 2).sum()
    rest = (total - rows - columns) / ((n - 1) * (k - 1))
    rows, columns = rows / (n - 1), columns / (k - 1)
    found = agree(complete(scores.tolist())).pooled.icc
    assert found.single == pytest.approx((rows - rest) / (rows + (k - 1) * rest + k * (columns - rest) / n))
    assert found.average == pytest.approx((rows - rest) / (rows + (columns - rest) / n))


def test_icc_takes_a_block_without_gaps_and_says_its_size() -> None:
    rows = [*complete(SHROUT_FLEISS), ("late", "i0", "q", 1.0), ("late", "i9", "q", 9.0), ("a0", "i9", "q", 2.0)]
    found = agree(rows).pooled.icc
    assert (found.items, found.annotators) == (6, 4)
    assert found.single == agree(complete(SHROUT_FLEISS)).pooled.icc.single


def test_icc_finds_a_block_within_one_batch_of_annotators() -> None:
    batches: list[Row] = []
    for batch in range(3):
        batches += [(f"{batch}{a}", f"{batch}{i}", "q", s) for a, i, _, s in complete(SHROUT_FLEISS)]
    found = agree(batches)
    assert (found.pooled.icc.items, found.pooled.icc.annotators) == (6, 4)
    assert any(sentence.startswith("ICC rests on 24 of 72 scores") for sentence in notes.agreement_warnings(found))


@pytest.mark.parametrize("seed", range(5))
def test_complete_block_has_the_scores_of_its_cells(seed: int) -> None:
    rows = sparse(seed, share=0.8)
    ratings = Ratings.from_rows(rows)
    block = complete_block(ratings.item, ratings.annotator, ratings.score, len(ratings.annotators))
    by_item: dict[str, list[float]] = {}
    for _, item, _, score in rows:
        by_item.setdefault(item, []).append(score)
    assert block.shape[0] >= 2
    assert block.shape[1] >= 2
    available = [sorted(scores) for scores in by_item.values()]
    for line in block:
        assert any(all(line.tolist().count(s) <= scores.count(s) for s in line) for scores in available)


NOTHING: list[tuple[list[Row], str]] = [
    ([("a", "x", "q", 1.0), ("b", "y", "q", 1.0)], "no item was scored by two annotators"),
    ([("a", "x", "q", 1.0), ("a", "y", "q", 2.0)], "only one annotator"),
    ([("a", "x", "q", 1.0)], "only one annotator"),
    ([(a, i, "q", 0.1) for a in "ab" for i in "xyz"], "agreement is undefined, not perfect"),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("rows", "sentence"), NOTHING)
def test_no_agreement_is_no_figure(rows: list[Row], sentence: str, level: Level) -> None:
    result = agree(rows, level)
    for found in (result.pooled, *result.dimensions):
        assert np.isnan([found.alpha, found.icc.single, found.icc.average, found.kappa.mean]).all()
    assert sentence in notes.agreement_warnings(result)[0]


def test_two_who_never_overlap_are_no_pair() -> None:
    rows: list[Row] = [("a", "x", "q", 1.0), ("b", "x", "q", 2.0), ("b", "y", "q", 1.0), ("c", "y", "q", 3.0)]
    assert agree(rows).pooled.kappa.pairs == 2


def test_kappa_of_one_shared_item_is_undefined() -> None:
    rows: list[Row] = [("a", "x", "q", 1.0), ("b", "x", "q", 2.0)]
    result = agree(rows)
    assert np.isnan(result.pooled.kappa.mean)
    assert (result.pooled.kappa.pairs, result.pooled.kappa.defined) == (1, 0)
    assert any("kappa is undefined" in sentence for sentence in notes.agreement_warnings(result))


def test_perfect_and_opposite() -> None:
    same = agree([(a, i, "q", s) for a in "ab" for i, s in (("x", 1.0), ("y", 2.0), ("z", 4.0))], "ordinal").pooled
    assert (same.alpha, same.icc.single, same.kappa.mean) == pytest.approx((1, 1, 1))
    opposite = agree([("a", "x", "q", 1.0), ("a", "y", "q", 2.0), ("b", "x", "q", 2.0), ("b", "y", "q", 1.0)]).pooled
    assert opposite.kappa.mean == pytest.approx(-1)
    assert opposite.alpha < 0


def test_repeats_are_averaged_first() -> None:
    rows = complete([[1, 2], [3, 3], [5, 4]])
    twice = [(a, i, d, s + step) for a, i, d, s in rows for step in (-0.5, 0.5)]
    result = agree(twice)
    assert result.repeats == 6
    assert result.pooled == agree(rows).pooled


def test_no_ratings_at_all() -> None:
    result = agree([])
    assert result.dimensions == []
    assert np.isnan(result.pooled.alpha)


def test_dimensions_stand_beside_the_pooled_figures() -> None:
    rows = complete([[1, 2], [3, 3], [5, 4]])
    other = [(a, i, "p", 6 - s) for a, i, _, s in complete([[1, 1], [3, 4], [5, 5]])]
    result = agree([*rows, *other])
    assert result.dimensions == [agree(rows).pooled, agree(other).pooled]
    assert result.pooled.items == 6
    assert result.pooled.annotators == 2
    as_units = [(a, i + d, "q", s) for a, i, d, s in [*rows, *other]]
    assert result.pooled == agree(as_units).pooled
