"""The job that makes a training set: from studies, or from files that others published (training/sets/imports.py).

Everything is read and written into the job's folder first. The row becomes ready at the very end, or stays unfinished.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.models import Study
from training.models import LabelledSet, SetState
from training.rewards.groups import Header
from training.sets import imports, keeping, services
from training.sets.facts import Facts
from training.sets.grouping import Gathered, splits_of, with_splits
from training.sets.joining import Joined, join
from training.sets.wishes import Wish
from webapp.jobs.folder import JobError, JobRun, JobStopped
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job


def gather(studies: Sequence[Study], wish: Wish) -> tuple[Gathered, dict[str, str]]:
    """What the studies say, and the part of every source image. Raises ValidationError."""
    gathered = Gathered(join(studies, wish))
    return gathered, splits_of(gathered, wish.seed, wish.near)


def preview(studies: Sequence[Study], wish: Wish) -> dict[str, Any]:
    """The figures that a set would have. Raises ValidationError, also where there would be nothing in it."""
    gathered, splits = gather(studies, wish)
    facts = Facts(gathered.joined.dimensions)
    for group in with_splits(gathered.groups(), splits):
        facts.see(group)
    if not facts.dimensions:
        raise ValidationError(keeping.nothing())
    return {
        "dimensions": facts.dimensions,
        "groups": sum(facts.groups.values()),
        "candidates": facts.candidates,
        "facts": {**facts.to_json(), **about(gathered.joined, gathered, studies)},
        "notices": sorted({study.notice for study in studies if study.notice}),
    }


def about(joined: Joined, gathered: Gathered, studies: Sequence[Study]) -> dict[str, Any]:
    """What the card says beside the counts of the groups."""
    unhashed = {} if gathered.unhashed is None else {"unhashed": gathered.unhashed}
    return {
        **unhashed,
        "raters": joined.raters,
        "agreement": joined.agreement,
        "left_out": {name: count for name, count in sorted(gathered.left_out.items()) if count},
        "studies": [
            {"name": study.name, "uid": str(study.uid), "preset": study.preset_label, "kind": study.protocol.kind}
            for study in studies
        ],
    }


def make(run: JobRun, labelled_set: LabelledSet) -> LabelledSet:
    """Fill the row. The same wish over the same judgements ends with the set that is there already."""
    origin = labelled_set.origin
    found = Study.objects.filter(uid__in=origin["studies"]).select_related("dataset").order_by("pk")
    if len(found) < len(origin["studies"]):
        raise JobError(_("One of the studies was deleted."))
    studies, wish = list(found), Wish.from_json(origin["wish"])
    run.progress(0, 1, _("Reading the judgements"))
    try:
        gathered, splits = gather(studies, wish)
    except ValidationError as error:
        raise JobError(" ".join(error.messages)) from error
    dimensions, raters = gathered.joined.dimensions, gathered.joined.raters
    labelled_set.notice = services.notice_of(studies, raters)
    labelled_set.is_simulated = any(study.is_simulated for study in studies) or raters["simulated"] > 0
    header = Header(labelled_set.name, dimensions, notice=labelled_set.notice)
    groups = with_splits(gathered.groups(), splits)
    written = keeping.write(run, dimensions, groups, header, len(gathered.joined.said))
    if known := _known(labelled_set, written.content_hash):
        return known
    with transaction.atomic():
        return keeping.keep(labelled_set, written, about(gathered.joined, gathered, studies))


def _known(draft: LabelledSet, content_hash: str) -> LabelledSet | None:
    """A set of the same studies with the same content and notice: a second one would be the same under another name."""
    wanted = draft.origin["studies"]
    about = {"notice": draft.notice, "is_simulated": draft.is_simulated}
    same = LabelledSet.objects.filter(content_hash=content_hash, state=SetState.READY, **about).exclude(pk=draft.pk)
    return next((one for one in same.order_by("pk") if one.origin.get("studies") == wanted), None)


# The job -------------------------------------------------------------------------------------------------------------


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    labelled_set = set_of(job)
    if labelled_set is None:
        raise JobError(_("The training set was deleted."))
    if labelled_set.state == SetState.READY:  # an attempt before this one ended as its worker died
        if labelled_set.origin["kind"] == "import":
            imports.check_outputs(labelled_set)
        return _summary(labelled_set, new=True)
    LabelledSet.objects.filter(pk=labelled_set.pk).update(state=SetState.MAKING)
    labelled_set.state = SetState.MAKING
    maker = make if labelled_set.origin["kind"] == "studies" else imports.make
    try:
        made = maker(run, labelled_set)
    except JobStopped:
        raise  # it can be resumed
    except Exception:
        keeping.fail(labelled_set)
        raise
    if made.pk != labelled_set.pk:
        labelled_set.delete()
        return _summary(made, new=False)
    return _summary(made, new=True)


def _summary(made: LabelledSet, new: bool) -> dict[str, Any]:
    return {"set": str(made.uid), "new": new, "groups": made.groups, "content_hash": made.content_hash}


def set_of(job: Job) -> LabelledSet | None:
    """The set that a job makes, or the one that it found to be the same."""
    uid = job.summary.get("set") or job.config["set"]
    return LabelledSet.objects.filter(uid=uid).select_related("dataset", "created_by").first()


def _links(job: Job) -> list[tuple[str, str]]:
    made = set_of(job)
    if made is None:
        return []
    text = made.name
    if job.summary and not job.summary["new"]:
        text = _("No new set: its content is that of “%(name)s”") % {"name": made.name}
    return [(text, made.get_absolute_url())]


KIND = JobKind(name=services.KIND, label=gettext_lazy("Training set"), work=_work, links=_links)
