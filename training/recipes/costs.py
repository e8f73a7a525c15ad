"""What a recipe has cost so far, and what is left of its limit."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db.models import Sum
from django.utils.translation import gettext as _

from scoring.models import Answer
from training.models import Recipe, StepName
from training.recipes.plan import Settings
from webapp.jobs.folder import read_events
from webapp.jobs.models import Job


def spent(recipe: Recipe) -> float:
    """On instructions and scores, in the currency of the endpoints' prices; answers of unknown cost count nothing."""
    mine = recipe.steps.filter(name__in=(StepName.INSTRUCTIONS, StepName.SCORES))
    rows = Job.objects.filter(pk__in=mine.values("jobs"))
    scores = Answer.objects.filter(job__in=rows).aggregate(cost=Sum("cost"))["cost"] or 0.0
    return scores + _instructions(job for job in rows if job.kind == "propose" and not job.is_active)


def _instructions(jobs: Iterable[Job]) -> float:
    """A job that did not succeed has no summary; what it paid stands in its events."""
    total = 0.0
    for job in jobs:
        if "cost" in job.summary:
            total += job.summary["cost"] or 0.0
        else:
            events, _offset = read_events(job.folder / "events.jsonl")
            total += sum(event.get("cost") or 0.0 for event in events if event["event"] == "asked")
    return total


def left(recipe: Recipe, wish: Settings) -> float | None:
    """What may still be spent; None without a limit. Raises ValidationError where nothing is left."""
    if wish.most_cost is None:
        return None
    rest = wish.most_cost - spent(recipe)
    if rest <= 0:
        raise ValidationError(_("The spending limit of %(limit)g is reached.") % {"limit": wish.most_cost})
    return rest
