"""Writes of recipes: start one, and bring it from step to step as its jobs end.

Nothing waits for a job. A look by the clock (``look``, every few seconds) takes up each recipe whose step's jobs have
ended. A step's jobs and the word that it runs are written in one transaction under the recipe's row, so two looks at
once start no step twice, and a crash at any point leaves the step either begun, with its jobs, or still to come.
"""

from __future__ import annotations

from contextlib import suppress

import structlog
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from annotation.models import Dataset, ProposalState
from training.models import OVER, Recipe, RecipeState, Step, StepName, StepState
from training.recipes import checks, steps
from training.recipes.plan import Settings
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.models import ACTIVE, RESUMABLE, Job, State

logger = structlog.get_logger()


@transaction.atomic
def start_recipe(*, dataset: Dataset, name: str, wish: Settings, by: User | None) -> Recipe:
    """Raises ValidationError by field; then nothing is started."""
    Dataset.objects.select_for_update().get(pk=dataset.pk)  # a second press waits for the first
    checks.check(dataset=dataset, name=name, wish=wish)
    recipe = Recipe(dataset=dataset, name=name, settings=wish.to_json(), created_by=by)
    recipe.full_clean()
    recipe.save()
    Step.objects.bulk_create(
        Step(recipe=recipe, name=step, position=place) for place, step in enumerate(StepName.values)
    )
    transaction.on_commit(lambda: advance(key=recipe.pk), robust=True)  # or the next look does it
    return recipe


# From step to step ---------------------------------------------------------------------------------------------------


def look() -> int:
    """Take up every recipe that can go on. One that fails does not keep the others. Returns how many were looked at."""
    again = Q(state=RecipeState.STOPPED, steps__state=StepState.STOPPED)
    moved = Q(steps__jobs__state__in=(*ACTIVE, State.SUCCEEDED))  # somebody resumed its job on the job's own page
    rows = Recipe.objects.filter(Q(state=RecipeState.RUNNING) | again & moved)
    keys = list(rows.order_by("pk").values_list("pk", flat=True).distinct())
    for key in keys:
        try:
            advance(key=key)
        except OperationalError as error:  # the database is away, or locked: the next look
            logger.warning("recipe not looked at", recipe=key, error=str(error))
        except Exception as error:  # the boundary of the look: the recipe's page must say it
            logger.exception("recipe failed", recipe=key)
            _give_up(key, error)
    return len(keys)


@transaction.atomic
def advance(*, key: int) -> Recipe:
    """Bring the recipe as far as it goes now. Of two at once the second finds what the first has done."""
    recipe = _locked(key)
    _advance(recipe)
    return recipe


def _locked(key: int) -> Recipe:
    rows = Recipe.objects.select_for_update(of=("self",))
    return rows.select_related("dataset", "drawn", "kept", "created_by").get(pk=key)


def _advance(recipe: Recipe) -> None:
    wish, state = Settings.from_json(recipe.settings), RecipeState.DONE
    for step in recipe.steps.all():
        if step.state == StepState.TO_COME:
            _begin(recipe, wish, step)
        elif step.state in (StepState.RUNNING, StepState.STOPPED):
            _settle(recipe, step)
        if step.state not in OVER:
            state = RecipeState(step.state)
            break
    recipe.state = state
    recipe.save(update_fields=["state", "kept"])


def _begin(recipe: Recipe, wish: Settings, step: Step) -> None:
    try:
        with transaction.atomic():  # a step that is refused leaves none of its jobs
            begun = steps.begin(recipe, wish, step.name)
    except steps.LeftOut as reason:
        _save(step, StepState.SKIPPED, str(reason))
    except ValidationError as error:
        _save(step, StepState.STOPPED, " ".join(error.messages))
    else:
        _save(step, StepState.RUNNING)
        step.jobs.set(begun)


