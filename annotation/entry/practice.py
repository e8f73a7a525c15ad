"""Training and the qualification test: the same pages as live work, with items whose right answers are known.

An annotator gets all items of a part at once, each as an assignment that lasts: nobody waits for its place. Training
goes through its items in the order in which they were made, with the right answer after each. A try at the
qualification has units of its own (``Unit.round`` is the try's number), a random order, and its result at the end.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import leases, pages
from annotation.answers import letters
from annotation.assign import seeded, shuffled
from annotation.entry import marking
from annotation.entry.gate import Step, tries_left
from annotation.models import Assignment, Member, Purpose, QualificationTry, Reference, Unit

LASTS = timedelta(days=365)
PURPOSES = {Step.TRAINING: Purpose.TRAINING, Step.QUALIFICATION: Purpose.QUALIFICATION}
ROUNDING = 1e-9


@transaction.atomic
def begin(*, member: Member, step: Step) -> bool:
    """Give the annotator the items of this part that they do not have yet. False: there are none, or no try is left."""
    leases.take_turns(member.study)
    if step == Step.TRAINING:
        units = list(_references(member, Purpose.TRAINING))
    else:
        number = _current_try(member)
        units = _units_of_try(member, number) if number else []
    _give(member, units)
    return _assignments(member, step).exists()


def _references(member: Member, purpose: Purpose) -> QuerySet[Unit]:
    """The part's items as they were made, without those withdrawn."""
    units = Unit.objects.filter(study=member.study, purpose=purpose, round=1, target=Unit.EVERYBODY)
    return units.select_related("reference").order_by("id")


def _current_try(member: Member) -> int:
    """The number of the try that is going on, or of a new one; 0 where none is left."""
    last = QualificationTry.objects.filter(member=member).order_by("-number").first()
    if last and last.finished_at is None:
        return last.number
    if tries_left(member) < 1:
        return 0
    return QualificationTry.objects.create(member=member, number=last.number + 1 if last else 1).number


def _units_of_try(member: Member, number: int) -> list[Unit]:
    """The units of a try, in random order. The first who needs them makes them. A try that has begun stays as it is."""
    if _assignments(member, Step.QUALIFICATION).exists():
        return []
    units = []
    for first in _references(member, Purpose.QUALIFICATION):
        unit = first
        if number > 1:
            values = {"purpose": first.purpose, "target": first.target, "shuffle": first.shuffle}
            key = {"study": member.study, "item_id": first.item_id, "dimension": first.dimension, "round": number}
            unit, made = Unit.objects.get_or_create(**key, defaults=values)
            if made:
                known = first.reference
                Reference.objects.create(
                    unit=unit, answer=known.answer, feedback=known.feedback, instruction=known.instruction
                )
        units.append(unit)
    seeded("qualification", member.study.seed, member.position, number).shuffle(units)
    return units


def _give(member: Member, units: Sequence[Unit]) -> None:
    had = set(Assignment.objects.filter(unit__in=units, annotator=member.user).values_list("unit_id", flat=True))
    until = timezone.now() + LASTS
    for unit in units:
        if unit.pk not in had and leases.take_place(unit.pk):
            keys = unit.item.entries.order_by("candidate_id").values_list("candidate_id", flat=True)
            order = shuffled(list(keys), member.study.seed, member.position, unit.shuffle, unit.round)
            Assignment.objects.create(
                study=member.study, unit=unit, annotator=member.user, order=order, leased_until=until
            )


def _assignments(member: Member, step: Step) -> QuerySet[Assignment]:
    """The annotator's assignments of the part; of the qualification, those of the try that is going on."""
    rows = Assignment.objects.filter(study=member.study, annotator=member.user, unit__purpose=PURPOSES[step])
    if step == Step.QUALIFICATION:
        going_on = QualificationTry.objects.filter(member=member, finished_at=None, number=OuterRef("unit__round"))
        rows = rows.filter(Exists(going_on))
    return rows.select_related("unit").order_by("id")


def has_begun(member: Member, step: Step) -> bool:
    return _assignments(member, step).exists()


# The practice page ---------------------------------------------------------------------------------------------------


def page_value(member: Member, step: Step) -> dict[str, Any]:
    """What the rating, ranking or pairwise page needs to show this part instead of live work."""
    value, study = pages.study_value(member), member.study.uid
    urls = {name: reverse(f"practice_{name}", args=[study]) for name in ("next", "events", "back")}
    value["urls"] = {**value["urls"], **urls}
    value["practice"] = {"purpose": step.value, "label": str(PURPOSES[step].label)}
    return value


