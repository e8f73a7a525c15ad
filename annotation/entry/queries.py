"""Reads for the author's pages of the way in."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, F, QuerySet
from django.utils.translation import gettext as _

from annotation.answers import letters
from annotation.entry import gate
from annotation.entry.gate import Step
from annotation.entry.services import WITH_REFERENCE
from annotation.models import Candidate, Case, ItemCandidate, Member, Purpose, Study, Unit
from annotation.protocols import RANKING, RATING


def counts_of(study: Study) -> dict[str, int]:
    """How many reference items of each purpose are given out."""
    units = Unit.objects.filter(study=study, purpose__in=WITH_REFERENCE, round=1, taken__lt=F("target"))
    return dict.fromkeys(map(str, WITH_REFERENCE), 0) | dict(
        units.values_list("purpose").annotate(n=Count("id")).order_by()
    )


def references_of(study: Study, purpose: str) -> QuerySet[Unit]:
    """The first units of the reference items, of one purpose or (empty) of all."""
    wanted = [purpose] if purpose in WITH_REFERENCE else WITH_REFERENCE
    units = Unit.objects.filter(study=study, purpose__in=wanted, round=1)
    return units.select_related("reference", "item__case__source")


@dataclass
class ReferenceRow:
    """A reference item on the page: its pictures by letter, and its right answer in words."""

    unit: Unit
    pictures: list[tuple[str, Candidate]] = field(default_factory=list)
    answer: str = ""

    @property
    def is_withdrawn(self) -> bool:
        return self.unit.target < Unit.EVERYBODY


def rows_of(study: Study, units: Iterable[Unit]) -> list[ReferenceRow]:
    """One query for the pictures of all."""
    rows = [ReferenceRow(unit) for unit in units]
    entries = ItemCandidate.objects.filter(item__in=[row.unit.item_id for row in rows]).order_by("candidate_id")
    pictures: dict[int, list[Candidate]] = defaultdict(list)
    for entry in entries.select_related("candidate__image", "candidate__editor"):
        pictures[entry.item_id].append(entry.candidate)
    for row in rows:
        shown = pictures[row.unit.item_id]
        row.pictures = list(zip(letters(len(shown)), shown, strict=True))
        row.answer = _words(study, row.unit.reference.answer, {one.pk: letter for letter, one in row.pictures})
    return rows


def _words(study: Study, answer: dict[str, Any], named: dict[int, str]) -> str:
    protocol = study.protocol
    if protocol.kind == RATING:
        steps = {key: protocol.dimension(key).step for key in answer["scores"]}
        rooms = {key: answer.get("tolerance", {}).get(key, 0) * step for key, step in steps.items()}
        return ", ".join(
            f"{protocol.dimension(key).label} {score:g}" + (f" ± {rooms[key]:g}" if rooms[key] else "")
            for key, score in answer["scores"].items()
        )
    if protocol.kind == RANKING:
        label = protocol.dimension(answer["dimension"]).label if answer.get("dimension") else ""
        order = " > ".join(" = ".join(named.get(key, "?") for key in tier) for tier in answer["order"])
        return f"{label}: {order}"
    choice = answer["choice"]
    words = {"tie": _("Equally good"), "both_bad": _("Both are bad")}
    return words.get(choice) or _("%(letter)s is better") % {"letter": named.get(choice, "?")}


# Choosing candidates ------------------------------------------------------------------------------------------------


def cases_of(study: Study, find: str) -> QuerySet[Case]:
    cases = Case.objects.filter(dataset=study.dataset_id).select_related("source", "task")
    return cases.filter(key__icontains=find) if find else cases


@dataclass(frozen=True)
class Group:
    """A case with its candidates; ``is_live``: the study asks about the candidate, so people may meet it again."""

    case: Case
    candidates: list[tuple[Candidate, bool]]


def groups_of(study: Study, cases: Sequence[Case]) -> list[Group]:
    """Two queries for all cases of a page."""
    chosen = Candidate.objects.filter(case__in=cases).usable().select_related("editor", "image").order_by("id")
    live = set(
        ItemCandidate.objects.filter(
            item__study=study, item__case__in=cases, item__units__purpose=Purpose.LIVE
        ).values_list("candidate_id", flat=True)
    )
    groups: dict[int, list[tuple[Candidate, bool]]] = defaultdict(list)
    for candidate in chosen:
        groups[candidate.case_id].append((candidate, candidate.pk in live))
    return [Group(case, groups[case.pk]) for case in cases]


def chosen(study: Study, uids: Sequence[str]) -> list[Candidate]:
    """The study's data set's candidates of these UIDs, in their own order; what is no such UID is left out."""
    wanted = [uid for uid in map(_uuid, uids) if uid]
    rows = Candidate.objects.filter(uid__in=wanted, case__dataset=study.dataset_id)
    return list(rows.select_related("case__source", "editor", "image").order_by("id"))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# Who stands where ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Where a member is on the way in."""

    member: Member
    step: Step | None
    words: str


def members_of(study: Study) -> QuerySet[Member]:
    rows = gate.with_tries(gate.with_facts(Member.objects.filter(study=study).select_related("user")))
    return rows.prefetch_related("tries", "entry_decisions__by")


def standings(study: Study, members: Iterable[Member]) -> list[Standing]:
    words = {
        None: _("works"),
        Step.CONSENT: _("has not agreed yet"),
        Step.GUIDELINES: _("reads the guidelines"),
        Step.VIEWING: _("at the viewing check"),
        Step.TRAINING: _("in training"),
        Step.QUALIFICATION: _("at the qualification"),
        Step.FAILED: _("kept out: no try is left"),
    }
    found = []
    for member in members:
        member.study = study
        step = gate.step_of(member)
        simulated = member.user.is_simulated
        found.append(Standing(member, step, _("simulated: passes by the program") if simulated else words[step]))
    return found
