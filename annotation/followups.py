"""What happens when a live unit has its last wanted judgement. The layers above register here."""

import logging
from collections.abc import Callable

from django.db import transaction

FOLLOWUPS: dict[str, Callable[[int], None]] = {}
"""Functions of a unit's key, by name: the same name again replaces the function."""

logger = logging.getLogger(__name__)


def unit_is_full(unit_pk: int) -> None:
    """Call everything that is registered once the transaction has committed.

    Follow-ups look at the unit themselves, so that one call too many does no harm.
    """
    transaction.on_commit(lambda: _tell(unit_pk))


def _tell(unit_pk: int) -> None:
    """A follow-up that fails is ours to mend and no matter of the annotator's, whose answer is stored."""
    for name, followup in FOLLOWUPS.items():
        try:
            followup(unit_pk)
        except Exception:
            logger.exception("The follow-up %s of unit %s failed", name, unit_pk)