def _settle(recipe: Recipe, step: Step) -> None:
    """Bring a step in line with its jobs. One that was refused has none, and stays as it is."""
    mine = list(step.jobs.order_by("pk"))
    ended_badly = [job for job in mine if job.state in RESUMABLE]
    if any(job.is_active for job in mine):
        _save(step, StepState.RUNNING)
    elif ended_badly:
        first = ended_badly[0]
        _save(step, StepState.STOPPED, f"{first.title}: {first.message or first.get_state_display()}")
    elif mine:
        _finish(recipe, step, mine)
    elif step.state == StepState.RUNNING:
        _save(step, StepState.STOPPED, _("Its job was deleted. Try again to start it anew."))


def _finish(recipe: Recipe, step: Step, mine: list[Job]) -> None:
    if step.name == StepName.INSTRUCTIONS and recipe.dataset.proposals.filter(state=ProposalState.OPEN).exists():
        _save(step, StepState.WAITING, _("People accept or reject the proposals; an accepted one becomes a case."))
        return
    if step.name == StepName.FILTER:
        recipe.kept = Dataset.objects.filter(uid=mine[0].summary["dataset"]).first()
    _save(step, StepState.DONE)


def _save(step: Step, state: str, message: str = "") -> None:
    step.state, step.message = state, message
    step.save(update_fields=["state", "message"])


@transaction.atomic
def _give_up(key: int, error: Exception) -> None:
    recipe = _locked(key)
    if step := _current(recipe):
        words = _("Unexpected error (%(type)s): %(error)s") % {"type": type(error).__name__, "error": error}
        _save(step, StepState.STOPPED, words)
    recipe.state = RecipeState.STOPPED
    recipe.save(update_fields=["state"])


def _current(recipe: Recipe) -> Step | None:
    """The step that the recipe is at; None where all are over."""
    return recipe.steps.exclude(state__in=OVER).first()


# What people do ------------------------------------------------------------------------------------------------------


@transaction.atomic
def go_on(*, recipe: Recipe) -> Recipe:
    """A person says that a step that waits is done, or that what a stopped one has made will do.

    Raises ValidationError where it does neither, or where there is nothing to go on with.
    """
    recipe = _locked(recipe.pk)
    step = _current(recipe)
    if step is None or not step.may_be_called_done:
        raise ValidationError(_("No step waits for that now. Load the page again."))
    if step.name == StepName.INSTRUCTIONS:
        tasks = Settings.from_json(recipe.settings).tasks
        if not recipe.dataset.cases.filter(task__in=tasks).exists():
            raise ValidationError(_("There is no case of these tasks yet. Accept some proposals first."))
    _save(step, StepState.DONE, step.message if step.state == StepState.STOPPED else "")
    _advance(recipe)
    return recipe


@transaction.atomic
def try_again(*, recipe: Recipe) -> Recipe:
    """Resume the jobs that failed or were cancelled, or begin a step anew that was refused. Raises ValidationError."""
    recipe = _locked(recipe.pk)
    step = _current(recipe)
    if step is None or step.state != StepState.STOPPED:
        raise ValidationError(_("No step of this recipe has stopped. Load the page again."))
    mine = list(step.jobs.order_by("pk"))
    for job in mine:
        if job.is_resumable:
            jobs.resume(job=job)
    _save(step, StepState.RUNNING if mine else StepState.TO_COME)
    _advance(recipe)
    return recipe


@transaction.atomic
def stop(*, recipe: Recipe) -> Recipe:
    """Cancel the jobs of the step that runs; they save their place. Raises ValidationError where none runs."""
    recipe = _locked(recipe.pk)
    step = _current(recipe)
    active = [job for job in step.jobs.all() if job.is_active] if step else []
    if not active:
        raise ValidationError(_("No job of this recipe runs now."))
    for job in active:
        with suppress(ValidationError):  # it has ended this moment
            jobs.cancel(job=job)
    _advance(recipe)
    return recipe
