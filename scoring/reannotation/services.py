"""What follows where people disagree: more annotators once, then the mark "contested", then a senior's decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Adjudication, Candidate, Item, Purpose, Study, Unit
from annotation.protocols import RATING
from scoring.reannotation import queries
from scoring.tables import CHUNK
from webapp.accounts.models import User
from webapp.hooks.events import STUDY_CONTESTED
from webapp.hooks.services import announce


def follow_up(unit_pk: int) -> None:
    """A unit has its last wanted judgement: ask more annotators where people disagree, or mark the item as contested.

    Called after the commit that filled the unit. Nothing happens to a unit that is not full, or not live work, nor in
    a study without ``extra_raters``: single items are too noisy to be called contested after the first look.
    """
    unit = _full_units().filter(pk=unit_pk).first()
    if unit is None or not unit.study.protocol.extra_raters:
        return
    study = unit.study
    found = queries.agreed(study, [unit.item_id], unit.dimension)
    if not any(one.is_low(study.protocol.agreement) for one in found):
        return
    if _was_asked_once(unit):
        _mark(study, [unit.item])
    else:
        _send_on(study, [unit])


@transaction.atomic
def ask_more_raters(*, study: Study) -> int:
    """Do the same for the whole study: for studies from before it happened by itself, and after exclusions.

    Every finished unit on which people disagree goes to ``extra_raters`` more people, none twice; those that were
    asked already are contested, and items on which people agree by now are not any more. Returns how many go out.
    """
    if not study.protocol.extra_raters:
        return 0
    low: dict[int, set[str]] = defaultdict(set)
    for one in queries.agreed(study):
        if one.is_low(study.protocol.agreement):
            low[one.item].add(one.dimension)
    full = _full_units().filter(study=study, done__gt=1).iterator(chunk_size=CHUNK)  # alone, nobody disagrees
    torn = [unit for unit in full if low.get(unit.item_id) and unit.dimension in {"", *low[unit.item_id]}]
    contested = {unit.item_id: unit.item for unit in torn if _was_asked_once(unit)}
    stale = Item.objects.filter(study=study, is_contested=True).values_list("pk", flat=True)
    Item.objects.filter(pk__in=set(stale) - set(low)).update(is_contested=False)
    _mark(study, contested.values())
    return _send_on(study, [unit for unit in torn if not _was_asked_once(unit)])


def _full_units() -> QuerySet[Unit]:
    return Unit.objects.filter(purpose=Purpose.LIVE, done=F("target")).select_related("study", "item__case")


def _was_asked_once(unit: Unit) -> bool:
    """Whether the unit went to more annotators already: its target tells."""
    return unit.target != unit.study.protocol.raters_of(unit.item.case.split)


def _send_on(study: Study, units: Iterable[Unit]) -> int:
    """Ask for more annotators, at most once a unit: the condition and the change are one statement."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for unit in units:
        wanted[unit.target].append(unit.pk)
    sent = 0
    for target, keys in wanted.items():
        for start in range(0, len(keys), CHUNK):
            still = Unit.objects.filter(pk__in=keys[start : start + CHUNK], target=target, done=target)
            sent += still.update(target=target + study.protocol.extra_raters)
    return sent


@transaction.atomic
def _mark(study: Study, items: Iterable[Item]) -> None:
    """Mark items as contested and say so: again only after the mark was taken away."""
    for item in items:
        if Item.objects.filter(pk=item.pk, is_contested=False).update(is_contested=True):
            announce(STUDY_CONTESTED, {"item": str(item.uid)}, study=study)


# Decisions ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def adjudicate(*, item: Item, answers: Mapping[str, Mapping[str, Any]], note: str, by: User) -> list[Adjudication]:
    """Keep a senior's decision, beside the annotators' judgements: ``answers`` by dimension, see Adjudication.

    Raises ValidationError, and keeps nothing, where an answer does not fit the item.
    """
    if not answers:
        raise ValidationError(_("Decide on one dimension at least."))
    if not item.units.filter(purpose=Purpose.LIVE).exists():
        raise ValidationError(_("This item has a reference answer. There is nothing to decide."))
    uids = {str(uid) for uid in Candidate.objects.filter(items=item).values_list("uid", flat=True)}
    made = []
    for dimension, answer in answers.items():
        _check(item.study, uids, dimension, answer)
        row = Adjudication(study=item.study, item=item, dimension=dimension, answer=dict(answer), note=note, by=by)
        row.full_clean()
        row.save()
        made.append(row)
    return made


def _check(study: Study, uids: set[str], dimension: str, answer: Mapping[str, Any]) -> None:
    known = {one.key: one for one in study.protocol.dimensions}
    if dimension not in known:
        raise ValidationError(_("This study does not ask for %(name)s.") % {"name": dimension})
    scale = known[dimension]
    if study.protocol.kind == RATING:
        scores = answer.get("scores", {})
        if set(scores) != uids or not all(scale.allows(score) for score in scores.values()):
            words = _("%(name)s goes from %(low)g to %(high)g in steps of %(step)g.")
            about = {"name": scale.label, "low": scale.low, "high": scale.high, "step": scale.step}
            raise ValidationError(words % about)
    elif sorted(uid for tier in answer.get("order", []) for uid in tier) != sorted(uids):
        raise ValidationError(_("%(name)s: every candidate has one place.") % {"name": scale.label})
