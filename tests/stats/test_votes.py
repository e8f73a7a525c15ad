"""Judges' votes beside people's: simple loops over pairs, scipy, sklearn, and figures that the benchmark published."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from scoring.stats.votes import (
    MEASURES,
    NO_ANSWER,
    VOTES,
    Ballots,
    accuracies,
    compare,
    constants,
    figures,
    mcnemar,
    most_frequent,
    random_accuracy,
    wilson,
)
from tests.stats.shared import shared_file

PUBLISHED = {"leftvote": 0, "rightvote": 1, "tievote": 2, "bothbad_vote": 3}
WRITTEN = {"[[A>B]]": 0, "[[B>A]]": 1, "[[A=B=Good]]": 2, "[[A=B=Bad]]": 3}


def ballots(people: list[int], *judges: list[int], group: list[int] | None = None) -> Ballots:
    groups = range(len(people)) if group is None else group
    return Ballots(np.array(people, int), np.array(judges, int).reshape(len(judges), len(people)), np.array([*groups]))


def benchmark() -> tuple[Ballots, list[str], list[dict[str, Any]]]:
    """The 919 pairs of image editing, with 18 judges."""
    rows = json.loads(shared_file("human-data/genai-bench/image_edition_votes.json").read_text())
    names = list(rows[0]["model_votes"])
    sources: dict[str, int] = {}
    group = [sources.setdefault(row["source_prompt"], len(sources)) for row in rows]
    judges = [[WRITTEN.get(row["model_votes"][name], NO_ANSWER) for row in rows] for name in names]
    return ballots([PUBLISHED[row["human_vote"]] for row in rows], *judges, group=group), names, rows


def earned(person: int, vote: int, measure: str) -> float | None:
    """What one vote earns, by the words of the definition; None where the pair does not count."""
    if measure in ("two", "half") and VOTES[person] not in ("A", "B"):
        return None
    if vote == NO_ANSWER:
        return 0
    if measure == "three":
        return float(VOTES[person] == VOTES[vote] or {VOTES[person], VOTES[vote]} <= {"tie", "both_bad"})
    if measure == "half" and VOTES[vote] in ("tie", "both_bad"):
        return 0.5
    return float(VOTES[person] == VOTES[vote])


def by_hand(people: list[int], votes: list[int], measure: str, answered: bool) -> tuple[float, int]:
    pairs = [(p, v) for p, v in zip(people, votes, strict=True) if not answered or v != NO_ANSWER]
    found = [value for p, v in pairs if (value := earned(p, v, measure)) is not None]
    return (sum(found) / len(found) if found else np.nan), len(found)


def test_five_pairs_by_hand() -> None:
    """People: A, B, tie, both bad, A. The judge: A, A, both bad, no answer, tie."""
    (found,) = figures(ballots([0, 1, 2, 3, 0], [0, 0, 3, NO_ANSWER, 2]))
    values = {measure: rate.value for measure, rate in found.everywhere.items()}
    assert values == pytest.approx({"four": 1 / 5, "three": 2 / 5, "two": 1 / 3, "half": 1.5 / 3})
    values = {measure: rate.value for measure, rate in found.answered.items()}
    assert values == pytest.approx({"four": 1 / 4, "three": 2 / 4, "two": 1 / 3, "half": 1.5 / 3})
    assert (found.votes, found.answered_pairs, found.coverage) == ((2, 0, 1, 1), 4, 0.8)
    assert found.lean.value == 1.0  # it never says B
    assert found.gap.value == pytest.approx(1 / 2 - 0)


def test_all_judges_of_the_benchmark_as_a_loop_finds_them() -> None:
    table, names, rows = benchmark()
    people = table.people.tolist()
    for name, found in zip(names, figures(table, resamples=10), strict=True):
        votes = [WRITTEN.get(row["model_votes"][name], NO_ANSWER) for row in rows]
        for measure in MEASURES:
            for rates, answered in ((found.everywhere, False), (found.answered, True)):
                value, n = by_hand(people, votes, measure, answered)
                assert rates[measure].value == pytest.approx(value, nan_ok=True)
                assert rates[measure].n == n
        kept = [(p, v) for p, v in zip(people, votes, strict=True) if v != NO_ANSWER]
        assert found.coverage == len(kept) / 919
        if kept:
            assert found.kappa.value == pytest.approx(cohen_kappa_score(*zip(*kept, strict=True)), abs=1e-12)
        else:
            assert np.isnan(found.kappa.value) and found.kappa.why == "no answer"


def test_the_published_accuracies_come_out() -> None:
    """Image editing on GenAI-Bench's leaderboard of 2024-06-30; GPT-4o and random also in EditReward's table 2."""
    table, names, _rows = benchmark()
    found = dict(zip(names, (100 * accuracies(table, "four")).tolist(), strict=True))
    leaderboard = {"idefics2": 27.3123, "blip2": 26.0065, "random": 25.8977, "cogvlm": 0, "kosmos2": 0}
    assert {name: round(found[name], 4) for name in leaderboard} == leaderboard
    assert round(found["idefics1"], 4) == 5.6583
    assert round(found["gpt4o"], 2) == 53.54


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 919), (919, 919), (492, 919), (7, 10), (1, 3)])
def test_wilson_equals_scipy(right: int, n: int) -> None:
    low, high = wilson(np.array([float(right)]), np.array([n]))
    theirs = binomtest(right, n).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_nothing_is_undefined() -> None:
    assert np.isnan(wilson(np.array([0.0]), np.array([0]))).all()


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 5), (3, 12), (161, 139), (0, 40)])
def test_mcnemar_equals_scipys_binomial_test(first: int, second: int) -> None:
    theirs = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(theirs)


def test_constant_and_random_judges() -> None:
    table = ballots([0, 0, 0, 1, 2, 3, 3], [0] * 7)
    assert most_frequent(table) == 0
    assert accuracies(constants(table), "four") == pytest.approx(np.array([3, 1, 1, 2]) / 7)
    assert accuracies(constants(table), "three") == pytest.approx(np.array([3, 1, 3, 3]) / 7)
    assert accuracies(constants(table), "half") == pytest.approx([0.75, 0.25, 0.5, 0.5])
    expected = {"four": 0.25, "three": (4 * 0.25 + 3 * 0.5) / 7, "two": 0.25, "half": 0.5}
    assert {measure: random_accuracy(table, measure) for measure in MEASURES} == pytest.approx(expected)


def test_the_random_judge_is_what_many_draws_give() -> None:
    rng = np.random.default_rng(1)
    people = rng.choice(4, 2000, p=[0.4, 0.3, 0.1, 0.2])
    table = Ballots(people, rng.integers(0, 4, (200, 2000)), np.arange(2000))
    for measure in MEASURES:
        assert accuracies(table, measure).mean() == pytest.approx(random_accuracy(table, measure), abs=0.003)


def test_lean_and_gap_of_a_judge_that_always_says_left() -> None:
    (found,) = figures(ballots([0] * 30 + [1] * 20 + [3] * 5, [0] * 55))
    assert (found.lean.value, found.gap.value, found.kappa.value) == (1.0, 1.0, 0.0)
    assert found.lean.low < 1 and found.lean.high == 1
    assert found.gap.low < found.gap.value <= found.gap.high <= 1
    assert found.against == "same"  # people's most frequent vote is A


def test_newcombes_interval_of_his_own_example() -> None:
    """56/70 - 48/80 = 0.2, interval 0.0524 to 0.3339 (Newcombe 1998, table II, example (a), method 10)."""
    people = [0] * 70 + [1] * 80
    (found,) = figures(ballots(people, [0] * 56 + [1] * 14 + [1] * 48 + [0] * 32))
    assert (found.gap.value, found.gap.low, found.gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_what_is_undefined_says_why() -> None:
    silent, tied = figures(ballots([2, 3, 3], [NO_ANSWER] * 3, [2, 2, 2]))
    assert [silent.answered[m].why for m in MEASURES] == [
        "no answer",
        "no answer",
        "nothing decided",
        "nothing decided",
    ]
    assert (silent.everywhere["four"].value, silent.everywhere["four"].why) == (0, "")
    assert (silent.everywhere["two"].why, silent.lean.why, silent.gap.why) == (
        "nothing decided",
        "no choice",
        "one side",
    )
    assert (silent.kappa.why, tied.lean.why) == ("no answer", "no choice")
    (same,) = figures(ballots([3, 3], [3, 3]))
    assert np.isnan(same.kappa.value) and same.kappa.why == "one vote"


def test_nothing_at_all_is_no_error() -> None:
    (found,) = figures(ballots([], []))
    assert found.everywhere["four"].why == "no pairs" and np.isnan(found.coverage)
    assert compare(ballots([], [], []), 0, 1, "four").difference.why == "no pairs"


def test_one_source_has_no_bootstrap() -> None:
    table = ballots([0, 1, 0], [0, 1, 1], [1, 1, 1], group=[0, 0, 0])
    found = compare(table, 0, 1, "four")
    assert (found.difference.why, found.verdict) == ("one group", "unclear")
    assert np.isnan(figures(table)[0].drawn["four"]).all()


def test_two_judges_of_the_benchmark() -> None:
    table, names, _rows = benchmark()
    gemini, gpt = names.index("gemini-1.5-pro"), names.index("gpt4o")
    found = compare(table, gemini, gpt, "four")
    assert (found.difference.n, found.only_first, found.only_second) == (919, 161, 139)
    assert found.difference.value == pytest.approx(22 / 919)
    assert found.p == pytest.approx(binomtest(161, 300).pvalue)
    assert found.verdict == "unclear" and found.difference.low < 0 < found.difference.high
    assert compare(table, gpt, names.index("llava"), "four").verdict == "better"
    assert compare(table, names.index("llava"), gpt, "four").verdict == "worse"
    both = compare(table, gpt, names.index("idefics1"), "four", both=True)
    assert both.difference.n == 229


def test_the_bootstrap_draws_sources_as_a_plain_loop_does() -> None:
    table, names, _rows = benchmark()
    first, second = names.index("gpt4o"), names.index("gemini-1.5-pro")
    found = compare(table, first, second, "half", resamples=4000)
    sources: dict[int, list[float]] = {group: [] for group in table.group.tolist()}
    columns = (table.people, table.judges[first], table.judges[second], table.group)
    for person, one, other, group in zip(*(column.tolist() for column in columns), strict=True):
        value, rival = earned(person, one, "half"), earned(person, other, "half")
        if value is not None and rival is not None:
            sources[group].append(value - rival)
    rng = random.Random(3)
    means = []
    for _ in range(4000):
        drawn = [value for source in rng.choices(list(sources.values()), k=len(sources)) for value in source]
        means.append(sum(drawn) / len(drawn))
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high), abs=0.003)
    assert np.isnan(found.p)


def test_pairs_of_one_source_widen_the_interval() -> None:
    """Ten copies of each pair hold no more than one: the limits by source do not shrink, Wilson's do."""
    rng = np.random.default_rng(5)
    people, votes = rng.integers(0, 4, 60), rng.integers(0, 2, 60)
    (single,) = figures(Ballots(people, votes[None], np.arange(60)))
    copied = Ballots(np.repeat(people, 10), np.repeat(votes, 10)[None], np.repeat(np.arange(60), 10))
    (tenfold,) = figures(copied)
    assert tenfold.drawn["four"] == pytest.approx(single.drawn["four"])
    wide, narrow = single.everywhere["four"], tenfold.everywhere["four"]
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)


