"""Reading what a judge answers. Pure and strict: a number is the judge's own, or there is none.

Three stages. JSON as it was asked for; one JSON object within other words or a fence, which models add however they are
asked; and JSON that json-repair has mended. That library invents what suits it ("4 or 5" becomes 4), so a mended answer
counts only where its number stands in the text, whole and alone.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import json_repair
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from scoring.judging.contract import QuestionAnswer, Request, Status

MOST_TEXT = 100_000  # characters; an answer has a few thousand
MOST_MENDED, MOST_OPENED = 20_000, 200  # of text, and of brackets in it: mending takes time by the square of both
MOST_WORDS, MOST_REASONING = 200, 8000  # characters that are kept of an answer to a question, and of the reasoning
CANNOT = "cannot judge"

THINKING, THOUGHT = "<think>", "</think>"  # what stands between is no answer; some services leave out the first
OBJECT = re.compile(r'\{\s*"')
LOOSE_OBJECT = re.compile(r"\{\s*[\"'“\w]")
PLAIN_NUMBER = re.compile(r"[+-]?\d{1,6}(\.\d{1,12})?")
# A score's place in broken JSON, up to what ends a value: a number at the very end may have been longer.
WRITTEN = re.compile(r"(?:[\"'“”]|[{,]\s*)score[\"'“”]?\s*[:=]\s*([^,}\]\n]*)[,}\]\n]", re.IGNORECASE)
NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Unreadable(Exception):
    """The answer carries no score that could be read. The message says what it is instead."""


class Reading(NamedTuple):
    """``score`` is None where ``status`` is REFUSED. ``note``: what is wrong with the answers to questions."""

    score: float | None
    answers: tuple[QuestionAnswer, ...]
    reasoning: str
    status: Status
    note: str = ""


def _storable(value: object) -> object:
    """A text without characters that a database or UTF-8 refuses; anything else as it is."""
    return NO_TEXT.sub("", value) if isinstance(value, str) else value


class Form(BaseModel):
    """The object that render.FORM asks for. Only the score must be right: the rest is for people to read."""

    model_config = ConfigDict(strict=True, extra="ignore")

    score: int | float | str | None = None
    answers: Any = ()
    reasoning: Any = ""


class Entry(BaseModel):
    """One answer to a question."""

    model_config = ConfigDict(strict=True, extra="ignore")

    question: int | str
    answer: Annotated[str, BeforeValidator(_storable), Field(min_length=1)]
    why: Any = ""


def clean(text: object, most: int) -> str:
    """A text that can be stored, ``most`` characters of it; empty for what is no text."""
    return str(_storable(text))[:most].strip() if isinstance(text, str) else ""


def read_reply(text: str, request: Request) -> Reading:
    """What the judge says. Raises Unreadable where it gives no number on the scale, and does not say that it cannot."""
    if len(text) > MOST_TEXT:
        raise Unreadable(f"the answer has {len(text):,} characters, more than {MOST_TEXT:,}")
    _, thought, text = text.rpartition(THOUGHT)
    if not thought and text.lstrip().startswith(THINKING):
        raise Unreadable("the answer is thinking without an end")
    value = _whole(text)
    if value is None:
        return _read(_mended(text), request, Status.REPAIRED)
    return _read(value, request, Status.PARSED)


# The JSON object ------------------------------------------------------------------------------------------------------


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; one that names two scores is no answer. Of other keys that come twice the last counts, as in JSON."""
    if len({repr(value) for key, value in pairs if key == "score"}) > 1:
        raise Unreadable("the answer gives two different scores")
    return dict(pairs)


DECODER = json.JSONDecoder(object_pairs_hook=_pairs)


def _whole(text: str) -> dict[str, Any] | None:
    """The answer's object, alone or within words; None where there is none that is whole."""
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        return _within(text)
    if not isinstance(value, dict):
        raise Unreadable(f"the answer is JSON, but no object: {_short(text)}")
    return value


def _within(text: str) -> dict[str, Any] | None:
    """As _whole. Behind an object that is broken nothing counts: it may be a part of it, with a number of its own."""
    found, place = [], 0
    while start := OBJECT.search(text, place):
        try:
            value, place = DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return None
        found.append(value)
    answers = [value for value in found if "score" in value or "answers" in value]
    if len({repr(value.get("score")) for value in answers}) > 1:
        raise Unreadable("the answer holds several objects with different scores")
    return answers[-1] if answers else None