def more(member: Member, step: Step, *, want: int, have: list[str]) -> dict[str, Any]:
    """What the page gets: its next items and its progress, or, when all are answered, the result and where to go."""
    rows = list(_assignments(member, step).select_related("unit__reference", "judgement"))
    left = [row for row in rows if row.state != leases.DONE]
    room = max(0, (1 if step == Step.TRAINING else want) - sum(str(row.uid) in have for row in left))
    given = [row for row in left if str(row.uid) not in have][:room]
    finished = _finish(member, step, rows) if rows and not left else None
    return {
        "assignments": pages.assignment_values(given, member),
        "progress": {"done": len(rows) - len(left), "today": 0, "total": len(rows), "worked_minutes": 0},
        "break": None,
        "done": None,
        "step": finished if rows else over(member),
    }


def over(member: Member) -> dict[str, str]:
    """For a page that asks for more when the part is finished."""
    sentence = _("This part is finished. What you sent is stored.")
    return {"title": "", "sentence": sentence, "go": _home(member)}


def _home(member: Member) -> str:
    return reverse("workplace", args=[member.study.uid])


def _finish(member: Member, step: Step, rows: list[Assignment]) -> dict[str, str]:
    right = sum(_is_right(member, row) for row in rows)
    counts = {"right": right, "total": len(rows)}
    if step == Step.TRAINING:
        Member.objects.filter(pk=member.pk, trained_at=None).update(trained_at=timezone.now())
        sentence = _("%(right)d of %(total)d answers were right. Training decides nothing: go on.") % counts
        return {"title": _("Training is finished"), "sentence": sentence, "go": _home(member)}
    return _result(member, rows[0].unit.round, right, len(rows))


@transaction.atomic
def _result(member: Member, number: int, right: int, total: int) -> dict[str, str]:
    """Write the try's result once, and say it."""
    share, mark = right / total, member.study.protocol.entry.pass_mark
    passed, now = share >= mark - ROUNDING, timezone.now()
    going_on = QualificationTry.objects.filter(member=member, number=number, finished_at=None)
    if going_on.update(share=share, passed=passed, finished_at=now) and passed:
        Member.objects.filter(pk=member.pk, qualified_at=None).update(qualified_at=now)
    counts = {"right": right, "total": total, "mark": f"{100 * mark:.0f}"}
    sentence = _("%(right)d of %(total)d answers were right. The pass mark is %(mark)s %%.") % counts
    if passed:
        return {"title": _("You passed"), "sentence": sentence, "go": _home(member)}
    left = max(0, tries_left(member))
    tries = ngettext("You have %(n)d more try.", "You have %(n)d more tries.", left) if left else _("No try is left.")
    sentence = f"{sentence} {tries % {'n': left} if left else tries}"
    return {"title": _("You did not pass"), "sentence": sentence, "go": _home(member)}


def _is_right(member: Member, row: Assignment) -> bool:
    return all(line.is_right for line in _lines(member, row))


def _lines(member: Member, row: Assignment) -> list[marking.Line]:
    shown = dict(zip(letters(len(row.order)), row.order, strict=True))
    return marking.lines(member.study.protocol, row.unit.reference.answer, row.judgement.answer, shown)


def feedback(member: Member, submitted: dict[str, str]) -> dict[str, Any] | None:
    """After an answer in training: what was right, and why. None where nothing was answered."""
    rows = _assignments(member, Step.TRAINING).filter(uid__in=list(submitted), state=leases.DONE)
    row = rows.select_related("unit__reference", "judgement").last()
    if row is None:
        return None
    lines = _lines(member, row)
    right = all(line.is_right for line in lines)
    shown = letters(len(row.order))
    pictures = [(_("Source"), "source"), *((_("Edit") if len(shown) == 1 else letter, letter) for letter in shown)]
    return {
        "is_right": right,
        "title": _("Right") if right else _("Not right"),
        "lines": [
            {"label": line.label, "said": _word(line.said), "right": _word(line.right), "is_right": line.is_right}
            for line in lines
        ],
        "words": row.unit.reference.feedback,
        "images": [{"label": label, "url": reverse("work_image", args=[row.uid, name])} for label, name in pictures],
    }


def _word(text: str) -> str:
    return {"": "–", "tie": _("Equally good"), "both_bad": _("Both are bad")}.get(text, text)
