"""The two-way bootstrap: against plain loops, and what its intervals cover."""

from statistics import fmean

import numpy as np
import pytest

from scoring.stats.mos import METHODS, Method, MosSettings, mean_opinion_scores
from scoring.stats.resample import mos_intervals
from scoring.stats.table import Ratings
from tests.stats.shared import Row, simulated


def panel(seed: int = 0, annotators: int = 9, items: int = 12) -> list[Row]:
    rng = np.random.default_rng(seed)
    truth, bias = rng.normal(3, 1, items), rng.normal(0, 0.5, annotators)
    return [
        (f"a{i}", f"i{j}", d, float(truth[j] + bias[i] + 0.5 * rng.normal()))
        for d in ("q", "p")
        for j in range(items)
        for i in rng.permutation(annotators)[:5]
    ]


@pytest.mark.parametrize("method", METHODS)
def test_it_works(method: Method) -> None:
    result = mean_opinion_scores(Ratings.from_rows(panel()), MosSettings(method=method, outliers="none"))
    found = mos_intervals(result, resamples=200)
    assert found.low.shape == (24,)
    assert ((found.low < result.scored.mos) & (result.scored.mos < found.high)).mean() > 0.95
    assert found.groups == ()
    again = mos_intervals(result, resamples=200)
    assert (found.low.tolist(), found.high.tolist()) == (again.low.tolist(), again.high.tolist())
    assert mos_intervals(result, resamples=200, seed=1).low.tolist() != found.low.tolist()


@pytest.mark.parametrize("method", ["mean", "zscore", "p910"])
def test_it_equals_plain_loops(method: Method) -> None:
    """The same draws, one rating at a time."""
    rows, resamples = [row for row in panel(1) if row[2] == "q"], 25
    table = Ratings.from_rows(rows)
    result = mean_opinion_scores(table, MosSettings(method=method, outliers="none"))
    names, people = table.items.to_pylist(), table.annotators.to_pylist()
    editor = {name: f"e{number % 2}" for number, name in enumerate(names)}
    generator = np.random.default_rng(7)
    drawn_people = generator.multinomial(len(people), np.full(len(people), 1 / len(people)), resamples)
    drawn_items = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
    values = result.scored.values
    scores: dict[str, list[float]] = {name: [] for name in names}
    means: dict[str, list[float]] = {"e0": [], "e1": []}
    for of_people, of_items in zip(drawn_people, drawn_items, strict=True):
        found = one_draw(result, values, of_people, of_items, method)
        for code, name in enumerate(names):
            scores[name].append(found.get(code, np.nan))
        for group, list_of in means.items():
            codes = [c for c in found for _ in range(of_items[c]) if editor[names[c]] == group]
            list_of.append(fmean(found[c] for c in codes) if codes else np.nan)
    made = mos_intervals(result, groups=[editor[name] for name in names], resamples=resamples, seed=7)
    for unit, item in enumerate(result.panel.unit_item.tolist()):
        replicates = np.array(scores[names[item]])
        if np.isfinite(replicates).mean() >= 0.9:
            assert made.low[unit] == pytest.approx(np.nanquantile(replicates, 0.025))
            assert made.high[unit] == pytest.approx(np.nanquantile(replicates, 0.975))
        else:
            assert np.isnan(made.low[unit])
    for group in made.groups:
        assert group.low == pytest.approx(np.nanquantile(means[str(group.group)], 0.025))
        assert group.high == pytest.approx(np.nanquantile(means[str(group.group)], 0.975))
        assert group.items == 6


def one_draw(result, values, of_people, of_items, method) -> dict[int, float]:  # type: ignore[no-untyped-def]
    """Item code to score in one draw, by the words of the module."""
    panel, model = result.panel, result.scored.model
    rows = [
        (int(panel.rater_annotator[r]), int(panel.unit_item[u]), float(s))
        for u, r, s in zip(values.unit, values.rater, values.score, strict=True)
    ]
    psi = {int(item): float(result.scored.mos[unit]) for unit, item in enumerate(panel.unit_item)}
    shift, scale, gone = {}, {}, set()
    for person in {a for a, _, _ in rows}:
        own = [(j, s - (psi[j] if method == "p910" else 0)) for a, j, s in rows if a == person]
        drawn = np.repeat([s for _, s in own], [of_items[j] for j, _ in own])
        every = np.array([s for _, s in own])
        shift[person], scale[person] = 0.0, 1.0
        if method != "mean" and drawn.size:
            shift[person] = drawn.mean() - every.mean()
            if method == "zscore":
                scale[person] = drawn.std() / every.std()
                if scale[person] < 1e-6:
                    gone.add(person)
    centre = 50.0 if method == "zscore" else 0.0
    found = {}
    for item in psi:
        total, weight = 0.0, 0.0
        for a, j, s in rows:
            if j == item and a not in gone:
                rater = int(np.flatnonzero(panel.rater_annotator == a)[0])
                w = of_people[a] * (1.0 if model is None else model.inconsistency[rater] ** -2.0)
                total += w * (centre + (s - centre - shift[a]) / scale[a])
                weight += w
        if weight:
            found[item] = total / weight
    return found


def test_group_means_cover_what_naive_intervals_miss() -> None:
    """Biased annotators: an editor's mean over 50 items is as uncertain as the people who rated them."""
    covered, naive = [], []
    for seed in range(12):
        ratings, _, _, _ = simulated(seed, 5, annotators=30, items=200)
        result = mean_opinion_scores(ratings, MosSettings(method="mean", outliers="none"))
        groups = [int(name[1:]) % 4 for name in ratings.items.to_pylist()]
        for one in mos_intervals(result, groups=groups, resamples=150, seed=seed).groups:
            covered.append(one.low < 3 < one.high)
            scores = result.scored.mos[np.array(groups) == one.group]
            half = 2.05 * scores.std(ddof=1) / np.sqrt(scores.size)
            naive.append(abs(scores.mean() - 3) < half)
    assert np.mean(covered) > 0.9
    assert np.mean(naive) < np.mean(covered) - 0.05


def test_single_ratings_have_no_interval() -> None:
    rows: list[Row] = [("a", "x", "q", 1.0), ("b", "y", "q", 2.0), ("c", "y", "q", 4.0)]
    result = mean_opinion_scores(Ratings.from_rows(rows), MosSettings(method="mean", outliers="none"))
    found = mos_intervals(result, groups=["one", None], resamples=100)
    assert np.isnan(found.low[0])
    (group,) = found.groups
    assert (group.group, group.mean, group.items) == ("one", 1.0, 1)
    assert np.isnan(group.low)


@pytest.mark.parametrize("method", METHODS)
def test_odd_panels(method: Method) -> None:
    for rows in ([], [("a", "x", "q", 3.0)], [("a", "x", "q", 3.0), ("b", "x", "q", 3.0)]):
        result = mean_opinion_scores(Ratings.from_rows(rows), MosSettings(method=method))
        found = mos_intervals(result, resamples=20, groups=[0] * len(result.table.items))
        assert found.low.shape == (result.panel.units,)


def test_groups_must_fit_the_items() -> None:
    result = mean_opinion_scores(Ratings.from_rows(panel()))
    with pytest.raises(ValueError, match="12 items, but 2 groups"):
        mos_intervals(result, groups=[1, 2])
