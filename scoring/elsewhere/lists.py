"""Two published JSON layouts: GenAI-Bench's votes on pairs, and ImageReward's rankings of images. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from annotation.importing.names import text_fault
from annotation.importing.problems import quoted
from scoring.elsewhere.found import MOST_RANKS, MOST_TEXT, RANKINGS, VOTES, Column, Found, Problems, Refused
from scoring.votes.reading import UnreadableVotes, read_votes

PEOPLE = "people"
"""The annotator where a file does not say who judged."""
OVERALL = "overall"
MOST_RANKED = 100
NO_NAMES = "The file does not say who judged: all stand under one name, so nothing can be said about agreement."


def read_genai(data: bytes) -> Found:
    """A pair each; ``group`` is its source prompt. Which models made the two edits, the file does not say."""
    try:
        votes = read_votes(data)
    except UnreadableVotes as error:
        raise Refused(error.problems, error.count) from None
    rows = votes.rows
    columns = {
        "annotator": Column.of([PEOPLE] * len(rows)),
        "pair": Column.of([row["key"] for row in rows]),
        "group": Column.of([str(row["group"]) for row in rows]),
        "vote": Column.of([row["human"] for row in rows]),
    }
    judges = (
        f"Votes of judges ({len(votes.judges)}) stand beside people's and were passed over. “Judges compared” reads "
        "them from the same file."
    )
    return Found(
        "GenAI-Bench votes", VOTES, columns, None, lambda wanted: [f"row {n + 1}" for n in wanted], (NO_NAMES, judges)
    )


def read_imagereward(rows: list[Any]) -> Found:
    """Objects with ``id``, ``generations`` (names of images) and ``ranking`` (1 is best, ties allowed)."""
    problems, cells = Problems(), []
    ids: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        group = _id(row, number, ids, problems)
        if group is not None:
            cells += [(group, name, rank, number) for name, rank in _ranked(row, number, problems)]
        if len(cells) > MOST_RANKS:
            raise Refused([f"The file has more than {MOST_RANKS:,} ranks, the limit for JSON. Use long CSV."])
    problems.raise_if_any()
    groups, names, ranks, numbers = zip(*cells, strict=True)
    columns = {
        "annotator": Column.of([PEOPLE] * len(cells)),
        "group": Column.of(groups),
        "dimension": Column.of([OVERALL] * len(cells)),
        "candidate": Column.of(names),
    }
    place = [f"row {number}" for number in numbers]
    values = np.array(ranks, dtype=np.float64)
    return Found(
        "ImageReward rankings", RANKINGS, columns, values, lambda wanted: [place[n] for n in wanted], (NO_NAMES,)
    )


def _id(row: Any, number: int, ids: dict[str, int], problems: Problems) -> str | None:
    if not isinstance(row, dict):
        problems.add(f"row {number}: it must be an object with id, generations and ranking.")
        return None
    value = row.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        problems.add(f"row {number}: id must be a text or a whole number.")
        return None
    name = str(value)
    if name in ids:
        problems.add(f"row {number}: the id {quoted(name)} is that of row {ids[name]} already.")
        return None
    ids[name] = number
    return name


def _ranked(row: dict[str, Any], number: int, problems: Problems) -> list[tuple[str, int]]:
    names, ranks = row.get("generations"), row.get("ranking")
    where = f"row {number}"
    if not isinstance(names, list) or not isinstance(ranks, list) or not names:
        problems.add(f"{where}: generations and ranking must be lists with an entry for each image.")
    elif len(names) != len(ranks):
        problems.add(f"{where}: {len(names)} generations, but {len(ranks)} ranks.")
    elif len(names) > MOST_RANKED:
        problems.add(f"{where}: {len(names)} images; the limit is {MOST_RANKED}.")
    elif not all(isinstance(name, str) and name.strip() and len(name) <= MOST_TEXT for name in names):
        problems.add(f"{where}: each of generations must be a text of 1 to {MOST_TEXT} characters.")
    elif any(text_fault(name) for name in names) or len(set(names)) < len(names):
        problems.add(f"{where}: generations must be plain names, each of them once.")
    elif not all(isinstance(rank, int) and not isinstance(rank, bool) and 1 <= rank <= MOST_RANKED for rank in ranks):
        problems.add(f"{where}: each rank must be a whole number from 1 to {MOST_RANKED}; 1 is best.")
    else:
        return list(zip(names, ranks, strict=True))
    return []
