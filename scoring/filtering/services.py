"""The job that makes a filtered data set: its cases, its lineage and its first version, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.curation.services import derive, slug_of
from annotation.models import Dataset, DatasetVersion
from annotation.versions.freeze import freeze
from scoring.filtering import queries
from scoring.filtering.queries import Cells, Scorer
from scoring.filtering.rules import By, Rule, Verdict, fingerprint
from scoring.models import Activation, Judge, PromptVersion
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import ACTIVE, Job

NAME = "filter"
LONGEST_NOTICE, LONGEST_NOTE = 200, 500


@transaction.atomic
def start_filtering(*, dataset: Dataset, name: str, rule: Rule, by: User | None) -> Job:
    """A job that makes the filtered set; the same wish again while it runs is that job. Raises ValidationError."""
    Dataset.objects.select_for_update().get(pk=dataset.pk)  # a second press waits for the first
    slug = slug_of(name)
    taken = Dataset.objects.filter(slug=slug).first()
    if taken and not _is_by(taken, dataset, rule):
        raise ValidationError({"name": _("There is a data set of this name already.")})
    scorers = scorers_by(rule)
    cells = queries.cells_of(queries.judged_cases(dataset, rule, scorers))
    if not any(count for (*_names, verdict), count in cells.items() if verdict in rule.kept):
        raise ValidationError(_("This rule keeps no case at all. Change the thresholds, or keep the unscored cases."))
    config = {"dataset": str(dataset.uid), "name": name, "rule": rule.to_json()}
    active = Job.objects.filter(kind=NAME, state__in=ACTIVE, config__dataset=config["dataset"])
    same = next((job for job in active if job.config == config), None)
    title = _("Hard cases of %(name)s") % {"name": dataset.name}
    return same or jobs.start(kind=NAME, title=title, config=config, by=by)


def _is_by(found: Dataset, dataset: Dataset, rule: Rule) -> bool:
    """Was this data set made from that one by this rule?"""
    return found.derived_from_id == dataset.pk and found.recipe.get("rule") == rule.to_json()


def scorers_by(rule: Rule) -> dict[str, Scorer]:
    """The rows behind a rule's tasks. Raises ValidationError where one was deleted. Two queries."""
    wanted = rule.tasks.values()
    versions = PromptVersion.objects.filter(uid__in=[one.version for one in wanted]).select_related("prompt")
    by_uid = {str(row.uid): row for row in versions}
    judges = {row.slug: row for row in Judge.objects.filter(slug__in=[one.judge for one in wanted])}
    if any(one.version not in by_uid or one.judge not in judges for one in wanted):
        raise ValidationError(_("A version of a prompt or a judge of this rule was deleted."))
    return {task: Scorer(by_uid[one.version], judges[one.judge]) for task, one in rule.tasks.items()}


def make_filtered(
    *, dataset: Dataset, name: str, rule: Rule, by: User | None, run: JobRun
) -> tuple[Dataset, DatasetVersion, bool]:
    """The filtered set with its version 1, and whether it is new. Raises ValidationError; then nothing is left.

    The same wish over the same scores again gives the set that is there.
    """
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=dataset.pk)
        scorers = scorers_by(rule)
        cases = queries.judged_cases(dataset, rule, scorers)
        keys = queries.kept_keys(cases, rule)
        known = Dataset.objects.filter(slug=slug_of(name)).first()
        if known and (version := _same(known, dataset, rule, keys)):
            return known, version, False
        if not keys:
            raise ValidationError(_("This rule keeps no case at all."))
        made = derive(
            dataset=dataset,
            name=name,
            description=_("%(count)d hard cases of %(name)s.") % {"count": len(keys), "name": dataset.name},
            recipe=_recipe(rule, scorers, queries.cells_of(cases), keys),
            keys=keys,
            by=by,
            notice=_notice(dataset, scorers),
        )
        try:
            version, _new = freeze(dataset=made, run=run, by=by, note=note(dataset, rule))
        except BaseException:
            _forget_files(made)
            raise
    return made, version, True


def _same(known: Dataset, dataset: Dataset, rule: Rule, keys: set[str]) -> DatasetVersion | None:
    """The first version of a set that is just this one; None: the set is another, and keeps its name."""
    same = _is_by(known, dataset, rule) and known.recipe.get("cases") == fingerprint(keys)
    return known.versions.order_by("number").first() if same else None


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


def _notice(dataset: Dataset, scorers: Mapping[str, Scorer]) -> str:
    """A set that a demo judge has filtered says so wherever it goes; so does one whose scorer was calibrated against
    simulated annotators."""
    judges = sorted({one.judge.notice for one in scorers.values() if one.judge.notice} - {dataset.notice})
    versions = [one.version.pk for one in scorers.values()]
    simulated = Activation.objects.filter(version__in=versions, calibration__study__is_simulated=True).exists()
    words = [_("Scorer calibrated against a simulation.")] if simulated else []
    return " · ".join([text for text in (dataset.notice, *judges, *words) if text])[:LONGEST_NOTICE]


def note(dataset: Dataset, rule: Rule) -> str:
    """The rule in a sentence."""
    score = _("best candidate's score") if rule.by == By.BEST else _("mean score")
    cuts = [f"{task} {one.threshold:g}" for task, one in sorted(rule.tasks.items()) if one.threshold is not None]
    unscored = _("unscored cases stay") if rule.keep_unscored else _("unscored cases go")
    words = {"name": dataset.name, "score": score, "cuts": ", ".join(cuts) or "–", "unscored": unscored}
    return (_("Hard cases of %(name)s: a case goes from this %(score)s on: %(cuts)s; %(unscored)s.") % words)[
        :LONGEST_NOTE
    ]


def _forget_files(made: Dataset) -> None:
    """A transaction takes back rows, not files."""
    folder = f"versions/{made.uid}"
    if default_storage.exists(folder):
        for name in default_storage.listdir(folder)[1]:
            default_storage.delete(f"{folder}/{name}")


# The job -------------------------------------------------------------------------------------------------------------


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    dataset = Dataset.objects.filter(uid=run.config["dataset"]).first()
    if dataset is None:
        raise JobError(_("The data set was deleted."))
    rule = Rule.from_json(run.config["rule"])
    try:
        made, version, new = make_filtered(
            dataset=dataset, name=run.config["name"], rule=rule, by=job.created_by, run=run
        )
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from None
    (run.outputs / "manifest.jsonl.gz").unlink(missing_ok=True)
    return {"dataset": str(made.uid), "version": str(version.uid), "cases": version.cases, "new": new}


def _links(job: Job) -> list[tuple[str, str]]:
    uids = [job.config["dataset"], *([job.summary["dataset"]] if job.summary else [])]
    rows = {str(row.uid): row for row in Dataset.objects.filter(uid__in=uids)}
    return [(rows[uid].name, rows[uid].get_absolute_url()) for uid in uids if uid in rows]


KIND = JobKind(name=NAME, label=gettext_lazy("Filter hard cases"), work=_work, links=_links)
