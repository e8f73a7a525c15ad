"""Reads of recipes: the estimate before the start, and the page of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.curation.queries import cells_of, source_figures
from annotation.models import Candidate, Dataset, Editor, ProposalState, Task, Unmade
from scoring.asking.queries import scores_of
from scoring.models import Judge, PromptVersion
from training.models import OVER, Recipe, RecipeState, Step, StepName, StepState
from training.recipes import costs, plan
from training.recipes.plan import Estimate, Line, Settings
from webapp.jobs.models import Job


def estimate_of(dataset: Dataset, wish: Settings) -> Estimate:
    """Three queries."""
    judge = Judge.objects.filter(slug=wish.judge).first()
    sources = dataset.cases.order_by().values("source").distinct().count()
    return plan.estimate(wish, cells_of(dataset), sources=sources, passes=judge.passes if judge else 1)


def lines_of(found: Estimate) -> list[tuple[str, Line]]:
    """The estimate's lines with the tasks' names, in the tasks' order. One query."""
    lines = {line.task: line for line in found.lines}
    return [(task.name, lines[task.pk]) for task in Task.objects.filter(pk__in=lines)]


# The page ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """``part`` of ``whole`` is through, in the words of ``meaning``; ``href`` leads to what is counted."""

    name: str
    count: int = 0
    label: str = ""
    href: str = ""
    part: int = 0
    whole: int = 0
    meaning: str = ""
    details: list[str] = field(default_factory=list)

    @property
    def percent(self) -> int:
        return 100 * self.part // self.whole if self.whole else 0


@dataclass(frozen=True)
class StepRow:
    """A step as it is shown. ``links``: pages of what came of it or of where people go on, (label, address)."""

    step: Step
    jobs: list[Job]
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class TaskRow:
    """What was asked for one task."""

    task: Task
    version: PromptVersion | None
    threshold: float | None
    has_map: bool


def page_of_recipe(recipe: Recipe) -> dict[str, Any]:
    """Everything that the page shows. ``recipe`` comes with its data sets."""
    wish = Settings.from_json(recipe.settings)
    rows = _steps(recipe)
    current = next((row.step for row in rows if row.step.state not in OVER), None)
    editors = list(Editor.objects.filter(slug__in=wish.editors))
    judge = Judge.objects.filter(slug=wish.judge).first()
    notices = {row.notice for row in editors} | ({judge.notice} if judge else set())
    return {
        "recipe": recipe,
        "wish": wish,
        "stages": _stages(recipe, wish),
        "steps": rows,
        "current": current,
        "may_go_on": current is not None and current.may_be_called_done,
        "active": any(job.is_active for row in rows for job in row.jobs),
        "editors": editors,
        "judge": judge,
        "tasks": _tasks(wish),
        "notices": sorted(notices - {"", recipe.dataset.notice}),
        "spent": costs.spent(recipe),
        "done": recipe.state == RecipeState.DONE,
    }


def _steps(recipe: Recipe) -> list[StepRow]:
    rows = recipe.steps.prefetch_related("jobs")
    return [StepRow(step, sorted(step.jobs.all(), key=lambda job: job.pk), _links(recipe, step)) for step in rows]


def _links(recipe: Recipe, step: Step) -> list[tuple[str, str]]:
    drawn, kept, over = recipe.drawn, recipe.kept, step.state == StepState.DONE
    asked = step.name == StepName.INSTRUCTIONS and step.state in (StepState.RUNNING, StepState.WAITING)
    found: list[tuple[str, str, Dataset | None, bool]] = [
        (StepName.INSTRUCTIONS, "review", recipe.dataset, asked),
        (StepName.CATEGORIES, "categories", recipe.dataset, over),
        (StepName.BALANCE, "dataset", drawn, True),
        (StepName.SCORES, "hard_cases", drawn, bool(step.state != StepState.TO_COME)),
        (StepName.FILTER, "dataset", kept, True),
        (StepName.FILTER, "versions", kept, True),
        (StepName.FREEZE, "versions", drawn, over),
    ]
    labels = {
        "review": _("Review the proposals"),
        "categories": _("Categories"),
        "hard_cases": _("Scores"),
        "versions": _("Versions"),
    }
    return [
        (labels.get(page, data.name), reverse(page, args=[data.uid]))
        for name, page, data, shown in found
        if name == step.name and data and shown
    ]


