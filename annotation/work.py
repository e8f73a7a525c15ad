"""What the annotation pages send: events, answers, steps back. Append-only, and safe to repeat."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation import followups, leases, sessions
from annotation.answers import Answer, AnswerError, letters, read_answer
from annotation.hidden.controls import controls_among
from annotation.hidden.expected import rank_without
from annotation.models import PRACTICE, Assignment, Event, Judgement, Mark, Member, Purpose, Study, StudyState, Unit
from annotation.screening import services as screening
from webapp.hooks.events import JUDGEMENT_SAVED
from webapp.hooks.services import announce
from webapp.live.streams import publish

KINDS = ("open", "score", "place", "duel", "move", "compare", "flag", "remark", "undo", "submit")
BATCH = 200  # events in one request
DATA_LENGTH = 20_000  # characters of one event's data


@dataclass(frozen=True)
class Incoming:
    """One event as the browser sent it; ``problem`` says why it cannot be stored."""

    key: str
    assignment: str
    seq: int
    kind: str
    data: dict[str, Any]
    at: int
    problem: str = ""


@dataclass
class Outcome:
    saved: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    submitted: dict[str, str] = field(default_factory=dict)
    judged: int = 0  # new judgements
    assignments: list[Assignment] = field(default_factory=list)  # the annotator's, as they are afterwards

    def refuse(self, key: str, error: str) -> None:
        self.refused.append({"key": key, "error": error})


def read_event(value: object) -> Incoming:
    """Check the form of one event. A broken one is kept as a refusal, so that the rest of the batch is stored."""
    event = value if isinstance(value, dict) else {}
    key, seq, at, data = str(event.get("key", "")), event.get("seq"), event.get("at"), event.get("data", {})
    problem = ""
    if not (is_uuid(key) and is_uuid(str(event.get("assignment", "")))):
        problem = _("The event has no key.")
    elif event.get("kind") not in KINDS or type(seq) is not int or not 0 <= seq < 2**31:
        problem = _("This kind of event is not known.")
    elif not isinstance(data, dict) or not (text := _storable(data)):
        problem = _("This has characters or numbers that cannot be stored.")
    elif len(text) > DATA_LENGTH:
        problem = _("The event is too long.")
    return Incoming(
        key=key,
        assignment=str(event.get("assignment", "")),
        seq=seq if type(seq) is int else 0,
        kind=str(event.get("kind")),
        data=data if isinstance(data, dict) else {},
        at=at if type(at) is int and abs(at) < 2**62 else 0,
        problem=problem,
    )


def _storable(data: dict[str, Any]) -> str:
    """The data as text; empty if the database could not keep it: NaN, infinity, half a character, or character 0."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return ""
    return "" if "\\u0000" in text.replace("\\\\", "") else text


