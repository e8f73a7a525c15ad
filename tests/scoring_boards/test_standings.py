"""How editors stand: wins by hand, strengths as the statistics have them, weights, tasks."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import pytest
from scipy.stats import t as student

from annotation.models import Case, Task
from annotation.protocols import PRESETS
from scoring.boards import ladder
from scoring.boards.forms import MOS, WINS, LeaderboardForm, Options, usual_weights
from scoring.boards.standings import ALL, Standings, standings
from tests.scoring_boards.rows import judge, study, worth
from webapp.accounts.models import User

THREE = {"quality": 0.3, "alignment": 0.4, "preservation": 0.3}
BASE = {"quality": 3.0, "alignment": 2.0, "preservation": 4.0}


def score(candidate: Any, key: str) -> float:
    """Better editors score more; what a case adds differs by dimension, and makes some of them equal."""
    return round(BASE[key] + 0.3 * worth(candidate) * (candidate.case_id % 3), 1)


def test_it_works(carol: User, bob: User) -> None:
    """Ratings: means with Student's interval, and wins within each case by the mean score."""
    made = study("mos", (carol, bob), cases=4)
    for user, less in ((carol, 0.0), (bob, -0.2)):
        judge(made, user, lambda _u, c, less=less: {key: round(score(c, key) + less, 1) for key in THREE})  # type: ignore[misc]
    found = standings(made, resamples=20)
    part = found.parts["quality"]
    candidates = [c for case in made.dataset.cases.all() for c in case.candidates.select_related("editor")]
    for place, pk in enumerate(found.editors):
        mine = [c for c in candidates if c.editor_id == pk]
        values = [score(c, "quality") - 0.1 for c in mine]
        assert part.mos.value[place] == pytest.approx(fmean(values))
        half = student.ppf(0.975, 3) * stdev(values) / 2
        assert part.mos.low[place] == pytest.approx(fmean(values) - half)
        assert part.mos.n[place] == found.candidates[place] == 4
        wins = [
            sum(
                (a > b) + (a == b) / 2
                for other in candidates
                if other.case_id == c.case_id and other.pk != c.pk
                for a, b in [(score(c, "quality"), score(other, "quality"))]
            )
            for c in mine
        ]
        assert part.wins.value[place] == pytest.approx(fmean(wins))
    assert part.groups == 4 and found.parts[ALL].groups == 12
    for i, j in combinations(range(3), 2):
        assert part.met[i][j] == part.met[j][i] == 4
        assert part.won[i][j] + part.won[j][i] == 4
    assert sum(map(sum, part.won)) == 4 * 3


def test_rankings_count_by_their_final_order(carol: User, bob: User) -> None:
    """Of four cases all rank one the other way round; of another, one person does: that one is a tie of all."""
    made = study("group-rank", (carol, bob), cases=4)
    first, *_rest, last = made.dataset.cases.order_by("pk")

    def answer(turned: Sequence[Case]) -> Any:
        return lambda u, c: {"rank": 1 + worth(c) if u.item.case in turned else 3 - worth(c), "score": 2.0}

    judge(made, carol, answer([last]))
    judge(made, bob, answer([first, last]))
    part = standings(made, resamples=0).parts["quality"]
    assert part.wins.value == pytest.approx([(1 + 0 + 0 + 2) / 4, 1, (1 + 2 + 2 + 0) / 4])
    assert part.won[2][0] == 2.5 and part.met[2][0] == 4
    assert part.mos.value == [2.0, 2.0, 2.0]  # the shelves
    assert part.bradley_terry.value[2] > 0 > part.bradley_terry.value[0]  # type: ignore[operator]
    assert part.plackett_luce.value[2] > 0 > part.plackett_luce.value[0]  # type: ignore[operator]


def test_an_editor_that_never_loses_has_no_strength_and_says_so(carol: User) -> None:
    made = study("group-rank", (carol,))
    judge(made, carol, lambda _u, c: {"rank": 3 - worth(c), "score": 1.0})
    found = standings(made, resamples=5)
    part = found.parts["quality"]
    assert part.bradley_terry.value == part.plackett_luce.value == [None] * 3
    board = ladder.ladder(made, found, LeaderboardForm(None, made.protocol).options())
    figure = ladder.strengths(board)
    assert figure.chart is None and "never lost" in figure.empty and figure.table.has_gaps


def test_comparisons_have_wins_and_no_opinion_scores(carol: User) -> None:
    made = study("pairwise", (carol,))
    judge(made, carol, lambda u, c: {"rank": 1 if worth(c) == max(worth(o) for o in u.item.candidates.all()) else 2})
    found = standings(made, resamples=0)
    assert list(found.parts) == ["overall"]
    assert found.parts["overall"].wins.value == [0, 0.5, 1]
    assert found.parts["overall"].mos.value == [None] * 3
    board = ladder.ladder(made, found, LeaderboardForm(None, made.protocol).options())
    assert "no opinion scores" in ladder.opinions(board).empty


def test_several_candidates_of_one_editor_do_not_compete_with_each_other(carol: User) -> None:
    made = study("group-rank", (carol,), cases=2, editors=2, seeds=2)
    judge(made, carol, lambda _u, c: {"rank": 1 + 2 * (1 - worth(c)) + c.seed, "score": 1.0})
    part = standings(made, resamples=0).parts["quality"]
    assert part.met == [[0, 8], [8, 0]] and part.won == [[0, 0], [8, 0]]
    assert part.repeated == 2 and part.plackett_luce.value == [None, None]


