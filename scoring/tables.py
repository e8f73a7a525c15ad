"""Judgements of a study as the tables that scoring/stats computes on. One query each, streamed."""

from collections.abc import Iterator

from django.db.models import QuerySet

from annotation.answers import EXCUSES as EXCUSES  # noqa: PLC0414 — others read it here, too
from annotation.models import Mark, Study
from scoring.stats.table import Rankings, Ratings
from webapp.accounts.models import SIMULATED

CHUNK = 5000
ANNOTATOR = ("judgement__annotator_id", "judgement__annotator__is_simulated")


def annotator_name(pk: int, is_simulated: bool) -> str:
    """The name under which an annotator appears in tables and exports: stable, and not theirs."""
    return f"{SIMULATED}{pk}" if is_simulated else f"a{pk}"


def counted_marks(study: Study, *, include_extra: bool = False) -> QuerySet[Mark]:
    """The study's marks that count, see ``MarkQuerySet.counted``."""
    return Mark.objects.filter(judgement__study=study).counted(include_extra)


def ratings(study: Study, *, include_extra: bool = False) -> Ratings:
    """Scores by (annotator, candidate, dimension). Items are the candidates' UIDs."""
    marks = counted_marks(study, include_extra=include_extra).filter(score__isnull=False)
    values = marks.order_by("id").values_list(*ANNOTATOR, "candidate__uid", "dimension", "score")
    rows = values.iterator(chunk_size=CHUNK)
    return Ratings.from_rows((annotator_name(a, simulated), str(c), d, s) for a, simulated, c, d, s in rows)


def rankings(study: Study, *, include_extra: bool = False) -> Rankings:
    """Ranks by (annotator, item, dimension, candidate). Groups are the items' UIDs; rounds of a group are pooled."""
    return Rankings.from_rows(_rank_rows(study, include_extra))


def _rank_rows(study: Study, include_extra: bool) -> Iterator[tuple[str, str, str, str, float]]:
    marks = counted_marks(study, include_extra=include_extra).filter(rank__isnull=False).order_by("id")
    values = marks.values_list(*ANNOTATOR, "judgement__unit__item__uid", "dimension", "candidate__uid", "rank")
    for annotator, simulated, item, dimension, candidate, rank in values.iterator(chunk_size=CHUNK):
        assert rank is not None  # by the filter
        yield annotator_name(annotator, simulated), str(item), dimension, str(candidate), rank
