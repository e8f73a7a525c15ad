"""The figures of a calibration against scipy and brute force on the same rows; what is told of the held-out part."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from scipy import stats

from annotation.models import Candidate, Mark
from scoring.calibration import services
from scoring.calibration.figures import page_figures
from scoring.calibration.parts import is_held_out
from scoring.models import Answer, Calibration, Method
from tests.calibration import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(bob: Any) -> Calibration:
    return make.calibration(by=bob)


def people(desk: Calibration) -> dict[int, float]:
    """Each candidate's plain mean, by a loop."""
    found: dict[int, list[float]] = defaultdict(list)
    for mark in Mark.objects.filter(judgement__study=desk.study):
        assert mark.score is not None
        found[mark.candidate_id].append(mark.score)
    return {pk: sum(scores) / len(scores) for pk, scores in found.items()}


def judged(desk: Calibration) -> dict[int, float]:
    """Something between people's mean and noise, on the same scale."""
    rng = np.random.default_rng(5)
    return {pk: float(np.clip(mean + rng.normal(0, 1), 0, 5)) for pk, mean in sorted(people(desk).items())}


def held_out(desk: Calibration) -> set[int]:
    rows = Candidate.objects.filter(pk__in=people(desk)).select_related("case__source")
    return {row.pk for row in rows if is_held_out(desk.seed, row.case.source.sha256, desk.held_out)}


def figures(desk: Calibration) -> dict[str, Any]:
    assert desk.current is not None
    return page_figures(desk, desk.current)


def columns(desk: Calibration, keys: set[int], by: dict[int, float]) -> tuple[list[float], list[float]]:
    means = people(desk)
    order = sorted(keys & set(by))
    return [means[pk] for pk in order], [by[pk] for pk in order]


def test_it_works(desk: Calibration, bob: Any) -> None:
    by = judged(desk)
    make.scored(desk, desk.current, by.get)
    held = held_out(desk)
    human, scorer = columns(desk, set(by) - held, by)
    found = figures(desk)["dev"]
    assert found["n"] == len(human)
    assert found["figures"]["pcc"]["value"] == pytest.approx(stats.pearsonr(human, scorer).statistic, abs=1e-6)
    interval = stats.pearsonr(human, scorer).confidence_interval()
    assert found["fisher"] == pytest.approx([interval.low, interval.high], abs=1e-6)
    assert found["figures"]["srcc"]["value"] == pytest.approx(stats.spearmanr(human, scorer).statistic, abs=1e-6)
    assert found["figures"]["tau_b"]["value"] == pytest.approx(stats.kendalltau(human, scorer).statistic, abs=1e-6)
    error = np.array(scorer) - human
    assert found["figures"]["mae"]["value"] == pytest.approx(np.abs(error).mean(), abs=1e-6)
    assert found["figures"]["bias"]["value"] == pytest.approx(error.mean(), abs=1e-6)
    assert found["figures"]["within_one"]["value"] == pytest.approx((np.abs(error) <= 1).mean(), abs=1e-6)
    pcc = found["figures"]["pcc"]
    assert -1 <= pcc["low"] < pcc["high"] <= 1
    assert sum(map(sum, found["confusion"])) == found["n"]


def test_nothing_of_the_held_out_part_is_told_before_a_look(desk: Calibration, bob: Any) -> None:
    by = judged(desk)
    make.scored(desk, desk.current, by.get)
    held = held_out(desk)
    assert held
    before = figures(desk)
    assert before["held"] is None
    assert not {point[0] for point in before["points"]} & held
    assert before["looks"] == {"all": 0, "versions": 0}
    services.look(calibration=desk, version=desk.current, by=bob)
    after = figures(desk)
    human, scorer = columns(desk, held, by)
    assert after["held"]["figures"]["pcc"]["value"] == pytest.approx(stats.pearsonr(human, scorer).statistic, abs=1e-6)
    assert {point[0] for point in after["points"] if point[4]} == held
    assert after["looks"] == {"all": 1, "versions": 1}
    assert after["dev"] == before["dev"]


def test_a_look_at_one_version_shows_nothing_of_another(desk: Calibration, bob: Any) -> None:
    second = make.version(desk.prompt, "Is it there?", parent=desk.current)
    for version in (desk.current, second):
        make.scored(desk, version, judged(desk).get)
    services.look(calibration=desk, version=desk.current, by=bob)
    assert page_figures(desk, second)["held"] is None
    assert page_figures(desk, second)["looks"] == {"all": 1, "versions": 1}


def test_what_has_no_score_is_in_no_figure_and_is_counted(desk: Calibration) -> None:
    by: dict[int, float | None] = dict(judged(desk))
    lost = sorted(set(by) - held_out(desk))[:3]
    by |= dict.fromkeys(lost)
    make.scored(desk, desk.current, by.get)
    found = figures(desk)
    assert found["count"]["lost"] == {"failed": 3}
    assert found["count"]["scored"] == len(by) - 3
    assert found["dev"]["n"] == len(set(by) - held_out(desk)) - 3
    assert not {point[0] for point in found["points"]} & set(lost)