def test_control_candidates_are_no_editors_of_the_board(carol: User) -> None:
    made = study("mos", (carol,))
    judge(made, carol, lambda _u, c: dict.fromkeys(THREE, 3.0 + worth(c) / 10))
    whole = standings(made, resamples=0)
    made.dataset.cases.first().candidates.update(control="source")  # type: ignore[union-attr]
    assert sum(whole.candidates) - sum(standings(made, resamples=0).candidates) == 3


def test_what_is_kept_says_the_same(carol: User) -> None:
    made = study("mos", (carol,))
    judge(made, carol, lambda _u, c: {key: score(c, key) for key in THREE})
    found = standings(made, resamples=5)
    assert Standings.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_nobody_has_judged(carol: User) -> None:
    assert standings(study("mos", (carol,))).parts == {}


# Weights ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rated(carol: User) -> tuple[Any, Standings]:
    made = study("mos", (carol,))
    judge(made, carol, lambda _u, c: {key: score(c, key) for key in THREE})
    return made, standings(made, resamples=0)


def test_the_overall_score_is_a_weighted_mean_whatever_the_weights_add_to(rated: tuple[Any, Standings]) -> None:
    made, found = rated
    usual = LeaderboardForm(None, made.protocol).options()
    assert usual.weights == THREE and usual.by == MOS
    values = {key: found.parts[key].mos.value for key in THREE}
    expected = [sum(w * (values[key][place] or 0) for key, w in THREE.items()) for place in range(3)]
    assert ladder.weighted(found, usual) == pytest.approx(expected)
    tenfold = replace(usual, weights={key: 10 * value for key, value in THREE.items()})
    assert ladder.weighted(found, tenfold) == pytest.approx(expected)
    alone = replace(usual, weights={"quality": 0, "alignment": 2, "preservation": 0})
    assert ladder.weighted(found, alone) == pytest.approx(values["alignment"])
    assert ladder.weighted(found, replace(usual, by=WINS)) != expected


def test_without_a_weighted_dimension_there_is_no_overall_score(rated: tuple[Any, Standings]) -> None:
    made, found = rated
    usual = LeaderboardForm(None, made.protocol).options()
    parts = {key: part for key, part in found.parts.items() if key != "alignment"}
    assert ladder.weighted(replace(found, parts=parts), usual) == [None] * 3
    without = replace(usual, weights={**THREE, "alignment": 0.0})
    assert None not in ladder.weighted(replace(found, parts=parts), without)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"weight_quality": "-1"}, "greater than or equal to 0"),
        ({"weight_quality": "nan"}, "Enter a number"),
        ({"weight_quality": "1e999"}, "Enter a number"),
        ({"weight_quality": "many"}, "Enter a number"),
        ({"weight_quality": "1001"}, "less than or equal to 1000"),
        ({f"weight_{key}": "0" for key in THREE}, "nothing is left to weigh"),
        ({"dimension": "beauty"}, "not one of the available choices"),
        ({"by": "luck"}, "not one of the available choices"),
        ({"method": "vote"}, "not one of the available choices"),
    ],
)
def test_bad_settings_are_refused_in_words_and_the_usual_ones_stand(asked: dict[str, str], said: str) -> None:
    form = LeaderboardForm(asked, PRESETS["mos"])
    assert not form.is_valid()
    assert said in str(form.errors)
    assert form.options() == LeaderboardForm(None, PRESETS["mos"]).usual()


def test_good_settings_are_used_and_stand_in_the_address() -> None:
    form = LeaderboardForm({"dimension": "quality", "by": "wins", "weight_quality": "2"}, PRESETS["mos"])
    assert form.options() == Options("quality", WINS, "mean", {**THREE, "quality": 2.0})
    assert "weight_quality=2" in form.options().query
    assert LeaderboardForm({"dimension": ""}, PRESETS["mos"]).options().dimension == ALL


def test_other_dimensions_weigh_alike() -> None:
    assert usual_weights(PRESETS["likert4"]) == {"following": 1.0, "quality": 1.0}
    assert not [name for name in LeaderboardForm(None, PRESETS["hp-score"]).fields if name.startswith("weight")]


# Tasks --------------------------------------------------------------------------------------------------------------


def test_by_task_the_numbers_are_means_over_the_tasks_candidates(carol: User) -> None:
    made = study("mos", (carol,), cases=4)
    tasks = list(Task.objects.exclude(pk="add").order_by("pk")[:2])
    for case, task in zip(made.dataset.cases.order_by("pk")[:2], tasks, strict=True):
        Case.objects.filter(pk=case.pk).update(task=task)
    judge(made, carol, lambda _u, c: {key: score(c, key) for key in THREE})
    found = standings(made, resamples=0)
    usual = LeaderboardForm(None, made.protocol).options()
    board = ladder.ladder(made, found, usual)
    values, numbers = ladder.task_values(board)
    for place, pk in enumerate(found.editors):
        for column, slug in enumerate(found.tasks):
            mine = [c for case in made.dataset.cases.filter(task=slug) for c in case.candidates.filter(editor=pk)]
            expected = [sum(weight * score(c, key) for key, weight in THREE.items()) for c in mine]
            assert values[place][column] == pytest.approx(fmean(expected))
            assert numbers[place][column] == len(mine)
    heat, radar = ladder.by_task(board)
    assert heat.chart is not None and radar.chart is not None
    quality = ladder.ladder(made, found, replace(usual, dimension="quality"))
    assert ladder.task_values(quality)[0] == found.parts["quality"].task_mos.value
    assert all(math.isfinite(value or 0) for row in values for value in row)
