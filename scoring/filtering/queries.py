"""Reads for the hard cases of a data set: one query for all scores, one for what becomes of all cases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import models as sql
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Floor
from django.utils.translation import gettext as _

from annotation.filters import Filter, narrowed
from annotation.models import Case, Dataset, Task
from scoring.asking.queries import active_scorers, scores_of
from scoring.filtering.rules import STEPS, By, Knots, Rule, Verdict
from scoring.models import Judge, PromptVersion, Score
from scoring.models.answers import AnswerStatus
from webapp.core.paging import Page

CATEGORY = "source__source_facts__category"
LOWEST = -1.0  # below every score
EXAMPLES, SAMPLE = 8, 2000
DECIMAL = r"[0-9]{1,3}(\.[0-9]{1,6})?"
Cells = dict[tuple[str, str, str, str], int]  # (task, category or "", split, verdict): cases


# What was scored -----------------------------------------------------------------------------------------------------


@dataclass
class Scorer:
    """A version and a judge with what they said of the candidates of a task. ``knots``: where it is the active one and
    has a level map. ``bins``: scores by the number of their bin; ``broken``: scores that are no whole number."""

    version: PromptVersion
    judge: Judge
    is_active: bool = False
    knots: Knots | None = None
    bins: Counter[int] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)  # candidates without a score, by status
    broken: int = 0

    @property
    def key(self) -> str:
        return f"{self.version.pk}-{self.judge.pk}"

    @property
    def scored(self) -> int:
        return self.bins.total()

    @property
    def is_continuous(self) -> bool:
        return self.broken > 0

    def __str__(self) -> str:
        return f"{self.version}, {self.judge}"


@dataclass(frozen=True)
class TaskScorers:
    """A task of the data set with everybody who has scored it: the active scorer first, then who scored most."""

    task: Task
    scorers: list[Scorer]

    @property
    def usual(self) -> Scorer | None:
        return self.scorers[0] if self.scorers else None


def scorers_of(dataset: Dataset) -> list[TaskScorers]:
    """Every task of the data set with its scorers. Five queries, one of them over all scores."""
    names = dataset.cases.order_by().values("task").distinct()
    tasks = list(Task.objects.filter(pk__in=names))
    rows = _tally(dataset)
    versions = PromptVersion.objects.select_related("prompt").in_bulk({row["version"] for row in rows})
    judges = Judge.objects.in_bulk({row["judge"] for row in rows})
    found: dict[tuple[str, int, int], Scorer] = {}
    for row in rows:
        key = row["task"], row["version"], row["judge"]
        one = found.setdefault(key, Scorer(versions[row["version"]], judges[row["judge"]]))
        if row["bin"] is None:
            one.without[row["status"]] += row["count"]
        else:
            one.bins[int(row["bin"])] += row["count"]
            one.broken += row["broken"]
    for task, active in active_scorers([task.pk for task in tasks]).items():
        if chosen := found.get((task, active.version_id, active.judge_id)):
            chosen.is_active, chosen.knots = True, active.knots or None
    return [TaskScorers(task, _ordered(found, task.pk)) for task in tasks]


def _tally(dataset: Dataset) -> list[dict[str, Any]]:
    """Scores by task, version, judge, status and bin."""
    rows = scores_of(dataset).annotate(task=F("candidate__case__task"), bin=Floor(F("value") * STEPS))
    broken = Count("id", filter=~Q(value=Floor("value")))
    values = rows.values("task", "version", "judge", "status", "bin").annotate(count=Count("id"), broken=broken)
    return [dict(row) for row in values]


def _ordered(found: Mapping[tuple[str, int, int], Scorer], task: str) -> list[Scorer]:
    mine = [one for key, one in found.items() if key[0] == task]
    return sorted(mine, key=lambda one: (not one.is_active, -one.scored, -one.version.pk, one.judge.pk))


def candidates_by_task(dataset: Dataset) -> dict[str, int]:
    """Candidates that can be scored. One query."""
    usable = Q(candidates__fault="", candidates__isnull=False) | Q(candidates__fault_kept=True)
    rows = dataset.cases.order_by().filter(usable).values_list("task").annotate(n=Count("candidates"))
    return dict(rows)


# What becomes of the cases -------------------------------------------------------------------------------------------


def judged_cases(dataset: Dataset, rule: Rule, scorers: Mapping[str, Scorer]) -> QuerySet[Any]:
    """The cases with their ``level`` (the score that counts, on the judge's scale) and ``verdict``; see rules.verdict.

    ``scorers``: the rows behind the rule's tasks.
    """
    tasks = {task: scorers[task] for task in rule.tasks}
    cuts = {task: one.cut for task, one in rule.tasks.items()}
    whole, real = sql.BigIntegerField(), sql.FloatField()
    known = {task: max(cut, LOWEST) for task, cut in cuts.items() if cut is not None}
    rows = dataset.cases.order_by().annotate(
        by_version=_for_task({task: one.version.pk for task, one in tasks.items()}, whole),
        by_judge=_for_task({task: one.judge.pk for task, one in tasks.items()}, whole),
        cut=_for_task(known, real),
    )
    usable = Q(candidate__fault="") | Q(candidate__fault_kept=True)
    scores = Score.objects.filter(
        usable, candidate__case=OuterRef("pk"), version=OuterRef("by_version"), judge=OuterRef("by_judge")
    )
    figure = sql.Max("value") if rule.by == By.BEST else sql.Avg("value")
    of_case = scores.order_by().values("candidate__case").annotate(figure=figure).values("figure")
    return rows.annotate(level=Subquery(of_case, output_field=real)).annotate(verdict=_verdict())


def _for_task(values: Mapping[str, Any], kind: sql.Field[Any, Any]) -> sql.Case:
    whens = [sql.When(task=task, then=Value(value, output_field=kind)) for task, value in values.items()]
    return sql.Case(*whens, default=Value(None, output_field=kind), output_field=kind)


def _verdict() -> sql.Case:
    """A cut that is not there drops nothing: no number is at least NULL."""
    return sql.Case(
        sql.When(level=None, then=Value(Verdict.UNSCORED.value)),
        sql.When(level__gte=F("cut"), then=Value(Verdict.DROPPED.value)),
        default=Value(Verdict.KEPT.value),
        output_field=sql.CharField(),
    )


def cells_of(cases: QuerySet[Any]) -> Cells:
    """How many cases become what, by task, category and split. One query."""
    rows = cases.values_list("task", CATEGORY, "split", "verdict").annotate(n=Count("id"))
    return {(task, category or "", split, verdict): count for task, category, split, verdict, count in rows}


def kept_keys(cases: QuerySet[Any], rule: Rule) -> set[str]:
    kept = [verdict.value for verdict in rule.kept]
    return set(cases.filter(verdict__in=kept).values_list("key", flat=True))


@dataclass(frozen=True)
class Example:
    """A case with its score and the candidate that has the highest; without a score: a candidate alone."""

    case: Case
    level: float | None
    best: Score


def sample_of(dataset: Dataset) -> list[int]:
    """The keys of some cases, the same ones each time. One query."""
    return list(dataset.cases.order_by("uid").values_list("pk", flat=True)[:SAMPLE])


def examples(
    cases: QuerySet[Any], verdict: Verdict, scorers: Mapping[str, Scorer], sample: list[int], count: int
) -> list[Example]:
    """Cases next to the cut on one side, where a wrong rule shows first. Two queries.

    They are of the sample; where it has too few, of all ``count`` such cases, which takes long to order.
    """
    order = "level" if verdict == Verdict.DROPPED else "-level"
    shown = cases.filter(verdict=verdict.value).order_by(order, "uid").select_related("source", "task")
    found = list(shown.filter(pk__in=sample)[:EXAMPLES])
    if len(found) < min(EXAMPLES, count):
        found = list(shown[:EXAMPLES])
    rows = Score.objects.filter(candidate__case__in=found, value__isnull=False)
    best: dict[int, Score] = {}
    for row in rows.select_related("candidate__image", "candidate__editor", "candidate__case").order_by("value", "id"):
        case = row.candidate.case
        mine = scorers[case.task_id]
        if (row.version_id, row.judge_id) == (mine.version.pk, mine.judge.pk):
            best[case.pk] = row
    return [Example(case, case.level, best[case.pk]) for case in found if case.pk in best]


# The list of scored candidates ---------------------------------------------------------------------------------------


def list_filters(tasks: Sequence[TaskScorers]) -> list[Filter]:
    """The filters of the list of scored candidates."""
    scorers = {one.key: str(one) for row in tasks for one in row.scorers}
    return [
        Filter("scorer", _("Scorer"), list(scorers.items())),
        Filter("task", _("Task"), [(row.task.pk, row.task.name) for row in tasks]),
        Filter("at_least", _("Score, at least"), kind="text", pattern=DECIMAL, example="4.5"),
        Filter("below", _("Score, below"), kind="text", pattern=DECIMAL, example="5"),
        Filter("status", _("What came"), [(value, str(label)) for value, label in AnswerStatus.choices]),
    ]


def _by_scorer(rows: QuerySet[Score], value: str) -> QuerySet[Score]:
    version, _dash, judge = value.partition("-")
    return rows.filter(version=int(version), judge=int(judge))


LIST = {
    "scorer": _by_scorer,
    "task": lambda rows, value: rows.filter(candidate__case__task=value),
    "at_least": lambda rows, value: rows.filter(value__gte=float(value)),
    "below": lambda rows, value: rows.filter(value__lt=float(value)),
    "status": lambda rows, value: rows.filter(status=value),
}


def scored(dataset: Dataset, values: Mapping[str, str]) -> QuerySet[Score]:
    """The scores that all filters leave, without their fields, as whole rows take long to sort; see ``loaded``."""
    return narrowed(scores_of(dataset).only("pk"), LIST, values)


def loaded(page: Page) -> Page:
    """A page of scores with all that a list shows of them."""
    rows = Score.objects.select_related(
        "candidate__image", "candidate__editor", "candidate__case", "version__prompt", "judge"
    )
    found = rows.in_bulk([row.pk for row in page])
    return replace(page, rows=[found[row.pk] for row in page if row.pk in found])


def category_counts(cells: Cells, verdicts: Sequence[str]) -> dict[str, int]:
    """Cases of each category, over all tasks."""
    counts: dict[str, int] = defaultdict(int)
    for (_task, category, _split, verdict), count in cells.items():
        counts[category] += count if verdict in verdicts else 0
    return dict(counts)