def _tasks(wish: Settings) -> list[TaskRow]:
    versions = PromptVersion.objects.filter(uid__in=[one.version for one in wish.rule.tasks.values()])
    known = {str(row.uid): row for row in versions.select_related("prompt")}
    found = []
    for task in Task.objects.filter(pk__in=wish.tasks):
        one = wish.rule.tasks.get(task.pk)
        version = known.get(one.version) if one else None
        found.append(TaskRow(task, version, one.threshold if one else None, bool(one and one.knots)))
    return found


def _stages(recipe: Recipe, wish: Settings) -> list[Stage]:
    """The funnel: sources, the draw, candidates, scores, what is kept."""
    first, data = [_sources(recipe), _there(recipe, wish)], recipe.drawn
    if data is None:
        return [*first, *map(Stage, (_("Cases drawn"), _("Candidates"), _("Scored"), _("Kept")))]
    cases = data.cases.count()
    usable = Candidate.objects.usable().filter(case__dataset=data).count()
    made = [_cases(data, cases), _candidates(data, wish, cases, usable), _scored(data, wish, usable), _kept(recipe)]
    return [*first, *made]


def _sources(recipe: Recipe) -> Stage:
    figures = source_figures(recipe.dataset)
    return Stage(
        name=_("Sources"),
        count=figures["sources"],
        label=_("source images"),
        href=recipe.dataset.get_absolute_url(),
        part=figures["by_person"] + figures["by_model"],
        whole=figures["sources"],
        meaning=_("have a category"),
    )


def _there(recipe: Recipe, wish: Settings) -> Stage:
    """The cases of the recipe's tasks, beside the proposals that wait to become some."""
    data = recipe.dataset
    cases = data.cases.filter(task__in=wish.tasks).count()
    waiting = data.proposals.filter(state=ProposalState.OPEN, task__in=wish.tasks).count() if wish.endpoint else 0
    return Stage(
        name=_("Cases"),
        count=cases,
        label=_("of these tasks"),
        href=data.get_absolute_url(),
        part=cases,
        whole=cases + waiting,
        meaning=_("are accepted"),
        details=_some(_("%(n)d proposals wait for people"), waiting),
    )


def _some(words: str, count: int) -> list[str]:
    return [words % {"n": count}] if count else []


def _cases(data: Dataset, cases: int) -> Stage:
    missing = sum(data.recipe.get("missing", {}).values())
    return Stage(
        name=_("Cases drawn"),
        count=cases,
        label=_("cases"),
        href=data.get_absolute_url(),
        part=cases,
        whole=cases + missing,
        meaning=_("of what was asked for"),
        details=_some(_("%(n)d are missing"), missing),
    )


def _candidates(data: Dataset, wish: Settings, cases: int, usable: int) -> Stage:
    made, images = Candidate.objects.filter(case__dataset=data).count(), cases * len(wish.editors) * wish.seeds
    failed = Unmade.objects.filter(case__dataset=data).count()
    return Stage(
        name=_("Candidates"),
        count=made,
        label=_("images"),
        href=reverse("dataset_candidates", args=[data.uid]),
        part=min(made, images),
        whole=images,
        meaning=_("of the grid is made"),
        details=[*_some(_("%(n)d were set aside"), made - usable), *_some(_("%(n)d failed"), failed)],
    )


def _scored(data: Dataset, wish: Settings, usable: int) -> Stage:
    versions = [one.version for one in wish.rule.tasks.values()]
    mine = scores_of(data).filter(version__uid__in=versions, judge__slug=wish.judge, value__isnull=False)
    scored = mine.values("candidate").distinct().count()
    return Stage(
        name=_("Scored"),
        count=scored,
        label=_("candidates"),
        href=reverse("hard_cases", args=[data.uid]),
        part=scored,
        whole=usable,
        meaning=_("have a score"),
    )


def _kept(recipe: Recipe) -> Stage:
    data = recipe.kept
    if data is None or recipe.drawn is None:
        return Stage(_("Kept"))
    cases = data.cases.count()
    return Stage(
        name=_("Kept"),
        count=cases,
        label=_("hard cases"),
        href=data.get_absolute_url(),
        part=cases,
        whole=recipe.drawn.cases.count(),
        meaning=_("of the draw stay"),
    )
