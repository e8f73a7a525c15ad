"""Scoring a data set: one job for each task, all of them or none."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.models import Dataset
from scoring.asking import queries, selections
from scoring.asking.backends import backend
from scoring.asking.jobs import start_scoring
from scoring.asking.queries import Estimate, Wish
from webapp.accounts.models import User
from webapp.jobs.models import Job


@transaction.atomic
def start_all(*, wish: Wish, estimate: Estimate, most_cost: float | None, by: User | None) -> list[Job]:
    """A job for each task of the wish. Raises ValidationError, with the form's fields where it is about one.

    ``most_cost`` is shared out by the number of calls, so that all jobs together spend no more.
    """
    Dataset.objects.select_for_update().get(pk=wish.dataset.pk)  # a second press waits for the first
    _check(wish, estimate, most_cost)
    weights = [line.calls for line in estimate.lines]
    if not any(weights):
        weights = [line.candidates for line in estimate.lines]
    return [
        start_scoring(
            versions=[line.version],
            judge=wish.judge,
            selection=selections.of_dataset(
                wish.dataset, splits=wish.splits, editors=list(wish.editors), tasks=[line.task.pk]
            ),
            by=by,
            most_cost=None if most_cost is None else most_cost * weight / sum(weights),
        )
        for line, weight in zip(estimate.lines, weights, strict=True)
        if weight or most_cost is None  # a task with nothing to ask has no use for a share of the limit
    ]


def _check(wish: Wish, estimate: Estimate, most_cost: float | None) -> None:
    found = backend(wish.judge.kind)
    if found is None:
        raise ValidationError({"judge": _("There is no kind of judge “%(kind)s”.") % {"kind": wish.judge.kind}})
    try:
        found.identity(wish.judge.settings)
    except ValidationError as error:
        raise ValidationError({"judge": error.messages}) from None
    if most_cost is not None and not estimate.priced:
        message = _("Costs of “%(name)s” are not known: give its endpoint prices, or leave the limit empty.")
        raise ValidationError({"most_cost": message % {"name": wish.judge.name}})
    errors = {}
    busy = _busy(wish)
    for line in estimate.lines:
        if not line.candidates:
            errors[f"version_{line.task.pk}"] = _("No candidate of this task is in these splits and by these editors.")
        elif (line.task.pk, str(line.version.uid)) in busy:
            errors[f"version_{line.task.pk}"] = _("A job scores this task by this version and judge now. Wait for it.")
    if errors:
        raise ValidationError(errors)


def _busy(wish: Wish) -> set[tuple[str, str]]:
    """Task and version of the jobs that run: a second one would ask, and pay for, the same again."""
    running = [job.config for job in queries.running_for(wish.dataset)]
    mine = [config for config in running if config["judge"]["slug"] == wish.judge.slug]
    return {
        (task, version)
        for config in mine
        for version in config["versions"]
        for task in (config["selection"].get("tasks") or list(wish.versions))
    }
