"""The lists of a data set: its cases and its candidates, each with filters."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Length
from django.http import QueryDict
from django.utils.translation import gettext as _

from annotation.figures import Figures, makers_of, sizes_of
from annotation.filters import NUMBER, Choices, Filter, Known, narrowed
from annotation.models import Candidate, Case, Category, Dataset, Editor, Fault, Judgement, Mark, Split, Task, TaskGroup
from webapp.core.paging import Page
from webapp.jobs.models import Job

SHOWN = 11  # candidates of a case in the list of cases
NONE, ASIDE, KEPT, NEWEST = "none", "aside", "kept", "newest"
MOST_WORDS = 20
ENDS = (20, 40, 80, 160, 320)  # characters of an instruction: the upper ends of the bins
SIZE = "[0-9]{1,5}x[0-9]{1,5}"


def bins() -> list[tuple[str, str]]:
    """The lengths of instructions: values of the filter with their labels."""
    starts = [1, *[end + 1 for end in ENDS]]
    found = [
        (f"{low}-{high}", _("%(a)d to %(b)d characters") % {"a": low, "b": high})
        for low, high in zip(starts, ENDS, strict=False)
    ]
    return [*found, (f"{starts[-1]}-", _("%(a)d characters and more") % {"a": starts[-1]})]


def _order() -> Filter:
    return Filter("order", _("Order"), [(NEWEST, _("newest first"))], unset=_("oldest first"))


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
        Filter("split", _("Split"), _counted(splits)),
        Filter("category", _("Category"), _counted(categories)),
        Filter("editor", _("Editor"), [(row.slug, row.name) for row in Editor.objects.filter(pk__in=figures.editors)]),
        Filter("aside", _("With outputs set aside"), yes_no),
        Filter("judged", _("With judgements"), yes_no),
        Filter("least", _("Candidates, at least"), kind="number", pattern=NUMBER),
        Filter("most", _("Candidates, at most"), kind="number", pattern=NUMBER),
        Filter("group", _("Task group"), [(v, str(label)) for v, label in TaskGroup.choices if v in groups], rare=True),
        Filter("length", _("Length of the instruction"), bins(), rare=True),
        Filter("size", _("Size of the source"), pattern=SIZE, example="1024x768", rare=True),
        _order(),
    ]


def _counted(rows: list[tuple[str, str, int]]) -> Choices:
    return [(value, f"{label} ({count:,})") for value, label, count in rows if count]


def _categories(figures: Figures) -> list[Category]:
    return list(Category.objects.filter(pk__in=[slug for slug in figures.categories if slug]))


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


def _by_least(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    if int(value) <= 1:
        return rows.filter(Exists(_of_case())) if int(value) else rows
    return rows.alias(found=_count_candidates()).filter(found__gte=int(value))


def _by_most(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    if int(value) == 0:
        return rows.filter(~Exists(_of_case()))
    return rows.alias(found=_count_candidates()).filter(found__lte=int(value))


def _by_aside(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    aside = Exists(_set_aside(_of_case()))
    return rows.filter(aside if value == "yes" else ~aside)


def _set_aside(rows: QuerySet[Candidate]) -> QuerySet[Candidate]:
    """As ``CandidateQuerySet.set_aside``, but `exclude` makes a condition that no database takes an index for."""
    return rows.filter(fault__gt="").filter(Q(fault_kept=None) | Q(fault_kept=False))


def _by_judged(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    judged = Exists(Judgement.objects.counted().filter(unit__item__case=OuterRef("pk")))
    return rows.filter(judged if value == "yes" else ~judged)


def _by_length(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    low, _dash, high = value.partition("-")
    rows = rows.alias(length=Length("instruction"))
    # An empty instruction counts to the first bin, so that every case is in one.
    rows = rows.filter(length__gte=int(low)) if int(low) > 1 else rows
    return rows.filter(length__lte=int(high)) if high else rows


def _by_size(rows: QuerySet[Case], value: str) -> QuerySet[Case]:
    width, _x, height = value.partition("x")
    return rows.filter(source__width=int(width), source__height=int(height))


CASES: Known = {
    "text": _by_text,
    "task": lambda rows, value: rows.filter(task=value),
    "group": lambda rows, value: rows.filter(task__group=value),
    "split": lambda rows, value: rows.filter(split=value),
    "category": _by_category,
    "editor": lambda rows, value: rows.filter(Exists(_of_case().filter(editor__slug=value))),
    "least": _by_least,
    "most": _by_most,
    "aside": _by_aside,
    "judged": _by_judged,
    "length": _by_length,
    "size": _by_size,
    "order": lambda rows, _value: rows,  # the page's own
}


def cases_of(dataset: Dataset, values: Mapping[str, str]) -> QuerySet[Case]:
    """The cases that all filters leave, each with ``shown``, its first candidates, and ``made``, their number."""
    first = Candidate.objects.select_related("image", "editor").defer("settings").order_by("editor__slug", "seed", "pk")
    rows = dataset.cases.select_related("source", "task")
    found: QuerySet[Case] = narrowed(rows, CASES, values).annotate(made=_count_candidates())
    return found.prefetch_related(Prefetch("candidates", first[:SHOWN], to_attr="shown"))


# Candidates ---------------------------------------------------------------------------------------------------------


def candidate_filters(dataset: Dataset, query: QueryDict) -> list[Filter]:
    (size,) = sizes_of([dataset])
    makers = makers_of(dataset, size)
    editors = list(Editor.objects.filter(pk__in={editor for editor, _digest in makers}))
    names = {row.pk: row.name for row in editors}
    has_task = Exists(dataset.cases.filter(task=OuterRef("pk")))
    faults = [(value, _("set aside: %(fault)s") % {"fault": label}) for value, label in Fault.choices]
    shares = [(NONE, _("nothing found")), (ASIDE, _("set aside")), (KEPT, _("found, and kept by a person"))]
    return [
        Filter("editor", _("Editor"), [(row.slug, row.name) for row in editors]),
        Filter("seed", _("Seed"), kind="number", pattern=NUMBER),
        Filter("task", _("Task"), [(task.pk, task.name) for task in Task.objects.filter(has_task)]),
        Filter("fault", _("Output check"), [*shares, *faults]),
        Filter("judged", _("With judgements"), [("yes", _("yes")), ("no", _("no"))]),
        Filter(
            "settings", _("Made with settings"), _kinds_of_settings(dataset, makers, names, query.get("settings", ""))
        ),
        Filter("job", _("Job"), _jobs(dataset, query.get("job", ""))),
        _order(),
    ]


def _kinds_of_settings(dataset: Dataset, makers: list[list[Any]], names: Mapping[int, str], named: str) -> Choices:
    """Each kind of settings once, with the editor that used it: several share one where they have none. The one that
    the address names is among them."""
    editors: dict[str, list[str]] = defaultdict(list)
    for editor, digest in makers:
        if digest and editor in names:
            editors[digest].append(names[editor])
    if named and named not in editors:
        rows = Candidate.objects.filter(case__dataset=dataset, settings_hash=named)
        if one := rows.select_related("editor").first():
            editors[named].append(one.editor.name)
    labels = [
        (digest, f"{found[0] if len(found) == 1 else _('%(n)d editors') % {'n': len(found)}}: {digest[:8]}")
        for digest, found in editors.items()
    ]
    return sorted(labels, key=lambda pair: pair[1])


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
    if value == KEPT:
        return rows.filter(fault__gt="", fault_kept=True)
    return _set_aside(rows) if value == ASIDE else _set_aside(rows).filter(fault=value)


def _by_job(rows: QuerySet[Candidate], value: str) -> QuerySet[Candidate]:
    keys = list(Job.objects.filter(Q(uid=value) | Q(parent__uid=value)).values_list("pk", flat=True))
    return rows.filter(job__in=keys)


def _by_mark(rows: QuerySet[Candidate], value: str) -> QuerySet[Candidate]:
    marked = Exists(Mark.objects.counted().filter(candidate=OuterRef("pk")))
    return rows.filter(marked if value == "yes" else ~marked)


CANDIDATES: Known = {
    "editor": lambda rows, value: rows.filter(editor__in=list(Editor.objects.filter(slug=value))),
    "seed": lambda rows, value: rows.filter(seed=int(value)),
    "task": lambda rows, value: rows.filter(case__task=value),
    "fault": _by_fault,
    "judged": _by_mark,
    "settings": lambda rows, value: rows.filter(settings_hash=value),
    "job": _by_job,
    "order": lambda rows, _value: rows,  # the page's own
}


def candidates_of(dataset: Dataset, values: Mapping[str, str]) -> QuerySet[Candidate]:
    """The candidates that all filters leave, without their fields: a sort of a million whole rows takes SQLite ten
    seconds, that of their keys a third of one. ``loaded`` gets the fields of a page."""
    return narrowed(Candidate.objects.filter(case__dataset=dataset).only("pk"), CANDIDATES, values)


def loaded(page: Page) -> Page:
    """A page of candidates with all that a list shows of them."""
    rows = Candidate.objects.select_related("image", "editor", "case").defer("settings")
    found = rows.in_bulk([row.pk for row in page])
    return replace(page, rows=[found[row.pk] for row in page if row.pk in found])
