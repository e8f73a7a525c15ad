"""The values that the annotation pages get: never an editor, a seed or a key that leads to one."""

from collections import defaultdict
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation import leases, markdown, sessions
from annotation.answers import letters
from annotation.entry.services import WITH_REFERENCE
from annotation.models import Assignment, Candidate, Case, Event, Item, Member, Reference, StoredImage, StudyState
from annotation.protocols import Dimension
from annotation.screening.queries import halt_of, message_step


def study_value(member: Member) -> dict[str, Any]:
    """What a page needs to know of its study."""
    study, protocol = member.study, member.study.protocol
    return {
        "uid": str(study.uid),
        "name": study.name,
        "kind": protocol.kind,
        "demo": bool(study.dataset.notice),
        "label": study.notice,
        "dimensions": [_dimension(d) for d in protocol.dimensions],
        "duels": protocol.duels,
        "annotator": member.user.username,
        "user_id": member.user_id,
        "guidelines": markdown.render(study.guidelines),
        "urls": {
            "next": reverse("work_next", args=[study.uid]),
            "events": reverse("work_events", args=[study.uid]),
            "back": reverse("work_back", args=[study.uid]),
            "home": reverse("work"),
        },
    }


def _dimension(dimension: Dimension) -> dict[str, Any]:
    scale = {"min": dimension.low, "max": dimension.high, "step": dimension.step, "anchors": dimension.anchors}
    return {
        "key": dimension.key,
        "label": dimension.label,
        "rubric": dimension.rubric,
        "scale": scale,
        "difference": dimension.difference,
    }


def more_work(member: Member, mine: list[Assignment], *, want: int, have: list[str]) -> dict[str, Any]:
    """Assignments to fill the page up, with the progress, a break that is due, or why there is nothing more.

    ``mine``: the annotator's assignments, see ``leases.mine``.
    """
    pause, short = sessions.break_of(member), True
    sentence, step = halt_of(member), message_step(member)
    leased = [assignment for assignment in mine if assignment.state == leases.LEASED]
    given: list[Assignment] = []
    leases.renew(leased, timezone.now())
    if member.study.state != StudyState.OPEN:
        state = member.study.get_state_display().lower()
        sentence = _("This study is %(state)s. What you sent is stored.") % {"state": state}
    elif sentence or step:
        pause = None
    elif pause is None:
        leased += leases.revive([assignment for assignment in mine if assignment.state == leases.EXPIRED])
        if short := leases.runs_short(leased, want=want, have=have):
            given = leases.fill(member, leased, want=want, have=have, turn=member.done + len(leased))
        if not leased:
            sentence = _("There is nothing more for you to judge in this study at the moment. Thank you.")
    progress = sessions.progress_of(member)
    if short:  # else the page keeps the total that it has
        progress["total"] = sessions.total_of(member, member.done + len(leased))
    return {
        "assignments": assignment_values(given, member),
        "progress": progress,
        "break": pause,
        "done": sentence or None,
        **({"step": step} if step else {}),
    }


def assignment_values(assignments: list[Assignment], member: Member) -> list[dict[str, Any]]:
    """Assignments as the page gets them, with the events that were saved before: three queries for all of them."""
    if not assignments:
        return []
    items = Item.objects.filter(pk__in=[a.unit.item_id for a in assignments]).select_related(
        "case__source", "case__task"
    )
    cases = {item.pk: item.case for item in items}
    keys = {key for assignment in assignments for key in assignment.order}
    images = {row.pk: row.image for row in Candidate.everything.filter(pk__in=keys).select_related("image")}
    instead = _instructions(assignments)
    events: dict[int, list[Event]] = defaultdict(list)
    begun = [row for row in assignments if row.opened_at or row.state == leases.DONE]
    for event in Event.objects.filter(assignment__in=begun).order_by("seq", "id") if begun else ():
        events[event.assignment_id].append(event)
    return [
        _value(a, member, (cases[a.unit.item_id], instead.get(a.unit_id, "")), images, events[a.pk])
        for a in assignments
    ]


def _instructions(assignments: list[Assignment]) -> dict[int, str]:
    """What attention checks among these ask for instead of their cases' instructions; no query without references."""
    units = [assignment.unit_id for assignment in assignments if assignment.unit.purpose in WITH_REFERENCE]
    rows = Reference.objects.filter(unit__in=units).exclude(instruction="").values_list("unit", "instruction")
    return dict(rows) if units else {}


def _asked(case: Case, instead: str) -> dict[str, str]:
    """The instruction of a case, or the one that takes its place: then without what belongs to the case's own."""
    own = {"instruction_zh": "", "requirement": ""}
    if not instead:
        own = {"instruction_zh": case.instruction_zh, "requirement": case.requirement}
    return {"instruction": instead or case.instruction, **own, "task": case.task.name}


def _value(
    assignment: Assignment,
    member: Member,
    asked: tuple[Case, str],
    images: dict[int, StoredImage],
    events: list[Event],
) -> dict[str, Any]:
    """``asked``: the case, and what stands in the place of its instruction. Nothing here may tell a hidden item from
    others: not its purpose, nor its round."""
    unit, (case, instead) = assignment.unit, asked
    pairs = zip(letters(len(assignment.order)), assignment.order, strict=True)
    return {
        "uid": str(assignment.uid),
        "unit": str(unit.uid),
        "kind": member.study.protocol.kind,
        "dimension": unit.dimension or None,
        "case": _asked(case, instead),
        "source": _image(assignment, "source", case.source),
        "images": [{"letter": letter, **_image(assignment, letter, images[key])} for letter, key in pairs],
        "events": [_event(assignment, event) for event in events],
        "revising": assignment.state == leases.DONE,
        "lease_until": assignment.leased_until.isoformat(),
    }


def _image(assignment: Assignment, letter: str, image: StoredImage) -> dict[str, Any]:
    url = reverse("work_image", args=[assignment.uid, letter])
    return {"url": url, "width": image.view_width, "height": image.view_height}


def _event(assignment: Assignment, event: Event) -> dict[str, Any]:
    return {
        "key": str(event.key),
        "assignment": str(assignment.uid),
        "seq": event.seq,
        "kind": event.kind,
        "data": event.data,
        "at": event.client_ms,
    }


def image_behind(assignment: Assignment, letter: str) -> StoredImage | None:
    """The image that a letter stands for in this assignment, or None."""
    if letter == "source":
        return assignment.unit.item.case.source
    shown = dict(zip(letters(len(assignment.order)), assignment.order, strict=True))
    candidate = Candidate.everything.filter(pk=shown.get(letter, 0)).select_related("image").first()
    return candidate.image if candidate else None
