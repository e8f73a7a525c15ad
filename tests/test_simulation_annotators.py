"""Simulated annotators as functions: what each kind answers to what is true of an edit, in every protocol's form."""

import random
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.answers import letters, read_answer
from annotation.protocols import PRESETS, Protocol
from annotation.simulation.annotators import KINDS, Annotator, Facts, Shown, remark_on, score_on

DIMENSIONS = ("quality", "alignment", "preservation")
parts = st.floats(0, 1)


def facts(follow: float = 1, keep: float = 1, quality: float = 1) -> Facts:
    return Facts(follow, keep, quality, 5 * (follow * keep) ** 0.5)


def spread(count: int = 200) -> list[Shown]:
    """Candidates of all sorts."""
    chance = random.Random(3)
    return [Shown(f"c{n}", facts(chance.random(), chance.random(), chance.random())) for n in range(count)]


def of(kind: str, number: int = 1, seed: int = 1) -> Annotator:
    return Annotator(kind, f"simulated-{kind}-{number}-{seed}", seed)


def overall(annotator: Annotator, shown: Shown) -> float:
    return float(annotator.answer(PRESETS["hp-score"], "", {"A": shown})["scores"]["overall"])


def correlation(first: list[float], second: list[float]) -> float:
    return statistics.correlation(first, second)


def test_it_works() -> None:
    shown = spread()
    true = [one.facts.score for one in shown]
    found = {kind: [overall(of(kind), one) for one in shown] for kind in KINDS}
    assert correlation(true, found["honest"]) > 0.9
    assert correlation(true, found["biased"]) > 0.8
    assert 0.4 < correlation(true, found["noisy"]) < correlation(true, found["honest"])
    assert abs(correlation(true, found["random"])) < 0.25
    assert correlation(true, found["reversed"]) < -0.9
    assert len(set(found["straight"])) == 1
    assert all(score in range(6) for scores in found.values() for score in scores)


def test_an_honest_annotator_is_right_to_a_step() -> None:
    errors = [overall(of("honest"), one) - one.facts.score for one in spread()]
    assert abs(statistics.mean(errors)) < 0.15
    assert statistics.mean(abs(error) for error in errors) < 0.5


def test_a_biased_one_is_shifted_and_uses_less_of_the_scale() -> None:
    shown = spread()
    true = [one.facts.score for one in shown]
    for number in range(1, 6):
        mine = [5 * of("biased", number).opinion(one, "overall") for one in shown]
        assert statistics.stdev(mine) < 0.8 * statistics.stdev(true)
    middles = [of("biased", number).opinion(Shown("c", Facts(0.5, 0.5, 0.5, 2.5)), "overall") for number in range(20)]
    assert min(middles) < 0.4
    assert max(middles) > 0.6, "some are strict and some mild"


def test_each_dimension_has_its_own_fact() -> None:
    one = facts(follow=0.1, keep=0.5, quality=0.9)
    assert [one.worth(name) for name in ("alignment", "following", "preservation", "quality")] == [0.1, 0.1, 0.5, 0.9]
    assert one.worth("overall") == one.worth("any other") == one.score / 5


def test_the_answer_depends_on_nothing_but_seed_name_candidate_and_dimension() -> None:
    first, second = Shown("one", facts(0.4)), Shown("two", facts(0.9))
    annotator = of("noisy")
    assert annotator.opinion(first, "quality") == of("noisy").opinion(first, "quality")
    for other in (of("noisy", 2), of("noisy", seed=2)):
        assert other.opinion(first, "quality") != annotator.opinion(first, "quality")
    assert annotator.opinion(first, "quality") != annotator.opinion(first, "alignment")
    group = PRESETS["group-rank"]
    a, b = ({"A": first, "B": second}, {"A": second, "B": first})
    shelves = [annotator.answer(group, "quality", shown)["shelves"] for shown in (a, b)]
    assert (shelves[0]["A"], shelves[0]["B"]) == (shelves[1]["B"], shelves[1]["A"])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(truths=st.lists(st.tuples(parts, parts, parts), min_size=2, max_size=8), seed=st.integers(0, 2**32 - 1))
