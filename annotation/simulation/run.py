"""Simulated annotators judge a study through the services that the pages use: leases, events, judgements.

A turn is one transaction: an annotator gets a few units and answers them, so a run that is stopped or killed leaves
whole turns, and another run with the same annotators and seed goes on where it ended, turn by turn as if it had not.
Sessions and breaks are for eyes, and only the pages keep them: a program does not rest. Times are what the server says.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from annotation import leases, work
from annotation.answers import letters
from annotation.assign import seeded
from annotation.models import Assignment, Member, Purpose, Study, StudyState
from annotation.screening import services as screening
from annotation.simulation.annotators import KINDS, Annotator, Shown, as_told
from annotation.simulation.report import Report, report_on
from annotation.simulation.truth import facts_of
from annotation.studies import add_member
from webapp.accounts.models import SIMULATED, User

MOST = 100  # annotators in one run
LARGEST_SEED = 2**32 - 1
AT_ONCE = 5  # units in a turn, as many as a page holds
NOTED = 50  # judgements between two reports


@dataclass(frozen=True)
class Outcome:
    """What a run brought: judgements of this run, and of these annotators in all; and what the study shows now."""

    new: int
    all: int
    annotators: int
    report: Report | None = field(default=None, compare=False)


def check_wish(study: Study, annotators: Mapping[str, int], seed: int) -> None:
    """Raise ValidationError where this cannot be simulated, whatever the study's cases are."""
    if unknown := sorted(set(annotators) - set(KINDS)):
        words = _("There are no annotators of the kind %(kind)s. The kinds are %(kinds)s.")
        raise ValidationError(words % {"kind": unknown[0], "kinds": ", ".join(KINDS)})
    if any(count < 0 for count in annotators.values()) or not 1 <= sum(annotators.values()) <= MOST:
        raise ValidationError(_("Choose 1 to %(most)d annotators in all.") % {"most": MOST})
    if not 0 <= seed <= LARGEST_SEED:
        raise ValidationError(_("A seed is a whole number from 0 to %(most)d.") % {"most": LARGEST_SEED})
    if study.state != StudyState.OPEN:
        words = _("This study is %(state)s. Open it first: nobody judges in it, simulated annotators neither.")
        raise ValidationError(words % {"state": study.get_state_display().lower()})


def simulate(
    *,
    study: Study,
    annotators: Mapping[str, int],
    seed: int,
    progress: Callable[[int, int, str], None] = lambda _done, _total, _message: None,
    check: Callable[[], None] = lambda: None,
) -> Outcome:
    """Let ``annotators`` (how many of each kind) judge until nothing is left for them.

    ``check`` is called between turns and may raise to end the run. The same annotators with the same seed are the same
    everywhere: a second run gives no judgement twice. Raises ValidationError, before anything is written, for a study
    that is not of the drawn world.
    """
    check_wish(study, annotators, seed)
    progress(0, 0, _("Working out the true scores"))
    truth = facts_of(study, check)
    members = _join(study, _wanted(annotators, seed))
    return _Run(study, truth, members, seed, progress, check).go()


def _wanted(annotators: Mapping[str, int], seed: int) -> list[Annotator]:
    kinds = [(kind, number) for kind in KINDS for number in range(1, annotators.get(kind, 0) + 1)]
    return [Annotator(kind, f"{SIMULATED}{kind}-{number}-{seed}", seed) for kind, number in kinds]


@transaction.atomic
def _join(study: Study, annotators: list[Annotator]) -> list[tuple[Member, Annotator]]:
    """The annotators as members of the study; who is not there yet is made."""
    found = []
    for annotator in annotators:
        user = User.objects.filter(username=annotator.name).first() or _make(annotator.name)
        member = add_member(study=study, user=user)
        member.study, member.user = study, user
        found.append((member, annotator))
    return found


def _make(name: str) -> User:
    user = User(username=name, is_simulated=True, is_active=False)
    user.set_unusable_password()
    user.full_clean()
    user.save()
    return user


