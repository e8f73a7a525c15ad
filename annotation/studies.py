"""Writes to studies: make one, invite people, open and close it."""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, count

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import blocks
from annotation.assign import seeded, shuffled
from annotation.hidden import placing
from annotation.models import Candidate, Dataset, Member, Study
from annotation.models.library import CandidateQuerySet
from annotation.protocols import PAIRWISE, RATING, Protocol
from annotation.units import ItemGroup, make_items
from webapp.accounts.models import Invitation, User
from webapp.hooks.events import STUDY_STATE
from webapp.hooks.services import announce

LARGEST_GROUP = 23  # letters A … W; larger groups are shown in blocks


@transaction.atomic
def create_study(
    *,
    name: str,
    dataset: Dataset,
    preset: str,
    protocol: Protocol,
    by: User | None,
    guidelines: str = "",
    candidates: CandidateQuerySet | None = None,
    seed: int | None = None,
    sample: int = 0,
    items: Sequence[ItemGroup] | None = None,
) -> Study:
    """A study of the data set's candidates (or of those given), with its items and units.

    What an output check set aside is left out. ``sample``: at most so many candidates of a case, drawn at random, as
    EditReward has 7 of 12 judged; 0 for all. ``items``: exactly these, as (case, candidates), whatever was set aside.
    """
    study = Study(
        name=name,
        dataset=dataset,
        preset=preset,
        protocol_json=protocol.to_json(),
        guidelines=guidelines,
        seed=secrets.randbits(32) if seed is None else seed,
        created_by=by,
    )
    study.full_clean()
    study.save()
    if items is None:
        chosen = candidates if candidates is not None else Candidate.objects.filter(case__dataset=dataset)
        cases: dict[int, list[int]] = defaultdict(list)
        for case, candidate in chosen.usable().order_by("case_id", "id").values_list("case_id", "id"):
            cases[case].append(candidate)
        items = _item_groups(protocol, _sampled(cases, sample, study.seed), study.seed)
    if not items:
        raise ValidationError(
            _(
                "This data set has nothing to judge yet. Make candidates first: "
                "a ranking or a comparison needs two of a case."
            )
        )
    make_items(study, items, seeded("units", study.seed))
    placing.prepare(study)
    return study


def _sampled(cases: dict[int, list[int]], most: int, seed: int) -> dict[int, list[int]]:
    if not most:
        return cases
    return {
        case: group if len(group) <= most else sorted(seeded("sample", seed, place).sample(group, most))
        for place, (case, group) in enumerate(cases.items())
    }


def _item_groups(protocol: Protocol, cases: dict[int, list[int]], seed: int) -> list[ItemGroup]:
    """(case, candidates) of every item: each candidate alone, every pair of a case, the case's whole group, or its
    blocks."""
    if protocol.kind == RATING:
        return [(case, (candidate,)) for case, group in cases.items() for candidate in group]
    if protocol.kind == PAIRWISE:
        return [(case, pair) for case, group in cases.items() for pair in combinations(group, 2)]
    if protocol.block:
        return _in_blocks(protocol, cases, seed)
    if too_large := [group for group in cases.values() if len(group) > LARGEST_GROUP]:
        message = ngettext(
            "%(count)d case has more than %(largest)d candidates. "
            "Show them in blocks, or choose fewer editors or seeds.",
            "%(count)d cases have more than %(largest)d candidates. "
            "Show them in blocks, or choose fewer editors or seeds.",
            len(too_large),
        )
        raise ValidationError(message % {"count": len(too_large), "largest": LARGEST_GROUP})
    return [(case, tuple(group)) for case, group in cases.items() if len(group) > 1]


def _in_blocks(protocol: Protocol, cases: dict[int, list[int]], seed: int) -> list[ItemGroup]:
    """Groups as they are up to the size of a block, larger ones in blocks. Cases of one size share a design, each with
    its candidates at places of their own."""
    if protocol.block_times < 2:
        raise ValidationError(
            _("Each candidate must be in two blocks or more: blocks that share none cannot be joined into one ranking.")
        )
    designs: dict[int, list[tuple[int, ...]]] = {}
    items: list[ItemGroup] = []
    for number, (case, group) in enumerate(cases.items()):
        n = len(group)
        if n <= protocol.block:
            items += [(case, tuple(group))] if n > 1 else []
            continue
        if n not in designs:
            designs[n] = blocks.design(n, protocol.block, protocol.block_times, seed)
        placed = shuffled(group, "blocks", seed, number)
        items += [(case, tuple(sorted(placed[place] for place in block))) for block in designs[n]]
    return items


@transaction.atomic
def add_member(*, study: Study, user: User) -> Member:
    """Let somebody take part. The first free number is theirs: it decides which dimension they begin with.

    With its first simulated annotator a study is called a simulation, before there is a judgement.
    """
    if user.is_simulated and not study.is_simulated:
        study.is_simulated = True
        study.save(update_fields=["is_simulated"])
    taken = set(Member.objects.filter(study=study).values_list("position", flat=True))
    position = next(number for number in count() if number not in taken)
    return Member.objects.get_or_create(study=study, user=user, defaults={"position": position})[0]


@transaction.atomic
def remove_member(*, study: Study, user: User) -> None:
    """Take somebody off a study. What they judged stays; an invitation of theirs brings them back no more."""
    Member.objects.filter(study=study, user=user).delete()
    Invitation.objects.filter(used_by=user, study_uid=study.uid).update(study_uid=None)


def join_invited(user: User) -> None:
    """Enter the studies that the invitations this person accepted were for."""
    wanted = Invitation.objects.filter(used_by=user).exclude(study_uid=None).values_list("study_uid", flat=True)
    for study in Study.objects.filter(uid__in=list(wanted)).exclude(members__user=user):
        add_member(study=study, user=user)


@transaction.atomic
def set_state(*, study: Study, state: str) -> Study:
    study.state = state
    study.full_clean()
    study.save(update_fields=["state"])
    announce(STUDY_STATE, {"state": state}, study=study)
    return study
