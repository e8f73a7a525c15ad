"""Two versions on the same triples: the figures of the statistics, told in a sentence, by parts; ablation."""

from typing import Any

import numpy as np
import pytest

from annotation.library import load_tasks
from scoring.calibration import services
from scoring.calibration.comparing import ablation, compare_versions, sentence
from scoring.calibration.figures import RESAMPLES
from scoring.calibration.triples import people_of
from scoring.models import Calibration, PromptVersion
from scoring.stats.bootstrap import compare
from tests.calibration import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(bob: Any) -> Calibration:
    load_tasks()
    return make.calibration(
        make.rated_study(cases=30, editors=2, raters=1), make.prompt("hp-test", "Is it there?", "Is it red?"), bob
    )


def noisy(desk: Calibration, version: PromptVersion, noise: float, seed: int = 1, share: float = 1.0) -> dict[int, Any]:
    """People's mean and an error; ``share`` of the candidates have a score."""
    people, chance = people_of(desk), np.random.default_rng(seed)
    found = {
        int(pk): float(np.clip(mean + chance.normal(0, noise), 0, 5)) if chance.random() < share else None
        for pk, mean in zip(people.candidates, people.human, strict=True)
    }
    make.scored(desk, version, found.get)
    return found


def two(desk: Calibration, first: float, second: float, **more: Any) -> tuple[PromptVersion, PromptVersion]:
    assert desk.current is not None
    other = make.version(desk.prompt, "Is it there?", parent=desk.current)
    noisy(desk, desk.current, first, 1, **more)
    noisy(desk, other, second, 2, **more)
    return desk.current, other


def test_it_equals_the_statistics_by_hand(desk: Calibration) -> None:
    first, second = two(desk, 2.0, 0.5, share=0.9)
    people = people_of(desk)
    rows = []
    scores = [dict(one.scores.values_list("candidate", "value")) for one in (first, second)]
    for pk, mean, held, source in zip(people.candidates, people.human, people.held_out, people.cluster, strict=True):
        one, other = (values[int(pk)] for values in scores)
        if not held and one is not None and other is not None:
            rows.append((mean, one, other, source))
    human, before, after, cluster = (np.array(column) for column in zip(*rows, strict=True))
    wanted = compare(human, before, after, cluster, resamples=RESAMPLES)
    (found,) = compare_versions(desk, first, second)
    gap = wanted.differences["pcc"]
    assert (found.part, found.n, found.sources) == ("dev", len(human), len(set(cluster)))
    assert found.difference == pytest.approx(
        {"value": gap.value, "low": gap.low, "high": gap.high, "better": gap.better}, abs=1e-6
    )
    assert found.pcc[0]["value"] == pytest.approx(np.corrcoef(human, before)[0, 1], abs=1e-6)
    assert found.pcc[1]["value"] == pytest.approx(np.corrcoef(human, after)[0, 1], abs=1e-6)
    assert found.pcc[1]["low"] == pytest.approx(wanted.second.intervals["pcc"].low, abs=1e-6)
    errors = np.abs(np.array([after, before]) - human).mean(axis=1)
    assert found.mae["value"] == pytest.approx(errors[0] - errors[1], abs=1e-6)


@pytest.mark.parametrize(
    ("noise", "verdict", "words"),
    [
        ((3.0, 0.2), "better", "The second is better: its PCC is 0."),
        ((0.2, 3.0), "worse", "The second is worse: its PCC is 0."),
    ],
)
def test_the_sentence(desk: Calibration, noise: tuple[float, float], verdict: str, words: str) -> None:
    (found,) = compare_versions(desk, *two(desk, *noise))
    assert found.verdict == verdict
    assert found.sentence.startswith(words)
    assert f"{found.n}" in found.sentence


def test_the_same_twice_is_not_distinguishable_and_needs_no_more(desk: Calibration) -> None:
    first, _second = two(desk, 1.0, 1.0)
    (found,) = compare_versions(desk, first, first)
    assert found.difference["value"] == 0
    assert found.sentence == f"Not distinguishable on these {found.n} triples: the difference lies in [+0.00, +0.00]."


def noise(seed: int, size: int = 60) -> list[np.ndarray[Any, Any]]:
    """People, and two scorers that are equally near to them."""
    chance = np.random.default_rng(seed)
    human = chance.uniform(0, 5, size)
    return [human, human + chance.normal(0, 1.5, size), human + chance.normal(0, 1.5, size)]


def test_it_says_how_many_triples_would_be_needed() -> None:
    found = compare(*noise(0), resamples=RESAMPLES)
    assert found.verdict == "not distinguishable"
    needed = round(found.triples_for(max(0.05, abs(found.differences["pcc"].value))), -1)
    assert needed > 60
    assert f"would take about {needed:.0f} triples." in sentence(found)
    assert sentence(found).startswith("Not distinguishable on these 60 triples: the difference lies in [")


def test_not_determined_says_why(desk: Calibration) -> None:
    first, second = two(desk, 1.0, 1.0)
    second.scores.update(value=3.0)
    (found,) = compare_versions(desk, first, second)
    assert found.verdict == "not determined"
    assert found.sentence == "Not determined: the scorer gives one value to everything."
    second.scores.all().delete()
    (found,) = compare_versions(desk, first, second)
    assert (found.n, found.verdict) == (0, "not determined")
    assert found.sentence == "Not determined: there is no triple with both scores."


def test_every_verdict_is_a_sentence_of_the_statistics() -> None:
    human = np.arange(12.0)
    assert "better" in sentence(compare(human, human[::-1].copy(), human, resamples=200))


def test_the_held_out_part_is_compared_once_both_were_looked_at(desk: Calibration, bob: Any) -> None:
    versions = two(desk, 1.0, 0.5)
    for number, version in enumerate(versions):
        assert [part.part for part in compare_versions(desk, *versions)] == ["dev"], number
        services.look(calibration=desk, version=version, by=bob)
    dev, held = compare_versions(desk, *versions)
    assert (dev.part, held.part) == ("dev", "held")
    assert dev.n + held.n == people_of(desk).candidates.size
    third = make.version(desk.prompt, parent=versions[0])
    assert len(compare_versions(desk, versions[0], third)) == 1


# Ablation ------------------------------------------------------------------------------------------------------------


def test_what_a_question_adds_is_the_whole_against_the_version_without(desk: Calibration) -> None:
    assert desk.current is not None
    version = desk.current
    trials = {key: make.version(desk.prompt, parent=version, is_trial=True) for key in ("q0", "q1")}
    noisy(desk, version, 0.3)
    noisy(desk, trials["q0"], 3.0)
    helps, unknown = ablation(desk, version, trials)
    assert (helps.question.key, helps.without) == ("q0", trials["q0"])
    assert helps.comparison == compare_versions(desk, trials["q0"], version)[0]
    assert helps.comparison is not None
    assert helps.comparison.verdict == "better"
    assert (unknown.without, unknown.comparison) == (trials["q1"], None)
    assert [row.without for row in ablation(desk, version, {})] == [None, None]


def test_what_only_the_held_out_part_has_is_no_result(desk: Calibration) -> None:
    assert desk.current is not None
    trial = make.version(desk.prompt, parent=desk.current, is_trial=True)
    people = people_of(desk)
    held = set(people.candidates[people.held_out].tolist())
    noisy(desk, desk.current, 0.3)
    make.scored(desk, trial, lambda pk: 3.0 if pk in held else None)
    assert ablation(desk, desk.current, {"q0": trial})[0].comparison is None
