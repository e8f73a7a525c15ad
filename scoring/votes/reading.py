"""Stored votes on pairs of edits, read from JSON in GenAI-Bench's layout; the file is taken to be hostile. Pure.

A list of objects, one a pair: ``idx``, ``human_vote``, ``model_votes`` {judge: vote or null}, and prompts, of which
``source_prompt`` alone is used: pairs with the same one are taken to share their source image. Other fields are passed
over. A judge's text is a vote only where it is exactly one of the four: that is how the benchmark counts, and nothing
is guessed from the rest, which is kept, cut to some length, as unreadable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from annotation.importing.names import text_fault
from annotation.importing.problems import printable, quoted
from annotation.importing.rows import strict_json

LAYOUT = "GenAI-Bench"
PEOPLE = {"leftvote": "A", "rightvote": "B", "tievote": "tie", "bothbad_vote": "both_bad"}
JUDGES = {"[[A>B]]": "A", "[[B>A]]": "B", "[[A=B=Good]]": "tie", "[[A=B=Bad]]": "both_bad"}
MOST_BYTES = 16 * 1024**2
MOST_PAIRS = 10_000
MOST_JUDGES = 64
MOST_NAME = 100
SHOWN = 20
EXCERPT = 100


class UnreadableVotes(Exception):
    """Nothing was read. ``problems``: the first SHOWN, each with its row; ``count``: all of them."""

    def __init__(self, problems: list[str], count: int | None = None) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems
        self.count = len(problems) if count is None else count


@dataclass(frozen=True, slots=True)
class VoteFile:
    """``rows`` as they are stored: {"key", "human", "judges": {name: vote or None}, "group", "unreadable"}.

    ``group``: a number from 0, the same for pairs of one source. ``unreadable``, {name: text}: only where there is any.
    """

    rows: list[dict[str, Any]]
    judges: list[str]


def read_votes(data: bytes) -> VoteFile:
    """Raises UnreadableVotes with everything that is wrong, by row counted from 1."""
    rows = _list(data)
    return _Reader(rows).read()


def _list(data: bytes) -> list[Any]:
    if len(data) > MOST_BYTES:
        raise UnreadableVotes([f"The file is larger than {MOST_BYTES // 1024**2} MB. Upload it in parts."])
    try:
        found = strict_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableVotes([f"The file is not UTF-8 text (byte {error.start + 1:,}). Save it as UTF-8."]) from None
    except ValueError as error:
        raise UnreadableVotes([f"The file cannot be read as JSON: {error}."]) from None
    if not isinstance(found, list):
        raise UnreadableVotes([f"The file holds {_kind(found)}; it must hold a list of pairs: [{{…}}, {{…}}]."])
    if not found:
        raise UnreadableVotes(["The list is empty: there is no pair in it."])
    if len(found) > MOST_PAIRS:
        raise UnreadableVotes([f"The file has {len(found):,} pairs; the limit is {MOST_PAIRS:,}. Upload it in parts."])
    return found


class _Reader:
    """Checks row after row and notes what is wrong; the judges are those of the first row that names any."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows
        self.problems: list[str] = []
        self.count = 0
        self.keys: dict[str, int] = {}
        self.groups: dict[str, int] = {}
        self.judges: list[str] = []
        self.row = 0

    def read(self) -> VoteFile:
        found = []
        for number, row in enumerate(self.rows, start=1):
            self.row = number
            if isinstance(row, dict):
                found.append(self._pair(row))
            else:
                self._problem(f"this is {_kind(row)}; it must be an object with idx, human_vote and model_votes")
        if self.count:
            raise UnreadableVotes(self.problems, self.count)
        return VoteFile(found, self.judges)

    def _problem(self, sentence: str) -> None:
        self.count += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"Row {self.row}: {sentence}.")

    def _pair(self, row: dict[str, Any]) -> dict[str, Any]:
        votes, unreadable = self._votes(row.get("model_votes"))
        pair = {"key": self._key(row.get("idx")), "human": self._human(row), "judges": votes, "group": self._group(row)}
        return {**pair, "unreadable": unreadable} if unreadable else pair

    def _key(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            self._problem(f"idx is {_kind(value)}; it must be a whole number or a text that names the pair")
            return ""
        key = str(value)
        if len(key) > MOST_NAME or text_fault(key):
            self._problem(f"idx is {quoted(key)}; use at most {MOST_NAME} plain characters")
        elif key in self.keys:
            self._problem(f"the idx {quoted(key)} is that of row {self.keys[key]} already")
        self.keys.setdefault(key, self.row)
        return key

    def _human(self, row: dict[str, Any]) -> str:
        value = row.get("human_vote")
        if isinstance(value, str) and value in PEOPLE:
            return PEOPLE[value]
        said = quoted(value) if isinstance(value, str) else _kind(value)
        self._problem(f"human_vote is {said}; known are {', '.join(PEOPLE)}")
        return ""

    def _group(self, row: dict[str, Any]) -> int:
        """Without a source prompt a pair is a group of its own."""
        source = row.get("source_prompt")
        if source is not None and not isinstance(source, str):
            self._problem(f"source_prompt is {_kind(source)}; it must be text")
        name = f"source {source}" if isinstance(source, str) and source else f"row {self.row}"
        return self.groups.setdefault(name, len(self.groups))

    def _votes(self, value: object) -> tuple[dict[str, str | None], dict[str, str]]:
        if not isinstance(value, dict) or not value:
            said = "empty" if value == {} else _kind(value)
            self._problem(f"model_votes is {said}; it must be an object with a vote or null for each judge")
            return {}, {}
        if not self.judges:
            self._name_judges(list(value))
        for name in [name for name in self.judges if name not in value]:
            self._problem(f"the judge {quoted(name)} is missing; write null where it gave no answer")
        for name in [name for name in value if name not in self.judges]:
            self._problem(f"the judge {quoted(name)} is not in the rows before; all rows need the same judges")
        unreadable: dict[str, str] = {}
        return {name: self._vote(name, value.get(name), unreadable) for name in self.judges}, unreadable

    def _name_judges(self, names: list[str]) -> None:
        if len(names) > MOST_JUDGES:  # every row would have them all: nothing more is looked at
            raise UnreadableVotes([f"Row {self.row}: there are {len(names):,} judges; the limit is {MOST_JUDGES}."])
        self.judges = names
        for name in names:
            if not name.strip() or len(name) > MOST_NAME or text_fault(name):
                self._problem(f"{quoted(name)} is no name of a judge; use 1 to {MOST_NAME} plain characters")

    def _vote(self, judge: str, value: object, unreadable: dict[str, str]) -> str | None:
        if isinstance(value, str):
            if value not in JUDGES:
                unreadable[judge] = printable(value, EXCERPT)
            return JUDGES.get(value)
        if value is not None:
            self._problem(f"the vote of {quoted(judge)} is {_kind(value)}; it must be text or null")
        return None


def _kind(value: object) -> str:
    if value is None:
        return "missing or null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text" if value else "empty text"
    if isinstance(value, float):
        return "a number with decimals"
    return "a number" if isinstance(value, int) else "a list" if isinstance(value, list) else "an object"
