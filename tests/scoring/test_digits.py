"""The expected score from probabilities of digits, against sums by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.judging.digits import expected_score
from tests.scoring.make import said, tokens

TOP = {"4": 0.6, "3": 0.2, "5": 0.1, "2": 0.05}


def test_it_is_the_mean_of_the_digits() -> None:
    found = expected_score(tokens(said(4), "4", TOP), 0, 5, 4.0)
    assert found is not None
    assert found.mass == pytest.approx(0.95)
    assert found.score == pytest.approx((4 * 0.6 + 3 * 0.2 + 5 * 0.1 + 2 * 0.05) / 0.95)  # 3.789…
    wanted = {"0": 0, "1": 0, "2": 0.05 / 0.95, "3": 0.2 / 0.95, "4": 0.6 / 0.95, "5": 0.1 / 0.95}
    assert found.distribution == pytest.approx(wanted)


def test_tokens_with_spaces_count_and_other_tokens_do_not() -> None:
    top = {"4": 0.5, " 4": 0.1, "3": 0.1, "10": 0.1, "9": 0.1, '"': 0.05, "4.": 0.05}
    found = expected_score(tokens(said(4), "4", top), 0, 5, 4.0)
    assert found is not None
    assert found.mass == pytest.approx(0.7)
    assert found.score == pytest.approx((4 * 0.6 + 3 * 0.1) / 0.7)


def test_the_token_that_was_taken_counts_where_it_is_not_among_the_likeliest() -> None:
    logprobs = tokens(said(2), "2", {"4": 0.5, "3": 0.3})
    logprobs["content"][1]["logprob"] = math.log(0.1)
    found = expected_score(logprobs, 0, 5, 2.0)
    assert found is not None
    assert found.score == pytest.approx((4 * 0.5 + 3 * 0.3 + 2 * 0.1) / 0.9)


def letters(text: str, place: int, top: dict[str, float]) -> dict[str, Any]:
    """A token a character."""
    rows = [{"token": letter, "logprob": -0.1, "top_logprobs": []} for letter in text]
    rows[place] |= {
        "logprob": math.log(0.5),
        "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in top.items()],
    }
    return {"content": rows}


def test_the_place_is_found_among_other_digits() -> None:
    text = '{"answers": [{"question": 4, "why": "a \\"score\\": 4"}], "reasoning": "4 of 5", "score" : 4}'
    found = expected_score(letters(text, text.rindex("4"), {"4": 0.5, "5": 0.5}), 0, 5, 4.0)
    assert found is not None and found.score == pytest.approx(4.5)


def test_a_character_that_is_split_between_tokens_moves_nothing() -> None:
    text = '{"reasoning": "é", "score": 4}'
    raw = text.encode()
    logprobs = letters("".join(chr(byte) for byte in raw), raw.rindex(b"4"), {"4": 0.75, "3": 0.25})
    for row, byte in zip(logprobs["content"], raw, strict=True):
        row.update({"bytes": [byte]} | ({"token": "\ufffd"} if byte > 127 else {}))
    found = expected_score(logprobs, 0, 5, 4.0)
    assert found is not None and found.score == pytest.approx(3.75)


def test_what_was_thought_before_does_not_count() -> None:
    text = '<think>{"score": 1}</think>{"score": 4}'
    found = expected_score(letters(text, text.rindex("4"), {"4": 1.0}), 0, 5, 4.0)
    assert found is not None and found.score == 4.0


GOOD = tokens(said(4), "4", TOP)


def changed(row: dict[str, Any]) -> dict[str, Any]:
    return {"content": [GOOD["content"][0], {**GOOD["content"][1], **row}, GOOD["content"][2]]}


@pytest.mark.parametrize(
    ("logprobs", "low", "high", "written"),
    [
        (None, 0, 5, 4.0),
        ({}, 0, 5, 4.0),
        ({"content": None}, 0, 5, 4.0),
        ({"content": []}, 0, 5, 4.0),
        ({"content": ["4"]}, 0, 5, 4.0),
        ([], 0, 5, 4.0),
        (GOOD, 0, 10, 4.0),
        (GOOD, -1, 5, 4.0),
        (GOOD, 0, 5, 3.0),
        (GOOD, 0, 5, 4.5),
        (tokens(said(4), "4", {"4": 0.3, "3": 0.19}), 0, 5, 4.0),
        (tokens(said(4), "4", {"6": 0.9}), 0, 5, 4.0),
        (tokens(said(4.5), "4", TOP), 0, 5, 4.0),
        (tokens(said(14), "4", TOP), 0, 5, 4.0),
        (letters('{"score": 4} {"score": 4}', 10, TOP), 0, 5, 4.0),
        (letters('{"note": 4}', 9, TOP), 0, 5, 4.0),
        (
            {"content": [{"token": said(4), "logprob": -0.1, "top_logprobs": GOOD["content"][1]["top_logprobs"]}]},
            0,
            5,
            4.0,
        ),
        (changed({"top_logprobs": [{"token": "4", "logprob": math.nan}]}), 0, 5, 4.0),
        (changed({"top_logprobs": [{"token": "4", "logprob": 3.0}]}), 0, 5, 4.0),
        (changed({"top_logprobs": [{"token": "4", "logprob": 0.0}, {"token": "5", "logprob": 0.0}]}), 0, 5, 4.0),
        (changed({"top_logprobs": [{"token": "4", "logprob": "high"}, {"token": "4", "logprob": True}]}), 0, 5, 4.0),
        (changed({"token": None}), 0, 5, 4.0),
        (changed({"top_logprobs": "4", "logprob": None}), 0, 5, 4.0),
    ],
)
def test_where_it_cannot_be_done_there_is_none(logprobs: object, low: int, high: int, written: float) -> None:
    assert expected_score(logprobs, low, high, written) is None


@given(st.lists(st.floats(1e-6, 1.0), min_size=6, max_size=6), st.floats(0.5, 1.0))
def test_the_mean_lies_on_the_scale_and_the_shares_sum_to_one(weights: list[float], mass: float) -> None:
    shares = [mass * weight / math.fsum(weights) for weight in weights]
    found = expected_score(tokens(said(4), "4", {str(digit): share for digit, share in enumerate(shares)}), 0, 5, 4.0)
    if mass < 0.5000001 and found is None:
        return  # rounding
    assert found is not None
    assert math.fsum(found.distribution.values()) == pytest.approx(1)
    assert found.mass == pytest.approx(mass)
    assert found.score == pytest.approx(sum(digit * weight for digit, weight in enumerate(weights)) / sum(weights))
