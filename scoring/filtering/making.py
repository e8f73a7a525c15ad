"""What all data sets have in common that are made of a scored one: name, notices, one job; all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from annotation.curation.services import slug_of
from annotation.models import Dataset, DatasetVersion
from annotation.versions.freeze import freeze
from scoring.filtering.queries import Scorer
from scoring.models import Activation
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import ACTIVE, Job

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

LONGEST_NOTICE, LONGEST_NOTE = 200, 500
OWN_NOTICE = 60  # characters of the data set's own notice that are always kept
BETWEEN = " · "
Json = dict[str, Any]
Made = tuple[Dataset, DatasetVersion, bool]  # the set, its version 1, and whether they are new


def lock(dataset: Dataset) -> None:
    """A second press waits for the first. Inside a transaction."""
    Dataset.objects.select_for_update().get(pk=dataset.pk)


def refuse_taken(name: str, dataset: Dataset, rule: Json) -> None:
    """Raises ValidationError where a set has this name that was not made from that one by this rule."""
    taken = Dataset.objects.filter(slug=slug_of(name)).first()
    if taken and not _is_by(taken, dataset, rule):
        raise ValidationError({"name": _("There is a data set of this name already.")})


def _is_by(found: Dataset, dataset: Dataset, rule: Json) -> bool:
    return found.derived_from_id == dataset.pk and found.recipe.get("rule") == rule


def start_once(*, kind: str, title: str, dataset: Dataset, name: str, rule: Json, by: User | None) -> Job:
    """A job that makes the set; the same wish again while it runs is that job."""
    config = {"dataset": str(dataset.uid), "name": name, "rule": rule}
    active = Job.objects.filter(kind=kind, state__in=ACTIVE, config__dataset=config["dataset"])
    same = next((job for job in active if job.config == config), None)
    return same or jobs.start(kind=kind, title=title, config=config, by=by)


def same_set(name: str, dataset: Dataset, rule: Json, **content: str) -> Made | None:
    """The set of this name where it is just the one that is wished for; None: there is none, or it is another, which
    keeps its name. ``content``: fingerprints in its recipe."""
    known = Dataset.objects.filter(slug=slug_of(name)).first()
    if known is None or not _is_by(known, dataset, rule):
        return None
    if any(known.recipe.get(key) != value for key, value in content.items()):
        return None
    version = known.versions.order_by("number").first()
    return (known, version, False) if version else None


def notice_of(dataset: Dataset, scorers: Mapping[str, Scorer]) -> str:
    """A set that a demo judge has chosen says so wherever it goes; so does one whose scorer was calibrated against
    simulated annotators. Those words come first; where all is too long, what the data set says is shortened."""
    words = [_("Scorer calibrated against a simulation.")] if _is_simulated(scorers) else []
    first = [*words, *sorted({one.judge.notice for one in scorers.values() if one.judge.notice})]
    own = BETWEEN.join(part for part in dataset.notice.split(BETWEEN) if part not in first)
    head = BETWEEN.join(first)
    own = _shortened(own, max(OWN_NOTICE, LONGEST_NOTICE - len(head) - len(BETWEEN)))
    head = _shortened(head, LONGEST_NOTICE - len(own) - len(BETWEEN) if own else LONGEST_NOTICE)
    return BETWEEN.join(filter(None, (head, own)))


def _is_simulated(scorers: Mapping[str, Scorer]) -> bool:
    versions = [one.version.pk for one in scorers.values()]
    return Activation.objects.filter(version__in=versions, calibration__study__is_simulated=True).exists()


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def freeze_first(made: Dataset, *, run: JobRun, by: User | None, note: str) -> Made:
    """The new set with its version 1. If that fails, the transaction takes back rows, and this the files."""
    try:
        version, _new = freeze(dataset=made, run=run, by=by, note=note[:LONGEST_NOTE])
    except BaseException:
        _forget_files(made)
        raise
    return made, version, True


def _forget_files(made: Dataset) -> None:
    folder = f"versions/{made.uid}"
    if default_storage.exists(folder):
        for name in default_storage.listdir(folder)[1]:
            default_storage.delete(f"{folder}/{name}")


# The job -------------------------------------------------------------------------------------------------------------


def job_kind(name: str, label: StrPromise, make: Callable[[Dataset, JobRun, Job], Made]) -> JobKind:
    """A kind of job that makes a set by ``make``, whose ValidationError is shown to the user."""

    def work(run: JobRun, job: Job) -> Json:
        dataset = Dataset.objects.filter(uid=run.config["dataset"]).first()
        if dataset is None:
            raise JobError(_("The data set was deleted."))
        try:
            made, version, new = make(dataset, run, job)
        except ValidationError as error:
            raise JobError(" ".join(error.messages)) from None
        (run.outputs / "manifest.jsonl.gz").unlink(missing_ok=True)
        counts = {"cases": version.cases, "candidates": version.candidates}
        return {"dataset": str(made.uid), "version": str(version.uid), "new": new, **counts}

    return JobKind(name=name, label=label, work=work, links=_links)


def _links(job: Job) -> list[tuple[str, str]]:
    uids = [job.config["dataset"], *([job.summary["dataset"]] if job.summary else [])]
    rows = {str(row.uid): row for row in Dataset.objects.filter(uid__in=uids)}
    return [(rows[uid].name, rows[uid].get_absolute_url()) for uid in uids if uid in rows]
