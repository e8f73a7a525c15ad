"""Judgements made elsewhere beside studies here, where both are about the same candidates.

An item is a candidate here if it is named by the candidate's UID; or if its group is the key of a case, its editor the
slug of an editor, and its seed the candidate's seed (without seeds: the editor's only candidate of the case).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Count

from annotation.models import Candidate, Study
from annotation.models.studies import ItemCandidate
from annotation.protocols import RATING
from scoring import tables
from scoring.elsewhere.found import RANKINGS, RATINGS
from scoring.elsewhere.table import Judgements
from scoring.results import mos_rows
from scoring.stats.correlate import fisher_interval, midranks, pearson
from scoring.stats.mos import MosSettings

MOST_LOOKED_UP = 20_000
MOST_STUDIES = 20
OWNER = {RATINGS: "item", RANKINGS: "candidate"}
MEAN = MosSettings(method="mean", outliers="none")


@dataclass(frozen=True)
class Beside:
    """One dimension here and there: ``n`` candidates with a mean of both, and how far the means go together."""

    dimension: str
    theirs: str
    n: int
    pcc: float
    low: float
    high: float
    srcc: float


def found_here(judged: Judgements) -> dict[str, Any]:
    """How many of the things that were judged are candidates here, and the studies that have them, with their number.

    A query for every 5,000 things; none where more than MOST_LOOKED_UP things were judged.
    """
    if judged.kind not in OWNER:
        return {"candidates": 0, "studies": []}
    if len(judged.columns[OWNER[judged.kind]]) > MOST_LOOKED_UP:
        return {"candidates": 0, "studies": [], "too_many": MOST_LOOKED_UP}
    rows = list(candidates_of(judged))
    keys = [pk for pk, _uid, _code in rows]
    studies: Counter[str] = Counter()
    for start in range(0, len(keys), tables.CHUNK):
        entries = ItemCandidate.objects.filter(candidate__in=keys[start : start + tables.CHUNK])
        per_study = entries.values_list("item__study__uid").annotate(n=Count("candidate", distinct=True))
        for uid, n in per_study.order_by():
            studies[str(uid)] += n
    found = [{"study": uid, "n": n} for uid, n in studies.most_common(MOST_STUDIES)]
    return {"candidates": len({code for _pk, _uid, code in rows}), "studies": found}


def candidates_of(judged: Judgements, study: Study | None = None) -> Iterator[tuple[int, str, int]]:
    """(key, UID, code of the thing) of candidates here; ``study`` limits them to those of its data set."""
    owner = judged.columns[OWNER[judged.kind]]
    by_uid = {str(uid): code for code, text in enumerate(owner.texts()) if (uid := _uid(text)) is not None}
    texts = list(by_uid)
    everything = Candidate.objects.filter(case__dataset=study.dataset_id) if study else Candidate.objects.all()
    for start in range(0, len(texts), tables.CHUNK):
        rows = everything.filter(uid__in=texts[start : start + tables.CHUNK])
        for pk, uid in rows.values_list("pk", "uid"):
            yield pk, str(uid), by_uid[str(uid)]
    if not by_uid and {"group", "editor"} <= set(judged.columns):
        yield from _by_key(judged, everything)


def _uid(text: str) -> UUID | None:
    if len(text) != 36:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def _by_key(judged: Judgements, everything: Any) -> Iterator[tuple[int, str, int]]:
    owner = OWNER[judged.kind]
    group = _group_of(judged)
    editor, seed = judged.of(owner, "editor"), judged.of(owner, "seed")
    assert editor is not None
    groups, editors = judged.columns["group"].texts(), judged.columns["editor"].texts()
    seeds = judged.columns["seed"].texts() if seed is not None else []
    wanted: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for code, (case, who) in enumerate(zip(group.tolist(), editor.tolist(), strict=True)):
        wanted[groups[case], editors[who]][seeds[seed[code]] if seed is not None else ""] = code
    keys = sorted(set(groups))
    for start in range(0, len(keys), tables.CHUNK):
        rows = everything.filter(case__key__in=keys[start : start + tables.CHUNK], editor__slug__in=editors)
        values = rows.values_list("pk", "uid", "case__dataset", "case__key", "editor__slug", "seed")
        yield from _chosen(list(values), wanted)


def _chosen(rows: list[Any], wanted: dict[tuple[str, str], dict[str, int]]) -> Iterator[tuple[int, str, int]]:
    several = Counter((dataset, case, editor) for _pk, _uid, dataset, case, editor, _seed in rows)
    for pk, uid, dataset, case, editor, seed in rows:
        codes = wanted.get((case, editor), {})
        if str(seed) in codes:
            yield pk, str(uid), codes[str(seed)]
        elif "" in codes and len(codes) == 1 and several[dataset, case, editor] == 1:
            yield pk, str(uid), codes[""]


def _group_of(judged: Judgements) -> Any:
    found = judged.of(OWNER[judged.kind], "group")
    assert found is not None
    return found


def compare(judged: Judgements, study: Study) -> list[Beside]:
    """Plain means of both on the candidates that both have, by dimension. Ratings with a study of ratings only.

    Dimensions go together by their key; where each side has one dimension, these two.
    """
    if judged.kind != RATINGS or study.protocol.kind != RATING:
        return []
    uid_of = {code: uid for _pk, uid, code in candidates_of(judged, study)}
    table = judged.ratings()
    names = table.items.to_pylist()
    uids = {names[code]: uid for code, uid in uid_of.items()}
    ours = {(row.item, row.dimension): row.mos for row in mos_rows(tables.ratings(study), MEAN)}
    theirs = {
        (uids[row.item], row.dimension): row.mos
        for row in mos_rows(table, MEAN)
        if row.item in uids and row.mos is not None
    }
    here = [dimension.key for dimension in study.protocol.dimensions]
    there = table.dimensions.to_pylist()
    pairs = [(key, key) for key in here if key in there]
    if not pairs and len(here) == len(there) == 1:
        pairs = [(here[0], there[0])]
    return [_beside(one, other, ours, theirs) for one, other in pairs]


def _beside(one: str, other: str, ours: dict[Any, Any], theirs: dict[Any, Any]) -> Beside:
    both = [
        (mos, theirs[uid, other])
        for (uid, dimension), mos in ours.items()
        if dimension == one and mos is not None and (uid, other) in theirs
    ]
    first, second = np.array(both, dtype=np.float64).reshape(-1, 2).T
    pcc = pearson(first, second)
    low, high = fisher_interval(pcc, len(both))
    return Beside(one, other, len(both), pcc, low, high, pearson(midranks(first), midranks(second)))
