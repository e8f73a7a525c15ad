"""Mean opinion scores from end to end: plain loops, golden values, properties, odd data."""

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.stats import notes
from scoring.stats.mos import METHODS, OUTLIER_RULES, MosResult, MosSettings, mean_opinion_scores
from scoring.stats.outliers import FLOOR_SHARE
from scoring.stats.table import Ratings
from tests.stats import oracle
from tests.stats.shared import Row, nflx
from tests.stats.test_outliers import random_rows

Figures = tuple[float, ...]


def run(rows: list[Row], **choices: Any) -> MosResult:
    return mean_opinion_scores(Ratings.from_rows(rows), MosSettings(**choices))


def by_name(result: MosResult) -> dict[tuple[str, str], Figures]:
    """(mos, n, std, low, high) by (item, dimension)."""
    panel, scored, table = result.panel, result.scored, result.table
    columns = zip(scored.mos, scored.n, scored.std, scored.low, scored.high, strict=True)
    names = zip(panel.unit_item.tolist(), panel.unit_dimension.tolist(), strict=True)
    return {
        (table.items[item].as_py(), table.dimensions[dimension].as_py()): tuple(map(float, figures))
        for (item, dimension), figures in zip(names, columns, strict=True)
    }


def rater_keys(result: MosResult) -> list[tuple[str, str]]:
    panel, table = result.panel, result.table
    return [
        (table.annotators[a].as_py(), table.dimensions[d].as_py())
        for a, d in zip(panel.rater_annotator.tolist(), panel.rater_dimension.tolist(), strict=True)
    ]


def assert_same(found: dict[tuple[str, str], Figures], expected: dict[tuple[str, str], Figures]) -> None:
    assert {key for key, figures in found.items() if figures[1]} == set(expected)
    for key, figures in expected.items():
        assert found[key] == pytest.approx(figures, abs=1e-9, nan_ok=True), key


def test_it_works() -> None:
    rows: list[Row] = [("a", "x", "q", 1.0), ("a", "y", "q", 3.0), ("b", "x", "q", 2.0), ("b", "y", "q", 3.0)]
    half = 100 * (3 - math.sqrt(0.5)) / 6
    result = run(rows)
    assert by_name(result)["x", "q"] == pytest.approx((half, 2, 0, half, half))
    assert by_name(result)["y", "q"][0] == pytest.approx(100 - half)
    assert result.bias == pytest.approx([-0.25, 0.25])


@pytest.mark.parametrize("method", ["zscore", "mean"])
@pytest.mark.parametrize("rule", OUTLIER_RULES)
@pytest.mark.parametrize("seed", range(3))
def test_pipeline_equals_plain_loops(method: str, rule: str, seed: int) -> None:
    rows = random_rows(seed, wild=0.12)
    kept_by_bt500 = rule == "bt500"
    flagged: set[int] = {
        "literal": lambda: oracle.literal(rows),
        "leave-one-out": lambda: oracle.leave_one_out(rows, FLOOR_SHARE),
        "pooled": lambda: oracle.pooled(rows),
        "bt500": lambda: oracle.bt500(rows)[1],
        "none": set,
    }[rule]()
    if kept_by_bt500:
        limits, annotators = oracle.bt500(rows)[0], oracle.by_annotator(rows)
        rejected = {
            key
            for key, (p, q) in limits.items()
            if (p + q) / len(annotators[key]) > 0.05 and abs(p - q) / (p + q) < 0.3
        }
    else:
        rejected = oracle.rejected_by_rate(rows, flagged, minimum=20)
    result = run(rows, method=method, outliers=rule)
    assert_same(by_name(result), oracle.mos(rows, set() if kept_by_bt500 else flagged, rejected, method))
    keys = rater_keys(result)
    assert {keys[n] for n in np.flatnonzero(result.rejection.rejected)} == rejected
    counted = {key: len(flagged & set(numbers)) for key, numbers in oracle.by_annotator(rows).items()}
    assert dict(zip(keys, result.outliers.tolist(), strict=True)) == counted


def test_wild_annotators_are_rejected_in_these_panels() -> None:
    """The comparison above is not about panels where nobody is ever rejected."""
    rows = random_rows(0)
    rng = np.random.default_rng(1)
    rows = [(a, i, d, float(rng.uniform(1, 5)) if a == "a3" else s) for a, i, d, s in rows]
    result = run(rows)
    rejected = [rater_keys(result)[n] for n in np.flatnonzero(result.rejection.rejected)]
    assert rejected == [("a3", "quality"), ("a3", "alignment")]
    flagged = oracle.pooled(rows)
    assert_same(by_name(result), oracle.mos(rows, flagged, oracle.rejected_by_rate(rows, flagged, 20), "zscore"))


