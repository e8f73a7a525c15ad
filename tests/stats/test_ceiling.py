"""The human ceiling: against the known truth of simulated panels, and halves and annotators written out."""

import math

import numpy as np
import pytest

from scoring.stats.ceiling import human_ceiling, leave_one_out, spearman_brown
from scoring.stats.grouped import Codes, Floats


def panel(
    seed: int, units: int, per_unit: int, raters: int, *, error: float = 0.8, bias: float = 0.0
) -> tuple[Codes, Codes, Floats, Floats]:
    """Rows (rater, unit, score) of a random design, and the truth by unit (variance 1)."""
    rng = np.random.default_rng(seed)
    truth, lean = rng.normal(size=units), bias * rng.normal(size=raters)
    unit = np.repeat(np.arange(units), per_unit)
    rater = np.concatenate([rng.permutation(raters)[:per_unit] for _ in range(units)])
    return rater, unit, truth[unit] + lean[rater] + error * rng.normal(size=unit.size), truth


def means(unit: Codes, score: Floats) -> Floats:
    return np.bincount(unit, score) / np.bincount(unit)


def test_it_works() -> None:
    rater, unit, score, _ = panel(0, 2000, 4, 20)
    found = human_ceiling(rater, unit, score)
    reliability = 1 / (1 + 0.64 / 4)
    assert (found.units, found.shared, found.raters, found.annotators) == (2000, 2000, 4, 20)
    assert found.reliability == pytest.approx(reliability, abs=0.02)
    assert found.half == pytest.approx(1 / (1 + 0.64 / 2), abs=0.02)
    assert found.ceiling == pytest.approx(math.sqrt(found.reliability))
    assert found.leave_one_out == pytest.approx(math.sqrt(1 / 1.64 * 1 / (1 + 0.64 / 3)), abs=0.02)
    assert found.reliability_low < found.reliability < found.reliability_high
    assert found.ceiling_low == pytest.approx(math.sqrt(found.reliability_low))
    assert found.reasons == {}


@pytest.mark.parametrize(("per_unit", "bias"), [(2, 0.0), (3, 0.0), (5, 0.0), (5, 0.8), (20, 0.8)])
def test_the_ceiling_is_what_the_truth_reaches(per_unit: int, bias: float) -> None:
    """Sparse panels, odd numbers, biased raters; the last one is complete, where biases cancel."""
    rater, unit, score, truth = panel(per_unit, 1500, per_unit, 20, bias=bias)
    reached = np.corrcoef(truth, means(unit, score))[0, 1]
    assert human_ceiling(rater, unit, score, resamples=50).ceiling == pytest.approx(reached, abs=0.015)


def test_a_second_panel_reaches_the_reliability() -> None:
    rater, unit, score, _ = panel(1, 3000, 6, 30)
    first = np.tile(np.arange(6) < 3, 3000)
    other = means(unit[~first], score[~first])
    reached = np.corrcoef(means(unit[first], score[first]), other)[0, 1]
    found = human_ceiling(rater[first], unit[first], score[first], resamples=50)
    assert found.reliability == pytest.approx(reached, abs=0.02)


def test_items_with_one_rater_lower_the_ceiling_of_the_mean() -> None:
    rater, unit, score, truth = panel(2, 3000, 4, 20)
    kept = (unit >= 1500) | (np.arange(unit.size) % 4 == 0)
    found = human_ceiling(rater[kept], unit[kept], score[kept], resamples=50)
    assert (found.units, found.shared) == (3000, 1500)
    assert found.raters == pytest.approx(2 / (1 + 1 / 4))
    reached = np.corrcoef(truth, means(unit[kept], score[kept]))[0, 1]
    assert found.ceiling == pytest.approx(reached, abs=0.02)


def test_two_raters_split_in_one_way_only() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, 40))
    other = one + 0.5 * other
    rater, unit = np.repeat([5, 9], 40), np.tile(np.arange(40) * 3, 2)
    found = human_ceiling(rater, unit, np.concatenate([one, other]), splits=3)
    r = np.corrcoef(one, other)[0, 1]
    assert found.half == pytest.approx(r)
    assert found.reliability == pytest.approx(2 * r / (1 + r))
    assert found.leave_one_out == pytest.approx(r)


def test_leave_one_out_equals_annotators_written_out() -> None:
    rater, unit, score, _ = panel(4, 60, 4, 12)
    z, weights = [], []
    for person in range(12):
        mine = np.flatnonzero(rater == person)
        others = [np.mean(score[(unit == unit[row]) & (rater != person)]) for row in mine]
        z.append(math.atanh(np.corrcoef(score[mine], others)[0, 1]))
        weights.append(mine.size - 3)
    found = leave_one_out(rater, unit, score)
    assert found == (pytest.approx(math.tanh(np.average(z, weights=weights))), 12)