def _mended(text: str) -> dict[str, Any]:
    """The object that json-repair makes of the text. Raises Unreadable unless its score is the one in the text."""
    start = LOOSE_OBJECT.search(text)
    if start is None:
        raise Unreadable(f"the answer holds no JSON object: {_short(text)}")
    text = text[start.start() :]
    if len(text) > MOST_MENDED or text.count("{") + text.count("[") > MOST_OPENED:
        raise Unreadable(f"the answer's JSON is broken, and too long to be mended: {_short(text)}")
    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except Exception:  # whatever the library makes of hostile text, it is no answer
        value = None
    if not isinstance(value, dict):
        raise Unreadable(f"the answer's JSON is broken: {_short(text)}")
    written = {found.strip(" \t\"'“”") for found in WRITTEN.findall(text)}
    if "score" in value and (len(written) != 1 or _number(written.pop()) != _number(value["score"])):
        raise Unreadable(f"the answer's JSON is broken, and its score is not clear: {_short(text)}")
    return value


def _number(value: object) -> float | None:
    """The number, also of a text that is a plain number; None for all else."""
    if isinstance(value, str):
        return float(value) if PLAIN_NUMBER.fullmatch(value.strip()) and value.isascii() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


# What it says ---------------------------------------------------------------------------------------------------------


def _read(value: Mapping[str, Any], request: Request, status: Status) -> Reading:
    try:
        form = Form.model_validate(value)
    except ValidationError:
        raise Unreadable(f"the score is no number: {_short(repr(value.get('score')))}") from None
    answers, note = _answers(form.answers, request.questions)
    reasoning = clean(form.reasoning, MOST_REASONING)
    if _declines(form, answers, reasoning):
        return Reading(None, answers, reasoning, Status.REFUSED, note)
    score = _number(form.score)
    if score is None:
        missing = "score" not in form.model_fields_set
        raise Unreadable("there is no score" if missing else f"the score is no number: {_short(repr(form.score))}")
    if not request.low <= score <= request.high:  # never true for NaN
        raise Unreadable(f"the score {score:g} is not on the scale from {request.low} to {request.high}")
    mended = Status.REPAIRED if isinstance(form.score, str) else status
    return Reading(score + 0.0, answers, reasoning, mended, note)  # -0.0 + 0.0 is 0.0


def _declines(form: Form, answers: Sequence[QuestionAnswer], reasoning: str) -> bool:
    """The judge says that it cannot judge: no score, and a reason or nothing but "cannot judge"."""
    if isinstance(form.score, str):
        return form.score.strip().casefold().startswith(CANNOT)
    if form.score is not None:
        return False
    if answers and all(answer.answer.casefold() == CANNOT for answer in answers):
        return True
    given = "score" in form.model_fields_set
    return given and bool(reasoning or any(answer.reason for answer in answers))


def _answers(rows: object, questions: Sequence[str]) -> tuple[tuple[QuestionAnswer, ...], str]:
    """The answers by the questions' numbers, in the questions' order, and a sentence on what is missing or too much."""
    found: dict[int, list[Entry]] = defaultdict(list)
    others = 0
    for row in rows if isinstance(rows, list | tuple) else [rows]:
        entry = _entry(row)
        number = _question_number(entry.question) if entry else 0
        if entry and 1 <= number <= len(questions):
            found[number].append(entry)
        else:
            others += 1
    answers, missing = [], []
    for number, key in enumerate(questions, start=1):
        if len(found[number]) == 1:
            entry = found[number][0]
            answers.append(QuestionAnswer(key, clean(entry.answer, MOST_WORDS), clean(entry.why, MOST_WORDS * 5)))
        else:
            missing.append(str(number))
    notes = [f"No single answer to question {', '.join(missing)}."] if missing else []
    notes += [f"{others} answers belong to no question."] if others else []
    return tuple(answers), " ".join(notes)


def _entry(row: object) -> Entry | None:
    try:
        return Entry.model_validate(row)
    except ValidationError:
        return None


def _question_number(value: int | str) -> int:
    """The number; 0 for what is none."""
    if isinstance(value, str):
        text = value.strip().rstrip(".")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    return value


def _short(text: str) -> str:
    return clean(" ".join(text[:1000].split()), 80) or "nothing"