def test_every_answer_is_one_that_the_protocol_accepts(
    preset: str, kind: str, truths: list[tuple[float, float, float]], seed: int
) -> None:
    protocol: Protocol = PRESETS[preset]
    size = {"rating": 1, "pairwise": 2}.get(protocol.kind, len(truths))
    shown = {letter: Shown(letter, facts(*truth)) for letter, truth in zip(letters(size), truths[:size], strict=True)}
    for dimension in protocol.unit_dimensions:
        answer = of(kind, seed=seed).answer(protocol, dimension, shown)
        read = read_answer(protocol, dimension, list(shown), answer)
        assert read.flag == ""
        expected = size * (1 if protocol.kind != "rating" else len(protocol.dimensions))
        assert len(read.marks) == expected


@given(opinion=parts)
@pytest.mark.parametrize("preset", ["hp-score", "mos", "likert4"])
def test_scores_are_the_nearest_steps(preset: str, opinion: float) -> None:
    for dimension in PRESETS[preset].dimensions:
        exact = dimension.low + opinion * (dimension.high - dimension.low)
        found = score_on(dimension, opinion)
        assert dimension.allows(found)
        assert abs(found - exact) <= dimension.step / 2 + 1e-6


def ranked(kind: str, dimension: str = "alignment") -> tuple[dict[str, int], list[list[str]]]:
    worths = dict(zip(letters(5), (0.0, 0.25, 0.5, 0.75, 1.0), strict=True))
    shown = {letter: Shown(letter, facts(follow=worth)) for letter, worth in worths.items()}
    answer: dict[str, Any] = of(kind).answer(PRESETS["group-rank"], dimension, shown)
    return answer["shelves"], answer["order"]


def test_rankings_by_kind() -> None:
    assert ranked("honest")[1] == [["E"], ["D"], ["C"], ["B"], ["A"]]
    assert ranked("reversed")[1] == [["A"], ["B"], ["C"], ["D"], ["E"]]
    shelves, order = ranked("straight")
    assert len(set(shelves.values())) == 1
    assert order == [letters(5)], "one tier, by letter"


def test_comparisons_by_kind() -> None:
    good, bad = Shown("good", facts()), Shown("bad", facts(0.1))
    protocol = PRESETS["pairwise"]

    def choice(kind: str, first: Shown, second: Shown) -> str:
        return str(of(kind).answer(protocol, "", {"A": first, "B": second})["choice"])

    assert (choice("honest", good, bad), choice("honest", bad, good)) == ("A", "B")
    assert (choice("reversed", good, bad), choice("reversed", bad, good)) == ("B", "A")
    assert (choice("straight", good, bad), choice("straight", bad, good)) == ("A", "A")
    worst = Shown("worst", facts(0))
    assert choice("honest", worst, Shown("as bad", facts(0))) == "both_bad"
    alike = [choice("honest", Shown(f"x{n}", facts()), Shown(f"y{n}", facts())) for n in range(40)]
    assert "tie" in alike
    chosen = [choice("random", Shown(f"x{n}", facts()), Shown(f"y{n}", facts(0))) for n in range(80)]
    assert set(chosen) == {"A", "B", "tie", "both_bad"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (facts(), ""),
        (facts(follow=0.1), "What was asked for was not done."),
        (facts(follow=0.5), "It was done only in part."),
        (facts(keep=0.3), "Something else changed, too."),
        (facts(quality=0.4), "The picture is grainy."),
        (facts(0.1, 0.3), "What was asked for was not done. Something else changed, too."),
    ],
)
def test_remarks_follow_from_the_facts(found: Facts, words: str) -> None:
    assert remark_on(found) == words


def test_only_honest_ones_remark_and_only_now_and_then() -> None:
    faulty = [Shown(f"c{n}", facts(keep=0.2)) for n in range(300)]
    said = {
        kind: [of(kind).answer(PRESETS["mos"], "", {"A": one})["remark"] for one in faulty].count(
            "Something else changed, too."
        )
        for kind in KINDS
    }
    assert 60 < said.pop("honest") < 120
    assert set(said.values()) == {0}
    group = {"A": Shown("fine", facts()), "B": Shown("faulty", facts(keep=0.2))}
    words = {of("honest", n).answer(PRESETS["group-rank"], "quality", group)["remark"] for n in range(40)}
    assert words == {"", "B: Something else changed, too."}, "of a group it says which image"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="There are no lazy annotators; the kinds are honest"):
        Annotator("lazy", "simulated-lazy-1-1", 1)