def test_the_interval_covers_the_reliability() -> None:
    covered = 0
    for seed in range(60):
        rater, unit, score, _ = panel(seed, 150, 4, 20)
        found = human_ceiling(rater, unit, score, splits=8, resamples=200)
        covered += found.reliability_low < 1 / 1.16 < found.reliability_high
    assert covered >= 51


def test_items_of_a_source_image_are_drawn_together() -> None:
    rng = np.random.default_rng(6)
    source = np.repeat(np.arange(30), 5)
    unit, rater = np.repeat(np.arange(150), 4), np.tile(np.arange(4), 150)
    truth, hard = rng.normal(size=30)[source], rng.uniform(0.1, 2, 30)[source]
    score = truth[unit] + hard[unit] * rng.normal(size=unit.size)
    alone = human_ceiling(rater, unit, score)
    together = human_ceiling(rater, unit, score, cluster=source)
    assert together.reliability == alone.reliability
    assert together.reliability_high - together.reliability_low > 1.3 * (alone.reliability_high - alone.reliability_low)


def test_it_is_seeded_and_the_order_of_rows_does_not_matter() -> None:
    rater, unit, score, _ = panel(7, 50, 3, 8)
    order = np.random.default_rng(0).permutation(score.size)
    found = human_ceiling(rater, unit, score, resamples=50)
    again = human_ceiling(rater[order], unit[order], score[order], resamples=50)
    assert again.reliability == pytest.approx(found.reliability)
    assert again.leave_one_out == pytest.approx(found.leave_one_out)
    other = human_ceiling(rater, unit, score, resamples=50, seed=1)
    assert other.reliability != found.reliability
    line = human_ceiling(rater, unit, 20 + 3 * score, resamples=50)
    assert line.reliability == pytest.approx(found.reliability)


def test_repeats_are_averaged_and_holes_left_out() -> None:
    rater, unit, score, _ = panel(8, 50, 3, 8)
    found = human_ceiling(rater, unit, score, resamples=50)
    again = human_ceiling(
        np.append(rater, rater[:10]), np.append(unit, unit[:10]), np.append(score, score[:10]), resamples=50
    )
    assert again.reliability == pytest.approx(found.reliability)
    holes = human_ceiling(
        np.append(rater, [0, 1]), np.append(unit, [77, 78]), np.append(score, [np.nan] * 2), resamples=50
    )
    assert holes == found


def test_no_figure_and_why() -> None:
    few = "fewer than 3 items were scored by two people"
    for rater, unit, score in (
        (np.array([], dtype=int), np.array([], dtype=int), np.array([])),
        (np.array([0]), np.array([0]), np.array([3.0])),
        (np.zeros(9, dtype=int), np.arange(9), np.arange(9.0)),
        (np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), np.array([1.0, 2, 3, 4])),
    ):
        found = human_ceiling(rater, unit, score)
        for name in ("half", "reliability", "ceiling", "reliability_low", "ceiling_high"):
            assert math.isnan(getattr(found, name))
            assert found.reasons[name] == few
        assert found.reasons["leave_one_out"].startswith("no annotator scored 4 items together with others")


def test_one_value_opposites_and_one_source_have_no_ceiling() -> None:
    rater, unit = np.repeat([0, 1], 20), np.tile(np.arange(20), 2)
    same = human_ceiling(rater, unit, np.full(40, 3.0))
    assert same.reasons["half"] == same.reasons["ceiling"] == "people give one value to everything"
    opposite = human_ceiling(rater, unit, np.concatenate([np.arange(20.0), -np.arange(20.0)]))
    assert opposite.half == pytest.approx(-1)
    assert math.isnan(opposite.ceiling)
    assert opposite.reasons["ceiling"].startswith("two halves of the raters agree less than by chance")
    one = human_ceiling(*panel(9, 30, 3, 6)[:3], cluster=np.zeros(30, dtype=int))
    assert math.isfinite(one.ceiling)
    assert one.reasons["ceiling_low"].startswith("everything comes from one source image")


def test_perfect_agreement_is_one() -> None:
    rater, unit = np.repeat([0, 1, 2], 20), np.tile(np.arange(20), 3)
    found = human_ceiling(rater, unit, unit / 4)
    assert (found.half, found.ceiling, found.leave_one_out) == pytest.approx((1, 1, 1))


def test_spearman_brown() -> None:
    assert spearman_brown(0.5, 2) == pytest.approx(2 / 3)
    assert spearman_brown(0.5, 1) == 0.5
    assert spearman_brown(np.array([0, 1]), 7).tolist() == [0, 1]