def test_a_constant_judge_has_a_dash_and_the_reason(desk: Calibration) -> None:
    make.scored(desk, desk.current, lambda _pk: 3.0)
    found = figures(desk)["dev"]["figures"]
    assert found["pcc"] == {"value": None, "reason": "the scorer gives one value to everything"}
    assert found["mae"]["value"] > 0


def test_nothing_scored_yet(desk: Calibration) -> None:
    found = figures(desk)
    assert found["count"]["waiting"] == found["count"]["rated"] == len(people(desk))
    assert found["dev"]["n"] == 0
    assert found["dev"]["figures"]["pcc"]["value"] is None
    assert found["points"] == []


def test_a_new_rating_moves_the_figures(desk: Calibration, mallory: Any) -> None:
    from annotation.models import Unit
    from annotation.studies import add_member

    make.scored(desk, desk.current, judged(desk).get)
    before = figures(desk)
    Unit.objects.filter(study=desk.study).update(target=9)
    add_member(study=desk.study, user=mallory)
    make.rate(desk.study, mallory, lambda _pk: 0, limit=5)
    after = figures(desk)
    assert after["count"]["ratings"] == before["count"]["ratings"] + 5
    assert after["dev"]["figures"]["bias"] != before["dev"]["figures"]["bias"]


def test_scores_of_another_scale_are_drawn_onto_the_prompts(bob: Any) -> None:
    study = make.rated_study()
    of = make.prompt("four", task="add")
    type(of).objects.filter(pk=of.pk).update(low=1, high=4)
    of.refresh_from_db()
    desk = make.calibration(study, of, bob)
    means = people(desk)
    make.scored(desk, desk.current, lambda pk: 1 + means[pk] * 3 / 5)
    found = figures(desk)["dev"]["figures"]
    assert found["mae"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["pcc"]["value"] == pytest.approx(1)


@pytest.mark.parametrize("method", Method.values)
def test_every_way_to_join_scores_stays_on_the_scale(bob: Any, method: str) -> None:
    desk = make.calibration(by=bob, method=method)
    means = people(desk)
    make.scored(desk, desk.current, means.get)
    found = figures(desk)
    assert found["dev"]["range"]["human"]["min"] >= -0.5
    assert found["dev"]["range"]["human"]["max"] <= 5.5
    assert found["dev"]["figures"]["pcc"]["value"] > 0.9


def test_the_ceiling_is_that_of_the_ratings(desk: Calibration) -> None:
    found = figures(desk)["ceiling"]
    assert 0.8 < found["value"] <= 1
    assert found["raters"] == 3


def test_the_level_map_mends_the_level_and_not_the_order(desk: Calibration) -> None:
    means = people(desk)
    make.scored(desk, desk.current, lambda pk: min(5.0, 3.5 + means[pk] * 0.3))
    before = figures(desk)
    services.fit_level(calibration=desk, version=desk.current)
    after = figures(desk)
    assert after["dev"] == before["dev"]
    assert abs(after["mapped"]["figures"]["bias"]) < 0.05 < abs(before["dev"]["figures"]["bias"]["value"])
    assert after["mapped"]["figures"]["srcc"] == pytest.approx(before["dev"]["figures"]["srcc"]["value"], abs=0.05)
    services.forget_level(calibration=desk, version=desk.current)
    assert figures(desk)["mapped"] is None


def test_the_cut_is_counted(desk: Calibration) -> None:
    means = people(desk)
    held = held_out(desk)
    make.scored(desk, desk.current, lambda pk: 5.0 if means[pk] >= 4 else 2.0)
    dev = [mean for pk, mean in means.items() if pk not in held]
    found = figures(desk)["dev"]["cut"]
    assert found["dropped"] == sum(mean >= 4 for mean in dev)
    assert found["perfect"] == sum(mean >= 4.5 for mean in dev)


def test_cost_and_latency_are_those_of_the_answers(desk: Calibration) -> None:
    make.scored(desk, desk.current, judged(desk).get)
    count = len(people(desk))
    assert figures(desk)["used"] == {"answers": count, "cost": pytest.approx(0.001 * count), "seconds": 0.5}
    Answer.objects.filter(pk=Answer.objects.order_by("pk")[0].pk).update(cost=None)
    assert figures(desk)["used"]["cost"] is None


def test_queries_do_not_grow_with_the_ratings(desk: Calibration, django_assert_max_num_queries: Any) -> None:
    make.scored(desk, desk.current, judged(desk).get)
    with django_assert_max_num_queries(14):
        figures(desk)
