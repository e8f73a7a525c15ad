"""A judge that answers from a record: for tests, and to look again at a finished run. Pure.

The record has one JSON object a line: {"key": …} and the fields of contract.Reply. The events of a finished job are
such a record, too. A key that comes twice counts with its last line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any

from scoring.judging.contract import JudgeError, QuestionAnswer, Reply, Request, Status

FIELDS = {field.name for field in fields(Reply)}


class ReplayJudge:
    """The file stays open and is read on demand: its answers may be larger than the memory."""

    batch, threads = 64, 0

    def __init__(self, path: Path) -> None:
        """Raises JudgeError for a file that cannot be read, and a line that is no recorded answer."""
        self._places: dict[str, int] = {}
        self._lock = Lock()
        try:
            self._file = path.open("rb")
            place = 0
            for number, line in enumerate(self._file, start=1):
                if line.strip() and (row := _row(line, f"{path.name}, line {number}")):
                    self._places[row[0]] = place
                place += len(line)
        except OSError as error:
            raise JudgeError(f"The recorded answers {path.name} cannot be read: {error.strerror or error}.") from None

    def judge(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._judge(request) for request in requests]

    def _judge(self, request: Request) -> Reply:
        place = self._places.get(request.key)
        if place is None:
            note = "There is no recorded answer to this request."
            return Reply(Status.FAILED, kind="not recorded", note=note, sent=False)
        with self._lock:
            self._file.seek(place)
            line = self._file.readline()
        row = _row(line, "The record")
        assert row, "the line was read before"
        reply = row[1]
        if reply.score is not None and not request.low <= reply.score <= request.high:
            note = f"The recorded score {reply.score:g} is not on the scale from {request.low} to {request.high}."
            return Reply(Status.FAILED, kind="not recorded", note=note, sent=False)
        return replace(reply, cost=0.0)  # it was paid when it was recorded

    def close(self) -> None:
        self._file.close()


def _row(line: bytes, where: str) -> tuple[str, Reply] | None:
    """The key and the reply of a line; None for another event of a job."""
    try:
        row: dict[str, Any] = json.loads(line)
        if row.get("event", "answer") != "answer":
            return None
        return _key(row), _reply({name: value for name, value in row.items() if name in FIELDS})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise JudgeError(f"{where} is no recorded answer: {type(error).__name__}: {error}.") from None


def _key(row: dict[str, Any]) -> str:
    key = row["key"]
    if not isinstance(key, str):
        raise TypeError("the key is no text")
    return key


def _reply(values: dict[str, Any]) -> Reply:
    score = values.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score)):
        raise TypeError("the score is no number")
    answers = tuple(QuestionAnswer(**answer) for answer in values.get("answers", ()))
    return Reply(**{**values, "status": Status(values["status"]), "answers": answers})
