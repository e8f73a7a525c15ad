"""The job that makes a curated data set: its cases, the candidates that are kept, its first version; all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.curation.services import derive
from annotation.models import Candidate, Case, Dataset
from scoring.curation import queries
from scoring.curation.choosing import Choice, Ints, Table, choose
from scoring.curation.rules import COUNTS, EDITREWARD_KEPT, EDITREWARD_OF, SHARES, How, Rule, fingerprint
from scoring.filtering import making
from scoring.filtering.making import Made
from scoring.filtering.queries import Scorer
from scoring.filtering.services import scorers_by
from webapp.accounts.models import User
from webapp.jobs.folder import JobRun
from webapp.jobs.models import Job

NAME = "curate"
ROWS = 2000


def start_curation(*, dataset: Dataset, name: str, rule: Rule, by: User | None) -> Job:
    """A job that makes the curated set; the same wish again while it runs is that job. Raises ValidationError."""
    making.refuse_taken(name, dataset, rule.to_json())
    if not choose(queries.table_of(dataset, scorers_by(rule)), rule).kept.any():
        raise ValidationError(_("This keeps no candidate at all. Ask for more of them, or lower the thresholds."))
    title = _("Curation of %(name)s") % {"name": dataset.name}
    with transaction.atomic():  # all scores are read before, as SQLite has one writer at a time
        making.lock(dataset)
        making.refuse_taken(name, dataset, rule.to_json())
        return making.start_once(kind=NAME, title=title, dataset=dataset, name=name, rule=rule.to_json(), by=by)


def make_curated(*, dataset: Dataset, name: str, rule: Rule, by: User | None, run: JobRun) -> Made:
    """The curated set with its version 1, and whether it is new. Raises ValidationError; then nothing is left.

    The same wish over the same scores again gives the set that is there.
    """
    scorers = scorers_by(rule)
    table = queries.table_of(dataset, scorers)
    choice = choose(table, rule)
    kept = np.sort(table.candidate[choice.kept])
    with transaction.atomic():
        making.lock(dataset)
        if known := making.same_set(name, dataset, rule.to_json(), candidates=fingerprint(kept)):
            return known
        if not len(kept):
            raise ValidationError(_("This keeps no candidate at all."))
        words = {"count": len(kept), "of": len(table), "name": dataset.name}
        made = derive(
            dataset=dataset,
            name=name,
            description=_("The best %(count)d of %(of)d scored candidates of %(name)s, with their cases.") % words,
            recipe=_recipe(rule, scorers, table, choice, kept),
            keys=queries.kept_keys(dataset, table.case[choice.kept]),
            by=by,
            notice=making.notice_of(dataset, scorers),
        )
        _copy_candidates(made, kept, run)
        return making.freeze_first(made, run=run, by=by, note=note(dataset, rule))


def _recipe(rule: Rule, scorers: Mapping[str, Scorer], table: Table, choice: Choice, kept: Ints) -> dict[str, Any]:
    cuts = {task: one.value for task, one in sorted(choice.cuts.items()) if one.kept}
    return {
        "kind": NAME,
        "rule": rule.to_json(),
        "scorers": {task: str(one) for task, one in sorted(scorers.items())},
        "counts": {task: _figures(table, choice, table.tasks.index(task)) for task in sorted(table.tasks)},
        "lowest_kept": cuts if rule.by_task else cuts.get(""),
        "ties": "the lower SHA-256 of the edited image",
        "candidates": fingerprint(kept),
    }


def _figures(table: Table, choice: Choice, code: int) -> dict[str, Any]:
    there, stays = (table.value[(table.task == code) & rows] for rows in (True, choice.kept))
    after = float(stays.mean()) if len(stays) else None
    return {"scored": len(there), "kept": len(stays), "mean_before": float(there.mean()), "mean_after": after}


def _copy_candidates(made: Dataset, kept: Ints, run: JobRun) -> None:
    """The candidates beside their cases' copies, with the same stored images. Their job stays with the first: its page
    counts what it made. Raises ValidationError where one is gone since the scores were read."""
    own = {"id", "uid", "created_at", "case_id", "job_id"}
    names = [field.attname for field in Candidate._meta.concrete_fields if field.attname not in own]
    for start in range(0, len(kept), ROWS):
        run.progress(start, len(kept), _("Copying candidates"))
        run.check()
        wanted = kept[start : start + ROWS].tolist()
        batch = list(Candidate.objects.filter(pk__in=wanted).order_by("pk"))
        if len(batch) < len(wanted):
            raise ValidationError(_("Candidates were deleted meanwhile. Start again."))
        keys = dict(Case.objects.filter(pk__in={one.case_id for one in batch}).values_list("pk", "key"))
        cases = dict(made.cases.filter(key__in=keys.values()).values_list("key", "pk"))
        Candidate.objects.bulk_create(
            Candidate(case_id=cases[keys[one.case_id]], **{name: getattr(one, name) for name in names}) for one in batch
        )


def note(dataset: Dataset, rule: Rule) -> str:
    """The rule in a sentence."""
    words = {"name": dataset.name, "way": way(rule), "most": rule.per_case}
    return _("Curated from %(name)s: %(way)s; of one case %(most)d at most.") % words


def way(rule: Rule) -> str:
    """What is kept, in words."""
    cuts = [f"{task} {one.threshold:g}" for task, one in sorted(rule.tasks.items()) if one.threshold is not None]
    amount = f"{rule.amount:,.0f}" if rule.how in COUNTS else f"{rule.amount:g} %" if rule.how in SHARES else ""
    words = {
        How.EDITREWARD: _("as EditReward, the best %(kept)s of %(of)s, or the same share"),
        How.EDITHF: _("as EditHF, the better half of each task"),
        How.COUNT: _("the best %(amount)s of all"),
        How.COUNT_TASK: _("the best %(amount)s of each task"),
        How.SHARE: _("the best %(amount)s of all"),
        How.SHARE_TASK: _("the best %(amount)s of each task"),
        How.THRESHOLD: _("from these scores on: %(cuts)s"),
    }[rule.how]
    values = {"kept": f"{EDITREWARD_KEPT:,}", "of": f"{EDITREWARD_OF:,}"}
    return words % {**values, "amount": amount, "cuts": ", ".join(cuts) or "–"}


def _make(dataset: Dataset, run: JobRun, job: Job) -> Made:
    rule = Rule.from_json(run.config["rule"])
    return make_curated(dataset=dataset, name=run.config["name"], rule=rule, by=job.created_by, run=run)


KIND = making.job_kind(NAME, gettext_lazy("Curate a data set"), _make)
