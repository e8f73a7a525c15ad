"""What webhooks are told of units: registered with annotation.followups."""

from annotation.models import Unit
from webapp.hooks.events import UNIT_FULL
from webapp.hooks.services import announce, is_quiet


def tell_full(unit_pk: int) -> None:
    """Once for each number of judgements that a unit was full with: it can be asked for more later."""
    if is_quiet():
        return
    unit = Unit.objects.select_related("study__dataset", "item").filter(pk=unit_pk).first()
    if unit is not None:
        data = {"unit": str(unit.uid), "item": str(unit.item.uid), "dimension": unit.dimension, "done": unit.done}
        announce(UNIT_FULL, data, study=unit.study, key=f"{unit.uid} {unit.done}")
