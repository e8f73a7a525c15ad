"""Reading answers: fences and words around them are tolerated; every other shape is a failure with a reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.instructions.replies import LONGEST, Draft, Reply, Unreadable, read_reply

ROW = {
    "instruction": "Remove the red cup on the table.",
    "instruction_zh": "去掉桌上的红色杯子。",
    "description": "A wooden table with a plate.",
    "requirement": "The cup and its shadow are gone; the plate stays.",
}
DRAFT = Draft(**ROW)


def answer(*rows: Any, **changes: Any) -> str:
    return json.dumps({"proposals": [*rows], **changes}, ensure_ascii=False)


def read(text: str, most: int = 5, earlier: Any = ()) -> Reply:
    return read_reply(text, most=most, earlier=earlier)


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def test_it_works() -> None:
    assert read(answer(ROW)) == Reply([DRAFT], [])


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{answer(ROW)}\n```",
        f"```\n{answer(ROW)}\n```",
        f"Here they are:\n\n```JSON\n{answer(ROW)}\n```\nI hope this helps!",
        f"\n  {answer(ROW)}  \n",
        answer(ROW, thinking="It is a table."),
        answer(row(object="cup")),
        answer(row(instruction="  Remove the red cup on the table.\n")),
    ],
)
def test_fences_and_more_fields_are_tolerated(text: str) -> None:
    assert read(text) == Reply([DRAFT], [])


UNREADABLE = [
    "",
    "I cannot help with that.",
    "Remove the cup.",
    answer(ROW)[:-5],
    json.dumps([ROW]),
    json.dumps(ROW),
    json.dumps({"proposals": ROW}),
    json.dumps({"proposals": None}),
    json.dumps("proposals"),
    "[" * 100_000,
    f"```json\n{answer(ROW)}\n```\nor\n```json\n{answer(ROW)}\n```",
    f"Sure: {answer(ROW)}",
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_another_shape_is_a_failure(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_no_proposals_are_an_answer() -> None:
    assert read(answer()) == Reply([], [])


FAULTS = [
    ("a string", "is no object"),
    (None, "is no object"),
    ({}, "“instruction”"),
    (row(instruction=""), "“instruction” is missing or empty"),
    (row(instruction="   "), "“instruction”"),
    (row(instruction=7), "“instruction”"),
    (row(instruction=["Remove it"]), "“instruction”"),
    ({key: value for key, value in ROW.items() if key != "requirement"}, "“requirement”"),
    (row(description=None), "“description”"),
    (row(instruction="x" * 401), "401 characters"),
    (row(instruction_zh="Remove the red cup."), "not Chinese"),
    (row(instruction="去掉杯子"), "not English"),
    (row(instruction="Remove\x00 it"), "no text"),
    (row(description="Lone \ud800 half"), "no text"),
]


@pytest.mark.parametrize(("bad", "words"), FAULTS)
def test_one_bad_entry_costs_itself_alone(bad: Any, words: str) -> None:
    found = read(json.dumps({"proposals": [bad, ROW]}))
    assert found.drafts == [DRAFT]
    assert len(found.faults) == 1
    assert words in found.faults[0]


def test_repetitions_are_left_out() -> None:
    again = row(instruction="remove THE red cup, on the table!")
    assert read(answer(ROW, again)).drafts == [DRAFT]
    assert "repeats" in read(answer(ROW, again)).faults[0]
    assert read(answer(ROW), earlier=["Remove the red cup on the table"]).drafts == []


def test_more_than_asked_for_is_not_taken() -> None:
    rows = [row(instruction=f"Remove cup {n}.") for n in range(9)]
    assert len(read(answer(*rows), most=4).drafts) == 4


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROW, "proposals"]), inner),
        max_leaves=12,
    )
)
def test_whatever_comes_a_draft_is_whole_or_not_there(value: Any) -> None:
    try:
        found = read(json.dumps(value))
    except Unreadable:
        return
    for draft in found.drafts:
        for name, longest in LONGEST.items():
            assert 0 < len(getattr(draft, name).strip()) <= longest


@given(st.text(max_size=300))
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)
