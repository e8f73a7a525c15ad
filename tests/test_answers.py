"""What a submitted answer must look like: every preset, every refusal, and the marks that it stands for."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from annotation.answers import EXCUSES, FLAGS, REMARK_LENGTH, Answer, AnswerError, letters, mean_ranks, read_answer
from annotation.protocols import PRESETS, RANKING
from tests.judging import ranked, rated

MOS, RANK, PAIR = PRESETS["mos"], PRESETS["group-rank"], PRESETS["pairwise"]
THREE = {"quality": 3.5, "alignment": 1, "preservation": 5.0}


def read_rating(answer: object) -> Answer:
    return read_answer(MOS, "", ["A"], answer)


def read_ranking(answer: object, shown: int = 3) -> Answer:
    return read_answer(RANK, "quality", letters(shown), answer)


def read_pair(answer: object) -> Answer:
    return read_answer(PAIR, "", ["A", "B"], answer)


def good_answer(preset: str) -> dict[str, Any]:
    protocol = PRESETS[preset]
    if protocol.kind == "rating":
        return rated({dimension.key: dimension.high for dimension in protocol.dimensions})
    return ranked([["B"], ["A", "C"]]) if protocol.kind == RANKING else {"choice": "B", "flag": None, "remark": ""}


def test_it_works() -> None:
    answer = read_rating(rated(THREE, remark="A seam."))
    assert {(mark.letter, mark.dimension, mark.score, mark.rank) for mark in answer.marks} == {
        ("A", "quality", 3.5, None),
        ("A", "alignment", 1.0, None),
        ("A", "preservation", 5.0, None),
    }
    assert (answer.flag, answer.remark) == ("", "A seam.")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_reads_an_answer(preset: str) -> None:
    protocol = PRESETS[preset]
    shown = {"rating": ["A"], "ranking": ["A", "B", "C"], "pairwise": ["A", "B"]}[protocol.kind]
    dimension = protocol.unit_dimensions[0]
    marks = read_answer(protocol, dimension, shown, good_answer(preset)).marks
    asked = {d.key for d in protocol.dimensions} if protocol.kind == "rating" else {protocol.dimensions[0].key}
    assert {(mark.letter, mark.dimension) for mark in marks} == {(letter, key) for letter in shown for key in asked}


def test_a_ranking_gives_shelves_and_mean_ranks() -> None:
    marks = {mark.letter: mark for mark in read_ranking(ranked([["B"], ["A", "C"]])).marks}
    assert {letter: (mark.score, mark.rank) for letter, mark in marks.items()} == {
        "B": (5.0, 1.0),
        "A": (4.0, 2.5),
        "C": (4.0, 2.5),
    }
    assert {mark.dimension for mark in marks.values()} == {"quality"}


@pytest.mark.parametrize(
    ("choice", "ranks"), [("A", (1, 2)), ("B", (2, 1)), ("tie", (1.5, 1.5)), ("both_bad", (1.5, 1.5))]
)
def test_a_choice_gives_ranks(choice: str, ranks: tuple[float, float]) -> None:
    marks = read_pair({"choice": choice}).marks
    assert tuple(mark.rank for mark in marks) == ranks
    assert all(mark.score is None for mark in marks)


def test_letters_name_up_to_23_candidates() -> None:
    assert "".join(letters(23)) == "ABCDEFGHIJKLMNOPQRSTUVW"
    assert letters(0) == []


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, [], "nonsense", 3, True])
@pytest.mark.parametrize("read", [read_rating, read_ranking, read_pair])
def test_what_is_no_object_is_refused(read: Any, answer: object) -> None:
    with pytest.raises(AnswerError, match="could not be read"):
        read(answer)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (None, "no scores"),
        ([3, 3, 3], "no scores"),
        ({}, "Visual quality has no score yet"),
        ({"quality": 3, "alignment": 3}, "Attribute preservation has no score yet"),
        (THREE | {"alignment": None}, "Editing alignment has no score yet"),
        (THREE | {"beauty": 3}, "does not ask for beauty"),
        (THREE | {"quality": 0.9}, "goes from 1 to 5"),
        (THREE | {"quality": 5.1}, "goes from 1 to 5"),
        (THREE | {"quality": 3.55}, "goes from 1 to 5"),
        (THREE | {"quality": "3"}, "goes from 1 to 5"),
        (THREE | {"quality": True}, "goes from 1 to 5"),
        (THREE | {"quality": [3]}, "goes from 1 to 5"),
        (THREE | {"quality": float("nan")}, "goes from 1 to 5"),
        (THREE | {"quality": float("inf")}, "goes from 1 to 5"),
        (THREE | {"quality": 10**400}, "goes from 1 to 5"),
    ],
)
def test_scores_that_are_missing_or_off_the_scale_are_refused(scores: object, words: str) -> None:
    with pytest.raises(AnswerError, match=words):
        read_rating({"scores": scores, "flag": None, "remark": ""})


@pytest.mark.parametrize(
    ("preset", "score", "fits"),
    [
        *(("hp-score", score, True) for score in (0, 4.0, 5)),
        *(("hp-score", score, False) for score in (-1, 2.5, 6)),
        *(("likert4", score, True) for score in (1, 4)),
        *(("likert4", score, False) for score in (0, 1.5, 5)),
        *(("mos", score, True) for score in (1, 1.1, 4.9)),
    ],
)
def test_each_scale_takes_its_own_steps(preset: str, score: float, fits: bool) -> None:
    protocol = PRESETS[preset]
    answer = rated({dimension.key: score for dimension in protocol.dimensions})
    if fits:
        assert read_answer(protocol, "", ["A"], answer).marks[0].score == score
    else:
        with pytest.raises(AnswerError, match="goes from"):
            read_answer(protocol, "", ["A"], answer)


SHELVES = {"A": 5, "B": 4, "C": 4}
ORDER = [["A"], ["B", "C"]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": None}, "order could not be read"),
        ({"order": "ABC"}, "order could not be read"),
        ({"order": ["A", "B", "C"]}, "order could not be read"),
        ({"order": [["A"], [], ["B", "C"]]}, "order could not be read"),
        ({"order": [["A"], ["B"]]}, "every image once"),
        ({"order": [["A"], ["B", "C", "C"]]}, "every image once"),
        ({"order": [["A"], ["B", "C", "D"]]}, "every image once"),
        ({"order": [["A"], ["B", 3]]}, "every image once"),
        ({"order": [["A"], ["B", ["C"]]]}, "every image once"),
        ({"order": []}, "every image once"),
        ({"shelves": None}, "place on a shelf"),
        ({"shelves": {"A": 5, "B": 4}}, "place on a shelf"),
        ({"shelves": SHELVES | {"D": 1}}, "place on a shelf"),
        ({"shelves": SHELVES | {"A": 6}}, "Shelves go from 0 to 5"),
        ({"shelves": SHELVES | {"A": -1}}, "Shelves go from 0 to 5"),
        ({"shelves": SHELVES | {"A": 4.5}}, "Shelves go from 0 to 5"),
        ({"shelves": SHELVES | {"A": True}}, "Shelves go from 0 to 5"),
        ({"shelves": SHELVES | {"A": None}}, "Shelves go from 0 to 5"),
        ({"shelves": {"A": 3, "B": 4, "C": 4}}, "contradict"),
        ({"shelves": {"A": 5, "B": 4, "C": 3}}, "contradict"),
        ({"flags": {"D": "broken"}}, "flag"),
        ({"flags": {"A": "ugly"}}, "flag"),
        ({"flags": {"A": ["broken"]}}, "flag"),
        ({"flags": ["A"]}, "flag"),
    ],
)
def test_orders_and_shelves_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    read_ranking({"order": ORDER, "shelves": SHELVES})
    with pytest.raises(AnswerError, match=words):
        read_ranking({"order": ORDER, "shelves": SHELVES} | change)


def test_tiers_of_one_shelf_are_allowed() -> None:
    """Duels order the images of a shelf, so neighbours in the order may share a shelf."""
    marks = read_ranking({"order": [["C"], ["A"], ["B"]], "shelves": {"A": 2, "B": 2, "C": 2}}).marks
    assert {mark.letter: mark.rank for mark in marks} == {"C": 1, "A": 2, "B": 3}


@pytest.mark.parametrize("choice", [None, "", "C", "a", 1, True, ["A"], {"A": 1}])
def test_a_choice_that_is_none_is_refused(choice: object) -> None:
    with pytest.raises(AnswerError, match="Choose one of the two"):
        read_pair({"choice": choice})


# Flags and remarks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", FLAGS)
def test_flags_are_kept_beside_a_full_answer(flag: str) -> None:
    answer = read_rating(rated(THREE, flag=flag))
    assert (answer.flag, len(answer.marks)) == (flag, 3)


@pytest.mark.parametrize("flag", EXCUSES)
def test_some_flags_excuse_from_scoring(flag: str) -> None:
    assert read_rating(rated({}, flag=flag)).marks == ()
    assert [mark.dimension for mark in read_rating(rated({"quality": 2}, flag=flag)).marks] == ["quality"]
    assert read_ranking({"flag": flag, "order": [], "shelves": {}}).marks == ()
    assert read_pair({"flag": flag, "choice": None}).marks == ()


def test_an_excuse_does_not_make_a_wrong_score_right() -> None:
    with pytest.raises(AnswerError, match="goes from"):
        read_rating(rated({"quality": 9}, flag="broken"))
    with pytest.raises(AnswerError, match="every image once"):
        read_ranking({"flag": "broken", "order": [["A"]], "shelves": {}})
    with pytest.raises(AnswerError, match="Choose"):
        read_pair({"flag": "broken", "choice": "C"})


def test_no_edit_at_all_is_no_excuse() -> None:
    """An edit that does nothing can be scored, and must be."""
    with pytest.raises(AnswerError, match="no score yet"):
        read_rating(rated({}, flag="no_edit"))
    with pytest.raises(AnswerError, match="order could not be read"):
        read_ranking({"flag": "no_edit"})
    with pytest.raises(AnswerError, match="Choose"):
        read_pair({"flag": "no_edit"})


@pytest.mark.parametrize("flag", ["ugly", 1, True, ["broken"], {}, "BROKEN"])
def test_unknown_flags_are_refused(flag: object) -> None:
    with pytest.raises(AnswerError, match="flag is not known"):
        read_rating(rated(THREE) | {"flag": flag})


@pytest.mark.parametrize("remark", ["x" * (REMARK_LENGTH + 1), ["long"], 7])
def test_long_remarks_and_what_is_no_text_are_refused(remark: object) -> None:
    with pytest.raises(AnswerError, match=f"at most {REMARK_LENGTH}"):
        read_rating(rated(THREE) | {"remark": remark})


def test_a_remark_of_full_length_and_none_are_kept() -> None:
    assert len(read_rating(rated(THREE, remark="é" * REMARK_LENGTH)).remark) == REMARK_LENGTH
    assert read_rating(rated(THREE) | {"remark": None}).remark == ""


# Ranks --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 6), min_size=1, max_size=23))
def test_mean_ranks_are_those_of_scipy(places: list[int]) -> None:
    names = letters(len(places))
    tiers: dict[int, list[str]] = defaultdict(list)
    for name, place in zip(names, places, strict=True):
        tiers[place].append(name)
    ranks = mean_ranks([tiers[place] for place in sorted(tiers)])
    assert [ranks[name] for name in names] == rankdata(places, method="average").tolist()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=23))
def test_any_consistent_order_is_accepted(shelves: list[int]) -> None:
    names = letters(len(shelves))
    on = dict(zip(names, shelves, strict=True))
    order = [[name for name in names if on[name] == shelf] for shelf in sorted(set(shelves), reverse=True)]
    marks = read_ranking({"order": order, "shelves": on}, shown=len(names)).marks
    assert [mark.score for mark in marks] == shelves
    assert sum(mark.rank or 0 for mark in marks) == len(names) * (len(names) + 1) / 2


def test_a_protocol_of_other_dimensions_asks_for_those() -> None:
    one = replace(MOS, dimensions=MOS.dimensions[:1])
    assert len(read_answer(one, "", ["A"], rated({"quality": 3})).marks) == 1
    with pytest.raises(AnswerError, match="does not ask for alignment, preservation"):
        read_answer(one, "", ["A"], rated(THREE))