def test_half_credit_has_limits_of_its_own() -> None:
    """All votes a tie: every decided pair earns ½, so there is no spread, and Wilson's limits would be wrong."""
    tied, left, rare = figures(ballots([0, 1, 0, 1] * 5, [2] * 20, [0] * 20, [2, NO_ANSWER, NO_ANSWER, NO_ANSWER] * 5))
    assert tied.everywhere["half"].value == rare.answered["half"].value == 0.5
    for rate in (tied.everywhere["half"], tied.answered["half"], rare.answered["half"]):
        assert np.isnan(rate.low) and np.isnan(rate.high)
    assert (left.answered["half"].low, left.answered["half"].high) == left.drawn["half"]
    assert (rare.everywhere["half"].value, rare.everywhere["half"].high < 0.3) == (0.125, True)


def test_work_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    table = Ballots(rng.integers(0, 4, 50), rng.integers(-1, 4, (3, 50)), rng.integers(0, 20, 50))
    whole = figures(table, resamples=99)
    monkeypatch.setattr("scoring.stats.votes.BLOCK", 100)
    assert figures(table, resamples=99) == whole


VOTE = st.integers(NO_ANSWER, 3)
PAIRS = st.lists(st.tuples(st.integers(0, 3), VOTE, VOTE, st.integers(0, 5)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_any_votes_as_a_loop_counts_them(pairs: list[tuple[int, int, int, int]]) -> None:
    people, one, other, group = (list(column) for column in zip(*pairs, strict=True))
    table = ballots(people, one, other, group=group)
    for votes, found in zip((one, other), figures(table, resamples=20), strict=True):
        for measure in MEASURES:
            rate = found.everywhere[measure]
            assert rate.value == pytest.approx(by_hand(people, votes, measure, False)[0], nan_ok=True)
            assert np.isnan(rate.value) == bool(rate.why)
            if not rate.why and measure != "half":
                assert 0 <= rate.low <= rate.value <= rate.high <= 1
        assert sum(found.votes) == found.answered_pairs
    there, back = compare(table, 0, 1, "four"), compare(table, 1, 0, "four")
    assert there.difference.value == pytest.approx(-back.difference.value)
    assert (there.only_first, there.only_second, there.p) == (back.only_second, back.only_first, back.p)