@dataclass
class _Run:
    study: Study
    truth: dict[int, Shown]
    members: list[tuple[Member, Annotator]]
    seed: int
    progress: Callable[[int, int, str], None]
    check: Callable[[], None]
    finished: set[int] = field(default_factory=set)  # members for whom nothing is left

    def go(self) -> Outcome:
        before, left = self._judged(), self._left()
        done, noted = before, before
        self.progress(done, before + left, _("Judging"))
        while new := self._turn(done):
            done += new
            if done - noted >= NOTED:
                noted = done
                self.progress(done, max(before + left, done), _("Judging"))
            self.check()
        self.progress(done, done, _("%(n)d judgements") % {"n": done})
        screening.screen_all(study=self.study)
        return Outcome(done - before, done, len(self.members), report_on(self.study, self.truth))

    def _turn(self, done: int) -> int:
        """One annotator's turn: the first, in an order that the seed and ``done`` decide, for whom there is work."""
        order = sorted(self.members, key=lambda pair: pair[1].name)
        seeded("turn", self.seed, done).shuffle(order)
        for member, annotator in order:
            if member.pk not in self.finished:
                if new := self._judge(member, annotator):
                    return new
                self.finished.add(member.pk)
        return 0

    @transaction.atomic
    def _judge(self, member: Member, annotator: Annotator) -> int:
        leases.take_turns(self.study)
        self._still_open()
        lent = self._lent(member)
        events = [event for assignment in lent for event in self._events(assignment, annotator)]
        outcome = work.record(member=member, events=events) if events else work.Outcome()
        if outcome.refused:  # our own answers: an error of the program, and the turn is undone
            raise RuntimeError(f"The answers of {annotator.name} were refused: {outcome.refused[0]['error']}")
        return outcome.judged

    def _still_open(self) -> None:
        self.study.refresh_from_db(fields=["state"])
        if self.study.state != StudyState.OPEN:
            state = self.study.get_state_display().lower()
            raise ValidationError(_("The study is now %(state)s. What was judged stays.") % {"state": state})

    def _lent(self, member: Member) -> list[Assignment]:
        """Units for this turn: what this annotator holds already, else new ones."""
        mine = leases.mine(member)
        held = [assignment for assignment in mine if assignment.state == leases.LEASED]
        held += leases.revive([assignment for assignment in mine if assignment.state == leases.EXPIRED])
        return held or leases.lease(member, count=AT_ONCE, turn=member.done)

    def _events(self, assignment: Assignment, annotator: Annotator) -> Iterator[work.Incoming]:
        """What the page would send: the item was opened, and the answer."""
        named = zip(letters(len(assignment.order)), assignment.order, strict=True)
        shown = {letter: self.truth[key] for letter, key in named}
        unit, protocol = assignment.unit, self.study.protocol
        answer = annotator.answer(protocol, unit.dimension, shown, again=unit.purpose == Purpose.REPEAT)
        if unit.purpose == Purpose.ATTENTION and annotator.reads:
            answer = as_told(answer, unit.reference.answer, dict(zip(assignment.order, shown, strict=True)))
        for seq, (kind, data) in enumerate((("open", {}), ("submit", {"answer": answer}))):
            key = str(uuid.uuid5(assignment.uid, kind))  # the same event twice is one
            yield work.Incoming(key, str(assignment.uid), seq, kind, data, at=0)

    def _judged(self) -> int:
        mine = [member.user_id for member, _annotator in self.members]
        return int(self.study.judgements.filter(annotator__in=mine).count())

    def _left(self) -> int:
        """How many judgements these annotators can still give, hidden items apart: in each unit one for each of them
        who never had it, as far as it has free places."""
        mine = [member.user_id for member, _annotator in self.members]
        had = Count("assignments", filter=Q(assignments__annotator__in=mine))
        begun = self.study.assignments.filter(annotator__in=mine).exclude(state=leases.DONE).count()
        units = self.study.units.filter(purpose=Purpose.LIVE).annotate(had=had).values_list("target", "taken", "had")
        return begun + sum(min(target - taken, len(mine) - had) for target, taken, had in units)
