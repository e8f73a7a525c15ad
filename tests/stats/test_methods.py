"""Two methods side by side."""

import numpy as np
import pytest
from scipy import stats

from scoring.stats.methods import rank_correlation, side_by_side
from scoring.stats.mos import MosSettings, mean_opinion_scores
from scoring.stats.table import Ratings
from tests.stats.shared import Row, simulated


def test_both_methods_stand_on_the_same_units() -> None:
    ratings, _, _, _ = simulated(0, 5)
    found = side_by_side(ratings)
    alone = {method: mean_opinion_scores(ratings, MosSettings(method=method)) for method in ("zscore", "corrected")}  # type: ignore[arg-type]
    assert found.zscore.scored.mos.tolist() == alone["zscore"].scored.mos.tolist()
    assert found.corrected.scored.mos.tolist() == alone["corrected"].scored.mos.tolist()
    (only,) = found.dimensions
    assert (only.dimension, only.items) == ("d", 400)
    expected = stats.spearmanr(found.zscore.scored.mos, found.corrected.scored.mos).statistic
    assert only.rank_correlation == pytest.approx(expected)
    assert 0.9 < only.rank_correlation < 1


def test_rejected_annotators_have_names_and_reasons() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(3, 1, 60)
    rows: list[Row] = [
        (f"a{i}", f"i{j}", dimension, truth[j] + 0.2 * rng.normal())
        for dimension in ("q", "p")
        for i in range(6)
        for j in range(60)
    ]
    rows += [("mad", f"i{j}", "q", 6 - truth[j] + 0.2 * rng.normal()) for j in range(60)]
    rows += [("line", f"i{j}", "q", 3.0) for j in range(60)]
    found = side_by_side(Ratings.from_rows(rows))
    assert [(one.annotator, one.dimension) for one in found.zscore_rejected] == [("mad", "q"), ("line", "q")]
    assert found.zscore_rejected[0].reason.startswith("rejected: ")
    assert "no z-score" in found.zscore_rejected[1].reason
    assert found.corrected_rejected == ()
    assert [one.dimension for one in found.dimensions] == ["q", "p"]
    # A rule of the settings holds for both.
    both = side_by_side(Ratings.from_rows(rows), MosSettings(outliers="pooled"))
    assert [one.annotator for one in both.corrected_rejected] == ["mad"]


@pytest.mark.parametrize("rows", [[], [("a", "x", "q", 1.0)], [("a", "x", "q", 3.0), ("b", "y", "q", 3.0)]])
def test_odd_panels_have_no_correlation(rows: list[Row]) -> None:
    found = side_by_side(Ratings.from_rows(rows))
    assert all(np.isnan(one.rank_correlation) for one in found.dimensions)


def test_a_constant_has_no_correlation() -> None:
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
    assert rank_correlation(np.arange(4.0), -np.arange(4.0)) == pytest.approx(-1)
