"""What the pages of judgements made elsewhere show."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from annotation.models import Study
from scoring.elsewhere import beside
from scoring.elsewhere.figures import VERSION
from scoring.elsewhere.forms import StudyForm
from scoring.elsewhere.table import read_rows, read_scores
from scoring.models import JudgementKind, JudgementSet
from scoring.writers import csv_line

PAGE = 50
CHUNK = 5_000
COUNT_NAMES = {
    "annotator": _("Annotators"),
    "item": _("Items"),
    "candidate": _("Candidates"),
    "pair": _("Pairs"),
    "dimension": _("Dimensions"),
    "group": _("Groups"),
    "editor": _("Editors"),
    "task": _("Tasks"),
    "split": _("Splits"),
}
COLUMN_NAMES = {
    "group": _("Group"),
    "item": _("Item"),
    "pair": _("Pair"),
    "candidate": _("Candidate"),
    "dimension": _("Dimension"),
    "editor": _("Editor"),
    "vote": _("Vote"),
    "n": _("Annotators"),
    "mean": _("Mean"),
    "zscore": _("z-score MOS"),
    "corrected": _("Corrected"),
    "mean_rank": _("Mean rank"),
    "wins": _("Wins"),
    "strength": _("Plackett–Luce, joined"),
    "strength_alone": _("Plackett–Luce"),
    "kendall_w": _("Kendall W"),
}
"""Of the table of scores on the page; limits stand in their figure's cell."""
FIGURES = ("n", "mean", "zscore", "corrected", "mean_rank", "wins", "strength", "strength_alone", "kendall_w")
SCORE_NOTES = {
    "ratings": _("z-score MOS: 0 to 100. Corrected: biases removed, in units of the scores. In brackets 95 %."),
    "rankings": _("Joined: with half a win and half a loss of each candidate against a made-up one."),
}
VOTE_NAMES = {"A": _("A"), "B": _("B"), "tie": _("tie"), "both_bad": _("both bad")}


def judgement_sets() -> QuerySet[JudgementSet]:
    """For lists: without the figures, which are large."""
    return JudgementSet.objects.defer("figures", "told").select_related("created_by")


def judgement_set(uid: Any) -> QuerySet[JudgementSet]:
    return JudgementSet.objects.filter(uid=uid).select_related("created_by", "job")


def page_of_set(found: JudgementSet, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Everything on the page of a set; ``asked`` may name a row of its scores, and a study to compare with."""
    figures = found.figures or {}
    studies = _studies(figures)
    form = StudyForm(asked if "study" in asked else None, studies=[(str(s.uid), s.name) for s, _n in studies])
    study = _chosen(form, studies)
    return {
        "set": found,
        "counts": [(COUNT_NAMES[name], count) for name, count in found.counts.items() if name in COUNT_NAMES],
        "figures": figures,
        "is_old": bool(figures) and figures.get("version") != VERSION,
        "boards": _by_task(figures.get("boards", [])),
        "votes": [{**one, "name": VOTE_NAMES[one["vote"]]} for one in figures.get("votes", [])],
        "scores": scores_page(found, asked) if found.scores else None,
        "studies": studies,
        "form": form,
        "study": study,
        "beside": _compared(found, study) if study else None,
    }


def _by_task(boards: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    tasks: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for board in boards:
        tasks[board["task"]].append(board)
    return list(tasks.items())


def _studies(figures: dict[str, Any]) -> list[tuple[Study, int]]:
    """Studies here that have some of the candidates; one query."""
    counts = {entry["study"]: entry["n"] for entry in figures.get("here", {}).get("studies", [])}
    rows = Study.objects.filter(uid__in=counts).select_related("dataset") if counts else []
    return sorted(((study, counts[str(study.uid)]) for study in rows), key=lambda pair: -pair[1])


def _chosen(form: StudyForm, studies: list[tuple[Study, int]]) -> Study | None:
    if not form.is_bound or not form.is_valid():
        return None
    return next(study for study, _n in studies if str(study.uid) == form.cleaned_data["study"])


def _compared(found: JudgementSet, study: Study) -> list[beside.Beside]:
    if found.kind != JudgementKind.RATINGS:
        return []
    with default_storage.open(found.rows) as file:
        return beside.compare(read_rows(found.kind, file), study)


def scores_page(found: JudgementSet, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of scores that ``?row=N`` begins with; reads their part of the file alone."""
    text = str(asked.get("row", ""))
    start = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    with default_storage.open(found.scores) as file:
        rows, total = read_scores(file, start, PAGE)
        if start >= total > 0:
            start = 0
            rows, total = read_scores(file, start, PAGE)
    columns = [name for name in rows[0] if name in COLUMN_NAMES] if rows else []
    if found.kind == JudgementKind.RATINGS and "group" in columns:
        columns.remove("group")  # an item's name says it mostly
    return {
        "columns": [(COLUMN_NAMES[name], name in FIGURES) for name in columns],
        "rows": [[(_shown(row, name), name in FIGURES) for name in columns] for row in rows],
        "note": SCORE_NOTES.get(found.kind, ""),
        "total": total,
        "first": start + 1,
        "last": start + len(rows),
        "next": f"?row={start + PAGE}#scores" if start + PAGE < total else "",
        "previous": f"?row={max(0, start - PAGE)}#scores" if start else "",
    }


def _shown(row: dict[str, Any], name: str) -> str:
    """A cell of the page; a figure with its interval in brackets where it has one."""
    if name == "vote":
        return str(VOTE_NAMES[row[name]])
    text = _figure(row[name])
    low, high = (row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return text if math.isnan(low) or math.isnan(high) else f"{text} [{_figure(low)}, {_figure(high)}]"


def _figure(value: Any) -> str:
    """Three decimals, a dash for a figure that does not exist."""
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.3f}"


def scores_csv(found: JudgementSet) -> Iterator[str]:
    """The whole table of scores. Where no people judged, each line says so."""
    start, total = 0, 1
    while start < total:
        with default_storage.open(found.scores) as file:
            rows, total = read_scores(file, start, CHUNK)
        if start == 0 and rows:
            yield csv_line([*rows[0], *(["notice"] if found.notice else [])])
        for row in rows:
            yield csv_line([*map(_cell, row.values()), *([found.notice] if found.notice else [])])
        start += CHUNK


def _cell(value: Any) -> Any:
    """Six digits; empty for a figure that does not exist."""
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"
