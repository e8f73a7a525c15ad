"""Recorded answers: the same again, and nothing for what was not recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from scoring.judging.contract import JudgeError, QuestionAnswer, Reply, Status
from scoring.judging.replay import ReplayJudge
from tests.scoring.make import request

GOOD = Reply(
    Status.PARSED,
    3.5,
    (QuestionAnswer("colour", "yes", "red"),),
    "It fits.",
    {"3": 0.5, "4": 0.5},
    raw="…",
    model="m",
    tokens_in=7,
    tokens_out=3,
    cost=0.25,
    seconds=1.5,
)
LOST = Reply(Status.FAILED, kind="server", note="out of order", cost=None)


def record(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_it_answers_as_recorded(tmp_path: Path) -> None:
    path = record(tmp_path / "r.jsonl", {"key": "a", **GOOD.to_json()}, {"key": "b", **LOST.to_json()})
    judge = ReplayJudge(path)
    again, lost, unknown = judge.judge([request("a"), request("b"), request("c")])
    assert {**again.to_json(), "cost": 0.25} == GOOD.to_json()
    assert again.answers == GOOD.answers
    assert again.cost == 0.0, "it was paid when it was recorded"
    assert (lost.status, lost.kind, lost.note) == (Status.FAILED, "server", "out of order")
    assert (unknown.status, unknown.kind, unknown.sent, unknown.score) == (Status.FAILED, "not recorded", False, None)


def test_events_of_a_job_are_a_record(tmp_path: Path) -> None:
    answer = {"event": "answer", "time": 1.0, "key": "a"}
    path = record(
        tmp_path / "events.jsonl",
        {"event": "progress", "done": 0},
        {**answer, **LOST.to_json()},
        {**answer, **GOOD.to_json()},
    )
    path.write_text("\n" + path.read_text())
    (reply,) = ReplayJudge(path).judge([request("a")])
    assert reply.score == 3.5, "the last line counts"


def test_a_score_off_the_scale_is_no_score(tmp_path: Path) -> None:
    path = record(tmp_path / "r.jsonl", {"key": "a", **GOOD.to_json()})
    (reply,) = ReplayJudge(path).judge([request("a", low=0, high=3)])
    assert (reply.status, reply.score) == (Status.FAILED, None)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        "[" * 10_000,
        '{"status": "parsed", "score": 3}',
        '{"key": 7, "status": "parsed", "score": 3}',
        '{"key": "a", "score": 3}',
        '{"key": "a", "status": "good", "score": 3}',
        '{"key": "a", "status": "parsed"}',
        '{"key": "a", "status": "failed", "score": 3}',
        '{"key": "a", "status": "parsed", "score": true}',
        '{"key": "a", "status": "parsed", "score": "3"}',
        '{"key": "a", "status": "parsed", "score": NaN}',
        '{"key": "a", "status": "parsed", "score": 3, "answers": [7]}',
        '{"key": "a", "status": "parsed", "score": 3, "answers": 7}',
    ],
)
def test_a_line_that_is_no_answer(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"key": "b", **GOOD.to_json()}) + "\n" + line + "\n")
    with pytest.raises(JudgeError, match=r"r\.jsonl, line 2"):
        ReplayJudge(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="cannot be read"):
        ReplayJudge(tmp_path / "gone.jsonl")
