"""Writes that follow from results."""

from django.db import transaction
from django.db.models import F

from annotation.models import Item, Purpose, Study, Unit
from scoring import results


@transaction.atomic
def ask_more_raters(*, study: Study) -> int:
    """Send every finished group on which people disagree to ``extra_raters`` more people; no group twice.

    Groups that are contested after that keep the mark. Returns how many go out.
    """
    protocol = study.protocol
    if not protocol.extra_raters:
        return 0
    contested = results.contested_groups(study)
    waiting = Unit.objects.filter(
        study=study, purpose=Purpose.LIVE, done=F("target"), target=protocol.raters
    ).select_related("item")
    keys = [unit.pk for unit in waiting if (str(unit.item.uid), unit.dimension) in contested]
    Item.objects.filter(units__in=keys).update(is_contested=True)
    return Unit.objects.filter(pk__in=keys).update(target=F("target") + protocol.extra_raters)
