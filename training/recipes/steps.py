"""Each step of a recipe: the jobs it starts, through the same services that the pages use."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from annotation.curation.categorisers import PERSON
from annotation.curation.hashing import start_hashing
from annotation.curation.queries import sources_of
from annotation.instructions.propose import start_proposing
from annotation.models import Dataset, Editor
from annotation.versions.freeze import start_freeze
from scoring.asking import queries as asking
from scoring.asking.datasets import start_all
from scoring.asking.queries import Wish
from scoring.filtering.services import scorers_by, start_filtering
from scoring.models import Judge
from training.categorising import start_categorising
from training.generation import start_generation
from training.models import Recipe, StepName
from training.recipes.costs import left
from training.recipes.plan import Settings
from webapp.endpoints.models import Endpoint
from webapp.jobs import services as jobs
from webapp.jobs.models import Job

KIND = "recipe-step"  # of the steps that have no job of their own: the draw and the splits


class LeftOut(Exception):
    """There is nothing to do in this step. The message says why."""


def begin(recipe: Recipe, wish: Settings, name: str) -> list[Job]:
    """Start the step's jobs. Raises LeftOut, and ValidationError where it cannot be done."""
    return _BEGIN[name](recipe, wish)


def _instructions(recipe: Recipe, wish: Settings) -> list[Job]:
    if not wish.endpoint:
        raise LeftOut(_("No endpoint was chosen: the cases that are there are used."))
    endpoint = Endpoint.objects.filter(slug=wish.endpoint).first()
    if endpoint is None:
        raise ValidationError(_("The endpoint “%(slug)s” was deleted.") % {"slug": wish.endpoint})
    job = start_proposing(
        dataset=recipe.dataset,
        endpoint=endpoint,
        tasks=list(wish.tasks),
        count=wish.each,
        most_cost=left(recipe, wish),
        by=recipe.created_by,
    )
    return [job]


def _categories(recipe: Recipe, wish: Settings) -> list[Job]:
    if not wish.clip_model:
        raise LeftOut(_("No model was chosen: the categories that are there are used."))
    if not sources_of(recipe.dataset).exclude(source_facts__method=PERSON).exists():
        raise LeftOut(_("A person has looked at every source image."))
    by, model, threshold = recipe.created_by, wish.clip_model, wish.clip_threshold
    return [start_categorising(dataset=recipe.dataset, by=by, model=model, threshold=threshold)]


def _draw(recipe: Recipe, _wish: Settings) -> list[Job]:
    return [_own_job(recipe, StepName.BALANCE, _("Balanced draw for %(name)s") % {"name": recipe.name})]


def _hashes(recipe: Recipe, wish: Settings) -> list[Job]:
    if not wish.near:
        raise LeftOut(_("Look-alikes may be in several splits."))
    return [start_hashing(dataset=drawn_of(recipe), by=recipe.created_by)]


def _splits(recipe: Recipe, _wish: Settings) -> list[Job]:
    return [_own_job(recipe, StepName.SPLITS, _("Splits for %(name)s") % {"name": recipe.name})]


def _own_job(recipe: Recipe, step: str, title: str) -> Job:
    config = {"recipe": str(recipe.uid), "step": step}
    return jobs.start(kind=KIND, title=title, config=config, by=recipe.created_by)


def _candidates(recipe: Recipe, wish: Settings) -> list[Job]:
    editors = list(Editor.objects.filter(slug__in=wish.editors))
    if missing := sorted(set(wish.editors) - {editor.slug for editor in editors}):
        raise ValidationError(_("The editor %(names)s was deleted.") % {"names": ", ".join(missing)})
    data = drawn_of(recipe)
    return [start_generation(dataset=data, editors=editors, seeds=wish.seeds, by=recipe.created_by)]


def _scores(recipe: Recipe, wish: Settings) -> list[Job]:
    """One job for each task that has candidates."""
    data = drawn_of(recipe)
    cells = asking.cells_of(data)
    if not cells:
        raise ValidationError(_("No candidate can be scored: none was made, or all were set aside."))
    versions = {task: scorer.version for task, scorer in scorers_by(wish.rule).items()}
    asked = Wish(data, Judge.objects.get(slug=wish.judge), versions)
    estimate = asking.estimate(asked, cells, asking.tasks_in(cells))
    return start_all(wish=asked, estimate=estimate, most_cost=left(recipe, wish), by=recipe.created_by)


def _filter(recipe: Recipe, wish: Settings) -> list[Job]:
    data = drawn_of(recipe)
    return [start_filtering(dataset=data, name=recipe.name, rule=wish.rule, by=recipe.created_by)]


def _freeze(recipe: Recipe, _wish: Settings) -> list[Job]:
    """The filtered set was frozen as it was made. Here the draw is, with the candidates that the filter looked at."""
    note = _("What the hard cases of %(name)s were chosen from.") % {"name": recipe.name}
    return [start_freeze(dataset=drawn_of(recipe), by=recipe.created_by, note=note)]


def drawn_of(recipe: Recipe) -> Dataset:
    """Raises ValidationError where the draw is gone."""
    if recipe.drawn is None:
        raise ValidationError(_("The balanced data set was deleted."))
    return recipe.drawn


_BEGIN: dict[str, Callable[[Recipe, Settings], list[Job]]] = {
    StepName.INSTRUCTIONS: _instructions,
    StepName.CATEGORIES: _categories,
    StepName.BALANCE: _draw,
    StepName.HASHES: _hashes,
    StepName.SPLITS: _splits,
    StepName.CANDIDATES: _candidates,
    StepName.SCORES: _scores,
    StepName.FILTER: _filter,
    StepName.FREEZE: _freeze,
}