def test_bt500_rejects_whom_the_golden_file_rejects_and_equals_its_scores() -> None:
    rows, golden = nflx()
    result = run(rows, method="mean", outliers="bt500")
    rejected = [rater_keys(result)[n][0] for n in np.flatnonzero(result.rejection.rejected)]
    assert rejected == golden["BT500"]["rejected_subjects"]
    assert result.scored.mos == pytest.approx(golden["BT500"]["quality_scores"], abs=1e-9)
    assert result.scored.std / 5 == pytest.approx(golden["BT500"]["quality_scores_std"], abs=1e-9)


def test_mean_equals_the_golden_mos() -> None:
    rows, golden = nflx()
    result = run(rows, method="mean", outliers="none")
    assert result.scored.mos == pytest.approx(golden["MOS"]["quality_scores"], abs=1e-12)
    assert result.scored.std / math.sqrt(26) == pytest.approx(golden["MOS"]["quality_scores_std"], abs=1e-12)


def test_default_outlier_rules() -> None:
    rules = {method: MosSettings(method=method).outlier_rule for method in METHODS}
    assert rules == {"zscore": "pooled", "mean": "pooled", "p910": "none", "corrected": "none"}
    assert MosSettings(method="p910", outliers="literal").outlier_rule == "literal"


@pytest.mark.parametrize("choices", [{"method": "median"}, {"outliers": "grubbs"}])
def test_unknown_choices_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such method or outlier rule"):
        MosSettings(**choices)


def test_many_dimensions_do_not_flood_the_warnings() -> None:
    rows: list[Row] = [(a, f"{a}{n}", f"d{d}", float(n)) for d in range(40) for a in "ab" for n in range(2)]
    said = notes.warnings(run(rows, method="mean"))
    assert len(said) < 10
    assert "the same holds for 35 more dimensions" in said


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rule", OUTLIER_RULES)
def test_every_combination_answers(method: str, rule: str) -> None:
    result = run(random_rows(5), method=method, outliers=rule)
    assert (np.isfinite(result.scored.mos) == (result.scored.n > 0)).all()
    assert result.scored.n.max() > 5
    described = notes.describe(result.settings)
    assert (described["method"], described["outliers"]) == (method, rule)


def settled(result: MosResult) -> set[str]:
    """Dimensions whose alternation came to rest. Of the others it is said that their scores are rough."""
    names, model = result.table.dimensions.to_pylist(), result.scored.model
    return {name for number, name in enumerate(names) if model is None or model.converged[number]}


@pytest.mark.parametrize("method", METHODS)
def test_order_of_rows_and_names_do_not_matter(method: str) -> None:
    compared = 0
    for seed in range(1, 5):
        rows = random_rows(seed)[:200]
        shuffled = rows.copy()
        random.Random(seed).shuffle(shuffled)
        first, second = run(rows, method=method), run(shuffled, method=method)
        before, after = by_name(first), by_name(second)
        assert set(before) == set(after)
        for key, figures in before.items():
            if key[1] in settled(first) & settled(second):
                compared += 1
                assert after[key] == pytest.approx(figures, rel=1e-6, abs=1e-6, nan_ok=True)
    assert compared > 60


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.5, 4.0]), shift=st.integers(-20, 20))
def test_zscore_mos_ignores_each_annotators_scale(seed: int, scale: float, shift: int) -> None:
    rows = random_rows(seed, step=0.125)[:300]
    moved = [(a, i, d, scale * s + shift if a in ("a1", "a2") else s) for a, i, d, s in rows]
    before, after = by_name(run(rows)), by_name(run(moved))
    for key, figures in before.items():
        assert after[key] == pytest.approx(figures, abs=1e-8, nan_ok=True)


def test_dimensions_do_not_touch_each_other() -> None:
    rows = random_rows(2)
    alone = [row for row in rows if row[2] == "quality"]
    together = by_name(run(rows))
    for key, figures in by_name(run(alone)).items():
        assert together[key] == pytest.approx(figures, nan_ok=True)


def test_repeats_are_averaged_and_counted() -> None:
    rows: list[Row] = [("a", "x", "q", 1.0), ("a", "x", "q", 2.0), ("a", "x", "q", 3.0), ("b", "x", "q", 4.0)]
    result = run(rows, method="mean", outliers="none")
    assert by_name(result)["x", "q"][:2] == (3.0, 2)
    assert result.repeats == 2
    assert "2 repeated ratings of the same item by the same annotator were averaged into one each" in notes.warnings(
        result
    )
    assert result.ratings.tolist() == [3, 1]


def test_equal_repeats_of_a_straight_line_stay_a_straight_line() -> None:
    rows: list[Row] = [("a", i, "q", 3.3) for i in "xyzxyzx"] + [
        ("b", i, "q", s) for i, s in zip("xyz", (1.0, 2, 3), strict=True)
    ]
    result = run(rows)
    assert result.scored.straight is not None
    assert result.scored.straight.tolist() == [True, False]


