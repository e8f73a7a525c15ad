"""What the documentation says about rules and planted annotators, at a small size."""

import pytest

from scoring.stats.mos import METHODS, MosSettings
from scoring.stats.table import Ratings
from tests.stats.simulate_panels import KINDS, RULES, correlation, panel, removed


@pytest.fixture(scope="module")
def few() -> tuple[Ratings, dict[str, float]]:
    return panel(0, 5)


@pytest.fixture(scope="module")
def many() -> tuple[Ratings, dict[str, float]]:
    return panel(0, 15)


def test_at_five_ratings_an_item_the_printed_rule_and_bt500_remove_nobody(
    few: tuple[Ratings, dict[str, float]],
) -> None:
    for name in ("literal, as printed", "literal, with the test", "bt500"):
        assert not any(removed(few[0], *RULES[name]).values()), name


def test_pooled_with_the_test_removes_reversed_ones_and_nobody_honest(few: tuple[Ratings, dict[str, float]]) -> None:
    gone = removed(few[0], *RULES["pooled, with the test"])
    assert gone["reversed"] >= 3
    assert gone["honest"] == gone["biased"] == 0
    # Without the test honest people go, too.
    assert removed(few[0], *RULES["pooled, as printed"])["honest"] > 0


def test_at_fifteen_the_rules_find_who_is_random_or_reversed(many: tuple[Ratings, dict[str, float]]) -> None:
    for name in ("literal, as printed", "pooled, as printed", "pooled, with the test"):
        gone = removed(many[0], *RULES[name])
        assert (gone["random"], gone["reversed"]) == (KINDS["random"], KINDS["reversed"]), name
        assert gone["honest"] == 0
        # Always the same score is never an outlier where it is near the middle: the z-score leaves it out instead.
        assert gone["straight"] == 0


def test_weighing_down_comes_closer_to_the_truth_than_throwing_out(few: tuple[Ratings, dict[str, float]]) -> None:
    ratings, truth = few
    plain = {method: correlation(ratings, truth, MosSettings(method=method, outliers="none")) for method in METHODS}
    assert plain["corrected"] > plain["p910"] > plain["zscore"] > plain["mean"]
    rule, rejection = RULES["pooled, with the test"]
    for method in ("mean", "zscore"):
        settings = MosSettings(method=method, outliers=rule, rejection=rejection)  # type: ignore[arg-type]
        assert plain[method] < correlation(ratings, truth, settings) < plain["corrected"]
