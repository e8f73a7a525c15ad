"""The columns that the screens look at, read from a study. One query each, of the newest rows alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

import numpy as np

from annotation.answers import EXCUSES
from annotation.models import PRACTICE, Check, Judgement, Mark, Study
from annotation.protocols import RATING
from annotation.screening.rules import Scores

MOST_JUDGEMENTS = 20_000  # of a study, newest first: older ones are not looked at again
MOST_MARKS = 60_000
CHUNK = 5000


@dataclass
class Work:
    """One annotator's judgements in the order in which they came: when, how long, and what, equal where they did the
    same."""

    at: list[datetime] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    is_simulated: bool = False

    def times(self, since: datetime | None = None) -> list[float]:
        pairs = zip(self.at, self.seconds, strict=True)
        return [second for at, second in pairs if second is not None and _is_after(at, since)]

    def said(self, since: datetime | None = None) -> list[str]:
        return [answer for at, answer in zip(self.at, self.answers, strict=True) if _is_after(at, since)]


def _is_after(at: datetime, since: datetime | None) -> bool:
    return since is None or at > since


def work_in(study: Study, annotators: Collection[int] | None = None) -> dict[int, Work]:
    """The work of these annotators (None: all) in a study, hidden items too, practice not."""
    rows = Judgement.objects.filter(study=study).exclude(unit__purpose__in=PRACTICE)
    if annotators is not None:
        rows = rows.filter(annotator__in=list(annotators))
    names = ("annotator_id", "annotator__is_simulated", "created_at", "seconds", "flag", "answer")
    found: dict[int, Work] = defaultdict(Work)
    newest = list(rows.order_by("-id").values_list(*names)[:MOST_JUDGEMENTS])
    for annotator, simulated, at, seconds, flag, answer in reversed(newest):
        work = found[annotator]
        work.is_simulated = simulated
        work.at.append(at)
        work.seconds.append(seconds)
        work.answers.append(signature(answer, flag))
    return dict(found)


def medians_in(study: Study) -> dict[int, float]:
    """The median time of each person's judgements in a study; programs take no time."""
    rows = Judgement.objects.filter(study=study, annotator__is_simulated=False, seconds__isnull=False)
    times: dict[int, list[float]] = defaultdict(list)
    newest = rows.exclude(unit__purpose__in=PRACTICE).order_by("-id").values_list("annotator_id", "seconds")
    for annotator, seconds in newest[:MOST_JUDGEMENTS]:
        times[annotator].append(seconds or 0.0)
    return {annotator: median(mine) for annotator, mine in times.items()}


def signature(answer: dict[str, Any], flag: str) -> str:
    """What an annotator did, as a text that is equal where they did the same: the keys they pressed, not the images
    behind them."""
    if flag in EXCUSES:
        return flag
    said = answer.get("scores") or answer.get("choice") or [sorted(tier) for tier in answer.get("order") or []]
    return json.dumps(said, sort_keys=True)


def checks_in(
    study: Study, annotators: Collection[int], since: dict[tuple[int, str], datetime]
) -> dict[tuple[int, str], list[bool]]:
    """Passed or not, by annotator and kind, of checks that came after ``since``; oldest first."""
    rows = Check.objects.filter(judgement__study=study, judgement__annotator__in=list(annotators)).order_by("id")
    found: dict[tuple[int, str], list[bool]] = defaultdict(list)
    for annotator, kind, passed, at in rows.values_list(
        "judgement__annotator_id", "kind", "passed", "judgement__created_at"
    ).iterator(chunk_size=CHUNK):
        if _is_after(at, since.get((annotator, kind))):
            found[annotator, kind].append(passed)
    return dict(found)


def scores_in(study: Study, units: Collection[int] | None = None) -> Scores:
    """Scores of a rating study, places of others (higher is better), of the judgements that count. ``units``: these
    alone, for a look at one annotator."""
    rows = Mark.objects.filter(judgement__study=study).counted()
    if units is not None:
        rows = rows.filter(judgement__unit__in=list(units))
    rating = study.protocol.kind == RATING
    rows = rows.filter(score__isnull=False) if rating else rows.filter(rank__isnull=False)
    names = ("judgement__annotator_id", "judgement__unit__item_id", "candidate_id", "dimension")
    given = "judgement__created_at"
    newest = rows.order_by("-id").values_list(*names, "score" if rating else "rank", given)[:MOST_MARKS]
    columns = list(zip(*newest, strict=True)) or [(), (), (), (), (), ()]
    annotator, item, candidate = (np.array(one, dtype=np.int64) for one in columns[:3])
    dimension = _codes(np.array(columns[3], dtype=str))
    value = np.array(columns[4], dtype=np.float64)
    unit = _codes(np.stack([item, candidate, dimension], axis=1))
    scale = dimension if rating else _codes(np.stack([item, dimension], axis=1))
    at = np.array([one.timestamp() for one in columns[5]], dtype=np.float64)
    return Scores(annotator, unit, scale, value if rating else -value, at)


def _codes(rows: Any) -> Any:
    """Whole numbers from 0 that are equal where the rows are."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def units_of(study: Study, annotator: int, most: int) -> list[int]:
    """The units that an annotator judged last."""
    rows = Judgement.objects.filter(study=study, annotator=annotator).order_by("-id")
    return list(rows.values_list("unit", flat=True)[:most])
