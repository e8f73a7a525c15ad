"""Control candidates of a new study: the untouched source, and an edit once more. They test annotators, not editors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from annotation.assign import seeded
from annotation.library import ensure_editor
from annotation.models import CONTROL_EDITORS, Candidate, Case, Control, Editor, ItemCandidate, Study
from annotation.protocols import PAIRWISE, RATING
from annotation.units import make_items

SLUGS = dict(zip((Control.SOURCE, Control.DUPLICATE), CONTROL_EDITORS, strict=True))
NAMES = {Control.SOURCE: "Control: the untouched source", Control.DUPLICATE: "Control: an edit once more"}
LARGEST_GROUP = 23  # letters A … W


@dataclass
class _Group:
    """What may get a control: an item of a ranking study, or a case of a rating study (``item`` is None there)."""

    case: int
    item: int | None
    candidates: list[int] = field(default_factory=list)


def prepare(study: Study) -> None:
    """Put controls among the candidates of a study that was just made, by the shares of its protocol's checks.

    In a ranking study a share of the groups gets one more candidate, as far as there are letters; in a rating study a
    share of the cases gets an item more. Studies of pairs get none: a pair with a control says nothing of the other.
    """
    checks, kind = study.protocol.checks, study.protocol.kind
    shares = {Control.SOURCE: checks.source_share, Control.DUPLICATE: checks.duplicate_share}
    if kind == PAIRWISE or not any(shares.values()):
        return
    groups = _groups(study, by_case=kind == RATING)
    for control, share in shares.items():
        roomy = [one for one in groups if kind == RATING or len(one.candidates) < LARGEST_GROUP]
        chosen = choose(len(groups), len(roomy), share, study.seed, control.value)
        _add(study, control, [roomy[place] for place in chosen])


@dataclass(frozen=True)
class Shown:
    """A control among the candidates that were shown; ``original`` is the key of what it repeats."""

    candidate: int
    control: str
    original: int | None


def controls_among(study: Study, candidates: Sequence[int]) -> list[Shown]:
    """The controls among these candidates; no query for a study that has none."""
    checks = study.protocol.checks
    if not (checks.source_share or checks.duplicate_share):
        return []
    rows = Candidate.everything.filter(pk__in=candidates).exclude(control="").order_by("pk")
    return [Shown(*row) for row in rows.values_list("pk", "control", "duplicate_of_id")]


def choose(groups: int, roomy: int, share: float, *seed: object) -> list[int]:
    """Which of the ``roomy`` groups get a control: so many that they are ``share`` of all, at least one, by chance."""
    wanted = min(roomy, max(1, round(share * groups))) if share else 0
    return sorted(seeded("control", *seed).sample(range(roomy), wanted))


def _groups(study: Study, by_case: bool) -> list[_Group]:
    found: dict[int, _Group] = {}
    entries = ItemCandidate.objects.filter(item__study=study, candidate__control="").order_by("item_id", "candidate_id")
    for item, case, candidate in entries.values_list("item_id", "item__case_id", "candidate_id"):
        group = found.setdefault(case if by_case else item, _Group(case, None if by_case else item))
        group.candidates.append(candidate)
    return list(found.values())


def _add(study: Study, control: Control, groups: Sequence[_Group]) -> None:
    """Add one control candidate to each of the groups."""
    editor = ensure_editor(slug=SLUGS[control], name=NAMES[control])
    if control == Control.SOURCE:
        made = _sources(editor, [group.case for group in groups])
    else:
        chance = seeded("duplicate", study.seed)
        made = _duplicates(editor, [_original(group, chance) for group in groups])
    pairs = list(zip(groups, made, strict=True))
    if study.protocol.kind == RATING:
        chance = seeded("units of controls", study.seed, control.value)
        make_items(study, [(group.case, (key,)) for group, key in pairs], chance)
    else:
        places = [(group.item, key) for group, key in pairs if group.item is not None]
        ItemCandidate.objects.bulk_create(ItemCandidate(item_id=item, candidate_id=key) for item, key in places)
    for group, key in pairs:
        group.candidates.append(key)


def _original(group: _Group, chance: Random) -> int:
    edits = list(Candidate.objects.filter(pk__in=group.candidates).order_by("pk").values_list("pk", flat=True))
    return chance.choice(edits)


def _sources(editor: Editor, cases: Sequence[int]) -> list[int]:
    """The source of each case as a candidate; one for all studies of the case. Returns their keys."""
    sources = dict(Case.objects.filter(pk__in=cases).values_list("pk", "source_id"))
    rows = [_control(editor, "source", case, image, control=Control.SOURCE) for case, image in sources.items()]
    Candidate.everything.bulk_create(rows, ignore_conflicts=True)
    made = Candidate.everything.filter(editor=editor, case__in=cases, control=Control.SOURCE)
    keys = dict(made.values_list("case_id", "pk"))
    return [keys[case] for case in cases]


def _duplicates(editor: Editor, originals: Sequence[int]) -> list[int]:
    """Each of the edits as a candidate once more. Returns their keys."""
    edits = Candidate.objects.select_related("editor").in_bulk(set(originals))
    rows = []
    for edit in edits.values():
        name = f"again/{edit.editor.slug}/{edit.seed}/{edit.settings_hash}"
        about: dict[str, Any] = {"control": Control.DUPLICATE, "duplicate_of": edit}
        rows.append(_control(editor, name, edit.case_id, edit.image_id, **about))
    Candidate.everything.bulk_create(rows, ignore_conflicts=True)
    keys = dict(Candidate.everything.filter(duplicate_of__in=originals).values_list("duplicate_of_id", "pk"))
    return [keys[edit] for edit in originals]


def _control(editor: Editor, name: str, case: int, image: int, **more: Any) -> Candidate:
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Candidate(case_id=case, editor=editor, image_id=image, settings_hash=digest, **more)
