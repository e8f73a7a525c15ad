"""Judgements for tests: data sets without files, and annotators who answer what they are lent.

Rows of the library are made directly, because importing pictures has tests of its own; everything after that goes
through the services that the pages use.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import count, groupby
from typing import Any

from annotation import leases, work
from annotation.answers import letters
from annotation.library import ensure_editor, settings_hash
from annotation.models import Assignment, Candidate, Case, Dataset, Judgement, Member, StoredImage, Study
from annotation.protocols import PRESETS, Protocol
from annotation.studies import add_member, create_study

_number = count()
Answer = dict[str, Any]


def stored_image(name: str) -> StoredImage:
    """A picture's row; there is no file behind it."""
    sides = {"width": 64, "height": 48, "view_width": 64, "view_height": 48}
    return StoredImage(sha256=f"{name:0>64}"[-64:], original=name, view=name, format="PNG", size=1, **sides)


def dataset(cases: int = 2, editors: int = 3, *, seeds: int = 1, notice: str = "", owner: Any = None) -> Dataset:
    """``cases`` cases, each with ``seeds`` candidates of each of ``editors`` editors."""
    number = next(_number)
    data = Dataset.objects.create(slug=f"rows-{number}", name=f"Rows {number}", notice=notice, created_by=owner)
    makers = [ensure_editor(slug=f"editor-{e}", name=f"Editor {e}") for e in range(editors)]
    for index in range(cases):
        source = stored_image(f"{number}-{index}-source")
        source.save()
        case = Case.objects.create(
            dataset=data, key=f"case-{index:03}", source=source, task_id="add", instruction=f"Edit {index}"
        )
        for editor in makers:
            for seed in range(seeds):
                image = stored_image(f"{number}-{index}-{editor.pk}-{seed}")
                image.save()
                Candidate.objects.create(
                    case=case, editor=editor, image=image, seed=seed, settings_hash=settings_hash({})
                )
    return data


def study(
    data: Dataset, preset: str = "mos", members: Sequence[Any] = (), protocol: Protocol | None = None, **more: Any
) -> Study:
    chosen = protocol or PRESETS[preset]
    values = {"name": f"Study of {data.name}", "by": None, "seed": 7, **more}
    made = create_study(dataset=data, preset=preset, protocol=chosen, **values)
    for user in members:
        add_member(study=made, user=user)
    return made


def member_of(made: Study, user: Any) -> Member:
    return Member.objects.select_related("study__dataset", "user").get(study=made, user=user)


def event(assignment: Assignment | str, kind: str, seq: int = 1, **data: Any) -> dict[str, Any]:
    """An event as the browser sends it."""
    uid = assignment if isinstance(assignment, str) else str(assignment.uid)
    return {"key": str(uuid.uuid4()), "assignment": uid, "seq": seq, "kind": kind, "data": data, "at": 1}


def send(member: Member, *events: dict[str, Any]) -> work.Outcome:
    return work.record(member=member, events=[work.read_event(one) for one in events])


def submit(member: Member, assignment: Assignment, answer: Answer) -> Judgement:
    """Hand in an answer that must be accepted."""
    outcome = send(member, event(assignment, "submit", answer=answer))
    assert outcome.refused == []
    return Judgement.objects.get(assignment=assignment)


def judge(made: Study, user: Any, answer: Callable[[Assignment], Answer], limit: int = 10_000) -> int:
    """Let ``user`` answer up to ``limit`` units; returns how many there were."""
    member, done = member_of(made, user), 0
    while done < limit and (lent := leases.lease(member, count=1, turn=done)):
        for assignment in lent:
            submit(member, assignment, answer(assignment))
        done += len(lent)
    return done


# Answers ------------------------------------------------------------------------------------------------------------


def rated(scores: Mapping[str, float], flag: str | None = None, remark: str = "") -> Answer:
    return {"scores": dict(scores), "flag": flag, "remark": remark}


def ranked(tiers: Sequence[Sequence[str]], flag: str | None = None, remark: str = "") -> Answer:
    """An order of letters, best tier first; each tier on a shelf of its own as far as there are shelves."""
    shelves = {letter: max(0, 5 - place) for place, tier in enumerate(tiers) for letter in tier}
    order = [list(tier) for tier in tiers]
    return {"shelves": shelves, "order": order, "duels": [], "flags": {}, "flag": flag, "remark": remark}


def shown(assignment: Assignment) -> dict[str, int]:
    """The candidate behind each letter."""
    return dict(zip(letters(len(assignment.order)), assignment.order, strict=True))


def by_worth(assignment: Assignment, worth: Callable[[int], float]) -> list[list[str]]:
    """Tiers of letters by the worth of the candidates behind them, highest first; equal worth is a tie."""
    valued = {letter: worth(candidate) for letter, candidate in shown(assignment).items()}
    best_first = sorted(valued, key=lambda letter: (-valued[letter], letter))
    return [list(tier) for _worth, tier in groupby(best_first, key=lambda letter: valued[letter])]
