"""The judgements of a study as columns, for the figures of its dashboard. Two queries, streamed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotation.models import Judgement, Purpose, Study
from annotation.protocols import PAIRWISE
from scoring.stats.grouped import Codes, Floats
from scoring.tables import CHUNK, annotator_name, counted_marks


@dataclass(frozen=True, slots=True)
class Judged:
    """Finished live judgements, one row each, in the order in which they were first given.

    ``at``: seconds since 1970 when it was given; ``seconds``: what it took by the server's clock, NaN if unknown.
    ``choice``: of a comparison, else empty.
    """

    key: Codes
    annotator: Codes
    annotators: list[str]
    at: Floats
    seconds: Floats
    choice: list[str]


@dataclass(frozen=True, slots=True)
class Marked:
    """Marks that count. ``judgement``: row of ``Judged``; ``item``, ``candidate``: their keys; ``dimension``: place in
    the protocol; ``score``, ``rank``: NaN where there is none."""

    judgement: Codes
    item: Codes
    candidate: Codes
    dimension: Codes
    score: Floats
    rank: Floats


def judged(study: Study) -> Judged:
    rows = Judgement.objects.filter(study=study, unit__purpose=Purpose.LIVE, is_extra=False).order_by("id")
    columns = ["id", "annotator_id", "annotator__is_simulated", "created_at", "seconds"]
    if study.protocol.kind == PAIRWISE:
        columns.append("answer__choice")
    found = list(rows.values_list(*columns).iterator(chunk_size=CHUNK))
    people = {row[1]: annotator_name(row[1], row[2]) for row in found}
    place = {pk: number for number, pk in enumerate(people)}
    return Judged(
        key=np.array([row[0] for row in found], dtype=np.int64),
        annotator=np.array([place[row[1]] for row in found], dtype=np.int64),
        annotators=list(people.values()),
        at=np.array([row[3].timestamp() for row in found], dtype=np.float64),
        seconds=np.array([np.nan if row[4] is None else row[4] for row in found], dtype=np.float64),
        choice=[row[5] or "" for row in found] if study.protocol.kind == PAIRWISE else [],
    )


def marked(study: Study, rows: Judged) -> Marked:
    place = {dimension.key: number for number, dimension in enumerate(study.protocol.dimensions)}
    values = (
        counted_marks(study)
        .order_by("id")
        .values_list("judgement_id", "judgement__unit__item_id", "candidate_id", "dimension", "score", "rank")
    )
    found = [row for row in values.iterator(chunk_size=CHUNK) if row[3] in place]
    key = np.array([row[0] for row in found], dtype=np.int64)
    known = np.flatnonzero(np.isin(key, rows.key))

    def column(number: int) -> Floats:
        return np.array([np.nan if row[number] is None else row[number] for row in found], dtype=np.float64)[known]

    return Marked(
        judgement=np.searchsorted(rows.key, key[known]),
        item=np.array([row[1] for row in found], dtype=np.int64)[known],
        candidate=np.array([row[2] for row in found], dtype=np.int64)[known],
        dimension=np.array([place[row[3]] for row in found], dtype=np.int64)[known],
        score=column(4),
        rank=column(5),
    )
