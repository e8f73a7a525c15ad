"""How far a study is: by dimension, by split, by day, when it may end, and how long a judgement takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.models import Purpose, Study, StudyState, Unit
from scoring.boards.reading import Judged, judged
from scoring.stats.grouped import Floats

WINDOW = timedelta(days=7)  # the pace is that of the last seven days, or of the whole study if it is younger
LEAST_WINDOW = timedelta(minutes=10)
LEAST_JUDGEMENTS = 10


@dataclass(frozen=True)
class Share:
    """Units of work of a dimension or a split: wanted in all, and done."""

    name: str
    target: int
    done: int


@dataclass(frozen=True)
class Times:
    """Seconds for a judgement: how many are known, their quartiles. None: no time is known."""

    name: str
    n: int
    low: float | None
    median: float | None
    high: float | None


@dataclass(frozen=True)
class End:
    """When the study will be done at its present pace; ``reason`` says why that cannot be told. ``pace``: a day."""

    at: datetime | None
    pace: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    dimensions: list[Share]
    splits: list[Share]
    days: list[tuple[str, int]]
    times: Times
    annotators: list[Times]
    first: float | None  # seconds since 1970: the first judgement
    lately: int  # judgements within the window before ``now``
    now: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Progress:
        shares = {name: [Share(**row) for row in value[name]] for name in ("dimensions", "splits")}
        people = [Times(**row) for row in value["annotators"]]
        days = [(day, count) for day, count in value["days"]]
        return cls(**{**value, **shares, "days": days, "times": Times(**value["times"]), "annotators": people})


def progress(study: Study) -> Progress:
    """Two queries: the units, and the finished judgements."""
    units = Unit.objects.filter(study=study, purpose=Purpose.LIVE).order_by()
    sums = list(units.values_list("dimension", "item__case__split").annotate(a=Sum("target"), b=Sum("done")))
    rows, now = judged(study), timezone.now()
    start = now - WINDOW
    labels = {dimension.key: dimension.label for dimension in study.protocol.dimensions}
    return Progress(
        dimensions=_shares([(labels.get(name, ""), target, done) for name, _split, target, done in sums if name]),
        splits=_shares([(split, target, done) for _name, split, target, done in sums]),
        days=_days(rows.at),
        times=times_of("", rows.seconds),
        annotators=_by_annotator(rows),
        first=float(rows.at.min()) if rows.at.size else None,
        lately=int(np.count_nonzero(rows.at >= start.timestamp())),
        now=now.timestamp(),
    )


def _shares(rows: list[tuple[str, int, int]]) -> list[Share]:
    target, done = Counter[str](), Counter[str]()
    for name, wanted, ready in rows:
        target[name] += wanted
        done[name] += ready
    return [Share(name, target[name], done[name]) for name in sorted(target)]


def _days(at: Floats) -> list[tuple[str, int]]:
    """Judgements by day of the server's time zone, days without any among them."""
    if not at.size:
        return []
    zone = timezone.get_current_timezone()
    found = Counter(datetime.fromtimestamp(moment, zone).date() for moment in at.tolist())
    first, last = min(found), max(found)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [(day.isoformat(), found[day]) for day in days]


def times_of(name: str, seconds: Floats) -> Times:
    known = seconds[np.isfinite(seconds)]
    if not known.size:
        return Times(name, 0, None, None, None)
    low, median, high = (float(value) for value in np.quantile(known, [0.25, 0.5, 0.75]))
    return Times(name, int(known.size), low, median, high)


def _by_annotator(rows: Judged) -> list[Times]:
    order = np.argsort(rows.annotator, kind="stable")
    ends = np.cumsum(np.bincount(rows.annotator, minlength=len(rows.annotators)))
    parts = np.split(rows.seconds[order], ends[:-1]) if ends.size else []
    return [times_of(name, found) for name, found in zip(rows.annotators, parts, strict=True)]


def end_of(study: Study, found: Progress, target: int, done: int) -> End:
    """The end at the pace of the last week, or of the study's whole life where it is younger."""
    left = target - done
    if target and left <= 0:
        return End(None, reason=_("Everything that was wanted is done."))
    if study.state != StudyState.OPEN:
        return End(None, reason=_("The study does not take judgements now."))
    if found.first is None:
        return End(None, reason=_("Nobody has judged yet."))
    life = timedelta(seconds=found.now - found.first)
    window = min(WINDOW, life)
    if window < LEAST_WINDOW or found.lately < LEAST_JUDGEMENTS:
        return End(None, reason=_("Too little was done in the last seven days to tell a pace."))
    pace = found.lately / (window / timedelta(days=1))
    moment = datetime.fromtimestamp(found.now, UTC)
    days = left / pace
    if days > 3650:
        return End(None, pace, _("At this pace it takes more than ten years."))
    return End(moment + timedelta(days=days), pace)