def test_straight_lines_have_no_z_score_and_it_is_said() -> None:
    rows: list[Row] = [("flat", i, "q", 0.1) for i in "uvwxyz"] + [
        ("b", i, "q", float(n)) for n, i in enumerate("uvwxyz")
    ]
    result = run(rows)
    assert result.used.tolist() == [False, True]
    assert (result.scored.n == 1).all()
    assert "always the same score, so no z-score, not used: 1 annotator (flat)" in notes.warnings(result)
    assert notes.reasons(result)[0] == "not used: all remaining scores are the same, so there is no z-score"
    assert run(rows, method="mean").used.tolist() == [True, True]


def test_clipping_is_counted_and_can_be_switched_off() -> None:
    rows: list[Row] = [("a", f"i{n}", "q", 0.0) for n in range(30)] + [("a", "top", "q", 9.0)]
    clipped, free = run(rows, outliers="none"), run(rows, outliers="none", clip=False)
    assert by_name(clipped)["top", "q"][0] == 100.0
    assert by_name(free)["top", "q"][0] == pytest.approx(100 * (9 * 30 / 31 / math.sqrt(81 / 31) + 3) / 6)
    assert (clipped.scored.clipped, free.scored.clipped) == (1, 0)
    assert "1 rescaled ratings lay outside 0 to 100 and were clipped" in notes.warnings(clipped)


def test_rules_that_cannot_fire_say_so() -> None:
    rows: list[Row] = [(f"a{n}", item, "q", float(n)) for item, k in (("x", 4), ("y", 5), ("z", 6)) for n in range(k)]
    said = {rule: " ".join(notes.warnings(run(rows, outliers=rule))) for rule in OUTLIER_RULES}
    assert "1.79 at n = 5; so 2 of 3 scored items were not checked at all" in said["literal"]
    assert "1.73 at n = 4; so 1 of 3 scored items screened nobody" in said["bt500"]
    assert not any(" at n = " in said[rule] for rule in ("leave-one-out", "pooled", "none"))


def test_unconnected_parts_are_named() -> None:
    rows: list[Row] = [(a, f"{a}{n}", "q", float(n)) for a in "ab" for n in range(3)]
    result = run(rows, method="corrected")
    assert result.parts.tolist() == [2]
    assert notes.warnings(result)[0].startswith("q: annotators and items fall into 2 parts that share neither")


def test_parts_are_counted_after_the_checks() -> None:
    """A rejected annotator is no bridge."""
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (f"{side}{a}", f"{side}{i}", "q", i % 5 + 0.3 * rng.normal())
        for side in "xy"
        for a in range(6)
        for i in range(30)
    ]
    bridge: list[Row] = [("wild", f"{side}{i}", "q", float(9 * (i % 2))) for side in "xy" for i in range(30)]
    result = run([*rows, *bridge])
    assert result.rejection.rejected.tolist() == [False] * 12 + [True]
    assert result.parts.tolist() == [2]
    assert run([*rows, *bridge], outliers="none").parts.tolist() == [1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("a", "x", "q", 3.0)], "only one annotator"),
        ([("a", "x", "q", 3.0), ("a", "y", "q", 4.0)], "only one annotator"),
        ([("a", "x", "q", 3.0), ("b", "y", "q", 4.0)], "one rating"),
    ],
)
def test_odd_data_have_a_sentence(method: str, rows: list[Row], sentence: str) -> None:
    result = run(rows, method=method)
    assert any(sentence in warning for warning in notes.warnings(result))
    assert np.isnan(result.scored.std).all()


def test_an_item_whose_ratings_are_all_left_out_stays_in_the_list() -> None:
    rows: list[Row] = [("flat", "only", "q", 3.0), ("flat", "x", "q", 3.0), ("b", "x", "q", 1.0), ("b", "y", "q", 2.0)]
    result = run(rows)
    figures = by_name(result)["only", "q"]
    assert figures[1] == 0
    assert all(math.isnan(figure) for figure in (figures[0], *figures[2:]))
    assert "1 of 3 scored items have no usable rating and no score (only)" in notes.warnings(result)


def test_no_ratings_at_all() -> None:
    result = run([])
    assert result.scored.mos.size == 0
    assert notes.warnings(result) == []


def test_bias_and_inconsistency_of_plain_methods() -> None:
    rows: list[Row] = [(a, i, "q", s) for a, m in (("a", 0.0), ("b", 2.0)) for i, s in (("x", 1.0 + m), ("y", 3.0 + m))]
    result = run([*rows, ("b", "alone", "q", 9.0)], method="mean", outliers="none")
    assert result.bias == pytest.approx([-1.0, 1.0])
    assert result.inconsistency == pytest.approx([0.0, 0.0])
