"""The job of the steps that have none of their own: the balanced draw and the splits. Both allow repeats."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.curation.queries import cells_of
from annotation.curation.services import apply_splits, make_balanced
from training.models import Recipe, StepName
from training.recipes.checks import drawn_name
from training.recipes.plan import Settings, draw_of
from training.recipes.steps import KIND as NAME
from training.recipes.steps import drawn_of
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    recipe = _recipe(job)
    if recipe is None:
        raise JobError(_("The recipe was deleted."))
    try:
        return draw(recipe) if run.config["step"] == StepName.BALANCE else split(recipe)
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None


@transaction.atomic
def draw(recipe: Recipe) -> dict[str, Any]:
    """Make the balanced data set, once: an attempt that follows a crash finds it. Raises ValidationError."""
    recipe = Recipe.objects.select_for_update(of=("self",)).select_related("dataset", "drawn").get(pk=recipe.pk)
    if recipe.drawn is None:
        recipe.drawn = make_balanced(
            dataset=recipe.dataset,
            name=drawn_name(recipe.name),
            recipe=draw_of(Settings.from_json(recipe.settings), cells_of(recipe.dataset)),
            by=recipe.created_by,
        )
        recipe.save(update_fields=["drawn"])
    missing = sum(recipe.drawn.recipe.get("missing", {}).values())
    return {"dataset": str(recipe.drawn.uid), "cases": recipe.drawn.cases.count(), "missing": missing}


def split(recipe: Recipe) -> dict[str, Any]:
    """The same seed gives the same splits. Raises ValidationError."""
    wish = Settings.from_json(recipe.settings)
    return dict(apply_splits(dataset=drawn_of(recipe), fractions=dict(wish.fractions), seed=wish.seed, near=wish.near))


def _recipe(job: Job) -> Recipe | None:
    return Recipe.objects.select_related("dataset", "drawn").filter(uid=job.config["recipe"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    recipe = _recipe(job)
    if recipe is None:
        return []
    drawn = [(recipe.drawn.name, recipe.drawn.get_absolute_url())] if recipe.drawn else []
    return [(recipe.name, recipe.get_absolute_url()), *drawn]


KIND = JobKind(name=NAME, label=gettext_lazy("Step of a recipe"), work=_work, links=_links)
