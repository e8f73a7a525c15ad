"""The tables that can be exported: their columns, their rows, their filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import F, QuerySet

from annotation.models import Adjudication, Candidate, Mark, Study
from scoring import blocks, results, tables
from scoring.reannotation import queries as reannotation
from scoring.stats.mos import METHODS, OUTLIER_RULES, MosSettings
from scoring.writers import Column, Row


@dataclass(frozen=True)
class Options:
    """What the person who exports may choose."""

    include_extra: bool = False
    method: str = "zscore"
    outliers: str = ""  # empty: the method's own rule

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Options:
        return cls(**value)

    @property
    def mos_settings(self) -> MosSettings:
        method = next(method for method in METHODS if method == self.method)
        rule = next((rule for rule in OUTLIER_RULES if rule == self.outliers), None)
        return MosSettings(method=method, outliers=rule)


@dataclass(frozen=True)
class ExportTable:
    label: str
    about: str
    columns: tuple[Column, ...]
    rows: Callable[[Study, Options], Iterator[Row]]
    filters: Callable[[Options], list[str]]


_CASE = (
    Column("case", "text", "key of the case in its data set"),
    Column("task", "text", "edit task of the case"),
    Column("split", "text", "split of the case"),
)
_CANDIDATE = (
    Column("candidate", "text", "UID of the candidate"),
    Column("editor", "text", "editor that made the candidate"),
    Column("seed", "integer", "seed that the editor was given"),
    Column("image_sha256", "text", "SHA-256 of the candidate's original file"),
)
_JUDGEMENT = (
    Column("annotator", "text", "number of the annotator; one that begins with simulated- is a program"),
    Column("dimension", "text", "dimension of the protocol"),
)
_ABOUT_JUDGEMENT = (
    Column("flag", "text", "no_edit, broken, unsafe, cannot_judge or empty"),
    Column("extra", "flag", "given after the lease was lost and the item filled by others"),
    Column("seconds", "number", "seconds from opening to answer, by the server's clock"),
    Column("revisions", "integer", "how often the answer was changed after it was first given"),
    Column("judged_at", "text", "time of the first answer, UTC, ISO 8601"),
    Column("remark", "text", "the annotator's remark"),
)


def _marks(study: Study, options: Options) -> QuerySet[Mark]:
    """All standing marks, excused ones too, in an order that does not depend on when they were made."""
    marks = Mark.objects.filter(judgement__study=study).standing(options.include_extra)
    return marks.order_by(
        "candidate__case__key", "candidate__editor__slug", "candidate__seed", "candidate_id", "dimension",
        "judgement__unit__item_id", "judgement__unit__round", "judgement__annotator_id", "id",
    )  # fmt: skip


_FIELDS = (
    "candidate__case__key", "candidate__case__task_id", "candidate__case__split", "candidate__uid",
    "candidate__editor__slug", "candidate__seed", "candidate__image__sha256", *tables.ANNOTATOR, "dimension",
)  # fmt: skip
_TAIL = (
    "judgement__flag", "judgement__is_extra", "judgement__seconds", "judgement__revisions", "judgement__created_at",
    "judgement__remark",
)  # fmt: skip


def _judged(marks: QuerySet[Mark], *middle: str) -> Iterator[Row]:
    for row in marks.values_list(*_FIELDS, *middle, *_TAIL).iterator(chunk_size=tables.CHUNK):
        case, task, split, candidate, editor, seed, sha, annotator, simulated, dimension, *rest = row
        *values_of, flag, extra, seconds, revisions, at, remark = rest
        name = tables.annotator_name(annotator, simulated)
        head = (case, task, split, str(candidate), editor, seed, sha, name, dimension)
        yield (*head, *values_of, flag, extra, seconds, revisions, at.isoformat(), remark)


def _rating_rows(study: Study, options: Options) -> Iterator[Row]:
    return _judged(_marks(study, options).filter(score__isnull=False), "score")


def _ranking_rows(study: Study, options: Options) -> Iterator[Row]:
    marks = _marks(study, options).filter(rank__isnull=False).annotate(group=F("judgement__unit__item__uid"))
    rows = _judged(marks, "group", "judgement__unit__round", "rank", "score")
    for row in rows:
        yield (*row[:9], str(row[9]), *row[10:])


def _extra_filter(options: Options) -> list[str]:
    return [
        "Extra judgements: included." if options.include_extra else "Extra judgements: left out.",
        "Hidden checks, practice, and judgements of annotators whom a person excluded: left out.",
    ]


def _mos_filters(options: Options) -> list[str]:
    settings = options.mos_settings
    return [
        *_extra_filter(options),
        "Judgements flagged broken, unsafe or cannot_judge: left out.",
        f"Method: {settings.method}; outlier rule: {settings.outlier_rule}; confidence {settings.confidence:g}.",
        "Scale: 0–100 for zscore (methods of EditHF-1M), the units of the protocol otherwise.",
    ]


def _pair_filters(options: Options) -> list[str]:
    return [*_extra_filter(options), "Judgements flagged broken, unsafe or cannot_judge: left out.",
            "Pairs of equal mean rank are ties: kept, with gap 0."]  # fmt: skip


def describe(uids: list[str]) -> dict[str, tuple[Any, ...]]:
    """(case, task, split, uid, editor, seed, sha256) of candidates, by uid."""
    found: dict[str, tuple[Any, ...]] = {}
    for start in range(0, len(uids), tables.CHUNK):
        rows = Candidate.objects.filter(uid__in=uids[start : start + tables.CHUNK])
        for row in rows.values_list(
            "case__key", "case__task_id", "case__split", "uid", "editor__slug", "seed", "image__sha256"
        ):
            found[str(row[3])] = (*row[:3], str(row[3]), *row[4:])
    return found


def _mos_rows(study: Study, options: Options) -> Iterator[Row]:
    scored = results.mos_rows(tables.ratings(study, include_extra=options.include_extra), options.mos_settings)
    known = describe([row.item for row in scored])
    decided = {key: reannotation.places(row) for key, row in _standing(study).items()}
    ordered = sorted(scored, key=lambda row: (*map(str, known[row.item]), row.dimension))
    said = {(uid, dimension): score for (_item, dimension), of in decided.items() for uid, score in of.items()}
    for row in ordered:
        beside = said.get((row.item, row.dimension))
        yield (*known[row.item], row.dimension, row.mos, row.n, row.std, row.low, row.high, beside)


def _pair_rows(study: Study, options: Options) -> Iterator[Row]:
    table = blocks.rankings(study, include_extra=options.include_extra)
    pairs = results.pair_rows(table, study.protocol.agreement)
    known = describe(table.candidates.to_pylist())
    decided = {key: reannotation.places(row) for key, row in _standing(study).items()}
    rows = []
    for pair in pairs:
        first, second = known[pair.better], known[pair.worse]
        if pair.gap == 0 and first > second:  # which of a tie comes first must not depend on the order of the rows
            first, second = second, first
        sides = (*first[3:5], *second[3:5])
        beside = _said_of(decided.get((pair.group, pair.dimension), {}), first[3], second[3])
        rows.append((*first[:3], pair.group, pair.dimension, *sides, pair.gap, pair.gap == 0, pair.contested, beside))
    yield from sorted(rows, key=lambda row: tuple(map(str, (row[0], *row[3:9]))))


def _standing(study: Study) -> dict[tuple[str, str], Adjudication]:
    """The decision of a senior that stands, by (item's UID, dimension)."""
    made = reannotation.decisions(study).select_related("item")
    return {(str(row.item.uid), row.dimension): row for row in reannotation.standing(made).values()}


def _said_of(places: dict[str, float], better: str, worse: str) -> str:
    """Which of a pair a senior put first; empty where nobody decided on it."""
    if better not in places or worse not in places:
        return ""
    first, second = places[better], places[worse]
    return "tie" if first == second else "better" if first < second else "worse"


def _decision_rows(study: Study, _options: Options) -> Iterator[Row]:
    made = list(reannotation.decisions(study).select_related("item"))
    stands = {row.pk for row in reannotation.standing(made).values()}
    known = describe(sorted({uid for row in made for uid in reannotation.places(row)}))
    rows = []
    for row in made:
        by, at = tables.annotator_name(row.by_id, row.by.is_simulated), row.created_at.isoformat()
        for uid, value in reannotation.places(row).items():
            number = (value, None) if "scores" in row.answer else (None, value)
            said = (str(row.item.uid), row.dimension, *number, row.pk in stands, by, at, row.note)
            rows.append((*known[uid], *said))
    yield from sorted(rows, key=lambda row: (*map(str, row[:4]), row[8], row[13], row[7]))


TABLES: dict[str, ExportTable] = {
    "ratings": ExportTable(
        "Ratings",
        "One row for every score that an annotator gave to a candidate in a dimension.",
        (
            *_CASE,
            *_CANDIDATE,
            *_JUDGEMENT,
            Column("score", "number", "score in the units of the protocol"),
            *_ABOUT_JUDGEMENT,
        ),
        _rating_rows,
        _extra_filter,
    ),
    "rankings": ExportTable(
        "Rankings",
        "One row for every place that an annotator gave to a candidate of a group in a dimension.",
        (
            *_CASE,
            *_CANDIDATE,
            *_JUDGEMENT,
            Column("group", "text", "UID of the group that was ranked together"),
            Column("round", "integer", "round of judging, from 1"),
            Column("rank", "number", "rank in the group; 1 is best, ties share their mean rank"),
            Column("shelf", "number", "shelf 0–5 that the candidate was put on; empty for comparisons of two"),
            *_ABOUT_JUDGEMENT,
        ),
        _ranking_rows,
        _extra_filter,
    ),
    "mos": ExportTable(
        "Mean opinion scores",
        "One row for every candidate and dimension: the mean opinion score of its ratings (docs/statistics.md).",
        (
            *_CASE,
            *_CANDIDATE,
            Column("dimension", "text", "dimension of the protocol"),
            Column("mos", "number", "mean opinion score; its scale stands under Filters and settings"),
            Column("n", "integer", "annotators whose ratings remain after the checks"),
            Column("std", "number", "sample standard deviation over them"),
            Column("ci_low", "number", "lower end of the 95 % interval"),
            Column("ci_high", "number", "upper end of the 95 % interval"),
            Column("adjudicated", "number", "score that a senior decided on, in units of the protocol; not in the mos"),
        ),
        _mos_rows,
        _mos_filters,
    ),
    "pairs": ExportTable(
        "Preference pairs",
        "One row for every pair of candidates of a group in a dimension, ordered by mean rank over annotators.",
        (
            *_CASE,
            Column("group", "text", "UID of the group that was ranked together"),
            Column("dimension", "text", "dimension of the protocol"),
            Column("better", "text", "UID of the candidate with the better mean rank (either one of a tie)"),
            Column("better_editor", "text", "its editor"),
            Column("worse", "text", "UID of the other candidate"),
            Column("worse_editor", "text", "its editor"),
            Column("gap", "number", "difference of the mean ranks; 0 is a tie"),
            Column("tie", "flag", "whether the mean ranks are equal"),
            Column("contested", "flag", "whether the group's Kendall W is below the study's threshold"),
            Column("adjudicated", "text", "which of the two a senior put first: better, worse or tie; not in the gap"),
        ),
        _pair_rows,
        _pair_filters,
    ),
    "adjudications": ExportTable(
        "Adjudications",
        "One row for every candidate of every decision that a senior made on an item, earlier decisions too.",
        (
            *_CASE,
            *_CANDIDATE,
            Column("item", "text", "UID of the item that was decided on"),
            Column("dimension", "text", "dimension of the protocol"),
            Column("score", "number", "score in the units of the protocol; empty for rankings"),
            Column("rank", "number", "rank in the group; 1 is best, ties share their mean rank; empty for scores"),
            Column("stands", "flag", "whether no later decision on the item and dimension follows"),
            Column("decided_by", "text", "number of the person, as of annotators"),
            Column("decided_at", "text", "time, UTC, ISO 8601"),
            Column("note", "text", "why"),
        ),
        _decision_rows,
        lambda options: [*_extra_filter(options), "The annotators' judgements are not changed by these decisions."],
    ),
}
