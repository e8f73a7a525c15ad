"""What a judge says, read strictly: its own number or none, whatever comes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.judging.contract import Status
from scoring.judging.replies import MOST_TEXT, Unreadable, read_reply
from tests.scoring.make import request, said

ASKED = request()


def test_it_works() -> None:
    reading = read_reply(said(4), ASKED)
    assert (reading.score, reading.status, reading.reasoning, reading.note) == (4.0, Status.PARSED, "It fits.", "")
    assert [(one.question, one.answer, one.reason) for one in reading.answers] == [
        ("colour", "yes", "red"),
        ("shape", "no", "round"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{said(4)}\n```",
        f"Here is my answer:\n```\n{said(4)}\n```\nI hope that it helps.",
        f"Sure! {said(4)}",
        f"{said(4)} That is all.",
        f'<think>First I thought {{"score": 1}}, then not.</think>\n{said(4)}',
        f'First I thought {{"score": 1}}, then not.</think>\n{said(4)}',
        f"The set {{red, blue}} is fine. {said(4)}",
        f'An example is {{"a": 1}}. {said(4)}',
        f"{said(4)}\n{said(4)}",
        said(4.0),
        f"\n\t {said(4)} \n",
    ],
)
def test_words_around_the_object_change_nothing(text: str) -> None:
    reading = read_reply(text, ASKED)
    assert (reading.score, reading.status, len(reading.answers)) == (4.0, Status.PARSED, 2)


@pytest.mark.parametrize(
    "text",
    [
        said("4"),
        said(" 4.0 "),
        said(4)[:-1] + ",}",
        said(4)[:-1] + "\n",
        said(4).replace('"It fits."', '"It fits "well" here."'),
        said(4).replace('"', "'"),
        "{answers: [], reasoning: fine, score: 4}",
        f"```json\n{said(4)[:-1]},\n}}\n```\nThat is all.",
        '{"answers": [{"question": 1, "score": 2}], "reasoning": "ok" "score": 4}'.replace('"score": 2', '"why": "x"'),
    ],
)
def test_broken_json_is_mended_where_the_number_is_clear(text: str) -> None:
    reading = read_reply(text, ASKED)
    assert (reading.score, reading.status) == (4.0, Status.REPAIRED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would give it 4 of 5.",
        f"<think>Perhaps {said(4)}",
        f"{said(4)}</think> That was it.",
        "4",
        "null",
        "[4]",
        json.dumps([json.loads(said(4))]),
        '{"result": {"score": 4}}',
        '{"answers": [], "reasoning": "none"}',
        "{}",
        said(None, reasoning="").replace("yes", "").replace("red", "").replace("round", ""),
        said(True),
        said([4]),
        said({"value": 4}),
        said("four"),
        said("4/5"),
        said("4 of 5"),
        said("3-4"),
        said("4,5"),
        said("4e0"),
        said("٤"),
        said("４"),
        said(""),
        said(-1),
        said(6),
        said(5.01),
        said("6"),
        said(10**400),
        said(0).replace('"score": 0', '"score": NaN'),
        said(0).replace('"score": 0', '"score": Infinity'),
        said(0).replace('"score": 0', '"score": -Infinity'),
        said(0).replace('"score": 0', '"score": 1e999'),
        said(0).replace('"score": 0', '"score": ' + "3" * 10_000),
        said(0).replace('"score": 0', '"score": 3 or 4'),
        said(0).replace('"score": 0', '"score": 3-4'),
        said(0).replace('"score": 0', '"score": 3/5'),
        said(0).replace('"score": 0', '"score": 3 (or more)'),
        said(0).replace('"score": 0', '"score": 3, "score": 4'),
        said(0).replace('"score": 0', '"score": , "more": 4'),
        f"{said(3)}\n{said(4)}",
        f"```json\n{said(3)}\n```\n```json\n{said(4)}\n```",
        '{"answers": [{"question": 1, "score": 3}], oops "score": 4}',
        '{"answers": [{"question": 1, "score": 3}], oops "reasoning": "none"}',
        '{"reasoning": "the "score": 3 is low", "score": 4}',
        '{"reasoning": "cut, "score": 4',  # it may have been 4.5
        said(4)[:60],
    ],
)
def test_no_number_of_its_own_is_no_number(text: str) -> None:
    with pytest.raises(Unreadable) as error:
        read_reply(text, ASKED)
    assert 0 < len(str(error.value)) < 300


def test_the_ends_of_the_scale_belong_to_it() -> None:
    assert read_reply(said(0), ASKED).score == 0.0
    assert read_reply(said(5), ASKED).score == 5.0
    assert str(read_reply(said(-0.0), ASKED).score) == "0.0"
    assert read_reply(said(25), request(low=0, high=25)).score == 25.0
    assert read_reply(said(-2), request(low=-3, high=3)).score == -2.0
    assert read_reply(said(3.5), ASKED).score == 3.5
    with pytest.raises(Unreadable, match="not on the scale from 1 to 4"):
        read_reply(said(0), request(low=1, high=4))


@pytest.mark.parametrize(
    "text",
    [
        said(None),
        said(None, reasoning="Picture B is black."),
        said("cannot judge"),
        said("Cannot judge: picture B is black"),
        said(None, "cannot judge", "Cannot Judge", reasoning=""),
        said(None, "cannot judge", "cannot judge").replace('"score": null', '"other": 1'),
        said(None)[:-1] + ",}",
    ],
)
def test_a_judge_that_cannot_judge_gives_no_score(text: str) -> None:
    reading = read_reply(text, ASKED)
    assert (reading.score, reading.status) == (None, Status.REFUSED)


def entries(*rows: object) -> str:
    return json.dumps({"answers": rows, "reasoning": 7, "score": 3})


@pytest.mark.parametrize(
    ("text", "kept", "note"),
    [
        (entries({"question": 2, "answer": "no"}, {"question": 1, "answer": "yes"}), ["colour", "shape"], ""),
        (entries({"question": "1.", "answer": "yes"}, {"question": "2", "answer": "no"}), ["colour", "shape"], ""),
        (entries({"question": 2, "answer": "no"}), ["shape"], "question 1."),
        (entries(), [], "question 1, 2."),
        (entries(*[{"question": 1, "answer": "yes"}, {"question": 1, "answer": "no"}]), [], "question 1, 2."),
        (entries({"question": 1, "answer": "yes"}, {"question": 3, "answer": "no"}), ["colour"], "1 answers belong"),
        (entries({"question": True, "answer": "yes"}, {"question": 1, "answer": False}), [], "2 answers belong"),
        (entries("yes", 7, None, {"question": 0, "answer": "no"}, {"question": -1, "answer": "no"}), [], "5 answers"),
        ('{"answers": "yes", "score": 3}', [], "1 answers"),
        ('{"answers": null, "score": 3}', [], "question 1, 2."),
        ('{"score": 3}', [], "question 1, 2."),
    ],
)
def test_answers_are_matched_by_number_and_never_void_the_score(text: str, kept: list[str], note: str) -> None:
    reading = read_reply(text, ASKED)
    assert (reading.score, reading.status) == (3.0, Status.PARSED)
    assert [one.question for one in reading.answers] == kept
    assert note in reading.note
    assert bool(note) == bool(reading.note)


def test_characters_that_cannot_be_stored_are_dropped() -> None:
    reading = read_reply(said(3, "y\ud800es\x00", reasoning="a\x00b\udfff\nc"), ASKED)
    assert (reading.answers[0].answer, reading.reasoning) == ("yes", "ab\nc")
    read_reply('{"score": 3, "reasoning": "\ud800"}', ASKED).reasoning.encode()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 90_000,
        '{"a":' * 19_000,
        '{"' * 45_000,
        '{"score": 3, "a": ' + "[" * 50_000,
        '{"reasoning": "' + 'a" b ' * 15_000 + '", "score": 3',
        "{" * 90_000,
        '{"score": ' * 9_000,
        '{"score":' + " " * 90_000 + "3",
        "```json\n" * 10_000,
        "<think>" * 12_000,
        '{"a": 1} ' * 11_000,
        "\ud800" * 1000,
        said(3) + " " * MOST_TEXT,
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    """Without the limits some of these would take minutes."""
    with pytest.raises(Unreadable):
        read_reply(text, ASKED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional={"score": json_values, "answers": json_values, "reasoning": json_values}))
def test_a_score_is_always_the_one_in_the_answer(value: dict[str, object]) -> None:
    try:
        reading = read_reply(json.dumps(value), ASKED)
    except Unreadable:
        return
    if reading.status is not Status.REFUSED:
        assert reading.score is not None and 0 <= reading.score <= 5
        assert float(value["score"]) == reading.score  # type: ignore[arg-type]


@given(st.text(alphabet='{}[]":, \n0123456789.-scoreanwk`\\/', max_size=200))
def test_any_text_has_an_outcome(text: str) -> None:
    try:
        reading = read_reply(text, ASKED)
    except Unreadable:
        return
    assert (reading.score is None) == (reading.status is Status.REFUSED)
    if reading.score is not None:
        assert f"{reading.score:g}" in text.replace(".0", "")
