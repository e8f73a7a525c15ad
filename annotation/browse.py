"""Narrowing the lists of cases and candidates. What is chosen stands in the address, so that a view can be shared.

Every filter is a function from rows to fewer rows. A value that no filter knows is left out, as an old link may have
one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.translation import gettext as _

from annotation.figures import Figures, kept_for
from annotation.models import Candidate, Case, Category, Dataset, Editor, Fault, Judgement, Split, Task, TaskGroup
from webapp.jobs.models import Job

SHOWN = 11  # candidates of a case in the list of cases
NONE, ASIDE, KEPT = "none", "aside", "kept"
MOST_WORDS = 20
Choices = list[tuple[str, str]]


@dataclass(frozen=True)
class Filter:
    """One filter of a list: ``choices`` or, without them, a field of the input type ``kind``."""

    name: str
    label: str
    choices: Choices | None = None
    kind: str = "text"
    value: str = ""
    without: str = ""  # the address's query without this filter

    @property
    def chip(self) -> str:
        """What is chosen, in words."""
        return f"{self.label}: {dict(self.choices or []).get(self.value, self.value)}"


def chosen(filters: list[Filter], query: QueryDict) -> list[Filter]:
    """The filters with their values from the address; a value that cannot be is none."""
    return [
        Filter(one.name, one.label, one.choices, one.kind, _valid(one, query.get(one.name, "")), _without(query, one))
        for one in filters
    ]


def values_of(filters: list[Filter]) -> dict[str, str]:
    return {one.name: one.value for one in filters if one.value}


def _valid(one: Filter, value: str) -> str:
    value = value.strip().replace("\0", "")[:200]
    if one.choices is not None:
        return value if value in dict(one.choices) else ""
    if one.kind == "number":
        return value if value.isascii() and value.isdigit() and len(value) < 19 else ""
    return value


def _without(query: QueryDict, one: Filter) -> str:
    rest = query.copy()
    for name in (one.name, "after", "before"):
        rest.pop(name, None)
    return "?" + rest.urlencode()


def narrowed(
    rows: QuerySet[Any], known: Mapping[str, Callable[[Any, str], Any]], values: Mapping[str, str]
) -> QuerySet[Any]:
    for name, value in values.items():
        rows = known[name](rows, value)
    return rows


# Cases --------------------------------------------------------------------------------------------------------------


def case_filters(figures: Figures) -> list[Filter]:
    """The filters of the list of cases, with the number of cases where it is known."""
    tasks = list(Task.objects.filter(pk__in=figures.tasks))
    groups = {task.group for task in tasks}
    categories = [(row.pk, row.name, figures.categories[row.pk]) for row in _categories(figures)]
    categories.append((NONE, _("Uncategorised"), figures.categories.get("", 0)))
    splits = [(value, str(label), figures.splits.get(value, 0)) for value, label in Split.choices]
    yes_no = [("yes", _("yes")), ("no", _("no"))]
    return [
        Filter("text", _("Words"), kind="search"),
        Filter("task", _("Task"), _counted([(task.pk, task.name, figures.tasks[task.pk]) for task in tasks])),
        Filter("group", _("Task group"), [(v, str(label)) for v, label in TaskGroup.choices if v in groups]),
        Filter("split", _("Split"), _counted(splits)),
        Filter("category", _("Category"), _counted(categories)),
        Filter("editor", _("Editor"), [(row.slug, row.name) for row in _editors(figures)]),
        Filter("fewer", _("Fewer candidates than"), kind="number"),
        Filter("aside", _("With outputs set aside"), yes_no),
        Filter("judged", _("With judgements"), yes_no),
    ]


def _counted(rows: list[tuple[str, str, int]]) -> Choices:
    return [(value, f"{label} ({count:,})") for value, label, count in rows if count]


def _categories(figures: Figures) -> list[Category]:
    return list(Category.objects.filter(pk__in=[slug for slug in figures.categories if slug]))


def _editors(figures: Figures) -> list[Editor]:
    return list(Editor.objects.filter(pk__in=figures.by_editor))


def _by_text(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    """Every word must stand in the instruction, in either language, or in the key."""
    for word in value.split()[:MOST_WORDS]:
        anywhere = Q(instruction__icontains=word) | Q(instruction_zh__icontains=word) | Q(key__icontains=word)
        rows = rows.filter(anywhere)
    return rows


def _by_category(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    if value == NONE:
        return rows.filter(source__source_facts__category=None)
    return rows.filter(source__source_facts__category=value)


def _of_case() -> QuerySet[Candidate]:
    return Candidate.objects.filter(case=OuterRef("pk"))


def _count_candidates() -> Coalesce:
    count = _of_case().order_by().values("case").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(count, output_field=IntegerField()), 0)


def _by_fewer(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    if int(value) == 1:
        return rows.filter(~Exists(_of_case()))
    return rows.alias(made=_count_candidates()).filter(made__lt=int(value))


def _by_aside(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    # In this form: `exclude` makes a condition that no database takes an index for.
    aside = Exists(_of_case().filter(fault__gt="").filter(Q(fault_kept=None) | Q(fault_kept=False)))
    return rows.filter(aside if value == "yes" else ~aside)


def _by_judged(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    judged = Exists(Judgement.objects.filter(unit__item__case=OuterRef("pk")))
    return rows.filter(judged if value == "yes" else ~judged)


CASES: dict[str, Callable[[Any, str], Any]] = {
    "text": _by_text,
    "task": lambda rows, value: rows.filter(task=value),
    "group": lambda rows, value: rows.filter(task__group=value),
    "split": lambda rows, value: rows.filter(split=value),
    "category": _by_category,
    "editor": lambda rows, value: rows.filter(Exists(_of_case().filter(editor__slug=value))),
    "fewer": _by_fewer,
    "aside": _by_aside,
    "judged": _by_judged,
}


def cases_of(dataset: Dataset, values: Mapping[str, str]) -> QuerySet[Case]:
    """The cases that all filters leave, each with ``shown``, its first candidates, and ``made``, their number."""
    first = Candidate.objects.select_related("image", "editor").defer("settings").order_by("editor__slug", "seed", "pk")
    rows = dataset.cases.select_related("source", "task")
    found: QuerySet[Case] = narrowed(rows, CASES, values).annotate(made=_count_candidates())
    return found.prefetch_related(Prefetch("candidates", first[:SHOWN], to_attr="shown"))


# Candidates ---------------------------------------------------------------------------------------------------------


def candidate_filters(dataset: Dataset, figures: Figures, query: QueryDict) -> list[Filter]:
    editors = {row.pk: row for row in _editors(figures)}
    tasks = [(task.pk, task.name) for task in Task.objects.filter(pk__in=figures.tasks)]
    pairs = kept_for(dataset, "settings", figures, lambda: _kinds_of_settings(dataset))
    made = [(digest, f"{editors[key].name}: {digest[:8]}") for key, digest in pairs if key in editors]
    faults = [(value, str(label)) for value, label in Fault.choices]
    shares = [(NONE, _("nothing found")), (ASIDE, _("set aside")), (KEPT, _("found, and kept by a person"))]
    return [
        Filter("editor", _("Editor"), [(row.slug, row.name) for row in editors.values()]),
        Filter("seed", _("Seed"), kind="number"),
        Filter("task", _("Task"), tasks),
        Filter("fault", _("Output check"), [*shares, *faults]),
        Filter("settings", _("Made with settings"), list(dict(made).items())),
        Filter("job", _("Job"), _jobs(dataset, query.get("job", ""))),
    ]


def _kinds_of_settings(dataset: Dataset) -> list[list[Any]]:
    """[editor, hash of its settings], each once."""
    rows = Candidate.objects.filter(case__dataset=dataset).order_by().values_list("editor", "settings_hash").distinct()
    return sorted(list(row) for row in rows)


def _jobs(dataset: Dataset, named: str) -> Choices:
    """The newest jobs that made candidates of this data set, and the one that the address names."""
    rows = Job.objects.filter(kind="generate", parent=None, config__dataset=str(dataset.uid)).order_by("-pk")[:50]
    found = {str(job.uid): job.title for job in rows}
    if named and named not in found and (uid := _uuid(named)):
        found |= {str(job.uid): job.title for job in Job.objects.filter(uid=uid)}
    return list(found.items())


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _by_fault(rows: QuerySet[Candidate], value: str) -> QuerySet[Candidate]:
    if value == NONE:
        return rows.filter(fault="")
    if value == ASIDE:
        return rows.filter(fault__gt="").filter(Q(fault_kept=None) | Q(fault_kept=False))
    if value == KEPT:
        return rows.filter(fault__gt="", fault_kept=True)
    return rows.filter(fault=value)


def _by_job(rows: QuerySet[Candidate], value: str) -> QuerySet[Candidate]:
    keys = list(Job.objects.filter(Q(uid=value) | Q(parent__uid=value)).values_list("pk", flat=True))
    return rows.filter(job__in=keys)


CANDIDATES: dict[str, Callable[[Any, str], Any]] = {
    "editor": lambda rows, value: rows.filter(editor__in=list(Editor.objects.filter(slug=value))),
    "seed": lambda rows, value: rows.filter(seed=int(value)),
    "task": lambda rows, value: rows.filter(case__task=value),
    "fault": _by_fault,
    "settings": lambda rows, value: rows.filter(settings_hash=value),
    "job": _by_job,
}


def candidates_of(dataset: Dataset, values: Mapping[str, str]) -> QuerySet[Candidate]:
    rows = Candidate.objects.filter(case__dataset=dataset).select_related("image", "editor", "case").defer("settings")
    return narrowed(rows, CANDIDATES, values)


# One case -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """The candidates of a case: a column for each editor, a row for each seed and settings."""

    editors: list[Editor]
    rows: list[tuple[str, list[list[Candidate]]]]  # (words, the candidates of each editor)
    count: int


def grid_of(case: Case) -> Grid:
    marks = Count("marks__judgement", distinct=True)
    found = list(case.candidates.select_related("image", "editor").annotate(judgements=marks).order_by("seed", "pk"))
    editors = sorted({row.editor for row in found}, key=lambda editor: editor.slug)
    seeds = sorted({row.seed for row in found})
    cells = {(seed, editor.pk): [] for seed in seeds for editor in editors}  # type: dict[tuple[int, int], list[Candidate]]
    for row in found:
        cells[row.seed, row.editor_id].append(row)
    rows = [(_("Seed %(n)d") % {"n": seed}, [cells[seed, editor.pk] for editor in editors]) for seed in seeds]
    return Grid(editors, rows, len(found))
