"""Reading what a model answers. Pure and strict: what has another shape is a counted failure, never an instruction.

JSON in a fence, and words around the fence, are tolerated: models add them however they are asked. Nothing is repaired.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL | re.IGNORECASE)
CHINESE = re.compile(r"[㐀-䶿一-鿿]")
LONGEST = {"instruction": 400, "instruction_zh": 400, "description": 1000, "requirement": 1000}


class Unreadable(Exception):
    """The answer is not the JSON that was asked for. The message says what it is instead."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One proposed instruction, as the model wrote it."""

    instruction: str
    instruction_zh: str
    description: str
    requirement: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The usable drafts of an answer, and why the others are not: one sentence each."""

    drafts: list[Draft]
    faults: list[str]


def read_reply(text: str, *, most: int, earlier: Iterable[str] = ()) -> Reply:
    """The drafts of an answer: ``most`` of them at most, none that repeats another or an ``earlier`` instruction.

    Raises Unreadable where the answer as a whole is none.
    """
    rows = _rows(text)
    taken = {_essence(instruction) for instruction in earlier}
    drafts: list[Draft] = []
    faults: list[str] = []
    for row in rows[:most]:
        if fault := _fault(row):
            faults.append(fault)
            continue
        draft = Draft(**{name: row[name].strip() for name in LONGEST})
        if (essence := _essence(draft.instruction)) in taken:
            faults.append(f"repeats an instruction: {draft.instruction[:80]}")
            continue
        taken.add(essence)
        drafts.append(draft)
    return Reply(drafts, faults)


def _rows(text: str) -> list[Any]:
    fences = FENCE.findall(text)
    if len(fences) > 1:
        raise Unreadable("the answer holds several blocks of code")
    try:
        value = json.loads(fences[0] if fences else text)
    except (ValueError, RecursionError):
        raise Unreadable(f"the answer is no JSON: {_short(text)}") from None
    if not isinstance(value, dict) or not isinstance(value.get("proposals"), list):
        raise Unreadable(f"the answer is JSON without a list “proposals”: {_short(text)}")
    rows: list[Any] = value["proposals"]
    return rows


def _fault(row: Any) -> str:
    """What is wrong with one entry; empty if nothing is."""
    if not isinstance(row, dict):
        return f"is no object: {_short(json.dumps(row))}"
    for name, longest in LONGEST.items():
        if fault := _text_fault(row.get(name), longest):
            return f"“{name}” {fault}"
    if not CHINESE.search(row["instruction_zh"]):
        return "“instruction_zh” is not Chinese"
    return "“instruction” is not English" if CHINESE.search(row["instruction"]) else ""


def _text_fault(value: Any, longest: int) -> str:
    if not isinstance(value, str) or not value.strip():
        return "is missing or empty"
    if len(value) > longest:
        return f"has {len(value)} characters, more than {longest}"
    strange = any(unicodedata.category(letter) in ("Cc", "Cs", "Co") for letter in value.strip() if letter != "\n")
    return "holds characters that are no text" if strange else ""


def _essence(instruction: str) -> str:
    """What two instructions have in common that differ in case, spaces and punctuation alone."""
    letters = (letter if letter.isalnum() else " " for letter in unicodedata.normalize("NFKC", instruction).casefold())
    return " ".join("".join(letters).split())


def _short(text: str) -> str:
    return " ".join(text.split())[:80] or "nothing"
