"""Reads of judges, and of what is to score in a data set. Whole data sets are counted by the database."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Avg, Count, Q, QuerySet, Sum
from django.utils.translation import gettext as _

from annotation.models import Candidate, Dataset, Task
from scoring.asking.backends import Backend, backend
from scoring.asking.jobs import KINDS
from scoring.asking.keeping import FINAL
from scoring.models import Activation, Answer, Judge, PromptVersion, Score
from scoring.models.answers import HAS_SCORE, AnswerStatus
from webapp.jobs.models import ACTIVE, Job

OVERALL = "overall"
MOST_ROWS = 100  # of a table of a judge's page

# Judges --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    judge: Judge
    backend: Backend | None
    settings: str
    scores: int


def rows_of(judges: Sequence[Judge]) -> list[Row]:
    """The judges of a page with their numbers of scores. One query."""
    scores = Score.objects.filter(judge__in=judges).order_by().values_list("judge").annotate(n=Count("id"))
    counts = dict(scores)
    return [Row(one, backend(one.kind), settings_text(one), counts.get(one.pk, 0)) for one in judges]


def settings_text(judge: Judge) -> str:
    """Settings in one line. An endpoint stands by its short name; keys are no settings."""
    passes = [_("%(n)d passes") % {"n": judge.passes}] if judge.passes > 1 else []
    return ", ".join([*(f"{name} {_short(value)}" for name, value in judge.settings.items()), *passes])


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class ByVersion:
    """What a judge said of candidates by one version: their number by status."""

    version: PromptVersion
    counts: Counter[str]

    @property
    def scores(self) -> int:
        return self.counts[AnswerStatus.PARSED] + self.counts[AnswerStatus.REPAIRED]

    @property
    def without(self) -> list[int]:
        return [self.counts[status] for status in UNSCORED]


@dataclass(frozen=True)
class ByJob:
    """What the answers of one job took. ``cost``: of the ``priced`` ones."""

    job: Job
    answers: int
    seconds: float
    cost: float | None
    priced: int


UNSCORED = (AnswerStatus.REFUSED, AnswerStatus.FILTERED, AnswerStatus.FAILED)


def page_of_judge(judge: Judge) -> dict[str, Any]:
    """Everything that a judge's page shows. Six queries."""
    mine = Answer.objects.filter(judge=judge).order_by()
    failures = mine.exclude(HAS_SCORE).values("status", "kind").annotate(count=Count("id")).order_by("status", "kind")
    labels = dict(AnswerStatus.choices)
    return {
        "judge": judge,
        "backend": backend(judge.kind),
        "settings": json.dumps(judge.settings, indent=2, ensure_ascii=False),
        "versions": _by_version(judge),
        "unscored": [str(status.label) for status in UNSCORED],
        "failures": [(labels[row["status"]], row["kind"], row["count"]) for row in failures],
        "jobs": _by_job(mine),
        "used": mine.aggregate(answers=Count("id"), **MEANS),
    }


# In this order: after "cost" the name stands for the sum.
MEANS: dict[str, Any] = {"priced": Count("cost"), "seconds": Avg("seconds"), "cost": Sum("cost")}


def _by_version(judge: Judge) -> list[ByVersion]:
    """Newest version first."""
    rows = Score.objects.filter(judge=judge).order_by().values_list("version", "status").annotate(n=Count("id"))
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for version, status, count in rows:
        counts[version][status] += count
    newest = sorted(counts, reverse=True)[:MOST_ROWS]
    versions = PromptVersion.objects.filter(pk__in=newest).select_related("prompt").order_by("-id")
    return [ByVersion(one, counts[one.pk]) for one in versions]


def _by_job(answers: QuerySet[Answer]) -> list[ByJob]:
    """Newest first. An answer belongs to the job that asked for it: what comes from the cache costs nothing more."""
    rows = answers.filter(job__isnull=False).values("job").annotate(answers=Count("id"), **MEANS)
    newest: list[dict[str, Any]] = list(rows.order_by("-job")[:MOST_ROWS])  # type: ignore[arg-type]
    jobs = Job.objects.in_bulk([row["job"] for row in newest])
    return [ByJob(jobs[row.pop("job")], **row) for row in newest if row["job"] in jobs]


# Scoring a data set --------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """Candidates that can be scored, of one task, split and editor (by key)."""

    task: str
    split: str
    editor: int
    made: int


def cells_of(dataset: Dataset) -> list[Cell]:
    """What there is to score. One query."""
    rows = Candidate.objects.usable().filter(case__dataset=dataset).order_by()
    return [Cell(*row) for row in rows.values_list("case__task", "case__split", "editor").annotate(n=Count("id"))]


def tasks_in(cells: Sequence[Cell]) -> list[Task]:
    return list(Task.objects.filter(pk__in={cell.task for cell in cells}))


@dataclass(frozen=True)
class Choice:
    """A task, the versions that can score it, newest first, and the usual one with why it is."""

    task: Task
    versions: list[PromptVersion]
    usual: PromptVersion | None
    active: Activation | None

    @property
    def reason(self) -> str:
        if self.active:
            return _("The active scorer.")
        return "" if self.usual else _("No prompt of this task, or of every task, has a version yet.")


def choices_of(tasks: Sequence[Task]) -> list[Choice]:
    """For each task its versions; the usual one is the active scorer's, or else the newest. Two queries."""
    names = [task.pk for task in tasks]
    known = PromptVersion.objects.filter(is_trial=False).select_related("prompt").order_by("-id")
    rows = list(known.filter(Q(prompt__task__in=names) | Q(prompt__task=None)))
    active = active_scorers(names)
    found = []
    for task in tasks:
        mine = [row for row in rows if row.prompt.task_id in (task.pk, None)]
        chosen = active.get(task.pk)
        if chosen and chosen.version not in mine:
            mine = [chosen.version, *mine]
        found.append(Choice(task, mine, chosen.version if chosen else _usual(mine), chosen))
    return found


