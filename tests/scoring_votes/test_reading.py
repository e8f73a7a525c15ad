"""Files of votes as they are published, and every file that is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.votes import reading
from scoring.votes.reading import UnreadableVotes, read_votes
from tests.scoring_votes.files import benchmark, file_of, pair, small


def refused(data: bytes) -> list[str]:
    with pytest.raises(UnreadableVotes) as error:
        read_votes(data)
    return error.value.problems


def test_a_small_file_is_read() -> None:
    found = read_votes(small())
    assert found.judges == ["right", "left", "mute"]
    assert [row["human"] for row in found.rows] == ["A", "B", "tie", "both_bad"]
    assert [row["group"] for row in found.rows] == [0, 0, 1, 2]
    assert found.rows[0] == {"key": "0", "human": "A", "judges": {"right": "A", "left": "A", "mute": None}, "group": 0}
    assert found.rows[1]["unreadable"] == {"mute": "[[A > B]]"}


def test_the_benchmark_is_read() -> None:
    found = read_votes(benchmark())
    assert (len(found.rows), len(found.judges)) == (919, 18)
    assert len({row["group"] for row in found.rows}) == 179
    counts = {name: sum(name in row.get("unreadable", {}) for row in found.rows) for name in found.judges}
    assert {name: count for name, count in counts.items() if count} == {
        "cogvlm": 13,
        "instructblip": 65,
        "otterimage": 97,
        "qwenVL": 1,
    }


def test_keys_may_be_text_and_a_byte_order_mark_does_no_harm() -> None:
    found = read_votes(b"\xef\xbb\xbf" + file_of(pair("mug-01", j="A"), pair(-3, j=None)))
    assert [row["key"] for row in found.rows] == ["mug-01", "-3"]


def test_pairs_without_a_source_are_groups_of_their_own() -> None:
    found = read_votes(file_of(pair(0, j="A"), pair(1, j="A"), {**pair(2, j="A"), "source_prompt": None}))
    assert [row["group"] for row in found.rows] == [0, 1, 2]


def test_the_order_of_judges_may_change_from_row_to_row() -> None:
    found = read_votes(file_of(pair(0, one="A", two="B"), pair(1, two="B", one=None)))
    assert found.rows[1]["judges"] == {"one": None, "two": "B"}


def test_a_long_unreadable_answer_is_cut_and_made_plain() -> None:
    found = read_votes(file_of(pair(0, j="\x00\u202e" + "x" * 100_000)))
    text = found.rows[0]["unreadable"]["j"]
    assert len(text) < 130 and text.isprintable()


ROW = pair(0, j="A")
WRONG: list[tuple[bytes, str]] = [
    (b"", "The file cannot be read as JSON"),
    (b"[{", "The file cannot be read as JSON"),
    (b"\xff\xfe[\x00]\x00", "not UTF-8 text (byte 1)"),
    (b"[" * 200_000, "nested too deeply"),
    (b'[{"idx": NaN}]', "NaN is no number"),
    (b'[{"idx": 1, "idx": 2}]', "“idx” is there twice"),
    (b'[{"idx": ' + b"9" * 5000 + b"}]", "is too large"),
    (b'{"rows": []}', "holds an object; it must hold a list"),
    (b"null", "holds missing or null; it must hold a list"),
    (b"[]", "The list is empty"),
    (file_of(3), "Row 1: this is a number; it must be an object"),
    (file_of(ROW, [ROW]), "Row 2: this is a list"),
    (file_of({**ROW, "idx": None}), "Row 1: idx is missing or null"),
    (file_of({**ROW, "idx": True}), "Row 1: idx is true or false"),
    (file_of({**ROW, "idx": 1.5}), "Row 1: idx is a number with decimals"),
    (file_of({**ROW, "idx": ""}), "Row 1: idx is empty text"),
    (file_of({**ROW, "idx": "x" * 101}), "use at most 100 plain characters"),
    (file_of({**ROW, "idx": "a\u202eb"}), "use at most 100 plain characters"),
    (b'[{"idx": "\\ud800", "human_vote": "leftvote", "model_votes": {"j": null}}]', "plain characters"),
    (file_of(pair(7, j="A"), pair(8, j="A"), pair(7, j="A")), "Row 3: the idx “7” is that of row 1 already"),
    (file_of(pair(7, j="A"), pair("7", j="A")), "Row 2: the idx “7” is that of row 1 already"),
    (file_of(pair(0, "middlevote", j="A")), "Row 1: human_vote is “middlevote”; known are leftvote"),
    (file_of({**ROW, "human_vote": None}), "Row 1: human_vote is missing or null"),
    (file_of({**ROW, "human_vote": ["leftvote"]}), "Row 1: human_vote is a list"),
    (file_of({**ROW, "model_votes": {}}), "Row 1: model_votes is empty"),
    (file_of({"idx": 0, "human_vote": "leftvote"}), "Row 1: model_votes is missing or null"),
    (file_of({**ROW, "model_votes": ["[[A>B]]"]}), "Row 1: model_votes is a list"),
    (file_of({**ROW, "source_prompt": 4}), "Row 1: source_prompt is a number; it must be text"),
    (file_of(pair(0, j=1)), "Row 1: the vote of “j” is a number; it must be text or null"),
    (file_of(pair(0, j={"vote": "A"})), "Row 1: the vote of “j” is an object"),
    (file_of(pair(0, a="A", b="A"), pair(1, a="A")), "Row 2: the judge “b” is missing; write null"),
    (file_of(pair(0, a="A"), pair(1, a="A", b="B")), "Row 2: the judge “b” is not in the rows before"),
    (file_of(pair(0, **{"": "A"})), "Row 1: “” is no name of a judge"),
    (file_of(pair(0, **{"j\x00": "A"})), "is no name of a judge"),
    (file_of(pair(0, **{"j\u202e": "A"})), "is no name of a judge"),
    (file_of(pair(0, **{"j" * 101: "A"})), "is no name of a judge"),
    (file_of(pair(0, **{f"j{n}": "A" for n in range(65)})), "Row 1: there are 65 judges; the limit is 64"),
]


@pytest.mark.parametrize(("data", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_refused(data: bytes, said: str) -> None:
    assert said in " ".join(refused(data))


def test_every_problem_is_counted_and_the_first_are_named() -> None:
    data = file_of(*[pair(number, "none", j="A") for number in range(30)])
    with pytest.raises(UnreadableVotes) as error:
        read_votes(data)
    assert (len(error.value.problems), error.value.count) == (reading.SHOWN, 30)
    assert error.value.problems[19].startswith("Row 20:")


def test_too_many_pairs_and_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PAIRS", 3)
    assert "has 4 pairs; the limit is 3" in refused(small())[0]
    monkeypatch.setattr(reading, "MOST_BYTES", 1024**2)
    assert "larger than 1 MB" in refused(b"[" + b" " * 1024**2)[0]


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["idx", "human_vote", "model_votes", "source_prompt", "j"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=3) | JSON)
def test_any_json_is_read_or_refused_in_words(value: Any) -> None:
    said = None
    try:
        found = read_votes(json.dumps(value).encode())
    except UnreadableVotes as error:
        said = error.problems
    assert all(said) and said != [] if said is not None else found.rows and found.judges


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    assert refused(data)
