"""Every figure of agreement that ImagenHub printed, from its ratings: what comes out, and what does not as printed."""

import csv
import gzip
import json
from collections import defaultdict
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from scoring.stats.agreement import fleiss_kappa, krippendorff_alpha
from tests.stats.shared import shared_file

CENT = 0.00501
"""Two decimals."""
RATERS = ("rater1", "rater2", "rater3")
ORDER = {"Mask-Guided_IE": (2, 1, 0), "Multi-Subject_IG": (0, 2, 1), "Subject-Driven_IE": (0, 2, 1)}
"""Tasks in which the printed lists name the raters' figures in another order than the files."""


@pytest.fixture(scope="module")
def published() -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads(shared_file("golden/imagenhub_published_agreement.json").read_text())["published"]
    return {(task, model): figures for task, models in found.items() for model, figures in models.items()}


@pytest.fixture(scope="module")
def scores() -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Per task and model: criterion to scores of shape (images, 3 raters); HumanEval is sqrt(SC·PR) of each rating."""
    cells: dict[tuple[str, str, str], dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    with gzip.open(shared_file("human-data/imagenhub/long.csv.gz"), "rt") as file:
        for line in csv.DictReader(file):
            cells[line["task"], line["model"], line["dim"]][line["uid"]][line["rater"]] = float(line["score"])
    found: dict[tuple[str, str], dict[str, np.ndarray]] = defaultdict(dict)
    for (task, model, criterion), images in cells.items():
        found[task, model][criterion] = np.array([[image[rater] for rater in RATERS] for image in images.values()])
    for both in found.values():
        both["HumanEval"] = np.sqrt(both["SC"] * both["PR"])
    return found


def figures(made: dict[str, np.ndarray]) -> dict[str, Any]:
    """What the source prints for a model, under its names."""
    found: dict[str, Any] = {
        "per_rater_HumanEvalSum": made["HumanEval"].sum(axis=0),
        "avg_HumanEvalSum": made["HumanEval"].sum(axis=0).mean(),
    }
    for name, table in made.items():
        own = "HumanEvalAvg" if name == "HumanEval" else f"{name}_avg"
        found[f"per_rater_{own}"] = table.mean(axis=0)
        found[f"avg_{own}"] = table.mean()
        found[f"avg_{name}_std"] = table.mean(axis=0).std()
        unit = np.repeat(np.arange(len(table)), len(RATERS))
        found[f"{name}_fleiss_Kappa"] = fleiss_kappa(unit, table.ravel(), len(table))
        found[f"{name}_fleiss_Kd"] = krippendorff_alpha(unit, table.ravel(), len(table), "ordinal")
    return found


def test_all_printed_figures_come_out_to_two_decimals(published: Any, scores: Any) -> None:
    checked = moved = 0
    for (task, model), printed in published.items():
        made = figures(scores[task, model])
        for name, value in printed.items():
            mine = np.atleast_1d(made[name])
            if name.startswith("per_rater"):
                moved += int((np.abs(mine - value) > CENT).sum())
                mine = mine[list(ORDER.get(task, (0, 1, 2)))]
            assert mine == pytest.approx(np.atleast_1d(value), abs=CENT), (task, model, name)
            checked += mine.size
    assert (len(published), checked, moved) == (33, 821, 68)


def test_the_order_of_the_raters_is_the_only_one_that_fits(published: Any, scores: Any) -> None:
    """In three of seven tasks the lists are not in the order of the files; one order fits all models of a task."""
    for task in {task for task, _ in published}:
        fitting = {
            order
            for order in permutations(range(3))
            if all(
                figures(scores[key])[name][list(order)] == pytest.approx(printed[name], abs=CENT)
                for key, printed in published.items()
                if key[0] == task
                for name in printed
                if name.startswith("per_rater")
            )
        }
        assert fitting == {ORDER.get(task, (0, 1, 2))}, task


def test_what_is_printed_as_std_is_of_three_means_and_too_small(published: Any, scores: Any) -> None:
    """Population std of the three raters' means. The sample std, which estimates their spread, is √1.5 of it."""
    differ = 0
    for key, printed in published.items():
        for name in ("SC", "PR", "HumanEval"):
            means = scores[key][name].mean(axis=0)
            assert printed[f"avg_{name}_std"] == pytest.approx(means.std(), abs=CENT)
            differ += abs(printed[f"avg_{name}_std"] - means.std(ddof=1)) > CENT
    assert differ == 75


def test_kappa_takes_half_right_for_as_wrong_as_wrong(published: Any) -> None:
    """Fleiss' κ has no order of scores: it is hardly ever above the ordinal α, and often far below it."""
    gaps = [
        printed[f"{name}_fleiss_Kd"] - printed[f"{name}_fleiss_Kappa"]
        for printed in published.values()
        for name in ("SC", "PR", "HumanEval")
        if f"{name}_fleiss_Kappa" in printed
    ]
    assert len(gaps) == 97
    assert min(gaps) > -0.015
    assert max(gaps) == pytest.approx(0.24)
    assert np.mean(gaps) == pytest.approx(0.113, abs=0.001)


def test_where_all_gave_zero_nothing_is_printed_and_nothing_is_found(published: Any, scores: Any) -> None:
    key = ("Text-Guided_IE", "Imagic")
    assert not scores[key]["SC"].any()
    made = figures(scores[key])
    for name in ("SC", "HumanEval"):
        assert f"{name}_fleiss_Kd" not in published[key]
        assert np.isnan(made[f"{name}_fleiss_Kd"])
        assert np.isnan(made[f"{name}_fleiss_Kappa"])


def test_no_answer_is_missing(scores: Any) -> None:
    """So nothing can have been counted as two empty answers that agree."""
    assert sum(table["SC"].size + table["PR"].size for table in scores.values()) == 33_144
    assert all(set(np.unique(table["SC"])) <= {0, 0.5, 1} for table in scores.values())
