"""The job that makes a filtered data set: its cases, its lineage and its first version, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.curation.services import derive
from annotation.models import Dataset
from scoring.filtering import making, queries
from scoring.filtering.making import Made
from scoring.filtering.queries import Cells, Scorer
from scoring.filtering.rules import By, Rule, TaskRule, Verdict, fingerprint
from scoring.models import Judge, PromptVersion
from webapp.accounts.models import User
from webapp.jobs.folder import JobRun
from webapp.jobs.models import Job

NAME = "filter"


@transaction.atomic
def start_filtering(*, dataset: Dataset, name: str, rule: Rule, by: User | None) -> Job:
    """A job that makes the filtered set; the same wish again while it runs is that job. Raises ValidationError."""
    making.lock(dataset)
    making.refuse_taken(name, dataset, rule.to_json())
    scorers = scorers_by(rule)
    cells = queries.cells_of(queries.judged_cases(dataset, rule, scorers))
    if not any(count for (*_names, verdict), count in cells.items() if verdict in rule.kept):
        raise ValidationError(_("This rule keeps no case at all. Change the thresholds, or keep the unscored cases."))
    title = _("Hard cases of %(name)s") % {"name": dataset.name}
    return making.start_once(kind=NAME, title=title, dataset=dataset, name=name, rule=rule.to_json(), by=by)


class Ruled(Protocol):
    """A rule that says who scores each task."""

    @property
    def tasks(self) -> Mapping[str, TaskRule]: ...


def scorers_by(rule: Ruled) -> dict[str, Scorer]:
    """The rows behind a rule's tasks. Raises ValidationError where one was deleted. Two queries."""
    wanted = rule.tasks.values()
    versions = PromptVersion.objects.filter(uid__in=[one.version for one in wanted]).select_related("prompt")
    by_uid = {str(row.uid): row for row in versions}
    judges = {row.slug: row for row in Judge.objects.filter(slug__in=[one.judge for one in wanted])}
    if any(one.version not in by_uid or one.judge not in judges for one in wanted):
        raise ValidationError(_("A version of a prompt or a judge of this rule was deleted."))
    return {task: Scorer(by_uid[one.version], judges[one.judge]) for task, one in rule.tasks.items()}


@transaction.atomic
def make_filtered(*, dataset: Dataset, name: str, rule: Rule, by: User | None, run: JobRun) -> Made:
    """The filtered set with its version 1, and whether it is new. Raises ValidationError; then nothing is left.

    The same wish over the same scores again gives the set that is there.
    """
    making.lock(dataset)
    scorers = scorers_by(rule)
    cases = queries.judged_cases(dataset, rule, scorers)
    keys = queries.kept_keys(cases, rule)
    if known := making.same_set(name, dataset, rule.to_json(), cases=fingerprint(keys)):
        return known
    if not keys:
        raise ValidationError(_("This rule keeps no case at all."))
    made = derive(
        dataset=dataset,
        name=name,
        description=_("%(count)d hard cases of %(name)s.") % {"count": len(keys), "name": dataset.name},
        recipe=_recipe(rule, scorers, queries.cells_of(cases), keys),
        keys=keys,
        by=by,
        notice=making.notice_of(dataset, scorers),
    )
    return making.freeze_first(made, run=run, by=by, note=note(dataset, rule))


def _recipe(rule: Rule, scorers: Mapping[str, Scorer], cells: Cells, keys: set[str]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for (task, _category, _split, verdict), count in sorted(cells.items()):
        of_task = counts.setdefault(task, dict.fromkeys(map(str, Verdict), 0))
        of_task[verdict] += count
    return {
        "kind": NAME,
        "rule": rule.to_json(),
        "scorers": {task: str(one) for task, one in sorted(scorers.items())},
        "counts": counts,
        "cases": fingerprint(keys),
    }


def note(dataset: Dataset, rule: Rule) -> str:
    """The rule in a sentence."""
    score = _("best candidate's score") if rule.by == By.BEST else _("mean score")
    cuts = [f"{task} {one.threshold:g}" for task, one in sorted(rule.tasks.items()) if one.threshold is not None]
    unscored = _("unscored cases stay") if rule.keep_unscored else _("unscored cases go")
    words = {"name": dataset.name, "score": score, "cuts": ", ".join(cuts) or "–", "unscored": unscored}
    return _("Hard cases of %(name)s: a case goes from this %(score)s on: %(cuts)s; %(unscored)s.") % words


def _make(dataset: Dataset, run: JobRun, job: Job) -> Made:
    rule = Rule.from_json(run.config["rule"])
    return make_filtered(dataset=dataset, name=run.config["name"], rule=rule, by=job.created_by, run=run)


KIND = making.job_kind(NAME, gettext_lazy("Filter hard cases"), _make)