def is_uuid(text: str) -> bool:
    """Whether this is a UUID in the one form in which we give and keep it."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def record(*, member: Member, events: list[Incoming]) -> Outcome:
    """Store new events in order and apply what they submit. All of the batch or, on an error of ours, none of it."""
    try:
        return _record(member, events)
    except IntegrityError:  # the same answer came twice at once, and the other was first: now it is known
        return _record(member, events)


def _record(member: Member, events: list[Incoming]) -> Outcome:
    outcome = Outcome()
    outcome.assignments = leases.mine(member, {event.assignment for event in events if not event.problem})
    mine = {str(assignment.uid): assignment for assignment in outcome.assignments}
    known = _known(mine, events)
    with transaction.atomic():
        if sum(event.kind == "submit" for event in events) > 1:
            leases.take_turns(member.study)
        _store(member, events, mine, known, outcome)
    return outcome


def _store(
    member: Member, events: list[Incoming], mine: dict[str, Assignment], known: set[str], outcome: Outcome
) -> None:
    now = timezone.now()
    fresh: list[Event] = []
    for event in events:
        assignment = mine.get(event.assignment)
        if event.problem or assignment is None:
            outcome.refuse(event.key, event.problem or _("This item is not one of yours."))
        elif event.key in known:
            outcome.saved.append(event.key)
            outcome.submitted[event.assignment] = _standing(assignment)
        elif _apply(member, assignment, event, now, outcome):
            fresh.append(_row(assignment, event))
            if event.kind == "submit":
                known.add(event.key)
    if fresh:
        Event.objects.bulk_create(fresh, ignore_conflicts=True)  # an event that is sent twice is one
    opened = [row.pk for row in mine.values() if row.opened_at == now and str(row.uid) not in outcome.submitted]
    if opened:
        Assignment.objects.filter(pk__in=opened).update(opened_at=now)
    sessions.touch(member, now, outcome.judged)


def _known(mine: dict[str, Assignment], events: list[Incoming]) -> set[str]:
    """Keys of the submissions that were stored before. Only an assignment that is done can have one."""
    keys = [
        event.key
        for event in events
        if event.kind == "submit" and event.assignment in mine and mine[event.assignment].state == leases.DONE
    ]
    stored = Event.objects.filter(assignment__in=list(mine.values()), key__in=keys)  # the index is on both
    return {str(key) for key in stored.values_list("key", flat=True)} if keys else set()


def _row(assignment: Assignment, event: Incoming) -> Event:
    return Event(
        assignment=assignment, key=event.key, seq=event.seq, kind=event.kind, data=event.data, client_ms=event.at
    )


def _mine(member: Member) -> QuerySet[Assignment]:
    return Assignment.objects.filter(study=member.study, annotator=member.user)


def _standing(assignment: Assignment) -> str:
    judgement = _judgement_of(assignment)
    return "extra" if judgement and judgement.is_extra else "done"


def _apply(member: Member, assignment: Assignment, event: Incoming, now: datetime, outcome: Outcome) -> bool:
    """Whether the event is accepted; what it changes is done."""
    if event.kind == "open" or (assignment.opened_at is None and event.kind != "submit"):
        assignment.opened_at = now
    if event.kind == "submit":
        if assignment.unit.purpose in PRACTICE and assignment.state == leases.DONE:
            outcome.refuse(event.key, _("You answered this already, and were told. Answers to practice are final."))
            return False
        shown = letters(len(assignment.order))
        try:
            answer = read_answer(member.study.protocol, assignment.unit.dimension, shown, event.data.get("answer"))
        except AnswerError as error:
            outcome.refuse(event.key, str(error))
            return False
        judgement = _judge(member, assignment, answer, event.data["answer"], now)
        outcome.submitted[event.assignment] = "extra" if judgement.is_extra else "done"
        outcome.judged += judgement.revisions == 0 and assignment.unit.purpose not in PRACTICE
    outcome.saved.append(event.key)
    return True


def _judge(member: Member, assignment: Assignment, answer: Answer, raw: dict[str, Any], now: datetime) -> Judgement:
    """Make the judgement, or revise it: the last answer counts, earlier ones stay in the events."""
    judgement = _judgement_of(assignment) if assignment.state == leases.DONE else None
    if judgement is None:
        judgement = Judgement(assignment=assignment)
        judgement.is_extra = not _keep_place(member, assignment)
    else:
        judgement.revisions += 1
        judgement.marks.all().delete()
    judgement.study, judgement.unit, judgement.annotator = member.study, assignment.unit, member.user
    judgement.answer, judgement.flag, judgement.remark = raw, answer.flag, answer.remark
    judgement.seconds = round((now - assignment.opened_at).total_seconds(), 3) if assignment.opened_at else None
    judgement.save()
    Mark.objects.bulk_create(_marks(judgement, assignment, answer, member.study))
    screening.examine(judgement)
    _tell(member.study, judgement)
    return judgement


def _marks(judgement: Judgement, assignment: Assignment, answer: Answer, study: Study) -> list[Mark]:
    """The answer's marks. An edit's rank is that among the edits: a control between them moves no rank that counts."""
    candidates = dict(zip(letters(len(assignment.order)), assignment.order, strict=True))
    marks = [
        Mark(judgement=judgement, candidate_id=candidates[m.letter], dimension=m.dimension, score=m.score, rank=m.rank)
        for m in answer.marks
    ]
    controls = {one.candidate for one in controls_among(study, assignment.order)}
    taken_out = [mark.rank for mark in marks if mark.candidate_id in controls and mark.rank is not None]
    for mark in marks if taken_out else ():
        if mark.rank is not None and mark.candidate_id not in controls:
            mark.rank = rank_without(mark.rank, taken_out)
    return marks


def _tell(study: Study, judgement: Judgement) -> None:
    """Once it is stored: the study's page, and what follows when a unit has its last wanted judgement."""
    transaction.on_commit(lambda: publish(study.channel, "judgement", {}))
    unit = judgement.unit  # as it was when the answer came: with places left, this one was not the last
    about = {"judgement": str(judgement.uid), "unit": str(unit.uid), "purpose": unit.purpose}
    announce(JUDGEMENT_SAVED, {**about, "revisions": judgement.revisions, "extra": judgement.is_extra}, study=study)
    may_be_full = unit.purpose == Purpose.LIVE and not judgement.is_extra and unit.taken >= unit.target
    if may_be_full and Unit.objects.filter(pk=unit.pk, done__gte=F("target")).exists():
        followups.unit_is_full(unit.pk)


def _judgement_of(assignment: Assignment) -> Judgement | None:
    return Judgement.objects.filter(assignment=assignment).first()


def _keep_place(member: Member, assignment: Assignment) -> bool:
    """Count the judgement towards its unit: by its lease, or by a place that is still free. False: it is extra."""
    unit = Unit.objects.filter(pk=assignment.unit_id)
    row = Assignment.objects.filter(pk=assignment.pk)
    values = {"state": leases.DONE, "opened_at": assignment.opened_at}
    leased = bool(row.filter(state=leases.LEASED).update(**values))  # it may just have been taken back
    if not leased:
        row.update(**values)
    assignment.state = leases.DONE
    if member.study.state == StudyState.CLOSED:
        if leased:
            unit.update(taken=F("taken") - 1)
        return False
    if not leased and leases.take_place(assignment.unit_id):
        assignment.unit.taken += 1  # this answer may be the last one: see _tell
        leased = True
    if leased:
        unit.update(done=F("done") + 1)
        return True
    return False


def step_back(*, member: Member, before: str | None) -> Assignment | None:
    """The assignment that this annotator answered before ``before`` (None: their latest), to look at or revise."""
    done = _mine(member).filter(state=leases.DONE).exclude(unit__purpose__in=PRACTICE)
    done = done.select_related("unit").order_by("-judgement__id")
    if before is None:
        return done.first()
    current = _mine(member).filter(uid=before).select_related("judgement").first()
    judgement = getattr(current, "judgement", None)
    return done.filter(judgement__id__lt=judgement.pk).first() if judgement else done.first()
