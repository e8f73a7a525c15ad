"""Whether an answer agrees with a reference answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from annotation.answers import mean_ranks
from annotation.entry.marking import UnusableReference, check_reference, is_right, lines, tau_b
from annotation.protocols import PRESETS
from tests.judging import rated

MOS, RANK, PAIR = PRESETS["mos"], PRESETS["group-rank"], PRESETS["pairwise"]
SHOWN = {"A": 12, "B": 11, "C": 13}


def test_scores_are_right_within_the_tolerance_in_steps() -> None:
    reference = {"scores": {"quality": 3.0}, "tolerance": {"quality": 5}}
    assert is_right(MOS, reference, rated({"quality": 3.5}), SHOWN)
    assert is_right(MOS, reference, rated({"quality": 2.5, "alignment": 1}), SHOWN)
    assert not is_right(MOS, reference, rated({"quality": 3.6}), SHOWN)
    assert not is_right(MOS, {"scores": {"quality": 3.0}}, rated({"quality": 3.1}), SHOWN)


def test_every_dimension_that_was_asked_for_counts() -> None:
    reference = {"scores": {"quality": 3.0, "alignment": 2.0}, "tolerance": {}}
    found = lines(MOS, reference, rated({"quality": 3, "alignment": 4}), SHOWN)
    assert [(line.label, line.said, line.right, line.is_right) for line in found] == [
        ("Visual quality", "3", "3", True),
        ("Editing alignment", "4", "2", False),
    ]


def test_an_answer_without_scores_agrees_with_nothing() -> None:
    assert not is_right(MOS, {"scores": {"quality": 3.0}}, rated({}, "broken"), SHOWN)
    assert not is_right(RANK, {"order": [[11], [12], [13]]}, {"order": [], "flag": "broken"}, SHOWN)
    assert not is_right(PAIR, {"choice": 11}, {"choice": None, "flag": "unsafe"}, SHOWN)


def test_a_ranking_is_compared_by_candidates_not_by_letters() -> None:
    reference = {"order": [[11], [12], [13]], "least_tau": 0.9, "dimension": "quality"}
    assert is_right(RANK, reference, {"order": [["B"], ["A"], ["C"]]}, SHOWN)
    assert not is_right(RANK, reference, {"order": [["A"], ["B"], ["C"]]}, SHOWN)
    assert is_right(RANK, {**reference, "least_tau": 0.3}, {"order": [["A"], ["B"], ["C"]]}, SHOWN)
    assert lines(RANK, reference, {"order": [["A"], ["B", "C"]]}, SHOWN)[0].said == "A > B = C"


@pytest.mark.parametrize(("choice", "right"), [(11, "B"), (12, "A"), ("tie", "tie"), ("both_bad", "both_bad")])
def test_a_pair_has_one_right_answer(choice: Any, right: str) -> None:
    assert is_right(PAIR, {"choice": choice}, {"choice": right}, SHOWN)
    for other in {"A", "B", "tie", "both_bad"} - {right}:
        assert not is_right(PAIR, {"choice": choice}, {"choice": other}, SHOWN)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_tau_b_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = ({str(i): float(p[side]) for i, p in enumerate(pairs)} for side in (0, 1))
    constant = [len(set(one.values())) == 1 for one in (first, second)]
    expected = float(all(constant)) if any(constant) else kendalltau(*zip(*pairs, strict=True)).statistic
    assert tau_b(first, second) == pytest.approx(expected)


def test_tau_b_of_an_order_with_itself() -> None:
    ranks = mean_ranks([["A"], ["B", "C"]])
    assert tau_b(ranks, ranks) == 1


REFUSED = [
    (MOS, [1], "", None, "what the right answer is"),
    (MOS, [1], "", {"scores": {}}, "at least one dimension"),
    (MOS, [1], "", {"scores": {"beauty": 3}}, "does not ask for beauty"),
    (MOS, [1], "", {"scores": {"quality": 9}}, "from 1 to 5"),
    (MOS, [1], "", {"scores": {"quality": 3}, "tolerance": {"quality": -1}}, "number from 0 on"),
    (RANK, [1, 2], "", {"order": [[1], [2]]}, "which dimension"),
    (RANK, [1, 2], "quality", {"order": [[1]]}, "every candidate once"),
    (RANK, [1, 2], "quality", {"order": "1>2"}, "every candidate once"),
    (RANK, [1, 2], "quality", {"order": [[1], [2]], "least_tau": 2}, "from -1 to 1"),
    (PAIR, [1, 2], "", {"choice": 3}, "which of the two"),
]


@pytest.mark.parametrize(("protocol", "candidates", "dimension", "answer", "words"), REFUSED)
def test_a_reference_that_nothing_can_agree_with_is_refused(
    protocol: Any, candidates: list[int], dimension: str, answer: Any, words: str
) -> None:
    with pytest.raises(UnusableReference, match=words):
        check_reference(protocol, candidates, dimension, answer)
