"""Reads of recipes: the estimate before the start, and the page of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.curation.queries import cells_of, source_figures
from annotation.models import Candidate, Dataset, Editor, ProposalState, Task, Unmade
from scoring.asking.queries import scores_of
from scoring.models import Judge, PromptVersion
from training.models import Recipe, RecipeState, Step, StepName, StepState
from training.recipes import costs, plan
from training.recipes.plan import Estimate, Settings
from webapp.jobs.models import Job


def estimate_of(dataset: Dataset, wish: Settings) -> Estimate:
    """Three queries."""
    judge = Judge.objects.filter(slug=wish.judge).first()
    sources = dataset.cases.order_by().values("source").distinct().count()
    return plan.estimate(wish, cells_of(dataset), sources=sources, passes=judge.passes if judge else 1)


# The page ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """``part`` of ``whole`` is through, in the words of ``meaning``; ``href`` leads to what is counted."""

    name: str
    count: int
    label: str
    href: str
    part: int
    whole: int
    meaning: str
    details: tuple[str, ...] = ()

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
    editors = list(Editor.objects.filter(slug__in=wish.editors))
    judge = Judge.objects.filter(slug=wish.judge).first()
    notices = {row.notice for row in (recipe.dataset, *editors, *([judge] if judge else [])) if row.notice}
    return {
        "recipe": recipe,
        "wish": wish,
        "stages": _stages(recipe, wish),
        "steps": rows,
        "current": next((row.step for row in rows if row.step.state not in (StepState.DONE, StepState.SKIPPED)), None),
        "active": any(job.is_active for row in rows for job in row.jobs),
        "editors": editors,
        "judge": judge,
        "tasks": _tasks(wish),
        "notices": sorted(notices),
        "spent": costs.spent(recipe),
        "done": recipe.state == RecipeState.DONE,
    }


def _steps(recipe: Recipe) -> list[StepRow]:
    rows = recipe.steps.prefetch_related("jobs")
    return [StepRow(step, sorted(step.jobs.all(), key=lambda job: job.pk), _links(recipe, step)) for step in rows]


def _links(recipe: Recipe, step: Step) -> list[tuple[str, str]]:
    drawn, kept = recipe.drawn, recipe.kept
    over = step.state == StepState.DONE
    if step.name == StepName.INSTRUCTIONS and step.state in (StepState.WAITING, StepState.RUNNING):
        return [(_("Review the proposals"), reverse("review", args=[recipe.dataset.uid]))]
    if step.name == StepName.CATEGORIES and over:
        return [(_("Categories"), reverse("categories", args=[recipe.dataset.uid]))]
    if step.name == StepName.BALANCE and drawn:
        return [(drawn.name, drawn.get_absolute_url())]
    if step.name == StepName.SCORES and drawn and step.state != StepState.TO_COME:
        return [(_("Scores"), reverse("hard_cases", args=[drawn.uid]))]
    if step.name == StepName.FILTER and kept:
        return [(kept.name, kept.get_absolute_url()), (_("Its versions"), reverse("versions", args=[kept.uid]))]
    if step.name == StepName.FREEZE and drawn and over:
        return [(_("Versions"), reverse("versions", args=[drawn.uid]))]
    return []


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
    return [_sources(recipe, wish), *_made(recipe, wish)]


def _sources(recipe: Recipe, wish: Settings) -> Stage:
    data = recipe.dataset
    figures, cases = source_figures(data), data.cases.filter(task__in=wish.tasks).count()
    open_ = data.proposals.filter(state=ProposalState.OPEN, task__in=wish.tasks).count() if wish.endpoint else 0
    details = [_("%(n)d cases of these tasks") % {"n": cases}]
    if open_:
        details.append(_("%(n)d proposals wait for people") % {"n": open_})
    return Stage(
        _("Sources"),
        figures["sources"],
        _("source images"),
        data.get_absolute_url(),
        figures["by_person"] + figures["by_model"],
        figures["sources"],
        _("have a category"),
        tuple(details),
    )


def _made(recipe: Recipe, wish: Settings) -> list[Stage]:
    data = recipe.drawn
    if data is None:
        names = (_("Cases drawn"), _("Candidates"), _("Scored"), _("Kept"))
        return [Stage(name, 0, "", "", 0, 0, "") for name in names]
    cases = data.cases.count()
    missing = sum(data.recipe.get("missing", {}).values())
    usable = Q(fault="") | Q(fault_kept=True)
    of_data = Candidate.objects.filter(case__dataset=data)
    made = of_data.aggregate(all=Count("id"), usable=Count("id", filter=usable))
    unmade = Unmade.objects.filter(case__dataset=data).count()
    versions = [one.version for one in wish.rule.tasks.values()]
    scored = scores_of(data).filter(version__uid__in=versions, judge__slug=wish.judge, value__isnull=False).count()
    kept = recipe.kept.cases.count() if recipe.kept else 0
    images, scores = cases * len(wish.editors) * wish.seeds, reverse("hard_cases", args=[data.uid])
    aside = made["all"] - made["usable"]
    return [
        Stage(
            _("Cases drawn"), cases, _("cases"), data.get_absolute_url(), cases, cases + missing,
            _("of what was asked for"), tuple([_("%(n)d are missing") % {"n": missing}] if missing else []),
        ),
        Stage(
            _("Candidates"), made["all"], _("images"), reverse("dataset_candidates", args=[data.uid]),
            min(images, made["all"]), images, _("of the grid is made"),
            tuple(_("%(n)d were set aside") % {"n": aside} if kind == "aside" else _("%(n)d failed") % {"n": unmade}
                  for kind, n in (("aside", aside), ("unmade", unmade)) if n),
        ),
        Stage(_("Scored"), scored, _("scores"), scores, min(scored, made["usable"]), made["usable"], _("have a score")),
        Stage(
            _("Kept"), kept, _("hard cases"), recipe.kept.get_absolute_url() if recipe.kept else "", kept,
            cases if recipe.kept else 0, _("of the draw stay"),
        ),
    ]  # fmt: skip
