"""What a version changed against another, question by question. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from scoring.prompts.drafts import Draft, Line

# Words, spaces and signs; of Chinese and Japanese each character. Together they are the text again.
_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
TOKEN = re.compile(rf"\s+|[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")
SAME, GONE, NEW = "same", "gone", "new"
ADDED, REMOVED, CHANGED, MOVED, SWITCHED_ON, SWITCHED_OFF = "added", "removed", "changed", "moved", "on", "off"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that is the same in both, or gone from the old one, or new."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A question in one version or both. ``kinds``: what happened to it, empty for nothing.

    ``was`` and ``now`` are its places from 1, None where it is not there; ``is_on`` as it is now, or was at the end.
    """

    key: str
    kinds: tuple[str, ...]
    old: str
    new: str
    pieces: tuple[Piece, ...]
    was: int | None
    now: int | None
    is_on: bool


@dataclass(frozen=True, slots=True)
class Diff:
    """``rows``: the new version's questions in order, each removed one where it stood."""

    preamble: tuple[Piece, ...]
    rubric: tuple[Piece, ...]
    rows: tuple[Row, ...]

    @property
    def preamble_changed(self) -> bool:
        return _differs(self.preamble)

    @property
    def rubric_changed(self) -> bool:
        return _differs(self.rubric)

    @property
    def preamble_excerpt(self) -> tuple[Piece, ...]:
        return excerpt(self.preamble)

    @property
    def rubric_excerpt(self) -> tuple[Piece, ...]:
        return excerpt(self.rubric)

    @property
    def changes(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.kinds)

    @property
    def is_empty(self) -> bool:
        return not (self.preamble_changed or self.rubric_changed or self.changes)


def diff(old: Draft, new: Draft) -> Diff:
    """What ``new`` changed against ``old``. Questions are the same by their key; the keys of a draft are unique."""
    before = {line.key: (place, line) for place, line in enumerate(old.questions, start=1)}
    shifted = _moved([key for key in old.keys if key in set(new.keys)], [key for key in new.keys if key in before])
    rows = [
        _row(before.get(line.key), (place, line), line.key in shifted)
        for place, line in enumerate(new.questions, start=1)
    ]
    for place, line in enumerate(old.questions, start=1):
        if line.key not in new.keys:
            rows.insert(_after(rows, old.keys[: place - 1]), _row((place, line), None, False))
    return Diff(pieces(old.preamble, new.preamble), pieces(old.rubric, new.rubric), tuple(rows))


def pieces(old: str, new: str) -> tuple[Piece, ...]:
    """Both texts in one, word by word: the old one is what is same or gone, the new one what is same or new."""
    before, after = TOKEN.findall(old), TOKEN.findall(new)
    found: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Piece(SAME, "".join(before[a:b])))
            continue
        found += [Piece(name, "".join(words)) for name, words in ((GONE, before[a:b]), (NEW, after[c:d])) if words]
    return tuple(found)


def excerpt(found: tuple[Piece, ...], keep: int = 60) -> tuple[Piece, ...]:
    """The changes with so many characters of the same text around each; what is left out is an ellipsis."""
    last = len(found) - 1
    return tuple(
        Piece(SAME, _shortened(piece.text, keep, place > 0, place < last)) if piece.kind == SAME else piece
        for place, piece in enumerate(found)
    )


def _shortened(text: str, keep: int, start: bool, end: bool) -> str:
    """``start``, ``end``: whether the change lies before it, behind it."""
    if len(text) <= keep * (start + end) + 1:
        return text
    head, tail = text[:keep].rpartition(" ")[0] or text[:keep], text[-keep:].partition(" ")[2] or text[-keep:]
    return (f"{head} " if start else "") + "…" + (f" {tail}" if end else "")


def _row(before: tuple[int, Line] | None, after: tuple[int, Line] | None, shifted: bool) -> Row:
    line = (after or before or (0, Line("", "")))[1]
    old, new = before[1].text if before else "", after[1].text if after else ""
    return Row(
        key=line.key,
        kinds=_kinds(before and before[1], after and after[1], shifted),
        old=old,
        new=new,
        pieces=pieces(old, new),
        was=before and before[0],
        now=after and after[0],
        is_on=line.is_on,
    )


def _kinds(before: Line | None, after: Line | None, shifted: bool) -> tuple[str, ...]:
    if before is None or after is None:
        return (ADDED,) if before is None else (REMOVED,)
    found = [CHANGED] if before.text != after.text else []
    if shifted:
        found.append(MOVED)
    if before.is_on != after.is_on:
        found.append(SWITCHED_ON if after.is_on else SWITCHED_OFF)
    return tuple(found)


def _moved(before: list[str], after: list[str]) -> set[str]:
    """Keys out of the old order; those in the longest stretches that kept it have not moved."""
    kept = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    stayed = {key for block in kept for key in before[block.a : block.a + block.size]}
    return set(after) - stayed


def _after(rows: list[Row], earlier: list[str]) -> int:
    """Where a removed question is shown: below the nearest of the questions that stood above it."""
    places = {row.key: place for place, row in enumerate(rows)}
    return next((places[key] + 1 for key in reversed(earlier) if key in places), 0)


def _differs(found: tuple[Piece, ...]) -> bool:
    return any(piece.kind != SAME for piece in found)