def _usual(versions: Sequence[PromptVersion]) -> PromptVersion | None:
    """The newest of the task's own prompts, of the overall dimension if one is; else of those for every task."""
    ordered = sorted(versions, key=lambda row: (row.prompt.task_id is None, row.prompt.dimension != OVERALL, -row.pk))
    return ordered[0] if ordered else None


def active_scorers(tasks: Collection[str]) -> dict[str, Activation]:
    """The active overall scorer of each task that has one. One query."""
    rows = Activation.objects.filter(task__in=tasks, dimension=OVERALL, ended_at=None)
    return {row.task_id: row for row in rows.select_related("version__prompt", "judge")}


def usual_judge(choices: Sequence[Choice]) -> str:
    """The judge of most active scorers, else the first there is; empty: there is none."""
    active = Counter(one.active.judge.slug for one in choices if one.active)
    if active:
        return active.most_common(1)[0][0]
    return Judge.objects.order_by("pk").values_list("slug", flat=True).first() or ""


@dataclass(frozen=True)
class Used:
    """What the answers of a judge took on average; None: not known."""

    answers: int = 0
    tokens_in: float | None = None
    tokens_out: float | None = None
    cost: float | None = None
    seconds: float | None = None


def used_by(judge: Judge) -> Used:
    """One query. The mean cost is that of the answers whose cost is known."""
    rows = Answer.objects.filter(judge=judge).exclude(status=AnswerStatus.FAILED)
    means = {name: Avg(name) for name in ("tokens_in", "tokens_out", "cost", "seconds")}
    return Used(**rows.aggregate(answers=Count("id"), **means))


@dataclass(frozen=True)
class Line:
    """A task as it would be scored. ``calls``: requests at most; the cost is None where it is not known."""

    task: Task
    version: PromptVersion
    candidates: int
    scored: int
    calls: int
    tokens: float | None
    cost: float | None

    @property
    def open(self) -> int:
        return self.candidates - self.scored


@dataclass(frozen=True)
class Estimate:
    judge: Judge
    lines: list[Line]
    used: Used
    priced: bool

    @property
    def candidates(self) -> int:
        return sum(line.candidates for line in self.lines)

    @property
    def scored(self) -> int:
        return sum(line.scored for line in self.lines)

    @property
    def calls(self) -> int:
        return sum(line.calls for line in self.lines)

    @property
    def cost(self) -> float | None:
        costs = [line.cost for line in self.lines]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


@dataclass(frozen=True)
class Wish:
    """What of a data set is to be scored, and how: a version for each task. ``editors``: key by short name."""

    dataset: Dataset
    judge: Judge
    versions: Mapping[str, PromptVersion]
    splits: list[str] = field(default_factory=list)
    editors: Mapping[str, int] = field(default_factory=dict)

    def takes(self, cell: Cell) -> bool:
        fits = not self.splits or cell.split in self.splits
        return fits and (not self.editors or cell.editor in self.editors.values())


def estimate(wish: Wish, cells: Sequence[Cell], tasks: Sequence[Task]) -> Estimate:
    """How much that is. Two queries, besides what the backend asks about its endpoint."""
    there: Counter[str] = Counter()
    for cell in cells:
        if (not wish.splits or cell.split in wish.splits) and (
            not wish.editors or cell.editor in wish.editors.values()
        ):
            there[cell.task] += cell.made
    done, used = _scored(wish), used_by(wish.judge)
    tokens = used.tokens_in + used.tokens_out if used.tokens_in is not None and used.tokens_out is not None else None
    lines = []
    for task in tasks:
        if version := wish.versions.get(task.pk):
            scored = done.get((task.pk, version.pk), 0)
            calls = (there[task.pk] - scored) * wish.judge.passes
            lines.append(
                Line(task, version, there[task.pk], scored, calls, _times(calls, tokens), _times(calls, used.cost))
            )
    found = backend(wish.judge.kind)
    return Estimate(wish.judge, lines, used, bool(found and found.priced(wish.judge.settings)))


def _times(calls: int, mean: float | None) -> float | None:
    return None if mean is None else calls * mean


def _scored(wish: Wish) -> dict[tuple[str, int], int]:
    """Candidates that the judge has answered about, by task and version. Failed ones will be asked again."""
    rows = scores_of(wish.dataset).filter(judge=wish.judge, version__in=wish.versions.values(), status__in=FINAL)
    if wish.splits:
        rows = rows.filter(candidate__case__split__in=wish.splits)
    if wish.editors:
        rows = rows.filter(candidate__editor__in=wish.editors.values())
    counts = rows.values_list("candidate__case__task", "version").annotate(n=Count("id"))
    return {(task, version): count for task, version, count in counts}


def scores_of(dataset: Dataset) -> QuerySet[Score]:
    """The scores of a data set's candidates, without those that are set aside."""
    usable = Q(candidate__fault="") | Q(candidate__fault_kept=True)
    return Score.objects.filter(usable, candidate__case__dataset=dataset).order_by()


def running_for(dataset: Dataset) -> list[Job]:
    """Scoring jobs of a data set that are not done. One query."""
    rows = Job.objects.filter(kind__in=KINDS, state__in=ACTIVE, config__selection__dataset=str(dataset.uid))
    return list(rows.order_by("-pk"))
