"""Candidates that an output check set aside: found by a job, counted per editor, decided by a person."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from PIL import Image

from annotation.checks import check
from annotation.importing.images import decode
from annotation.importing.problems import ImportProblem
from annotation.models import Candidate, Dataset, Editor, Fault, StoredImage, Unmade, UnmadeReason
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError, JobRun
from webapp.jobs.kinds import JobKind
from webapp.jobs.models import Job

AT_ONCE = 100  # candidates between two saved places

DECISIONS = {"keep": True, "drop": False, "undo": None}
STATES = {"kept": True, "dropped": False, "open": None}  # names of the decisions in addresses


def found_in(dataset: Dataset) -> QuerySet[Candidate]:
    """What the checks found fault with, decided on or not."""
    return Candidate.objects.filter(case__dataset=dataset).exclude(fault="")


def reasons(candidates: QuerySet[Candidate], unmade: QuerySet[Unmade]) -> list[tuple[str, int]]:
    """How many of an editor's or a job's images had which fault, or were not delivered, and why: (label, number)."""
    found = candidates.exclude(fault="").order_by().values_list("fault").annotate(number=Count("id"))
    missing = unmade.order_by().values_list("reason").annotate(number=Count("id"))
    labels = {**dict(Fault.choices), **dict(UnmadeReason.choices)}
    return [(str(labels[name]), number) for name, number in [*found, *missing]]


def in_state(rows: QuerySet[Candidate], state: str) -> QuerySet[Candidate]:
    decision = STATES[state]
    return rows.filter(fault_kept__isnull=True) if decision is None else rows.filter(fault_kept=decision)


def unmade_in(dataset: Dataset) -> QuerySet[Unmade]:
    return Unmade.objects.filter(case__dataset=dataset).select_related("case", "editor", "job").order_by("-id")


def by_editor(dataset: Dataset) -> list[dict[str, Any]]:
    """Of every editor with a fault: how many of each kind, how many were kept, how many it made in all."""
    rows = found_in(dataset).order_by().values_list("editor", "fault").annotate(number=Count("id"))
    kept = dict(found_in(dataset).filter(fault_kept=True).order_by().values_list("editor").annotate(number=Count("id")))
    unmade = dict(Unmade.objects.filter(case__dataset=dataset).order_by().values_list("editor").annotate(n=Count("id")))
    counts: dict[int, dict[str, int]] = {editor: {} for editor in unmade}
    for editor, fault, number in rows:
        counts.setdefault(editor, {})[fault] = number
    inside = Count("candidates", filter=Q(candidates__case__dataset=dataset))
    editors = Editor.objects.filter(pk__in=counts).annotate(made=inside)
    return [
        {
            "editor": editor,
            "made": editor.made,  # type: ignore[attr-defined]  # by the annotation
            "numbers": [counts[editor.pk].get(fault, 0) for fault in Fault.values],
            "kept": kept.get(editor.pk, 0),
            "unmade": unmade.get(editor.pk, 0),
        }
        for editor in editors
    ]


@transaction.atomic
def decide(*, candidate: Candidate, decision: str, by: User) -> Candidate:
    """Keep a candidate in spite of its fault, confirm that it is set aside, or leave it open again."""
    if decision not in DECISIONS:
        raise ValidationError(_("Choose to keep the image, to leave it out, or to leave it open."))
    if not candidate.fault:
        raise ValidationError(_("The checks found nothing wrong with this image."))
    candidate.fault_kept = DECISIONS[decision]
    candidate.fault_decided_by = None if decision == "undo" else by
    candidate.save(update_fields=["fault_kept", "fault_decided_by"])
    return candidate


# The job -------------------------------------------------------------------------------------------------------------


def start_checks(*, dataset: Dataset, by: User | None) -> Job:
    """Check every candidate of a data set, as after an import. Decisions of people stay where the fault is the same."""
    title = _("Check the outputs in %(name)s") % {"name": dataset.name}
    return jobs.start(kind="check", title=title, config={"dataset": str(dataset.uid)}, by=by)


def _work(run: JobRun, job: Job) -> dict[str, Any]:
    dataset = _dataset(job)
    if dataset is None:
        raise JobError(_("The data set was deleted."))
    place = {"after": 0, "done": 0, "set_aside": 0, "unreadable": 0} | (run.load_checkpoint() or {})
    rows = Candidate.objects.filter(case__dataset=dataset)
    total = rows.count()
    left = rows.filter(id__gt=place["after"]).select_related("image", "case__source").order_by("id")
    for batch in _batches(left.iterator(chunk_size=AT_ONCE)):
        found = [_checked(candidate) for candidate in batch]
        place["set_aside"] += found.count(True)
        place["unreadable"] += found.count(None)
        place |= {"after": batch[-1].pk, "done": place["done"] + len(batch)}
        run.save_checkpoint(place)
        run.progress(place["done"], total, _("%(count)d set aside") % {"count": place["set_aside"]})
        run.check()
    return {"candidates": place["done"], "set_aside": place["set_aside"], "unreadable": place["unreadable"]}


def _batches(rows: Iterator[Candidate]) -> Iterator[list[Candidate]]:
    while batch := list(islice(rows, AT_ONCE)):
        yield batch


def _checked(candidate: Candidate) -> bool | None:
    """Whether something was found; None where a stored file is missing or damaged: the others are still checked."""
    try:
        finding = check(_picture(candidate.case.source), _picture(candidate.image))
    except (ImportProblem, OSError):
        return None
    fault, note = (finding.fault, finding.note[:200]) if finding else ("", "")
    if fault != candidate.fault:
        candidate.fault, candidate.fault_note = fault, note
        candidate.fault_kept, candidate.fault_decided_by = None, None
        candidate.save(update_fields=["fault", "fault_note", "fault_kept", "fault_decided_by"])
    return bool(fault)


def _picture(image: StoredImage) -> Image.Image:
    """The original: the viewing copy is smaller, so sizes could not be compared."""
    return decode(image.read_original())


def _dataset(job: Job) -> Dataset | None:
    return Dataset.objects.filter(uid=job.config["dataset"]).first()


def _links(job: Job) -> list[tuple[str, str]]:
    dataset = _dataset(job)
    return [(dataset.name, dataset.get_absolute_url())] if dataset else []


KIND = JobKind(name="check", label=gettext_lazy("Output checks"), work=_work, links=_links)
