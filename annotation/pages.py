"""The values that the annotation pages get: never an editor, a seed or a key that leads to one."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation import leases, markdown, sessions
from annotation.answers import letters
from annotation.models import Assignment, Candidate, Member, StoredImage, StudyState
from annotation.protocols import Dimension


def study_value(member: Member) -> dict[str, Any]:
    """What a page needs to know of its study."""
    study, protocol = member.study, member.study.protocol
    return {
        "uid": str(study.uid),
        "name": study.name,
        "kind": protocol.kind,
        "demo": bool(study.dataset.notice),
        "label": study.dataset.notice,
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


def more_work(member: Member, *, want: int, have: list[str]) -> dict[str, Any]:
    """Assignments to fill the page up, with the progress, a break that is due, or why there is nothing more."""
    pause = sessions.break_of(member)
    done, assignments = None, []
    if member.study.state != StudyState.OPEN:
        done = _("This study is %(state)s. What you sent is stored.") % {"state": member.study.get_state_display().lower()}
    elif pause is None:
        assignments = leases.hold(member, want=want, have=have)
        if not assignments and not leases.held(member):
            done = _("There is nothing more for you to judge in this study at the moment. Thank you.")
    return {
        "assignments": [assignment_value(assignment, member) for assignment in assignments],
        "progress": sessions.progress_of(member),
        "break": pause,
        "done": done,
    }


def assignment_value(assignment: Assignment, member: Member) -> dict[str, Any]:
    """One assignment as the page gets it, with the events that were saved before."""
    unit = assignment.unit
    case = unit.item.case
    images = Candidate.objects.filter(pk__in=assignment.order).select_related("image")
    shown = {candidate.pk: candidate.image for candidate in images}
    pairs = zip(letters(len(assignment.order)), assignment.order, strict=True)
    return {
        "uid": str(assignment.uid),
        "unit": str(unit.uid),
        "kind": member.study.protocol.kind,
        "dimension": unit.dimension or None,
        "round": unit.round,
        "case": {
            "instruction": case.instruction,
            "instruction_zh": case.instruction_zh,
            "requirement": case.requirement,
            "task": case.task_id,
        },
        "source": _image(assignment, "source", case.source),
        "images": [{"letter": letter, **_image(assignment, letter, shown[key])} for letter, key in pairs],
        "events": _events(assignment),
        "revising": assignment.state == leases.DONE,
        "lease_until": assignment.leased_until.isoformat(),
    }


def _image(assignment: Assignment, letter: str, image: StoredImage) -> dict[str, Any]:
    url = reverse("work_image", args=[assignment.uid, letter])
    return {"url": url, "width": image.view_width, "height": image.view_height}


def _events(assignment: Assignment) -> list[dict[str, Any]]:
    return [
        {
            "key": str(event.key),
            "assignment": str(assignment.uid),
            "seq": event.seq,
            "kind": event.kind,
            "data": event.data,
            "at": event.client_ms,
        }
        for event in assignment.events.order_by("seq", "id")
    ]


def image_behind(assignment: Assignment, letter: str) -> StoredImage | None:
    """The image that a letter stands for in this assignment, or None."""
    if letter == "source":
        return assignment.unit.item.case.source
    shown = dict(zip(letters(len(assignment.order)), assignment.order, strict=True))
    candidate = Candidate.objects.filter(pk=shown.get(letter, 0)).select_related("image").first()
    return candidate.image if candidate else None


